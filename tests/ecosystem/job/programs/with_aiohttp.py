"""aiohttp, server and client on one loop over loopback TCP, and the server by itself under wrk."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import load
import stage
from aiohttp import web
from stage import check

LARGE = os.urandom(4 * 1024 * 1024)
STARTED, ENDED = web.AppKey("started", asyncio.Event), web.AppKey("ended", asyncio.Event)


async def echo(request: web.Request) -> web.Response:
    peer = request.transport.get_extra_info("peername")
    return web.Response(body=await request.read(), headers={"X-Port": str(peer[1] if peer else '')})


async def lines(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(1000):
        await response.write(f"line {number}\n".encode())
    return response


async def waits(request: web.Request) -> web.Response:
    request.app[STARTED].set()
    try:
        await asyncio.Event().wait()
    finally:
        request.app[ENDED].set()
    raise AssertionError


async def form(request: web.Request) -> web.Response:
    fields: dict[str, int] = {}
    async for part in await request.multipart():
        fields[part.name] = len(await part.read())
    return web.json_response(fields)


async def chat(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(heartbeat=30)
    await socket.prepare(request)
    async for message in socket:
        if message.data == "close":
            await socket.close(code=4000, message=b"bye")
        elif message.type is aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data[::-1])
        else:
            await socket.send_str(message.data.upper())
    return socket


async def breaks(request: web.Request) -> web.Response:
    if "abort" in request.query:
        request.transport.abort()
        return web.Response()
    raise web.HTTPConflict


async def file(request: web.Request) -> web.FileResponse:
    return web.FileResponse(request.app[FILE])


FILE = web.AppKey("file", Path)


@asynccontextmanager
async def service(context: ssl.SSLContext | None = None, path: str | None = None) -> AsyncIterator[tuple[web.Application, str]]:
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app[STARTED], app[ENDED], app[FILE] = asyncio.Event(), asyncio.Event(), Path("large")
    for handler in (echo, lines, waits, form, chat, breaks, file):
        app.router.add_route("*", f"/{handler.__name__}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        if path is not None:
            await web.UnixSite(runner, path).start()
            yield app, "http://localhost"
        else:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            yield app, f"http{'s' if context else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@check
async def keep_alive_and_two_hundred_requests_at_once() -> None:
    async with service() as (_, url), aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=20)) as session:

        async def one(number: int) -> str:
            body = f"{number} ".encode() * 1000
            async with session.post(f"{url}/echo", data=body) as response:
                assert await response.read() == body
                return response.headers["X-Port"]

        ports = set(await asyncio.gather(*(one(number) for number in range(200))))
        assert 1 <= len(ports) <= 20


@check
async def large_bodies_uploads_and_multipart() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 65536):
            yield LARGE[start : start + 65536]
            await asyncio.sleep(0)

    async with service() as (_, url), aiohttp.ClientSession() as session:
        async with session.post(f"{url}/echo", data=LARGE) as response:
            assert await response.read() == LARGE
        async with session.post(f"{url}/echo", data=parts()) as response:
            assert await response.read() == LARGE
        form_data = aiohttp.FormData({"word": "x" * 10})
        form_data.add_field("upload", LARGE, filename="large")
        async with session.post(f"{url}/form", data=form_data) as response:
            assert await response.json() == {"word": 10, "upload": len(LARGE)}


@check
async def a_streamed_response() -> None:
    async with service() as (_, url), aiohttp.ClientSession() as session, session.get(f"{url}/lines") as response:
        assert [line async for line in response.content] == [f"line {number}\n".encode() for number in range(1000)]


@check
async def a_file() -> None:
    """By the loop's ``sendfile``, or by aiohttp's own fallback where the loop has none."""
    Path("large").write_bytes(LARGE)
    async with service() as (_, url), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/file") as response:
            assert await response.read() == LARGE
        async with session.get(f"{url}/file", headers={"Range": "bytes=100-199"}) as response:
            assert response.status == 206 and await response.read() == LARGE[100:200]


@check
async def websockets() -> None:
    async with service() as (_, url), aiohttp.ClientSession() as session:

        async def talk(number: int) -> None:
            async with session.ws_connect(f"{url}/chat", max_msg_size=0) as socket:
                for turn in range(20):
                    await socket.send_str(f"message {number} {turn}")
                    assert await socket.receive_str() == f"MESSAGE {number} {turn}"
                await socket.send_bytes(LARGE[:100_000])
                assert await socket.receive_bytes() == LARGE[:100_000][::-1]
                await socket.send_str("close")
                assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
                assert socket.close_code == 4000

        await asyncio.gather(*(talk(number) for number in range(30)))


@check
async def timeouts_and_cancellation() -> None:
    async with service() as (app, url), aiohttp.ClientSession() as session:
        try:
            await session.get(f"{url}/waits", timeout=aiohttp.ClientTimeout(total=0.05))
            raise AssertionError("did not time out")
        except TimeoutError:
            await app[ENDED].wait()
        app[STARTED].clear(), app[ENDED].clear()
        request = asyncio.create_task(session.get(f"{url}/waits"))
        await app[STARTED].wait()
        request.cancel()
        try:
            await request
            raise AssertionError("was not cancelled")
        except asyncio.CancelledError:
            await app[ENDED].wait()


@check
async def errors() -> None:
    async with service() as (_, url), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/nowhere") as response:
            assert response.status == 404
        async with session.get(f"{url}/breaks") as response:
            assert response.status == 409
        try:
            await session.post(f"{url}/breaks?abort=1", data=LARGE)
            raise AssertionError("the server cut the connection")
        except aiohttp.ClientConnectionError:
            pass
        async with session.get(f"{url}/lines") as response:  # left in the middle
            await response.content.readline()
    async with aiohttp.ClientSession() as session:
        try:
            await session.get(f"{url}/echo")
            raise AssertionError("the server has gone")
        except aiohttp.ClientConnectorError:
            pass


@check
def run_app_under_wrk() -> None:
    """``web.run_app`` in a process of its own, ended by SIGTERM."""
    server = Path("server.py")
    options = "loop=plait.new_event_loop(), " if stage.SIDE == "plait-loop" else ""
    server.write_text(
        f"import asyncio, socket{', plait' if options else ''}\nfrom aiohttp import web\n"
        "async def loop(request):\n    return web.Response(text=type(asyncio.get_running_loop()).__module__)\n"
        "app = web.Application()\napp.router.add_get('/loop', loop)\nlistener = socket.create_server(('127.0.0.1', 0))\n"
        "print('http://127.0.0.1:%d' % listener.getsockname()[1], flush=True)\n"
        f"web.run_app(app, sock=listener, {options}print=None)\nprint('left', flush=True)\n"
    )
    with load.serving(stage.python(str(server))) as served:
        assert load.get(served.url + "/loop").decode().partition(".")[0] == stage.LOOP
        load.wrk(served.url + "/loop")
        assert served.end() == 0 and "left\n" in served.said


@check
async def a_unix_socket() -> None:
    async with service(path=os.path.abspath("s")), aiohttp.ClientSession(connector=aiohttp.UnixConnector(os.path.abspath("s"))) as session:
        async with session.post("http://localhost/echo", data=b"by a path") as response:
            assert await response.read() == b"by a path"


@check
async def tls() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(stage.certificates() / "server.pem", stage.certificates() / "server.key")
    trusting = ssl.create_default_context(cafile=str(stage.certificates() / "ca.pem"))
    async with service(context) as (_, url):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
            async with session.post(f"{url}/echo", data=LARGE) as response:
                assert await response.read() == LARGE
        async with aiohttp.ClientSession() as session:
            try:
                await session.get(f"{url}/echo")
                raise AssertionError("the certificate is nobody's")
            except aiohttp.ClientConnectorCertificateError:
                pass


if __name__ == "__main__":
    stage.go()
