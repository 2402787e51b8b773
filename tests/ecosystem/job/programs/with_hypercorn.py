"""hypercorn serving HTTP/2 on the running loop; the client is httpx with h2: many streams on one connection."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import load
import stage
from hypercorn.asyncio import serve
from hypercorn.config import Config
from stage import check

LARGE = os.urandom(1024 * 1024)


class Application:
    """ASGI without a framework: what is tested is the server."""

    def __init__(self) -> None:
        self.clients: set[Any] = set()
        self.waiting = asyncio.Event()
        self.at_once = self.most = 0
        self.all_here = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            await self.chat(receive, send)
        else:
            self.clients.add(scope["client"])
            await getattr(self, scope["path"][1:])(scope, receive, send)

    async def answer(self, send: Any, *parts: bytes) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def loop(self, scope: Any, receive: Any, send: Any) -> None:
        await self.answer(send, f"{stage.loop_name()} {scope['http_version']}".encode())

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await self.answer(send, *(body[start : start + 16384] for start in range(0, len(body), 16384)))

    async def together(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers when fifty are here: they are streams of one connection, or wait for ever."""
        self.at_once += 1
        if self.at_once == 50:
            self.all_here.set()
        await self.all_here.wait()
        await self.answer(send, b"here")

    async def waits(self, scope: Any, receive: Any, send: Any) -> None:
        self.waiting.set()
        while (await receive())["type"] != "http.disconnect":  # httpx resets no stream: that is when the connection goes
            pass

    async def chat(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"].upper()})


@asynccontextmanager
async def service(*, tls: bool = False) -> AsyncIterator[tuple[Application, str]]:
    config = Config()
    config.bind = [f"127.0.0.1:{_port()}"]
    config.graceful_timeout = 5
    config.accesslog = config.errorlog = None
    if tls:
        config.certfile, config.keyfile = str(stage.certificates() / "server.pem"), str(stage.certificates() / "server.key")
    application, end = Application(), asyncio.Event()
    serving = asyncio.create_task(serve(application, config, shutdown_trigger=end.wait))
    try:
        await _listening(config.bind[0], serving)
        yield application, f"http{'s' if tls else ''}://{config.bind[0]}"
    finally:
        end.set()
        await serving


def _port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _listening(address: str, serving: "asyncio.Task[None]") -> None:
    host, _, port = address.partition(":")
    while True:
        if serving.done():
            serving.result()
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(0.005)
            continue
        writer.close()
        await writer.wait_closed()
        return


def http2(url: str, **options: Any) -> httpx.AsyncClient:
    """Over plain TCP there is nothing to negotiate with: HTTP/1 is switched off."""
    return httpx.AsyncClient(base_url=url, http1=False, http2=True, timeout=30, **options)


@check
async def fifty_streams_of_one_http2_connection() -> None:
    async with service() as (application, url), http2(url) as client:
        assert (await client.get("/loop")).text == f"{stage.LOOP} 2"
        answers = await asyncio.gather(*(client.get("/together") for _ in range(50)))
        assert {answer.text for answer in answers} == {"here"} and {answer.http_version for answer in answers} == {"HTTP/2"}
        assert len(application.clients) == 1


@check
async def large_bodies_and_flow_control() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 10_000):
            yield LARGE[start : start + 10_000]

    async with service() as (_, url), http2(url) as client:
        answers = await asyncio.gather(*(client.post("/echo", content=parts()) for _ in range(8)))
        assert all(answer.content == LARGE for answer in answers)


@check
async def a_cancelled_stream_leaves_the_connection_usable() -> None:
    async with service() as (application, url), http2(url) as client:
        request = asyncio.create_task(client.get("/waits"))
        await application.waiting.wait()
        request.cancel()
        try:
            await request
            raise AssertionError("was not cancelled")
        except asyncio.CancelledError:
            pass
        assert (await client.get("/loop")).text == f"{stage.LOOP} 2"


@check
async def http1_and_websockets() -> None:
    import websockets

    async with service() as (_, url):
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/loop")).text == f"{stage.LOOP} 1.1"
            assert (await client.post("/echo", content=LARGE)).content == LARGE
        async with websockets.connect(url.replace("http", "ws") + "/chat", proxy=None) as connection:
            for number in range(50):
                await connection.send(f"message {number}")
                assert await connection.recv() == f"MESSAGE {number}"


@check
async def under_wrk() -> None:
    async with service() as (_, url):
        await asyncio.to_thread(load.wrk, url + "/loop")


@check
async def tls_with_alpn() -> None:
    trusting = ssl.create_default_context(cafile=str(stage.certificates() / "ca.pem"))
    async with service(tls=True) as (_, url), httpx.AsyncClient(base_url=url, http2=True, verify=trusting, timeout=30) as client:
        assert (await client.get("/loop")).text == f"{stage.LOOP} 2"
        assert (await client.post("/echo", content=LARGE)).content == LARGE


if __name__ == "__main__":
    stage.go()
