"""httpx (over anyio and httpcore) against a server that is uvicorn on the same loop, and against an application without a server."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import stage
import uvicorn
from stage import check
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

LARGE = os.urandom(2 * 1024 * 1024)


async def echo(request: Request) -> Response:
    return Response(await request.body(), headers={"X-Port": str(request.client.port if request.client else 0)})


async def lines(request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        for number in range(1000):
            yield f"line {number}\n"

    return StreamingResponse(parts())


async def hops(request: Request) -> Response:
    left = request.path_params["left"]
    response = RedirectResponse(f"/hops/{left - 1}") if left else JSONResponse(dict(request.cookies))
    response.set_cookie(f"hop{left}", str(left))
    return response


async def waits(request: Request) -> Response:
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    request.app.state.gone.set()
    return Response()


def application() -> Starlette:
    routes = [Route(f"/{handler.__name__}", handler, methods=["GET", "POST"]) for handler in (echo, lines, waits)]
    app = Starlette(routes=[*routes, Route("/hops/{left:int}", hops)])
    app.state.gone = asyncio.Event()
    return app


@asynccontextmanager
async def service(**options: object) -> AsyncIterator[tuple[Starlette, str]]:
    """uvicorn as a task of the running loop, as tests and embedders use it."""
    app = application()
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=5, lifespan="off", **options)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.001)
        assert not serving.done(), serving.result()
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield app, f"http{'s' if config.is_ssl else ''}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@check
async def a_pool_and_two_hundred_requests_at_once() -> None:
    limits = httpx.Limits(max_connections=10, max_keepalive_connections=10)
    async with service() as (_, url), httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:

        async def one(number: int) -> str:
            body = f"{number} ".encode() * 500
            response = await client.post("/echo", content=body)
            assert response.content == body
            return response.headers["x-port"]

        ports = set(await asyncio.gather(*(one(number) for number in range(200))))
        assert 1 <= len(ports) <= 10


@check
async def streams_both_ways() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 65536):
            yield LARGE[start : start + 65536]

    async with service() as (_, url), httpx.AsyncClient(base_url=url, timeout=30) as client:
        assert (await client.post("/echo", content=parts())).content == LARGE
        async with client.stream("GET", "/lines") as response:
            assert [line async for line in response.aiter_lines()] == [f"line {number}" for number in range(1000)]
        async with client.stream("GET", "/lines") as response:  # left in the middle
            async for _ in response.aiter_raw():
                break
        assert (await client.get("/hops/0")).status_code == 200


@check
async def redirects_and_cookies() -> None:
    async with service() as (_, url), httpx.AsyncClient(base_url=url, follow_redirects=True) as client:
        response = await client.get("/hops/3")
        assert response.json() == {"hop3": "3", "hop2": "2", "hop1": "1"} and len(response.history) == 3


@check
async def timeouts_and_cancellation() -> None:
    async with service() as (app, url), httpx.AsyncClient(base_url=url) as client:
        try:
            await client.get("/waits", timeout=httpx.Timeout(5, read=0.05))
            raise AssertionError("did not time out")
        except httpx.ReadTimeout:
            await app.state.gone.wait()
        app.state.gone.clear()
        try:
            async with asyncio.timeout(0.05):
                await client.get("/waits", timeout=None)
            raise AssertionError("was not cancelled")
        except TimeoutError:
            await app.state.gone.wait()
        async with httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=1)) as one, one.stream("GET", "/lines"):
            try:
                await one.get("/lines", timeout=httpx.Timeout(5, pool=0.05))
                raise AssertionError("there was a second connection")
            except httpx.PoolTimeout:
                pass


@check
async def errors() -> None:
    async with httpx.AsyncClient() as client:
        try:
            await client.get("http://127.0.0.1:1/")
            raise AssertionError("somebody answered")
        except httpx.ConnectError:
            pass

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    async with server, httpx.AsyncClient() as client:
        try:
            await client.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            raise AssertionError("five bytes are missing")
        except httpx.RemoteProtocolError:
            pass


@check
async def an_application_without_a_server() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application()), base_url="http://app") as client:
        assert (await client.post("/echo", content=LARGE)).content == LARGE
        assert len((await client.get("/lines")).text.splitlines()) == 1000


@check
async def tls() -> None:
    files = stage.certificates()
    trusting = ssl.create_default_context(cafile=str(files / "ca.pem"))
    async with service(ssl_certfile=files / "server.pem", ssl_keyfile=files / "server.key") as (_, url):
        async with httpx.AsyncClient(base_url=url, verify=trusting) as client:
            assert (await client.post("/echo", content=LARGE)).content == LARGE
        async with httpx.AsyncClient(base_url=url) as client:
            try:
                await client.get("/lines")
                raise AssertionError("the certificate is nobody's")
            except httpx.ConnectError:
                pass


if __name__ == "__main__":
    stage.go()
