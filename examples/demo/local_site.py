"""A small web site for the crawler, on a free port of 127.0.0.1, in a process of its own.

Its pages form a tree, so that each can be reached, with links across it, repeated links, fragments, a
dead link and a link to another site, since those are what a crawler gets wrong. It prints its port
when it listens, serves until its stdin is closed, then prints how often it served each page: a count
that does not depend on the crawler. The end of stdin also comes when the crawler dies, however it dies,
so that no server is left behind. Rejected: a signal, which a killed parent cannot send.

Not called site.py: that name would hide the standard library's module.
"""

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from contextlib import suppress

from aiohttp import web

from reporting import count

HOST = "127.0.0.1"
DEAD_LINK = "/missing"
# Another address of the same loopback, with nobody there: even a wrong crawler stays on this machine.
ELSEWHERE = "http://127.0.0.2:9/"
FILLER = "<p>" + "All work and no wait. " * 100 + "</p>"


def path_of(number: int) -> str:
    return f"/page/{number}" if number else "/"


def all_paths(pages: int) -> set[str]:
    return {path_of(number) for number in range(pages)}


def links_of(number: int, pages: int) -> list[str]:
    """Two children in the tree, then what makes it a web."""
    children = [path_of(child) for child in (2 * number + 1, 2 * number + 2) if child < pages]
    across = path_of((number * 7 + 3) % pages)
    return [*children, across, across + "#top", "#here", "/", DEAD_LINK, ELSEWHERE]


def render(number: int, pages: int) -> str:
    links = "".join(f'<a href="{link}">link</a>' for link in links_of(number, pages))
    return f"<html><title>Page {number}</title><body>{links}{FILLER}</body></html>"


def say(what: int | dict[str, int]) -> None:
    """Tell the crawler, unless it has died."""
    # Unbuffered, or the interpreter would try again as it exits.
    with suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), json.dumps(what).encode() + b"\n")


async def serve(pages: int) -> Counter:
    """Serve until stdin ends; return how often each page was served."""
    served: Counter[str] = Counter()
    bodies = {path_of(number): render(number, pages) for number in range(pages)}

    async def answer(request: web.Request) -> web.Response:
        served[request.path] += 1
        body = bodies.get(request.path)
        if body is None:
            return web.Response(status=404, text="no such page")
        return web.Response(text=body, content_type="text/html")

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        say(runner.addresses[0][1])
        await asyncio.to_thread(sys.stdin.buffer.read)
    finally:
        await runner.cleanup()
    return served


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a small web site until stdin is closed.")
    parser.add_argument("--pages", type=count, default=600)
    say(asyncio.run(serve(parser.parse_args().pages)))


if __name__ == "__main__":
    main()
