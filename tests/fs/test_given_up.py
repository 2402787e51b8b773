"""Operations that nobody waits for any more, and those behind them."""

import asyncio
import codecs
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plait
import pytest
from plait import fs
from plait.fs._directories import Batches
from waiting import given_up, until


class Gate:
    """A codec that waits before it decodes."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def find(self, name: str) -> codecs.CodecInfo | None:
        if name != "gated":
            return None
        plain = codecs.lookup("utf-8")
        gate = self

        class Decoder(codecs.getincrementaldecoder("utf-8")):  # type: ignore[misc]
            def decode(self, data: Any, final: bool = False) -> str:
                gate.entered.set()
                assert gate.open.wait(10)
                return super().decode(data, final)  # type: ignore[no-any-return]

        return codecs.CodecInfo(plain.encode, plain.decode, incrementaldecoder=Decoder, incrementalencoder=plain.incrementalencoder, name="gated")


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    # One object: it is by its identity that it is taken away again.
    find = gate.find
    codecs.register(find)
    yield gate
    gate.open.set()
    codecs.unregister(find)


def test_a_read_in_a_thread_takes_nothing(engine: Any, run: Any, tmp_path: Path, gate: Gate) -> None:
    path = tmp_path / "file"
    path.write_text("first\nsecond\nthird\n")

    async def main() -> None:
        async with fs.open(path, encoding="gated") as file:
            task = asyncio.ensure_future(file.readline())
            await until(gate.entered.is_set)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            gate.entered.clear()
            later = asyncio.gather(file.readline(), file.readline())
            for _ in range(10):
                await asyncio.sleep(0)
            assert not gate.entered.is_set(), "the next one waits for the thread"
            gate.open.set()
            assert await later == ["first\n", "second\n"]
            assert await file.read() == "third\n"

    run(asyncio.wait_for(main(), 10))


def test_a_seek_does_not_answer_the_next_one(engine: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")

    async def main() -> None:
        async with fs.open(path, "rb") as file:
            for offset, whence in ((5, os.SEEK_SET), (0, os.SEEK_DATA)):
                await given_up(file, file.seek(0, os.SEEK_DATA))
                await until(lambda: engine.pending == 0)
                assert await file.read(5)
                assert await file.seek(offset, whence) == offset
                assert await file.read(2) == path.read_bytes()[offset : offset + 2]

    run(asyncio.wait_for(main(), 10))


def test_a_step_through_a_directory(run: Any) -> None:
    go, begun = threading.Event(), threading.Event()

    def slowly() -> Iterator[int]:
        for number in range(10):
            if number == 2:
                begun.set()
                assert go.wait(10)
            yield number

    async def main() -> None:
        steps = Batches(slowly, 4, lambda number: number)
        for _ in range(2):
            task = asyncio.ensure_future(anext(steps))
            await until(begun.is_set)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        two = [asyncio.ensure_future(anext(steps)) for _ in range(2)]
        go.set()
        assert [await step for step in two] == [0, 1]
        assert [number async for number in steps] == list(range(2, 10))

    run(asyncio.wait_for(main(), 10))


def test_the_end_of_a_step_through_a_directory(run: Any) -> None:
    go, begun = threading.Event(), threading.Event()

    def slowly() -> Iterator[int]:
        begun.set()
        assert go.wait(10)
        yield 1

    async def main() -> None:
        steps = Batches(slowly, 4, lambda number: number)
        task = asyncio.ensure_future(anext(steps))
        await until(begun.is_set)
        task.cancel()
        closing = asyncio.ensure_future(steps.aclose())
        await asyncio.wait([task])
        go.set()
        # A generator that runs refuses to be closed.
        await closing
        with pytest.raises(StopAsyncIteration):
            await anext(steps)

    run(asyncio.wait_for(main(), 10))


def test_opens_that_wait_keep_no_others_waiting(engine: Any, run: Any, tmp_path: Path) -> None:
    fifo, path = tmp_path / "fifo", tmp_path / "file"
    os.mkfifo(fifo)

    async def opened() -> Any:
        return await fs.open(fifo, "rb")

    async def main() -> None:
        tasks = [asyncio.ensure_future(opened()) for _ in range(40)]
        await until(lambda: engine.threads >= 32)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        async with fs.open(path, "w") as file:
            await file.write("x")
        await fs.write_text(path, "y", atomic=True)
        writer = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        await until(lambda: engine.pending == 0)
        os.close(writer)

    run(asyncio.wait_for(main(), 10))
    assert path.read_text() == "y"


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20, 100])
def test_a_whole_read_that_was_given_up_leaves_nothing_open(engine: Any, run: Any, tmp_path: Path, turns: int) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "file").touch()

    async def main() -> None:
        # The directory is known by then: else a thread would find out.
        assert await fs.read_bytes(tmp_path / "file") == b""
        before = len(os.listdir("/proc/self/fd"))
        both_ends = os.open(fifo, os.O_RDWR)
        task = asyncio.ensure_future(fs.read_bytes(fifo))
        await until(lambda: engine.pending)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        # A thread waits for the others all the same.
        os.close(both_ends)
        await until(lambda: engine.pending == 0 or _open_and_shut(fifo))
        assert len(os.listdir("/proc/self/fd")) == before

    run(asyncio.wait_for(main(), 10))


def _open_and_shut(fifo: Path) -> bool:
    """Whoever waits in `open` goes on, and meets the end."""
    os.close(os.open(fifo, os.O_RDWR))
    return False


@pytest.mark.parametrize("mode", ["w", "wb"])
@pytest.mark.parametrize("make", [plait.new_event_loop, asyncio.SelectorEventLoop], ids=["plait", "asyncio"])
def test_what_is_written_after_the_loops_end(engine: Any, tmp_path: Path, mode: str, make: Any) -> None:
    data: Any = "precious" if mode == "w" else b"precious"
    files = []

    async def write() -> None:
        for name in ("flushed", "closed"):
            files.append(await fs.open(tmp_path / name, mode))
            await files[-1].write(data)

    async def end() -> None:
        await files[0].flush()
        assert (tmp_path / "flushed").read_text() == "precious"
        for file in files:
            await file.close()

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(write())
    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(asyncio.wait_for(end(), 10))
    assert (tmp_path / "closed").read_text() == "precious"
