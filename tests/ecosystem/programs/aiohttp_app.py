"""An aiohttp service as its authors write it: ``web.run_app``, on a port that the kernel chose."""

import asyncio
import socket
from collections.abc import AsyncIterator

from aiohttp import web

SHUTTING_DOWN = web.AppKey("shutting_down", asyncio.Event)


async def loop(request: web.Request) -> web.Response:
    return web.json_response({"loop": type(asyncio.get_running_loop()).__module__.partition(".")[0]})


async def background(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(asyncio.Event().wait())
    print("started")
    yield
    task.cancel()
    await asyncio.wait([task])
    print("stopped")


async def finish(request: web.Request) -> web.Response:
    print("request begun")
    await request.app[SHUTTING_DOWN].wait()
    return web.json_response({"finished": True})


async def shut_down(app: web.Application) -> None:
    app[SHUTTING_DOWN].set()


app = web.Application()
app.router.add_get("/loop", loop)
app.router.add_get("/finish", finish)
app[SHUTTING_DOWN] = asyncio.Event()
app.on_shutdown.append(shut_down)
app.cleanup_ctx.append(background)
listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}")
web.run_app(app, sock=listener, print=None)
print("left")
