"""The server of the pair: echoes by streams and by a protocol, over TCP and over TLS, and cuts what asks for it.

The other side asks over standard input, a word a line: `census` is answered with what this process holds and how many connections
it has seen and has open, once nothing is open any more. It ends with its standard input.
"""

import asyncio
import dataclasses
import json
import os
import ssl
import sys
from pathlib import Path
from typing import Any

import census
from script import CUT, WAYS_TO_CUT

BACKLOG = 1024
PIECE = 64 * 1024
CERTIFICATE = Path(__file__).with_name("certificate.pem")


class Tally:
    """How many connections there were and are, which classes served them, and what went wrong."""

    def __init__(self) -> None:
        self.seen = 0
        self.open = 0
        self.served: set[str] = set()
        self.errors: list[str] = []

    def opened(self, transport: Any) -> None:
        self.seen += 1
        self.open += 1
        self.served.add(type(transport).__module__)

    def closed(self) -> None:
        self.open -= 1

    def reported(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if len(self.errors) < 20:
            self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")


def way_to_cut(data: bytes) -> bytes | None:
    """Only at the beginning of what came at once: that is where the client, which waits for each answer, puts it."""
    return next((way for way in WAYS_TO_CUT if data.startswith(CUT + way)), None)


class EchoProtocol(asyncio.Protocol):
    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.tally.opened(transport)

    def data_received(self, data: bytes) -> None:
        match way_to_cut(data):
            case None:
                self.transport.write(data)
            case b"close":
                self.transport.write(data)
                self.transport.close()
            case _:
                self.transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.tally.closed()


async def echo(tally: Tally, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    tally.opened(writer.transport)
    tally.served |= {type(reader).__module__, type(writer).__module__}
    try:
        while data := await reader.read(PIECE):
            way = way_to_cut(data)
            if way == b"abort":
                writer.transport.abort()
                return
            if way == b"cancel":
                # Thrown at the next await, in the middle of the answer.
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            writer.write(data)
            await writer.drain()
            if way is not None:
                return
    except ConnectionError:
        pass
    except ssl.SSLError:
        # The other side went away in the middle of something.
        pass
    finally:
        writer.close()
        tally.closed()


async def listen(
    tally: Tally, kind: str, context: ssl.SSLContext | None, ports: dict[str, int]
) -> list[asyncio.AbstractServer]:
    """Both servers of a kind; where they are is put into `ports`."""
    options: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "ssl": context, "backlog": BACKLOG}
    by_protocol = await asyncio.get_running_loop().create_server(lambda: EchoProtocol(tally), **options)
    by_streams = await asyncio.start_server(lambda r, w: echo(tally, r, w), **options)
    for way, listening in (("protocol", by_protocol), ("streams", by_streams)):
        ports[f"{kind} {way}"] = listening.sockets[0].getsockname()[1]
    return [by_protocol, by_streams]


async def main(tls: bool) -> None:
    loop, tally = asyncio.get_running_loop(), Tally()
    loop.set_exception_handler(tally.reported)
    about: dict[str, Any] = {"loop": type(loop).__module__, "ports": {}}
    servers = await listen(tally, "tcp", None, about["ports"])
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        try:
            servers += await listen(tally, "tls", context, about["ports"])
        except NotImplementedError as lacking:
            about["lacks"] = str(lacking)
    ended = loop.create_future()
    words: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        said = os.read(0, 1000).decode().split()
        if not said and not ended.done():
            loop.remove_reader(0)
            ended.set_result(None)
        for word in said:
            words.put_nowait(word)

    loop.add_reader(0, read)
    say(about)
    answering = asyncio.ensure_future(answer(words, tally))
    await ended
    answering.cancel()
    for listening in servers:
        listening.close()


async def answer(words: "asyncio.Queue[str]", tally: Tally) -> None:
    while True:
        await words.get()
        # The other side is done, and waits: what is still open is about to be closed, or never will be.
        for _ in range(1000):
            if not tally.open:
                break
            await asyncio.sleep(0.01)
        # The tasks of what was closed last have a turn to end.
        await asyncio.sleep(0.05)
        told = {"seen": tally.seen, "open": tally.open, "served": sorted(tally.served), "errors": tally.errors}
        say(dataclasses.asdict(census.take()) | told)


def say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
