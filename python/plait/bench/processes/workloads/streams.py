"""Reading from an `asyncio.StreamReader` that has it all already: what the stream itself costs.

All the data was fed before the clock starts, in pieces of the size in which sockets deliver, so nothing ever waits
and the loop is hardly involved. A reader that lost, repeated or ran together what it was fed would be quick, too:
the last piece has to be the last one and nothing may be left behind it. (To look at every piece would cost as much as
a fast reader does.)
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random

from .measuring import Measurement, OnLoop, measure

PIECE = 64 * 1024
SEED = 80
BLOCK = 80
# A workload's data is far smaller; a reader is not to complain, nor to ask a transport to pause.
LIMIT = 1 << 30

Read = Callable[[], Awaitable[bytes]]


def readline(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    return _read_all(loop, _lines(n, b"\n"), lambda reader: reader.readline)


def readuntil(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    return _read_all(loop, _lines(n, b"\r\n"), lambda reader: partial(reader.readuntil, b"\r\n"))


def readexactly(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    blocks = [b"%0*d" % (BLOCK, i) for i in range(n)]
    return _read_all(loop, blocks, lambda reader: partial(reader.readexactly, BLOCK))


def _lines(n: int, end: bytes) -> list[bytes]:
    """Numbered lines of 60 to 100 bytes, as lines of text differ in length."""
    random = Random(SEED)
    return [b"%0*d" % (random.randint(60, 100) - len(end), i) + end for i in range(n)]


def _read_all(
    loop: asyncio.AbstractEventLoop, parts: list[bytes], how: Callable[[asyncio.StreamReader], Read]
) -> Measurement:
    reader = asyncio.StreamReader(limit=LIMIT, loop=loop)
    data = b"".join(parts)
    for start in range(0, len(data), PIECE):
        reader.feed_data(data[start : start + PIECE])
    reader.feed_eof()
    n, last, read = len(parts), b"", how(reader)

    async def body() -> None:
        nonlocal last
        for _ in range(n):
            last = await read()

    measured = measure(n, lambda: loop.run_until_complete(body()))
    if last != parts[-1] or not reader.at_eof():
        raise RuntimeError(f"wrong data: the last of {n} reads gave {last[:100]!r}")
    return measured


WORKLOADS = (
    OnLoop(
        name="readline",
        group="streams",
        run=readline,
        n=100_000,
        per="line",
        about="call StreamReader.readline on lines of about 80 bytes that have arrived",
        uses=("StreamReader",),
    ),
    OnLoop(
        name="readuntil",
        group="streams",
        run=readuntil,
        n=100_000,
        per="line",
        about=r"call StreamReader.readuntil(b'\r\n') on such lines",
        uses=("StreamReader",),
    ),
    OnLoop(
        name="readexactly",
        group="streams",
        run=readexactly,
        n=100_000,
        per="read",
        about=f"call StreamReader.readexactly({BLOCK}) on data that has arrived",
        uses=("StreamReader",),
    ),
)
