"""aiofiles: ordinary files, each call in a thread of the loop's executor."""

import asyncio
import os

import aiofiles
import aiofiles.os
import aiofiles.tempfile
import stage
from stage import check

LARGE = os.urandom(8 * 1024 * 1024)


@check
async def reading_writing_and_seeking() -> None:
    async with aiofiles.open("binary", "wb+") as file:
        assert await file.write(LARGE) == len(LARGE)
        assert await file.seek(1000) == 1000 and await file.read(10) == LARGE[1000:1010]
        await file.seek(0)
        assert await file.read() == LARGE
        await file.truncate(5)
        assert await file.tell() == len(LARGE)
    assert file.closed and (await aiofiles.os.stat("binary")).st_size == 5


@check
async def lines() -> None:
    async with aiofiles.open("text", "w", encoding="utf-8") as file:
        await file.writelines(f"line {number} ü\n" for number in range(5000))
    async with aiofiles.open("text", encoding="utf-8") as file:
        assert [line async for line in file] == [f"line {number} ü\n" for number in range(5000)]
        await file.seek(0)
        assert await file.readline() == "line 0 ü\n" and len(await file.readlines()) == 4999


@check
async def two_hundred_files_at_once() -> None:
    async def one(number: int) -> bytes:
        async with aiofiles.open(f"file {number}", "wb") as file:
            await file.write(f"{number}".encode() * 1000)
        async with aiofiles.open(f"file {number}", "rb") as file:
            return await file.read()

    assert await asyncio.gather(*(one(number) for number in range(200))) == [f"{number}".encode() * 1000 for number in range(200)]


@check
async def directories() -> None:
    await aiofiles.os.makedirs("a/b/c")
    async with aiofiles.open("a/b/c/d", "w"):
        pass
    assert await aiofiles.os.listdir("a/b/c") == ["d"] and await aiofiles.os.path.isfile("a/b/c/d")
    await aiofiles.os.rename("a/b/c/d", "a/b/c/e")
    await aiofiles.os.remove("a/b/c/e")
    await aiofiles.os.removedirs("a/b/c")
    assert not await aiofiles.os.path.exists("a")


@check
async def temporary_files() -> None:
    async with aiofiles.tempfile.TemporaryDirectory() as directory, aiofiles.tempfile.NamedTemporaryFile(dir=directory) as file:
        await file.write(b"gone soon")
        await file.flush()
        assert await aiofiles.os.path.getsize(file.name) == 9
    assert not os.path.exists(directory)


@check
async def errors_and_cancellation() -> None:
    try:
        async with aiofiles.open("nowhere"):
            raise AssertionError("there is such a file")
    except FileNotFoundError as error:
        assert error.filename == "nowhere"
    reading, writing = os.pipe()
    async with aiofiles.open(reading, "rb", buffering=0) as pipe:
        waiting = asyncio.create_task(pipe.read(1))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        os.write(writing, b"x")  # the thread is at it still
        os.close(writing)


if __name__ == "__main__":
    stage.go()
