"""One script, played on one loop: what the application's protocol, the peer and the exception handler were told."""

import asyncio
import functools
import gc
import weakref
from asyncio import sslproto
from typing import Any

import plait
from ends import STREAM, MemoryLink, Peer, SocketLink, contexts
from plait import _native
from protocols import Buffering, Deliberate, Record, Streaming
from script import LIMITS, PARTS, SIZES, Script

TIMERS = ("_check_handshake_timeout", "_check_shutdown_timeout")
ALL = 1 << 30
MOST = len(STREAM) - SIZES[-1]


class Play:
    """A connection of a loop, driven step by step."""

    def __init__(self, loop: Any, script: Script) -> None:
        self.loop, self.script = loop, script
        self.record = Record()
        self.acts = list(script.acts)
        self.native = isinstance(loop, plait.EventLoop)
        ours, theirs = contexts(script.server_side, script.newest)
        self.peer = Peer(theirs, not script.server_side)
        kind = SocketLink if script.sockets else MemoryLink
        self.link: Any = kind(loop, script.narrow, self.record.events)
        self.app: Any = self.actor(script.buffer)
        self.first = weakref.ref(self.app)
        self.make = functools.partial(
            _native.TlsProtocol if self.native else sslproto.SSLProtocol,
            loop,
            self.app,
            ours,
            server_side=script.server_side,
            server_hostname=None if script.server_side else "localhost",
            ssl_handshake_timeout=3600.0,
            ssl_shutdown_timeout=3600.0,
        )
        self.transport: Any = None
        self.tls: Any = None
        self.waiter: Any = None
        self.made = self.lost = self.closed = False

    def actor(self, size: int) -> Any:
        return Buffering(self, size) if size else Streaming(self)

    # ---- what is told

    def told(self, actor: Any, what: str, detail: Any = None) -> None:
        if self.lost:
            self.record.troubles.append(f"{what} after the loss")
        self.record.events.append(what if detail is None else (what, detail))
        if what == "made":
            if self.made:
                self.record.troubles.append("made twice")
            self.made = True
        self.lost = self.lost or what == "lost"
        self.act(what)

    def receive(self, actor: Any, data: bytes) -> None:
        if self.lost or not self.made:
            self.record.troubles.append("data before or after the connection")
        if self.record.events[-1:] != ["data"]:
            self.record.events.append("data")
        if not data:
            self.record.troubles.append("received nothing")
        self.record.received += data
        self.act("data")

    def act(self, what: str) -> None:
        for place, (callback, way) in enumerate(self.acts):
            if callback == what and self.transport is not None:
                del self.acts[place]
                self.do(way)
                return

    def do(self, way: str) -> None:
        match way:
            case "write":
                self.write(100_000)
            case "close":
                self.close()
            case "abort":
                self.abort()
            case "pause":
                self.ask("pause_reading")
            case "write and close":
                self.write(1_000_000)
                self.close()
            case "pause and resume":
                self.ask("pause_reading")
                self.ask("resume_reading")
            case "exchange":
                self.exchange(0)
            case "raise":
                self.record.disturbed.add("raised")
                raise Deliberate

    # ---- what the application does

    def ask(self, method: str, *arguments: Any) -> None:
        if method == "pause_reading" and not self.peer.handshaken:
            self.record.paused_early = True
        try:
            if self.native or self.transport._ssl_protocol is not None:
                getattr(self.transport, method)(*arguments)
                return
        except AttributeError:
            if self.native:
                raise
        # It was closed twice, or the transport below is gone.
        self.record.troubles.append("asyncio's transport has lost its protocol")

    def write(self, size: int, pieces: int = 0) -> None:
        if not self.made or self.record.written + size * max(pieces, 1) > MOST:
            return
        start = self.record.written
        data = STREAM[start : start + size * max(pieces, 1)]
        if self.tls._state.name in ("DO_HANDSHAKE", "WRAPPED"):
            self.record.written += len(data)  # before what the write may cause
        if pieces:
            self.ask("writelines", [data[n * size : (n + 1) * size] for n in range(pieces)])
        else:
            self.ask("write", data)

    def close(self) -> None:
        self.closed = True
        self.record.disturbed.add("closed")
        self.ask("close")

    def abort(self) -> None:
        self.closed = True
        self.record.disturbed.add("aborted")
        self.ask("abort")

    def exchange(self, argument: int) -> None:
        if self.made and not self.lost:
            self.app = self.actor((0, 1000)[argument % 2])
            self.ask("set_protocol", self.app)

    # ---- steps

    async def turn(self, count: int = 1) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def step(self, step: str, argument: int) -> None:
        peer, link = self.peer, self.link
        size = SIZES[argument % len(SIZES)]
        if self.script.buffer:
            size = min(size, 2000 * self.script.buffer)  # else a script lasts
        part = PARTS[argument % len(PARTS)]
        match step:
            case "write":
                self.write(size)
            case "writelines":
                self.write(size if size < 50_000 else 10, 1 + argument // 16)
            case "pause reading":
                self.ask("pause_reading")
            case "resume reading":
                self.ask("resume_reading")
            case "close":
                self.close()
            case "abort":
                self.abort()
            case "write limits":
                self.ask("set_write_buffer_limits", LIMITS[argument % len(LIMITS)])
            case "read limits":
                self.ask("set_read_buffer_limits", LIMITS[argument % len(LIMITS)])
            case "peer writes" if peer.written + size <= MOST:
                peer.write(size)
            case "peer writes bytes":
                for _ in range(argument):
                    peer.write(1)
            case "deliver":
                link.deliver(peer.wire, part)
            case "deliver all":
                link.deliver(peer.wire, ALL)
            case "deliver in pieces":
                for _ in range(200):
                    link.deliver(peer.wire, 1 + argument)
                    if self.script.sockets:
                        await self.turn()
            case "take":
                peer.take(link.take(part))
            case "take all":
                peer.take(link.take(ALL if not self.script.sockets else 1 << 20))
            case "take and deliver":
                await self.exchange_bytes(1 + argument % 4)
            case "goodbye":
                peer.goodbye()
            case "turn":
                await self.turn()
            case "turns":
                await self.turn(5)
            case "authenticate":
                peer.authenticate()
            case "exchange protocols":
                self.exchange(argument)
            case "time out":
                self.time_out()
            case "cancel":
                self.record.disturbed.add("closed")
                self.waiter.cancel()
            case _:
                self.disturb(step, argument)

    def disturb(self, step: str, argument: int) -> None:
        """What the network, or somebody in it, does to a connection."""
        wire = self.peer.wire
        if step in ("end", "reset"):
            self.record.disturbed.add(step)
            getattr(self.link, step)()
        elif step == "plain text":
            self.record.disturbed.add(step)
            wire += b"GET / HTTP/1.1\r\n\r\n"
        elif wire:
            self.record.disturbed.add(step)
            if step == "corrupt":
                wire[argument % len(wire)] ^= 1 + argument % 255
            elif step == "truncate":
                del wire[-1 - argument :]

    def timers(self) -> list[Any]:
        return [timer for timer in self.loop._scheduled if not timer.cancelled()]

    def time_out(self) -> None:
        for timer in self.timers():
            callback = timer._callback
            if callback.__name__ in TIMERS:
                self.record.disturbed.add("timed out")
                timer.cancel()
                callback()

    async def exchange_bytes(self, rounds: int) -> int:
        """Both ways, all there is; how many bytes that were, and were received from what was there."""
        most = ALL if not self.script.sockets else 1 << 20
        moved = -len(self.record.received)
        for _ in range(rounds):
            taken = self.link.take(most)
            self.peer.take(taken)
            before = len(self.peer.wire)
            self.link.deliver(self.peer.wire, ALL)
            moved += len(taken) + before - len(self.peer.wire)
            await self.turn(3)
        return moved + len(self.record.received)

    # ---- from the beginning to the end

    async def run(self) -> Record:
        self.waiter = self.loop.create_future()
        self.transport = self.link.start(self.loop, self.make, self.waiter)
        self.tls = self.transport._ssl_protocol
        assert (type(self.tls) is _native.TlsProtocol) == self.native, "not the implementation that was asked for"
        if self.script.sockets:
            await self.turn(2)
        if self.script.handshake_first:
            await self.exchange_bytes(5)
        for step, argument in self.script.steps:
            try:
                await self.step(step, argument)
            except (Deliberate, ValueError) as error:  # from within a callback that was called at once
                self.record.events.append(f"{step} raises {type(error).__name__}")
            self.record.features.add((step, self.tls._state.name, self.tls._app_state.name, len(self.record.events) > 3))
            if self.link.ended and self.lost:
                break
        await self.finish()
        return self.note_end()

    async def finish(self) -> None:
        """Whatever can still go on does; then time runs out; then the network fails."""
        moved = True
        while moved or (self.peer.heard_goodbye and not self.peer.said_goodbye):
            if not self.script.stays_paused and self.made:
                self.ask("resume_reading")
            moved = await self.exchange_bytes(4) > 0
            if self.peer.heard_goodbye:
                self.peer.goodbye()
                self.peer.said_goodbye = True  # also if it was too broken to say it
        self.note_whole()
        if self.closed and self.made and not self.lost:
            if not [t for t in self.timers() if t._callback.__name__ in TIMERS] and not self.link_flushes():
                self.record.troubles.append("closed, and nothing will end it")
            self.time_out()
            await self.turn(5)
        if not self.lost:
            self.link.reset()
        await self.turn(8)
        self.ask("abort")  # who has paused reading for good never hears of the end
        await self.turn(5)
        if self.made and not self.lost:
            self.record.troubles.append("never lost")

    def link_flushes(self) -> bool:
        """The transport below has something for the peer, which is another time limit's matter."""
        return isinstance(self.link, MemoryLink) and self.link.closing and bool(self.link.sent)

    def note_whole(self) -> None:
        record, peer = self.record, self.peer
        record.peer_received, record.peer_written = bytes(peer.received), peer.written
        if STREAM[: len(record.received)] != record.received or len(record.received) > peer.written:
            record.troubles.append("received what was not sent")
        if STREAM[: len(peer.received)] != peer.received or len(peer.received) > record.written:
            record.troubles.append("sent what was not written")
        if not self.made:
            return
        if not record.disturbed and not self.script.stays_paused and len(record.received) < peer.written:
            record.troubles.append("lost what the peer has sent")
        told_of_it = any(event[0] == "lost" for event in record.events)
        if record.disturbed <= {"closed"} and not told_of_it and not peer.broken and len(peer.received) < record.written:
            record.troubles.append("lost what was written")

    def note_end(self) -> Record:
        if self.waiter.done():
            failed = None if self.waiter.cancelled() else self.waiter.exception()
            self.record.events.append(("handshake", self.waiter.cancelled() or f"{type(failed).__name__}"))
        if paused := [event for event in self.record.events if event in ("pause", "resume")]:
            if paused != (["pause", "resume"] * len(paused))[: len(paused)]:
                self.record.troubles.append("pauses and resumes do not alternate")
        for event in ("made", "eof", "lost"):
            if sum(told == event or told[0] == event for told in self.record.events) > 1:
                self.record.troubles.append(f"{event} told twice")
        return self.record


def play(loop: Any, script: Script) -> Record:
    """Play a script on a loop that does nothing else. Nothing of it is left afterwards."""
    reports: list[str] = []

    def report(_: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        reports.append(f"{context['message']} {type(error).__name__}: {error}")

    loop.set_exception_handler(report)
    played = Play(loop, script)
    kept = [played.first]
    record = loop.run_until_complete(played.run())
    kept.append(weakref.ref(played.tls))
    for timer in played.timers():
        record.troubles.append(f"left behind: {timer!r}")
        timer.cancel()
    if isinstance(played.link, SocketLink):
        played.link.far.close()
        if played.link.near.fileno() >= 0:
            record.troubles.append("the socket is still open")
            played.link.near.close()
    played.waiter = None
    del played
    gc.collect()
    loop.set_exception_handler(None)
    if [reference() for reference in kept] != [None, None]:
        record.troubles.append("left behind: the protocols")
    record.reports = reports
    return record
