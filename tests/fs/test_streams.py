"""Pipes, sockets, terminals: what comes may not come for hours, and reading and writing have nothing to do with each other."""

import asyncio
import contextlib
import io
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from plait import fs
from waiting import given_up, somebody_reads, until


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "cp437"])
@pytest.mark.parametrize(("newline", "end"), [(None, "\n"), ("", "\r\n"), ("\r", "\r")])
def test_text_comes_as_it_is_written(engine: Any, run: Any, encoding: str, newline: Any, end: str) -> None:
    reader, writer = os.pipe()

    def say(text: str) -> None:
        os.write(writer, text.encode(encoding))

    async def main() -> None:
        async with fs.open(reader, encoding=encoding, newline=newline) as file:
            say(f"one{end}two{end}x")
            assert await file.readline() == f"one{end}"
            assert await file.readline() == f"two{end}"
            say("hello")
            assert await file.read(6) == "xhello"
            late = asyncio.ensure_future(file.readline())
            await until(lambda: file._file.busy)
            say("la")
            say(f"te{end}a{end}b{end}")
            assert await late == f"late{end}"
            assert [await file.readline(1), await file.readline(9)] == ["a", end]
            say(f"c{end}rest")
            os.close(writer)
            assert await file.readlines() == [f"b{end}", f"c{end}", "rest"]
            assert await file.read() == await file.readline() == await file.read(1) == ""
        with pytest.raises(ValueError, match="closed file"):
            await file.readline()

    run(asyncio.wait_for(main(), 10))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_text_that_is_given_up_is_for_the_next_one(engine: Any, run: Any, encoding: str) -> None:
    reader, writer = os.pipe()

    async def main() -> None:
        async with fs.open(reader, encoding=encoding) as file:
            await given_up(file, file.readline())
            os.write(writer, "par".encode(encoding))
            task = asyncio.ensure_future(file.readline())
            os.write(writer, "tial\nnext\n".encode(encoding))
            assert [await task, await file.readline()] == ["partial\n", "next\n"]
            os.close(writer)
            assert await file.read() == ""

    run(asyncio.wait_for(main(), 10))


def test_text_that_is_none(engine: Any, run: Any) -> None:
    reader, writer = os.pipe()

    async def main() -> None:
        async with fs.open(reader, encoding="utf-8") as file:
            os.write(writer, b"\xff\n")
            with pytest.raises(UnicodeDecodeError):
                await file.readline()
            os.write(writer, b"good\nhalf \xc3")
            assert await file.readline() == "good\n"
            os.close(writer)
            with pytest.raises(UnicodeDecodeError):
                await file.read()

    run(asyncio.wait_for(main(), 10))


def test_a_write_leaves_what_was_read(engine: Any, run: Any) -> None:
    ours, theirs = socket.socketpair()

    async def main() -> None:
        async with fs.open(ours.fileno(), "r+b", buffering=0, closefd=False) as file:
            theirs.send(b"one\ntwo\n")
            assert await file.readline() == b"one\n"
            assert await file.write(b"x") == 1
            assert await file.readline() == b"two\n"

    with ours, theirs:
        run(asyncio.wait_for(main(), 10))


def test_a_read_that_waits_keeps_no_write_waiting(engine: Any, run: Any) -> None:
    ours, theirs = socket.socketpair()

    async def main() -> None:
        file = await fs.open(ours.fileno(), "r+b", buffering=0, closefd=False)
        await given_up(file, file.read(100))
        assert await file.write(b"question") == 8
        assert theirs.recv(100) == b"question"
        theirs.send(b"answer")
        assert await file.read(100) == b"answer"
        # The same beside a read that is waited for.
        reading = asyncio.ensure_future(file.read(100))
        await until(lambda: file._file.busy)
        assert await asyncio.gather(*(file.write(b"more") for _ in range(5))) == [4] * 5
        theirs.send(b"that")
        assert await reading == b"that"
        # Nor does it keep the end waiting.
        await given_up(file, file.read(100))
        await file.close()

    with ours, theirs:
        run(asyncio.wait_for(main(), 10))
        theirs.send(b"for a thread that may still read")


def test_the_end_waits_for_a_write(engine: Any, run: Any) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    before = 0
    try:
        while True:
            before += ours.send(b"x" * 10_000)
    except BlockingIOError:
        ours.setblocking(True)

    async def main() -> None:
        file = await fs.open(ours.fileno(), "r+b", buffering=0, closefd=False)
        writing = asyncio.ensure_future(file.write(b"last"))
        await until(lambda: file._file.aside)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        closing = asyncio.ensure_future(file.close())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not closing.done()
        received = b""
        while len(received) < before:
            received += theirs.recv(100_000)
        await closing
        # It may have been written as soon as there was room, and have come with the rest.
        last = received[before:]
        while len(last) < 4:
            last += theirs.recv(10)
        assert last == b"last"

    with ours, theirs:
        run(asyncio.wait_for(main(), 10))


@pytest.mark.parametrize("mode", ["r+b", "r+", "a+b"])
def test_one_buffer_for_both_directions_needs_positions(engine: Any, run: Any, tmp_path: Path, mode: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    before = len(os.listdir("/proc/self/fd"))

    async def main() -> None:
        with pytest.raises(io.UnsupportedOperation) as expected:
            open(tmp_path / "fifo", mode)
        with pytest.raises(io.UnsupportedOperation) as raised:
            await fs.open(tmp_path / "fifo", mode)
        assert str(raised.value) == str(expected.value)

    run(asyncio.wait_for(main(), 10))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("buffering", [0, -1])
def test_non_blocking_mode(engine: Any, run: Any, buffering: int) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)

    async def main() -> None:
        async with fs.open(reader, "rb", buffering) as file:
            with pytest.raises(BlockingIOError):
                await file.read(1)
            os.write(writer, b"x")
            assert await file.read(1) == b"x"

    try:
        run(asyncio.wait_for(main(), 10))
    finally:
        os.close(writer)


def test_the_number_of_a_lent_descriptor_may_become_another_files(engine: Any, run: Any) -> None:
    reader, writer = os.pipe()

    async def main() -> None:
        file = await fs.open(reader, "rb", closefd=False)
        assert file.fileno() == reader
        task = asyncio.ensure_future(file.read())
        await until(lambda: file._file.busy)
        if fs.engine() == "threads":
            await until(somebody_reads)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await file.close()
        os.close(reader)
        other, other_writer = os.pipe()
        assert other == reader
        os.write(other_writer, b"secret")
        with contextlib.suppress(BrokenPipeError):
            os.write(writer, b"x")
        os.close(writer)
        await until(lambda: engine.pending == 0)
        assert os.read(other, 100) == b"secret"
        lent = await fs.open(other, "rb", closefd=False)
        standard = lent.detach()
        assert standard.fileno() == other
        standard.close()
        os.close(other)
        os.close(other_writer)

    run(asyncio.wait_for(main(), 10))
