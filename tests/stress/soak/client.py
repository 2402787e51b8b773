"""The client of the pair: opens connections by their scripts, checks every byte, and cancels some of them at any moment."""

import asyncio
import ssl
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from script import Script

HOST = "127.0.0.1"
# What a cut connection, or one whose task was cancelled, may end with.
ENDS = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError)


class WrongBytes(Exception):
    """What came back is not what was sent."""


@dataclass
class Outcome:
    """What became of the connections so far."""

    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def error(self, said: str) -> None:
        self.counts["failed"] += 1
        if len(self.errors) < 20:
            self.errors.append(said)

    @property
    def done(self) -> int:
        return self.counts.total()


async def run(script: Script, port: int, context: ssl.SSLContext | None, outcome: Outcome) -> None:
    """One connection, in a task of its own; what became of it is counted."""
    use = _by_streams if script.by_streams else _by_protocol
    task = asyncio.create_task(use(script, port, context, outcome))
    cancelled = False
    if script.cancelled_after is not None:
        await _moment(script.cancelled_after)
        cancelled = task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        if not cancelled:
            raise
        outcome.counts["cancelled"] += 1
    except ENDS as error:
        if script.cut:
            outcome.counts["cut"] += 1
        else:
            outcome.error(f"connection {script.number}: {error!r}")
    except Exception as error:
        outcome.error(f"connection {script.number}: {error!r}")
    else:
        outcome.counts["used to the end"] += 1


async def _moment(after: int | float) -> None:
    if isinstance(after, float):
        await asyncio.sleep(after)
        return
    for _ in range(after):
        await asyncio.sleep(0)


def _compare(script: Script, sent: bytes, came: bytes) -> None:
    if came != sent:
        raise WrongBytes(f"{sent[:60]!r} came back as {came[:60]!r}")


async def _by_streams(script: Script, port: int, context: ssl.SSLContext | None, outcome: Outcome) -> None:
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context, local_addr=(script.source, 0))
    outcome.used |= {type(thing).__module__ for thing in (reader, writer, writer.transport)}
    try:
        for payload in script.payloads:
            writer.write(payload)
            await writer.drain()
            _compare(script, payload, await reader.readexactly(len(payload)))
        if script.end == "end of file" and writer.can_write_eof():
            writer.write_eof()
            _compare(script, b"", await reader.read())
    finally:
        writer.transport.abort() if script.end == "abort" else writer.close()
    if script.end == "close and wait":
        await writer.wait_closed()


class Exchanges(asyncio.Protocol):
    """One payload after the other, each sent when the answer to the one before is there."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.came = bytearray()
        self.due = 0
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, payload: bytes) -> "asyncio.Future[None]":
        if self.lost.done():
            raise ConnectionResetError("lost before the next payload")
        self.came.clear()
        self.due = len(payload)
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(payload)
        return self.answered

    def data_received(self, data: bytes) -> None:
        self.came += data
        if len(self.came) >= self.due and not self.answered.done():
            self.answered.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionResetError("closed before the answer"))
            # It may be that nobody waits for it any more.
            self.answered.exception()
        if not self.lost.done():
            self.lost.set_result(None)


async def _by_protocol(script: Script, port: int, context: ssl.SSLContext | None, outcome: Outcome) -> None:
    transport, protocol = await asyncio.get_running_loop().create_connection(
        lambda: Exchanges(script), HOST, port, ssl=context, local_addr=(script.source, 0)
    )
    outcome.used.add(type(transport).__module__)
    try:
        for payload in script.payloads:
            await protocol.ask(payload)
            _compare(script, payload, bytes(protocol.came))
        if script.end == "end of file" and transport.can_write_eof():
            transport.write_eof()
            await protocol.lost
    finally:
        transport.abort() if script.end == "abort" else transport.close()
    if script.end == "close and wait":
        await protocol.lost
