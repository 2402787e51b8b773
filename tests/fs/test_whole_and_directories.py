"""Whole files, durable writes, directories, paths and temporary files."""

import asyncio
import contextlib
import errno
import os
import pathlib
import stat
from pathlib import Path
from typing import Any

import pytest
from plait import fs


def test_whole_files(engine: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"

    async def main() -> None:
        for data in (b"", b"x", os.urandom(70_000), os.urandom(1_000_000)):
            assert await fs.write_bytes(path, data) == len(data)
            for _ in range(2):
                assert await fs.read_bytes(path) == data
        assert await fs.write_text(path, "ä\nö\r\n", newline="") == 5
        assert path.read_bytes() == "ä\nö\r\n".encode()
        assert await fs.read_text(path, "utf-8") == "ä\nö\n"
        assert await fs.read_text(path, "utf-8", newline="") == "ä\nö\r\n"
        with pytest.raises(UnicodeDecodeError):
            await fs.read_text(path, "ascii")
        with pytest.raises(UnicodeEncodeError):
            await fs.write_text(path, "ä", "ascii")
        assert path.read_bytes() == "ä\nö\r\n".encode(), "an encoding error comes before anything is touched"
        assert b"Linux" in await fs.read_bytes("/proc/version"), "a file whose size is not known"

    run(main())


def test_a_durable_write(engine: Any, run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        await fs.write_bytes(tmp_path / "file", b"data", durable=True)
        async with fs.open(tmp_path / "file", "ab") as file:
            await file.write(b"more")
            await file.fsync()
            assert (tmp_path / "file").read_bytes() == b"datamore"
            await file.write(b"!")
            await file.fdatasync()
            assert (tmp_path / "file").read_bytes() == b"datamore!"
        with pytest.raises(OSError) as raised:
            await fs.write_bytes("/dev/full", b"", durable=True)
        assert raised.value.errno == errno.EINVAL, "the device cannot be brought to a disk: it was asked"

    run(main())


def test_an_atomic_write_keeps_what_the_file_is(engine: Any, run: Any, tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)

    async def main() -> None:
        reader = await fs.open(path)
        await fs.write_text(link, "newer", atomic=True)
        assert await reader.read() == "old", "who has it open reads the old one"
        await reader.close()
        await fs.write_bytes(tmp_path / "made", b"x", atomic=True)

    run(main())
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode), link.is_symlink()) == ("newer", 0o640, True)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o666 & ~umask
    assert sorted(os.listdir(tmp_path)) == ["file", "link", "made"]


