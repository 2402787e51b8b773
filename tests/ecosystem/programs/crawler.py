"""Server and crawler in one aiohttp program: pages that link to each other, fetched by a few workers from a queue."""

import asyncio
import re

import aiohttp
from aiohttp import web

PAGES = 60


async def page(request: web.Request) -> web.Response:
    number = int(request.match_info["number"])
    links = [(number * 2 + step) % PAGES for step in range(3)]
    return web.Response(text=" ".join(f'<a href="/page/{link}">' for link in links), content_type="text/html")


async def worker(session: aiohttp.ClientSession, url: str, queue: "asyncio.Queue[str]", seen: set[str]) -> None:
    while True:
        path = await queue.get()
        async with session.get(url + path) as response:
            for link in re.findall(r'href="([^"]+)"', await response.text()):
                if link not in seen:
                    seen.add(link)
                    queue.put_nowait(link)
        queue.task_done()


async def crawl(url: str) -> set[str]:
    seen = {"/page/0"}
    queue: asyncio.Queue[str] = asyncio.Queue()
    queue.put_nowait("/page/0")
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        workers = [group.create_task(worker(session, url, queue, seen)) for _ in range(8)]
        await queue.join()
        for task in workers:
            task.cancel()
    return seen


async def main() -> None:
    app = web.Application()
    app.router.add_get("/page/{number}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    seen = await crawl(f"http://{host}:{port}")
    await runner.cleanup()
    print(len(seen), sorted(seen))
    print("left over", len(asyncio.all_tasks()) - 1)


asyncio.run(main())
