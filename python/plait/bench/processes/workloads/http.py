"""HTTP by the packages that people use: uvicorn and aiohttp as servers, aiohttp as a client.

They show what is left of a loop's advantage in a program that does something. Each says hello; the load is the same client as
for the echoes (`http_client`), and for aiohttp's client a server on stock asyncio that gives one answer to whatever it is asked.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .measuring import InProcess, Measurement, measure
from .network import BACKLOG, Load, Seen, Start

HELLO = b"Hello, world!\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(HELLO), HELLO)
END_OF_REQUEST = b"\r\n\r\n"
AT_ONCE = 50


@dataclass(frozen=True, kw_only=True)
class Http(Load):
    """`n` requests for a page over so many connections."""

    connections: int = AT_ONCE


@dataclass(frozen=True, kw_only=True)
class OnServer(InProcess):
    """A client under measurement: `run` makes `n` requests to a server on that port, which is one of `SERVERS`."""

    run: Callable[[asyncio.AbstractEventLoop, int, int], Measurement]
    server: str


async def by_uvicorn(loop: asyncio.AbstractEventLoop, listener: socket.socket, seen: Seen) -> object:
    uvicorn: Any = __import__("uvicorn")
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(HELLO))]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": HELLO})

    config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False, backlog=BACKLOG)
    server = uvicorn.Server(config)
    serving = loop.create_task(server.serve(sockets=[listener]))
    while not (server.started or serving.done()):
        await asyncio.sleep(0.01)
    if serving.done():
        await serving
        raise RuntimeError("uvicorn did not start")
    return serving


async def by_aiohttp(loop: asyncio.AbstractEventLoop, listener: socket.socket, seen: Seen) -> object:
    from aiohttp import web

    async def hello(request: web.Request) -> web.Response:
        return web.Response(body=HELLO, content_type="text/plain")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=BACKLOG).start()
    return runner


async def by_one_answer(loop: asyncio.AbstractEventLoop, listener: socket.socket, seen: Seen) -> object:
    class OneAnswer(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.rest = b""

        def data_received(self, data: bytes) -> None:
            *requests, self.rest = (self.rest + data).split(END_OF_REQUEST)
            self.transport.write(ANSWER * len(requests))

    return await loop.create_server(OneAnswer, sock=listener, backlog=BACKLOG)


def aiohttp_client(loop: asyncio.AbstractEventLoop, port: int, n: int) -> Measurement:
    import aiohttp

    left = n

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            async with session.get(f"http://127.0.0.1:{port}/") as response:
                if response.status != 200 or await response.read() != HELLO:
                    raise RuntimeError("aiohttp gave wrong data")

    async def body() -> None:
        connector = aiohttp.TCPConnector(limit=AT_ONCE)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(ask(session) for _ in range(AT_ONCE)))

    return measure(n, lambda: loop.run_until_complete(body()))


SERVERS: dict[str, Start] = {"uvicorn": by_uvicorn, "aiohttp": by_aiohttp, "one_answer": by_one_answer}
USES: dict[str, tuple[str, ...]] = {"uvicorn": (), "aiohttp": (), "one_answer": ()}

_UVICORN = Http(
    name="uvicorn_hello",
    group="http",
    n=20_000,
    least=4_000,
    per="request",
    about=f"hello world by an ASGI application on uvicorn, over {AT_ONCE} connections",
    server="uvicorn",
    packages=("uvicorn",),
)
WORKLOADS = (
    _UVICORN,
    replace(
        _UVICORN,
        name="aiohttp_server",
        about=f"hello world by an aiohttp application, over {AT_ONCE} connections",
        server="aiohttp",
        packages=("aiohttp",),
    ),
    OnServer(
        name="aiohttp_client",
        group="http",
        n=10_000,
        per="request",
        about=f"a page fetched by an aiohttp.ClientSession, {AT_ONCE} at a time",
        judged="cpu_ns",
        run=aiohttp_client,
        server="one_answer",
        packages=("aiohttp",),
    ),
)