def test_an_atomic_write_stays_in_its_directory(engine: Any, run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()

    async def main() -> None:
        for number in range(100):
            monkeypatch.chdir(tmp_path / "here")
            writing = asyncio.ensure_future(fs.write_bytes("state", b"x" * 200_000, atomic=True))
            # Somewhere in the midst of it the process goes elsewhere.
            for _ in range(number % 20):
                await asyncio.sleep(0)
            monkeypatch.chdir(tmp_path / "there")
            with contextlib.suppress(FileNotFoundError):
                await writing

    run(main())
    left = os.listdir(tmp_path / "here") + os.listdir(tmp_path / "there")
    assert set(left) == {"state"}, "a new file that became none"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_an_atomic_write_of_anothers_file(engine: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    os.chown(path, 1234, 5678)
    path.chmod(0o2750)
    run(fs.write_text(path, "newer", atomic=True))
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 5678, 0o2750)


def test_an_atomic_write_to_what_is_no_regular_file(engine: Any, run: Any, tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to("none")

    async def main() -> None:
        both_ends = os.open(fifo, os.O_RDWR)
        assert await fs.write_bytes(fifo, b"said", atomic=True) == 4
        assert os.read(both_ends, 10) == b"said"
        os.close(both_ends)
        assert await fs.write_bytes(link, b"data", atomic=True) == 4
        with pytest.raises(IsADirectoryError):
            await fs.write_bytes(tmp_path, b"data", atomic=True)

    run(asyncio.wait_for(main(), 10))
    assert fifo.is_fifo() and link.is_symlink()
    assert (tmp_path / "none").read_bytes() == b"data"
    assert sorted(os.listdir(tmp_path)) == ["fifo", "link", "none"]


def test_directories(run: Any, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for n in range(600):
        (tmp_path / "a" / f"{n}").touch()
    (tmp_path / "a" / "link").symlink_to(tmp_path)

    async def main() -> None:
        entries = [entry async for entry in fs.scandir(tmp_path / "a")]
        assert sorted(e.name for e in entries) == sorted(os.listdir(tmp_path / "a"))
        by_name = {entry.name: entry for entry in entries}
        assert await by_name["b"].is_dir() and not await by_name["0"].is_dir() and await by_name["0"].is_file()
        assert await by_name["link"].is_dir() and not await by_name["link"].is_dir(follow_symlinks=False)
        assert (await by_name["0"].stat()).st_ino == by_name["0"].inode()
        assert os.fspath(by_name["0"]) == str(tmp_path / "a" / "0")
        with pytest.raises(FileNotFoundError):
            [entry async for entry in fs.scandir(tmp_path / "none")]
        async with fs.scandir(tmp_path / "a") as some:
            async for _ in some:
                break
        assert [found async for found in fs.walk(tmp_path)] == list(os.walk(tmp_path))
        assert [found async for found in fs.walk(tmp_path, topdown=False)] == list(os.walk(tmp_path, topdown=False))
        assert await fs.copy(tmp_path / "a" / "0", tmp_path / "copied") == tmp_path / "copied"
        await fs.copytree(tmp_path / "a", tmp_path / "tree", symlinks=True)
        await fs.rmtree(tmp_path / "a")
        assert sorted(os.listdir(tmp_path)) == ["copied", "tree"]

    run(main())


def test_functions_of_os(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        await fs.os.makedirs(tmp_path / "x" / "y")
        await fs.os.rename(tmp_path / "x" / "y", tmp_path / "z")
        assert sorted(await fs.os.listdir(tmp_path)) == ["x", "z"]
        assert await fs.os.path.isdir(tmp_path / "z")
        assert (await fs.os.stat(tmp_path / "z")).st_ino == os.stat(tmp_path / "z").st_ino
        with pytest.raises(FileNotFoundError) as raised:
            await fs.os.remove(tmp_path / "none")
        assert raised.value.filename == str(tmp_path / "none")

    run(main())


PURE = {"as_uri", "match", "full_match", "is_relative_to", "relative_to", "is_absolute", "is_reserved", "joinpath", "with_name", "with_segments"}
PURE |= {"with_stem", "with_suffix", "as_posix", "from_uri"}
ITERATORS = {"iterdir", "glob", "rglob", "walk"}
GONE = {"link_to"}


def test_a_path_has_every_method_of_the_standard_one(run: Any, tmp_path: Path) -> None:
    for name in dir(pathlib.Path):
        if name.startswith("_") or name in GONE or not callable(getattr(pathlib.Path, name)):
            continue
        method = getattr(fs.Path, name, None)
        if name == "from_uri" and method is None:
            continue
        assert method is not None, name
        if name not in PURE | ITERATORS | {"open"}:
            assert asyncio.iscoroutinefunction(method), name


def test_paths(engine: Any, run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        path = fs.Path(tmp_path) / "deep" / "file.txt"
        assert path == tmp_path / "deep" / "file.txt" and hash(path) == hash(pathlib.PurePath(path))
        assert type(path.parent) is fs.Path and path.suffix == ".txt"
        await path.parent.mkdir()
        assert await path.write_text("text\n") == 5
        assert await path.read_text() == "text\n" and await path.read_bytes() == b"text\n"
        async with path.open("a") as file:
            await file.write("more")
        assert (await path.stat()).st_size == 9 and await path.is_file() and await path.exists()
        moved = await path.rename(path.with_name("other"))
        assert type(moved) is fs.Path and moved.name == "other" and not await path.exists()
        assert [p async for p in path.parent.iterdir()] == [moved]
        assert [p async for p in fs.Path(tmp_path).rglob("oth*")] == [moved]
        assert [found async for found in fs.Path(tmp_path).walk()] == [
            (fs.Path(tmp_path), ["deep"], []),
            (path.parent, [], ["other"]),
        ]
        assert type(await moved.resolve()) is fs.Path and await fs.Path.cwd() == Path.cwd()
        with pytest.raises(FileNotFoundError):
            await path.unlink()
        await path.unlink(missing_ok=True)

    run(main())


@pytest.mark.parametrize("mode", ["w+b", "w+", "wb"])
def test_temporary_files(engine: Any, run: Any, tmp_path: Path, mode: str) -> None:
    data: Any = "text\n" if "b" not in mode else b"text\n"

    async def main() -> None:
        async with fs.tempfile.NamedTemporaryFile(mode, dir=tmp_path, suffix=".x") as file:
            assert os.listdir(tmp_path) == [os.path.basename(file.name)] and file.name.endswith(".x")
            await file.write(data)
            await file.flush()
            assert Path(file.name).read_bytes() == b"text\n"
        assert os.listdir(tmp_path) == []
        async with fs.tempfile.NamedTemporaryFile(mode, dir=tmp_path, delete_on_close=False) as file:
            await file.close()
            assert os.path.exists(file.name)
        assert os.listdir(tmp_path) == []
        kept = await fs.tempfile.NamedTemporaryFile(mode, dir=tmp_path, delete=False)
        await kept.close()
        assert os.path.exists(kept.name)
        os.unlink(kept.name)
        if "+" in mode:
            async with fs.tempfile.TemporaryFile(mode, dir=tmp_path) as file:
                assert os.listdir(tmp_path) == []
                await file.write(data)
                await file.seek(0)
                assert await file.read() == data
            async with fs.tempfile.SpooledTemporaryFile(20, mode, dir=tmp_path) as file:
                for _ in range(10):
                    await file.write(data)
                await file.seek(0)
                assert await file.read() == data * 10
        async with fs.tempfile.TemporaryDirectory(dir=tmp_path) as name:
            (Path(name) / "file").touch()
        assert os.listdir(tmp_path) == []

    run(main())
