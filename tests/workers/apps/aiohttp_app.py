"""The same with aiohttp."""

import asyncio
import os
import sys

from aiohttp import web


async def pid(request: web.Request) -> web.Response:
    await asyncio.sleep(float(request.query.get("slow", 0)))
    return web.Response(text=str(os.getpid()))


if __name__ == "__main__":
    application = web.Application()
    application.router.add_get("/", pid)
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None)
