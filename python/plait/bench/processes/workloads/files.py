"""Files: plait.fs beside the packages that were made for them, and beside plain ``open``, which keeps the loop waiting.

What is read lies in the kernel's page cache: the disk would cost every column the same, and what is to be seen is what lies between the cache and
the program. Each package's files are opened and read in its own way; the crowd and the loop around it are the same. Plain `open` is shown
for the limit and never judged: nothing can be read for less.
"""

import asyncio
import contextlib
import importlib
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..columns import FILES, PLAIN_OPEN, PLAIT
from .measuring import InProcess, Measurement, measure

AT_A_TIME = 64
SMALL = 2048
BLOCK = 64 * 1024

_OPENERS = {PLAIT: "plait.fs.open", "aiofiles": "aiofiles.open", "aiofile": "aiofile.async_open", "anyio": "anyio.open_file", PLAIN_OPEN: "builtins.open"}


@dataclass(frozen=True, kw_only=True)
class OnFiles(InProcess):
    """A workload on the files of the package that its column is named after."""

    run: Callable[[asyncio.AbstractEventLoop, str, int], Measurement]
    columns: tuple[str, ...] = (PLAIT, *FILES, PLAIN_OPEN)

    def uses_in(self, column: str) -> tuple[str, ...]:
        return (_OPENERS[column],)


def small_files(loop: asyncio.AbstractEventLoop, column: str, n: int) -> Measurement:
    async def body(names: list[str]) -> None:
        reading = _reader(column)
        left = iter(names)

        async def work() -> None:
            for name in left:
                async with reading(name) as read:
                    _require(len(await read(-1)), SMALL)

        await asyncio.gather(*(work() for _ in range(AT_A_TIME)))

    with tempfile.TemporaryDirectory() as directory:
        names = [os.path.join(directory, str(number)) for number in range(n)]
        for name in names:
            _write(name, SMALL)
        return measure(n, lambda: loop.run_until_complete(body(names)))


def large_file_reads(loop: asyncio.AbstractEventLoop, column: str, n: int) -> Measurement:
    async def body(name: str) -> None:
        async with _reader(column)(name) as read:
            for _ in range(n):
                _require(len(await read(BLOCK)), BLOCK)
            _require(len(await read(BLOCK)), 0)

    with tempfile.TemporaryDirectory() as directory:
        name = os.path.join(directory, "large")
        _write(name, n * BLOCK)
        return measure(n, lambda: loop.run_until_complete(body(name)))


def _reader(package: str) -> Callable[[str], Any]:
    """How the package opens a file: what is entered, and then called with a number of bytes and awaited."""
    module, _, attribute = _OPENERS[package].rpartition(".")
    opener = getattr(importlib.import_module(module), attribute)

    @contextlib.asynccontextmanager
    async def by_coroutine(name: str) -> AsyncIterator[Callable[[int], Awaitable[bytes]]]:
        async with await opener(name, "rb") as file:
            yield file.read

    class Entered:
        """Without a generator around it: `opener` gives what can be entered."""

        __slots__ = ("opening",)

        def __init__(self, name: str) -> None:
            self.opening = opener(name, "rb")

        async def __aenter__(self) -> Callable[[int], Awaitable[bytes]]:
            file = await self.opening.__aenter__()
            return file.read  # type: ignore[no-any-return]

        async def __aexit__(self, *exception: object) -> None:
            await self.opening.__aexit__(*exception)

    class Plain:
        __slots__ = ("file",)

        def __init__(self, name: str) -> None:
            self.file = opener(name, "rb")

        async def __aenter__(self) -> Callable[[int], Awaitable[bytes]]:
            async def read(size: int) -> bytes:
                return self.file.read(size)  # type: ignore[no-any-return]

            return read

        async def __aexit__(self, *exception: object) -> None:
            self.file.close()

    return {PLAIN_OPEN: Plain, "anyio": by_coroutine}.get(package, Entered)


def _write(name: str, size: int) -> None:
    with open(name, "wb") as file:
        for block in _blocks(size):
            file.write(block)


def _blocks(size: int) -> Iterator[bytes]:
    for begin in range(0, size, BLOCK):
        yield bytes(min(BLOCK, size - begin))


def _require(got: int, wanted: int) -> None:
    if got != wanted:
        raise RuntimeError(f"wrong data: {got} bytes where {wanted} should have come")


WORKLOADS = (
    OnFiles(
        name="small_files",
        group="files",
        run=small_files,
        n=3000,
        per="file",
        about="3,000 files of 2 KiB opened, read and closed, 64 at a time",
        beside=("cpu_ns",),
    ),
    OnFiles(
        name="large_file_reads",
        group="files",
        run=large_file_reads,
        n=4096,
        per="read",
        about="a file of 256 MiB read in blocks of 64 KiB",
        beside=("cpu_ns",),
    ),
)
