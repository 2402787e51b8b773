"""What goes wrong is told in the words of the standard ``open``."""

import errno
import io
import os
import resource
import sys
from pathlib import Path
from typing import Any

import pytest
from plait import fs


def told(call: Any) -> tuple[Any, ...]:
    try:
        answer = call()
    except Exception as error:
        return _told(error)
    return "nothing", answer


async def told_by(awaitable: Any) -> tuple[Any, ...]:
    try:
        answer = await awaitable()
    except Exception as error:
        return _told(error)
    return "nothing", answer


def _told(error: Exception) -> tuple[Any, ...]:
    return type(error), str(error), getattr(error, "errno", None), getattr(error, "filename", None)


ARGUMENTS = [
    ("none",),
    ("none", "rb"),
    (".",),
    ("there", "x"),
    ("none/deeper", "w"),
    ("there/deeper", "w"),
    ("there", ""),
    ("there", "rw"),
    ("there", "rbt"),
    ("there", "U"),
    ("there", "rr"),
    ("there", "q"),
    ("there", 5),
    ("there", "rb", -1, "utf-8"),
    ("there", "rb", -1, None, "strict"),
    ("there", "rb", -1, None, None, "\n"),
    ("there", "r", 0),
    ("there", "r", -1, "no-such-codec"),
    ("there", "r", -1, None, None, "x"),
    ("there", "r", "x"),
    ("nul\0byte",),
    (None,),
    (1.5,),
    (b"none",),
    (-1,),
    (9999,),
    ("there", "r", -1, None, None, None, False),
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=repr)
def test_what_open_refuses(engine: Any, run: Any, tmp_path: Path, monkeypatch: Any, arguments: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_text("text")
    expected = told(lambda: open(*arguments))
    assert run(told_by(lambda: fs.open(*arguments))) == expected


@pytest.mark.parametrize("mode", ["r", "rb", "r+b", "wb"])
@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_closed_file(engine: Any, run: Any, tmp_path: Path, mode: str, buffering: int) -> None:
    if mode == "r" and buffering == 0:
        pytest.skip("there is no such file")
    path = tmp_path / "file"
    path.write_text("text")
    plain = open(path, mode, buffering)
    plain.close()

    async def closed() -> Any:
        async with fs.open(path, mode, buffering) as file:
            pass
        return file

    ours = run(closed())
    calls: dict[str, tuple[Any, ...]] = {name: () for name in "read readline readlines tell flush fileno isatty seekable writable readable truncate".split()}
    calls |= {"seek": (0,), "write": ("x" if mode == "r" else b"x",)}
    if mode != "r":
        calls |= {"readinto": (bytearray(3),)}
    for name, arguments in calls.items():
        expected = told(lambda name=name, arguments=arguments: getattr(plain, name)(*arguments))

        async def ask(name: str = name, arguments: Any = arguments) -> Any:
            answer = getattr(ours, name)(*arguments)
            return answer if name in ("fileno", "readable") else await answer

        assert run(told_by(ask))[:2] == expected[:2], name
    assert run(told_by(ours.read))[0] is ValueError or mode == "wb"
    run(ours.close())


def test_a_full_device(engine: Any, run: Any) -> None:
    async def fill(buffering: int) -> None:
        async with fs.open("/dev/full", "wb", buffering) as file:
            with pytest.raises(OSError) as raised:
                await file.write(b"x" * 100_000)
            assert raised.value.errno == errno.ENOSPC
            # The buffer has nothing left of a write that was told to have failed: closing it says nothing more.

    run(fill(0))
    run(fill(-1))

    async def flushed() -> None:
        file = await fs.open("/dev/full", "w")
        await file.write("text")
        with pytest.raises(OSError) as raised:
            await file.flush()
        assert raised.value.errno == errno.ENOSPC
        with pytest.raises(OSError):
            await file.close()
        assert file.closed

    run(flushed())


@pytest.fixture
def small_files() -> Any:
    """Files cannot become longer than 10,000 bytes: the middle of a write is where it ends."""
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


async def _writes_all(path: Path) -> bool:
    try:
        return await fs.write_bytes(path, b"x" * 30_000) == path.stat().st_size == 30_000
    except OSError:
        return False


def test_what_was_written_before_the_limit_is_told(engine: Any, run: Any, tmp_path: Path, small_files: Any) -> None:
    path = tmp_path / "file"

    async def write() -> None:
        if engine.kind == "io_uring" and await _writes_all(path):
            pytest.skip("this kernel does not hold io_uring to the limit")
        with pytest.raises(OSError) as raised:
            await fs.write_bytes(path, b"x" * 30_000)
        assert (raised.value.errno, raised.value.written) == (errno.EFBIG, 10_000)
        assert "10000 of 30000 bytes were written before" in raised.value.__notes__
        async with fs.open(path, "wb", 100) as file:
            await file.write(b"0" * 50)
            with pytest.raises(OSError) as raised:
                await file.write(b"x" * 30_000)
            # What the first call had left is not counted.
            assert raised.value.written == 9_950
        async with fs.open(path, "wb", 0) as file:
            assert await file.write(b"x" * 30_000) == 10_000
            with pytest.raises(OSError):
                await file.write(b"x")

    run(write())
    assert path.read_bytes() == b"x" * 10_000


def test_an_atomic_write_that_fails_leaves_the_old_file(engine: Any, run: Any, tmp_path: Path, small_files: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    async def write() -> None:
        with pytest.raises(OSError) as raised:
            await fs.write_bytes(path, b"x" * 30_000, atomic=True)
        assert (raised.value.errno, raised.value.written, raised.value.filename) == (errno.EFBIG, 10_000, str(path))

    run(write())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_whole_files_that_are_not_there(engine: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "none"
    expected = told(path.read_bytes)
    for _ in range(2):
        found = run(told_by(lambda: fs.read_bytes(path)))
        assert found == (*expected[:3], str(path))
    assert run(told_by(lambda: fs.read_text(tmp_path)))[:2] == told(tmp_path.read_text)[:2]
    assert run(told_by(lambda: fs.write_text(tmp_path / "no" / "no", "x")))[2] == errno.ENOENT


def test_types_that_fit_nowhere(engine: Any, run: Any, tmp_path: Path) -> None:
    async def write(mode: str, data: Any) -> None:
        async with fs.open(tmp_path / "file", mode) as file:
            await file.write(data)

    assert run(told_by(lambda: write("wb", "text")))[:2] == (TypeError, "a bytes-like object is required, not 'str'")
    assert run(told_by(lambda: write("w", b"bytes")))[:2] == (TypeError, "write() argument must be str, not bytes")

    async def read(mode: str) -> None:
        async with fs.open(tmp_path / "file", mode) as file:
            await file.read()

    for mode in ("w", "wb"):
        with io.open(tmp_path / "file", mode) as plain:
            expected = told(plain.read)
        assert run(told_by(lambda mode=mode: read(mode))) == expected


def test_a_flush_that_fails_tells_how_much_was_written(engine: Any, run: Any, tmp_path: Path, small_files: Any) -> None:
    async def write() -> None:
        if engine.kind == "io_uring" and await _writes_all(tmp_path / "other"):
            pytest.skip("this kernel does not hold io_uring to the limit")
        async with fs.open(tmp_path / "file", "wb", 20_000) as file:
            await file.write(b"x" * 15_000)
            with pytest.raises(OSError) as raised:
                await file.flush()
            assert (raised.value.errno, raised.value.written) == (errno.EFBIG, 10_000)
            # The rest stays there to be tried again.
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    run(write())
    assert (tmp_path / "file").read_bytes() == b"x" * 15_000


def test_a_directory_by_its_number(engine: Any, run: Any, tmp_path: Path) -> None:
    number = os.open(tmp_path, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    for closefd in (True, False):
        expected = told(lambda closefd=closefd: open(number, closefd=closefd))
        assert expected[0] is IsADirectoryError
        assert run(told_by(lambda closefd=closefd: fs.open(number, closefd=closefd))) == expected
        assert os.fstat(number)
    opener = lambda name, flags: os.open(name, os.O_RDONLY)  # noqa: E731
    assert run(told_by(lambda: fs.open(tmp_path, opener=opener)))[0] is IsADirectoryError
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(number)


def test_as_much_as_there_is_room_for(engine: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for encoding in ("utf-8", "utf-16"):
        path.write_text("täxt\n" * 5000, encoding)

        async def read(encoding: str = encoding) -> str:
            async with fs.open(path, encoding=encoding) as file:
                return str(await file.read(sys.maxsize))

        assert run(read()) == "täxt\n" * 5000
