"""From time to time the supervisor looks at its workers: is the loop alive, is a limit reached?

A loop that does not beat is stuck only if the supervisor itself was awake meanwhile: after a moment in which the whole machine stood still, nobody is killed for it.
"""

import asyncio
import time
from typing import TYPE_CHECKING

from plait._process_pool._stats import resident_memory
from plait._workers import _words
from plait._workers._process import Process

if TYPE_CHECKING:
    from plait._workers._slot import Slot
    from plait._workers._supervisor import Supervisor

# If a worker could not be replaced, that is tried again after so many seconds.
_AGAIN = 60.0


async def watch(supervisor: "Supervisor") -> None:
    """For ever."""
    settings = supervisor.settings
    tick = min(1.0, settings.beat)
    before = time.monotonic()
    while True:
        await asyncio.sleep(tick)
        now = time.monotonic()
        passed = min(now - before, 2 * tick)
        before = now
        for slot in supervisor.slots():
            process = slot.current
            if process is None or process.leaving or process.ended.done():
                continue
            beats, _, requests = supervisor.read(process)
            if settings.liveness is not None:
                _listen_for(supervisor, process, beats, passed)
            why = _limit_reached(process, requests)
            if why:
                supervisor.spawn(_replace(supervisor, slot, process, why))


async def _replace(supervisor: "Supervisor", slot: "Slot", process: Process, why: str) -> None:
    limits = process.requests_limit, process.memory_limit
    process.requests_limit = process.memory_limit = None
    if await slot.replace(why, process):
        return
    supervisor.tell_of_no_successor(slot, f"worker {slot.place + 1} stays")
    await asyncio.sleep(_AGAIN)
    process.requests_limit, process.memory_limit = limits


def _listen_for(supervisor: "Supervisor", process: Process, beats: int, passed: float) -> None:
    if beats != process.beats:
        process.beats = beats
        process.silent = 0.0
        return
    process.silent += passed
    if process.silent > (supervisor.settings.liveness or 0):
        process.silent = float("-inf")  # said once
        _words.tell(f"worker {process.place + 1} (pid {process.pid}): its loop has been stuck for {supervisor.settings.liveness:g} s; it is killed")
        supervisor.spawn(process.end_stuck())


def _limit_reached(process: Process, requests: int) -> str:
    """In words; nothing if there is none."""
    if process.requests_limit is not None and requests >= process.requests_limit:
        return f"it has had {requests} requests"
    if process.memory_limit is not None:
        memory = resident_memory(process.pid)
        if memory >= process.memory_limit:
            return f"it has {memory / 2**20:.0f} MiB of memory"
    return ""
