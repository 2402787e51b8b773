"""Much data over one connection: a file by `loop.sendfile`, and pieces of bytes with a `drain` after each.

The client asks for a number of bytes and takes them in; each byte tells its place (`crates/plait-bench/src/download.rs`). Length and
place are a multiple of 251 bytes in every piece and every file, so that one piece follows the other. A gibibyte is sent as a
file of some mebibytes again and again: a file of that size would need as much memory for the page cache, which is what is
read from in any case.
"""

import asyncio
import socket
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import BinaryIO, cast

from ..columns import LOOPS
from .network import BACKLOG, STREAMS, Load, Seen

PERIOD = 251
PATTERN = bytes(range(PERIOD))
# 62.75 KiB, and 62.75 MiB.
PIECE = PATTERN * 256
FILE_PIECES = 1024
REQUEST_SIZE = 8


@dataclass(frozen=True, kw_only=True)
class Transfer(Load):
    """`n` mebibytes over one connection."""


async def by_sendfile(loop: asyncio.AbstractEventLoop, listener: socket.socket, seen: Seen) -> object:
    file = _file()

    async def send(transport: asyncio.Transport, size: int) -> None:
        while size:
            count = min(size, len(PIECE) * FILE_PIECES)
            # Not the fallback: reading and writing is another workload.
            await loop.sendfile(transport, file, 0, count, fallback=False)
            size -= count

    class Sender(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.Transport, transport)
            self.asked = b""
            seen["transport"] = type(transport).__module__

        def data_received(self, data: bytes) -> None:
            self.asked += data
            if len(self.asked) >= REQUEST_SIZE:
                size, self.asked = int.from_bytes(self.asked[:REQUEST_SIZE], "little"), self.asked[REQUEST_SIZE:]
                # Held by the protocol, since the loop holds its tasks weakly.
                self.task = loop.create_task(_sent(seen, self.transport, lambda: send(self.transport, size)))

    return await loop.create_server(Sender, sock=listener, backlog=BACKLOG)


async def _sent(
    seen: Seen, transport: asyncio.Transport, send: Callable[[], Coroutine[object, object, None]]
) -> None:
    try:
        await send()
    except (NotImplementedError, asyncio.SendfileNotAvailableError) as error:
        seen.lacks = str(error) or "it has no sendfile"
        transport.abort()


def _file() -> BinaryIO:
    file = cast(BinaryIO, tempfile.TemporaryFile())
    for _ in range(FILE_PIECES):
        file.write(PIECE)
    file.flush()
    return file


async def by_drained_stream(loop: asyncio.AbstractEventLoop, listener: socket.socket, seen: Seen) -> object:
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen["transport"] = type(writer.transport).__module__
        seen["StreamReader"] = type(reader).__module__
        seen["StreamWriter"] = type(writer).__module__
        while asked := await reader.read(REQUEST_SIZE):
            size = int.from_bytes(asked, "little")
            for _ in range(size // len(PIECE)):
                writer.write(PIECE)
                await writer.drain()
            writer.write(PIECE[: size % len(PIECE)])
            await writer.drain()
        writer.close()

    return await asyncio.start_server(send, sock=listener, backlog=BACKLOG)


SERVERS = {"sendfile": by_sendfile, "drained_stream": by_drained_stream}
USES: dict[str, tuple[str, ...]] = {"sendfile": (), "drained_stream": STREAMS}

WORKLOADS = (
    Transfer(
        name="sendfile",
        group="transfers",
        n=1024,
        least=256,
        per="MiB",
        about="a mebibyte of a gibibyte sent by loop.sendfile",
        columns=(*LOOPS, "epoll"),
        server="sendfile",
    ),
    Transfer(
        name="stream_drain",
        group="transfers",
        n=1024,
        least=256,
        per="MiB",
        about="a mebibyte of a gibibyte written to a StreamWriter in pieces of 63 KiB, with a drain after each",
        columns=(*LOOPS, "epoll"),
        uses=STREAMS,
        server="drained_stream",
    ),
)
