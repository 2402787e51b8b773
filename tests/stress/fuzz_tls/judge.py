"""Whether a script went well on plait: by itself, and as it goes on asyncio."""

from typing import Any

from play import play
from protocols import Record
from script import LIMITS, Script, parse


class Judge:
    """Plays scripts on two loops, plait's and asyncio's."""

    def __init__(self, plait_loop: Any, stock_loop: Any) -> None:
        self.plait, self.stock = plait_loop, stock_loop

    def judge(self, data: bytes) -> tuple[list[str], Record]:
        """What is wrong, and what plait made of the script."""
        script = parse(data)
        record = play(self.plait, script)
        if record.troubles:
            return record.troubles, record
        # Some lengths in a handshake are a matter of luck: a difference is one only if it is there each time.
        differences: list[str] = []
        for attempt in range(3):
            here = play(self.plait, script) if attempt else record
            differences = different(script, here, play(self.stock, script))
            if not differences:
                break
        return differences, record


def ends(record: Record, cut_off: bool) -> list[Any]:
    """What was told, but for when: data, pauses and the turns of the transport below come as it fits."""
    by_chance = ("data", "pause", "resume", "below pauses", "below resumes")
    told = [event for event in record.events if event not in by_chance]
    if cut_off:
        # A connection that is cut off is noticed by who reads, who writes, or by nobody if it had just ended.
        told = ["lost" if event[0] == "lost" else event for event in told if event != "eof"]
    return told


def reported(record: Record) -> list[str]:
    """What was reported, but for the failures of calls that come as it fits, as in `ends`."""
    return [report for report in record.reports if not report.startswith(("protocol.pause_writing()", "protocol.resume_writing()"))]


def no_guide(script: Script, here: Record, there: Record) -> bool:
    """Whether asyncio has gone wrong itself, or does what plait means to do better."""
    # Asked for limits of zero it tells protocols without need to pause, and nothing to resume.
    zero = any(step.endswith("limits") and LIMITS[argument % len(LIMITS)] == 0 for step, argument in script.steps)
    # It calls methods of protocols and sockets that are gone, and goes on with connections that were aborted.
    wrong = ("'NoneType' object has no attribute", "'NoneType' object is not callable", "cannot switch state from SSLProtocolState.UNWRAPPED")
    gone = any(text in str(told) for told in (*there.reports, *there.events) for text in wrong)
    # It ends without what the transport below did not take, and has no time limit in some states.
    waits = ("timed out" in here.disturbed) != ("timed out" in there.disturbed)
    # With reading paused in connection_made, it does not send its end of the handshake.
    half = here.paused_early or there.paused_early
    # It drops whole records before a broken one, and at the end what does not fit into a small buffer.
    if script.buffer and "end" in here.disturbed and len(here.disturbed) > 1:
        return True
    drops = len(here.received) > len(there.received) and bool(here.disturbed or script.buffer)
    # Closed while the peer goes on sending, it forgets what was written before.
    forgets = "closed" in here.disturbed and len(here.peer_received) > len(there.peer_received)
    return bool(there.troubles) or zero or gone or waits or half or drops or forgets


def different(script: Script, here: Record, there: Record) -> list[str]:
    """How plait differs from asyncio."""
    if no_guide(script, here, there):
        return []
    found = []
    cut_off = "reset" in here.disturbed | there.disturbed
    if ends(here, cut_off) != ends(there, cut_off):
        found.append(f"told: {here.events} on plait, {there.events} on asyncio")
    if reported(here) != reported(there):
        found.append(f"reported: {here.reports} on plait, {there.reports} on asyncio")
    if len(here.received) < len(there.received):
        found.append(f"received: {len(here.received)} bytes on plait, {len(there.received)} on asyncio")
    if len(here.peer_received) < len(there.peer_received):
        found.append(f"sent: {len(here.peer_received)} bytes on plait, {len(there.peer_received)} on asyncio")
    return found
