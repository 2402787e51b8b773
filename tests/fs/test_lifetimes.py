"""Cancellation, crowds, forks, and programs that end in the middle."""

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest
from plait import fs
from waiting import somebody_reads, until


def test_a_cancelled_read_takes_nothing(engine: Any, run: Any) -> None:
    reader, writer = os.pipe()

    async def read() -> None:
        async with fs.open(reader, "rb") as file:
            task = asyncio.ensure_future(file.read(3))
            await until(lambda: file._file.busy)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # Somebody else asks; what the kernel gives the first one is for this one.
            second = asyncio.ensure_future(file.readline())
            os.write(writer, b"first\nlast")
            assert await second == b"first\n"
            os.close(writer)
            assert await file.read() == b"last"

    run(read())


def test_the_position_after_a_cancelled_read_is_where_it_was(engine: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 100_000)

    async def read() -> None:
        async with fs.open(path, "rb") as file:
            assert await file.read(5) == b"01234"
            task = asyncio.ensure_future(file.read())
            await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                assert await file.tell() == 5
                assert await file.read(5) == b"56789"
                assert len(await file.read()) == 1_000_000 - 10

    run(read())


def test_a_cancelled_write_is_written(engine: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"

    async def write() -> None:
        async with fs.open(path, "wb") as file:
            task = asyncio.ensure_future(file.write(b"x" * 1_000_000))
            await until(lambda: file._file.busy)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await file.write(b"y")
            assert await file.tell() == 1_000_001

    run(write())
    assert path.read_bytes() == b"x" * 1_000_000 + b"y"


def test_a_file_that_is_closed_under_a_read_keeps_its_number(engine: Any, run: Any, tmp_path: Path) -> None:
    reader, writer = os.pipe()

    async def read() -> None:
        file = await fs.open(reader, "rb")
        task = asyncio.ensure_future(file.read(3))
        await until(lambda: file._file.busy)
        if fs.engine() == "threads":
            await until(somebody_reads)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await file.close()
        assert file.closed
        with pytest.raises(ValueError):
            await file.read()
        if fs.engine() == "threads":
            # The read is still under way: the number is not another file's.
            os.fstat(reader)
        os.write(writer, b"abc")
        await until(lambda: engine.pending == 0)
        await until(lambda: not os.path.exists(f"/proc/self/fd/{reader}"))
        os.close(writer)

    run(asyncio.wait_for(read(), 10))


def test_opening_that_is_cancelled_leaves_nothing_open(engine: Any, run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    before = len(os.listdir("/proc/self/fd"))

    async def open_and_cancel() -> None:
        async def opened() -> Any:
            return await fs.open(tmp_path / "file", "r+b")

        task = asyncio.ensure_future(opened())
        await until(lambda: engine.pending > 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: engine.pending == 0)

    run(open_and_cancel())
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_tasks_take_turns_at_one_file(engine: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"

    async def crowd() -> None:
        async with fs.open(path, "wb", 100) as file:
            await asyncio.gather(*(file.write(b"%03d\n" % n * 50) for n in range(100)))
        async with fs.open(path, "rb") as file:
            blocks = await asyncio.gather(*(file.read(200) for _ in range(100)))
        assert sorted(blocks) == [b"%03d\n" % n * 50 for n in range(100)]
        assert blocks == [path.read_bytes()[at : at + 200] for at in range(0, 20_000, 200)]

    run(crowd())


def test_ten_thousand_files_with_few_descriptors(engine: Any, run: Any, tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    path = tmp_path / "file"
    path.write_bytes(b"content")
    names = iter([path] * 10_000)

    async def work() -> int:
        count = 0
        for name in names:
            if count % 2:
                assert await fs.read_bytes(name) == b"content"
            else:
                async with fs.open(name) as file:
                    assert await file.read() == "content"
            count += 1
        return count

    async def crowd() -> None:
        assert sum(await asyncio.gather(*(work() for _ in range(16)))) == 10_000

    try:
        run(crowd())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_too_many_open_files_is_told(engine: Any, run: Any, tmp_path: Path) -> None:
    import resource

    path = tmp_path / "file"
    path.write_bytes(b"content")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def too_many() -> None:
        files: list[Any] = []
        try:
            with pytest.raises(OSError) as raised:
                while True:
                    files.append(await fs.open(path, "rb"))
            assert (raised.value.errno, raised.value.filename) == (24, str(path))
        finally:
            for file in files:
                await file.close()

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    try:
        run(too_many())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_file_that_nobody_closed_is_written_and_reported(engine: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"

    async def forget() -> None:
        file = await fs.open(path, "w")
        await file.write("kept")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(forget())
        gc.collect()
    assert any(w.category is ResourceWarning and "unclosed file" in str(w.message) for w in caught)
    assert path.read_text() == "kept"


def test_a_named_pipe_keeps_nobody_else_waiting(engine: Any, run: Any, tmp_path: Path) -> None:
    fifo, path = tmp_path / "fifo", tmp_path / "file"
    os.mkfifo(fifo)
    path.write_text("x")

    async def main() -> None:
        # The directory is known to be local by now: an attempt at once must not lose what a writer writes.
        assert await fs.read_text(path) == "x"
        readers = [asyncio.ensure_future(fs.read_bytes(fifo)) for _ in range(2)]
        for _ in range(100):
            assert await fs.read_text(path) == "x"
        async with fs.open(fifo, "wb") as writer:
            await writer.write(b"said")
        assert b"".join(await asyncio.gather(*readers)) == b"said"

    run(asyncio.wait_for(main(), 10))


def _program(tmp_path: Path, engine: Any, text: str, expected: int = 0) -> str:
    environment = {**os.environ, "PLAIT_FS_ENGINE": engine.kind, "PLAIT_FS_AT_ONCE": "1" if engine.at_once else "0"}
    program = tmp_path / "program.py"
    program.write_text("import asyncio, os, sys, plait\nfrom plait import fs\n" + textwrap.dedent(text))
    done = subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", program], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (expected, ""), done
    return done.stdout


def test_a_program_ends_while_a_read_waits(engine: Any, run: Any, tmp_path: Path) -> None:
    _program(
        tmp_path,
        engine,
        """
        os.mkfifo("fifo")
        async def main():
            pipe = os.pipe()
            file = await fs.open(pipe[0], "rb", closefd=False)
            asyncio.ensure_future(file.read(1))
            asyncio.ensure_future(fs.read_bytes("fifo"))
            await asyncio.sleep(0.01)
            file._file.close()
        plait.run(main())
        """,
    )


def test_what_is_being_written_when_a_program_ends_is_written(engine: Any, run: Any, tmp_path: Path) -> None:
    _program(
        tmp_path,
        engine,
        """
        async def main():
            for n in range(20):
                asyncio.ensure_future(fs.write_bytes(f"out{n}", b"x" * 200_000))
            await asyncio.sleep(0)
        plait.run(main())
        """,
    )
    written = [path for path in tmp_path.iterdir() if path.name.startswith("out")]
    assert len(written) == 20
    assert {path.stat().st_size for path in written} == {200_000}


def test_a_forked_child_has_an_engine_of_its_own(engine: Any, run: Any, tmp_path: Path) -> None:
    told = _program(
        tmp_path,
        engine,
        """
        async def work():
            await fs.write_text("file", "text")
            assert await fs.read_text("file") == "text"
            return fs.engine()
        def parent():
            loop = plait.new_event_loop()
            before = loop.run_until_complete(work())
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    status = 0 if plait.run(work()) == before else 2
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert loop.run_until_complete(work()) == before
            loop.close()
            print(before)
        parent()
        """,
    )
    assert told.strip() == engine.kind


def test_the_programs_end_is_asked_for_once(engine: Any, run: Any, tmp_path: Path) -> None:
    _program(
        tmp_path,
        engine,
        """
        import atexit, gc
        async def work():
            await fs.write_text("file", "text")
        plait.run(work())
        before = atexit._ncallbacks()
        for _ in range(3):
            gc.collect()
            plait.run(work())
        assert atexit._ncallbacks() == before
        """,
    )


def test_threads_end_when_nothing_is_to_be_done(engine: Any, run: Any, tmp_path: Path) -> None:
    async def crowd() -> None:
        await asyncio.gather(*(fs.write_bytes(tmp_path / str(n), b"x") for n in range(200)))
        assert engine.threads < 200

    run(crowd())


def test_a_loop_of_asyncio(engine: Any, tmp_path: Path) -> None:
    async def main() -> None:
        assert fs.engine() == engine.kind
        async with fs.open(tmp_path / "file", "w+") as file:
            await file.write("one\ntwo\n")
            await file.seek(0)
            assert [line async for line in file] == ["one\n", "two\n"]

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())
