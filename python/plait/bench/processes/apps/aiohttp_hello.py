"""An aiohttp application that says hello, as a program that is run: the port is its argument."""

import sys

from aiohttp import web
from whoami import HELLO, whoami  # type: ignore[import-not-found,unused-ignore]


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=HELLO)


async def who(request: web.Request) -> web.Response:
    return web.Response(text=await whoami())


def main() -> None:
    app = web.Application()
    app.router.add_get("/", hello)
    app.router.add_get("/who", who)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
