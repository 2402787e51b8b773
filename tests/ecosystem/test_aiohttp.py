"""aiohttp, server and client on one loop over loopback TCP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

aiohttp = pytest.importorskip("aiohttp")
web = pytest.importorskip("aiohttp.web")

Run = Callable[[Any], Any]
LARGE = bytes(range(256)) * 16 * 1024  # 4 MiB: more than any socket buffer holds
ABORTED = web.AppKey("aborted", asyncio.Event)
WAITING = web.AppKey("waiting", asyncio.Event)


async def hello(request: Any) -> Any:
    peer = request.transport.get_extra_info("peername")
    return web.json_response({"hello": request.query.get("name", ""), "port": peer[1]})


async def echo(request: Any) -> Any:
    return web.Response(body=await request.read())


async def chunks(request: Any) -> Any:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for number in range(100):
        await response.write(f"chunk {number}\n".encode())
    await response.write(LARGE)
    return response


async def waits_for_ever(request: Any) -> Any:
    request.app[WAITING].set()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        request.app[ABORTED].set()


async def resets(request: Any) -> Any:
    request.transport.abort()
    return web.Response()


async def chat(request: Any) -> Any:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data[::-1])
        elif message.data == "close":
            await socket.close(code=4000, message=b"as you wish")
        else:
            await socket.send_str(message.data.upper())
    return socket


@asynccontextmanager
async def service() -> AsyncIterator[tuple[Any, Any, str]]:
    """A server on a port of its own, a client session for it, and its address."""
    application = web.Application(client_max_size=2 * len(LARGE))
    application[ABORTED], application[WAITING] = asyncio.Event(), asyncio.Event()
    for path, handler in {
        "/hello": hello,
        "/chunks": chunks,
        "/waits": waits_for_ever,
        "/resets": resets,
        "/chat": chat,
        "/echo": echo,
    }.items():
        application.router.add_route("*", path, handler)
    # handler_cancellation: a client that goes away ends its handler, which a test waits for.
    runner = web.AppRunner(application, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    try:
        async with aiohttp.ClientSession() as session:
            yield application, session, f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def test_keep_alive(run: Run) -> None:
    async def main() -> None:
        async with service() as (_, session, url):
            ports = set()
            for number in range(20):
                async with session.get(f"{url}/hello", params={"name": str(number)}) as response:
                    answer = await response.json()
                    assert answer["hello"] == str(number)
                    ports.add(answer["port"])
            assert len(ports) == 1  # one connection served all of them

    run(main())


def test_connection_close(run: Run) -> None:
    async def main() -> None:
        async with service() as (_, session, url):
            for _ in range(3):
                async with session.get(f"{url}/hello", headers={"Connection": "close"}) as response:
                    assert (await response.json())["hello"] == ""

    run(main())


def test_large_bodies(run: Run) -> None:
    async def main() -> None:
        async with service() as (_, session, url):
            async with session.post(f"{url}/echo", data=LARGE) as response:
                assert await response.read() == LARGE

    run(main())


def test_streamed_upload(run: Run) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 64 * 1024):
            yield LARGE[start : start + 64 * 1024]
            await asyncio.sleep(0)

    async def main() -> None:
        async with service() as (_, session, url):
            async with session.post(f"{url}/echo", data=parts()) as response:
                assert await response.read() == LARGE

    run(main())


def test_chunked_download(run: Run) -> None:
    async def main() -> None:
        async with service() as (_, session, url):
            async with session.get(f"{url}/chunks") as response:
                assert response.headers["Transfer-Encoding"] == "chunked"
                for number in range(100):
                    assert await response.content.readline() == f"chunk {number}\n".encode()
                assert await response.content.read() == LARGE

    run(main())


def test_websocket(run: Run) -> None:
    async def main() -> None:
        async with service() as (_, session, url):
            async with session.ws_connect(f"{url}/chat", max_msg_size=0) as socket:
                for number in range(50):
                    await socket.send_str(f"message {number}")
                    assert await socket.receive_str() == f"MESSAGE {number}"
                large = LARGE[:1_000_000]
                await socket.send_bytes(large)
                assert await socket.receive_bytes() == large[::-1]
                await socket.send_str("close")
                message = await socket.receive()
                assert message.type is aiohttp.WSMsgType.CLOSE
                assert (message.data, message.extra) == (4000, "as you wish")

    run(main())


def test_client_timeout(run: Run) -> None:
    async def main() -> None:
        async with service() as (application, session, url):
            timeout = aiohttp.ClientTimeout(total=0.05)
            with pytest.raises(asyncio.TimeoutError):
                await session.get(f"{url}/waits", timeout=timeout)
            await application[ABORTED].wait()  # the server noticed that the client is gone

    run(main())


def test_a_cancelled_request(run: Run) -> None:
    async def main() -> None:
        async with service() as (application, session, url):
            request = asyncio.create_task(session.get(f"{url}/waits"))
            await application[WAITING].wait()
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            await application[ABORTED].wait()

    run(main())


def test_connection_reset(run: Run) -> None:
    async def main() -> None:
        async with service() as (_, session, url):
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.post(f"{url}/resets", data=LARGE)
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.get(f"{url}/resets")
            async with session.get(f"{url}/hello") as response:  # the session is of use still
                assert response.status == 200

    run(main())


def test_connection_refused(run: Run) -> None:
    async def main() -> None:
        async with service() as (_, _, url):
            pass
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"{url}/hello")

    run(main())


def test_fifty_at_once(run: Run) -> None:
    async def client(session: Any, url: str, number: int) -> None:
        body = f"client {number}".encode() * 1000
        for _ in range(5):
            async with session.post(f"{url}/echo", data=body) as response:
                assert await response.read() == body

    async def main() -> None:
        async with service() as (_, session, url):
            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(client(session, url, number))

    run(main())
