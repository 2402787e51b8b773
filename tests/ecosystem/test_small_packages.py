"""Packages that live between threads and tasks, or that lean on tasks' cancellation."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[[Any], Any]


def test_asgiref(run: Run) -> None:
    sync = pytest.importorskip("asgiref.sync")

    async def main() -> None:
        loop_thread = threading.get_ident()

        async def inner(number: int) -> int:
            await asyncio.sleep(0)
            assert threading.get_ident() == loop_thread
            return number + 1

        def blocking(number: int) -> int:
            assert threading.get_ident() != loop_thread
            value: int = sync.async_to_sync(inner)(number)
            return value

        assert await sync.sync_to_async(blocking)(1) == 2
        assert await asyncio.gather(*(sync.sync_to_async(blocking, thread_sensitive=False)(n) for n in range(5))) == [
            *range(1, 6)
        ]

        def fails() -> None:
            raise LookupError("lost")

        with pytest.raises(LookupError, match="lost"):
            await sync.sync_to_async(fails)()

    run(main())


def test_asgiref_makes_loops_of_its_own() -> None:
    """``async_to_sync`` outside of a loop asks asyncio's policy for one."""
    import plait

    sync = pytest.importorskip("asgiref.sync")

    async def which() -> type:
        await sync.sync_to_async(int)()
        return type(asyncio.get_running_loop())

    plait.install()
    try:
        assert sync.async_to_sync(which)() is plait.EventLoop
    finally:
        plait.uninstall()


def test_aiofiles(run: Run, tmp_path: Path) -> None:
    aiofiles = pytest.importorskip("aiofiles")
    os = pytest.importorskip("aiofiles.os")

    async def main() -> None:
        path = tmp_path / "file"
        async with aiofiles.open(path, "w") as file:
            await file.writelines(f"{number}\n" for number in range(100))
        async with aiofiles.open(path) as file:
            assert [int(line) async for line in file] == list(range(100))
        assert await os.path.getsize(path) == path.stat().st_size
        await asyncio.gather(*(os.path.exists(path) for _ in range(50)))
        with pytest.raises(FileNotFoundError):
            async with aiofiles.open(tmp_path / "none"):
                pass

    run(main())


def test_async_timeout(run: Run) -> None:
    package = pytest.importorskip("async_timeout")

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(asyncio.TimeoutError):
            async with package.timeout(0) as timeout:
                await asyncio.get_running_loop().create_future()
        assert timeout.expired
        assert task.cancelling() == 0
        async with package.timeout(3600) as timeout:
            timeout.reschedule(asyncio.get_running_loop().time() + 7200)
            await asyncio.sleep(0)
        assert not timeout.expired

    run(main())


def test_janus(run: Run) -> None:
    janus = pytest.importorskip("janus")

    async def main() -> None:
        queue = janus.Queue(maxsize=3)

        def produce() -> None:
            for number in range(100):
                queue.sync_q.put(number)
            queue.sync_q.join()

        thread = threading.Thread(target=produce)
        thread.start()
        for number in range(100):
            assert await queue.async_q.get() == number
            queue.async_q.task_done()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        queue.close()
        await queue.wait_closed()

    run(main())


def test_tenacity(run: Run) -> None:
    tenacity = pytest.importorskip("tenacity")

    async def main() -> None:
        attempts = 0

        @tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(0.001))
        async def flaky() -> str:
            nonlocal attempts
            attempts += 1
            await asyncio.sleep(0)
            if attempts < 3:
                raise LookupError(attempts)
            return "at last"

        assert await flaky() == "at last"
        assert attempts == 3

    run(main())


def test_websockets(run: Run) -> None:
    server = pytest.importorskip("websockets.asyncio.server")
    client = pytest.importorskip("websockets.asyncio.client")
    exceptions = pytest.importorskip("websockets.exceptions")

    async def handler(connection: Any) -> None:
        async for message in connection:
            if message == "bye":
                await connection.close(4001, "bye")
            else:
                await connection.send(message)

    async def main() -> None:
        async with server.serve(handler, "127.0.0.1", 0, max_size=None) as listening:
            host, port = listening.sockets[0].getsockname()
            async with client.connect(f"ws://{host}:{port}", max_size=None) as connection:
                large = bytes(3_000_000)
                await connection.send(large)
                assert await connection.recv() == large
                for number in range(100):
                    await connection.send(str(number))
                assert [int(await connection.recv()) for _ in range(100)] == list(range(100))
                await (await connection.ping())
                await connection.send("bye")
                with pytest.raises(exceptions.ConnectionClosedError) as closed:
                    await connection.recv()
                assert closed.value.rcvd is not None
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "bye")

    run(main())


def test_httpx(run: Run) -> None:
    """httpx connects through anyio; the server is asyncio's own streams."""
    httpx = pytest.importorskip("httpx")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (head := await head_of(reader)) is not None:
            length = int(head.get("content-length", 0))
            body = await reader.readexactly(length)
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as session:
                bodies = [f"body {number} ".encode() * 10_000 for number in range(10)]
                answers = await asyncio.gather(*(session.post("/", content=body) for body in bodies))
                assert [response.content for response in answers] == bodies

    run(main())


async def head_of(reader: asyncio.StreamReader) -> dict[str, str] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = head.decode().split("\r\n")[1:]
    return dict(pairs(lines))


def pairs(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        yield name.lower(), value.strip()
