"""Crawl a local web site with aiohttp and fetch each of its pages exactly once.

The site runs in another process, so that the loop under test does only the crawler's work. The result
is checked twice: the crawler's pages against the site's, and the site's own count of what it served.
Rejected: a real HTML parser, which would take most of the time that is meant to go to the network; the
pages are ours, and a regular expression reads them.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import aiohttp

from local_site import DEAD_LINK, HOST, all_paths
from reporting import Progress, add_progress_option, count, finish, loop_name

LINK = re.compile(r'href="([^"]*)"')


@dataclass
class Crawl:
    """What has been seen, fetched and found missing so far, as paths."""

    origin: str
    seen: set[str] = field(default_factory=set)
    fetched: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def new_links(self, page: str, text: str) -> list[str]:
        """The links of a page that lead to this site and were not seen before."""
        new = []
        for link in LINK.findall(text):
            url = urldefrag(urljoin(page, link)).url
            if url.startswith(self.origin + "/") and url not in self.seen:
                self.seen.add(url)
                new.append(url)
        return new


async def crawl(origin: str, concurrency: int, progress: Progress) -> Crawl:
    """Follow every link within the site from its front page on."""
    result = Crawl(origin)
    queue: asyncio.Queue[str] = asyncio.Queue()
    queue.put_nowait(origin + "/")
    result.seen.add(origin + "/")

    async def work(session: aiohttp.ClientSession) -> None:
        while True:
            url = await queue.get()
            try:
                async with session.get(url) as response:
                    text = await response.text()
                if response.status != 200:
                    result.broken.append(urlsplit(url).path)
                    continue
                result.fetched.append(urlsplit(url).path)
                progress.advance()
                for link in result.new_links(url, text):
                    queue.put_nowait(link)
            finally:
                queue.task_done()

    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        workers = [group.create_task(work(session)) for _ in range(concurrency)]
        await queue.join()
        for worker in workers:
            worker.cancel()
    return result


class Site:
    """The site's process: where it listens and, once stopped, what it served."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.origin = f"http://{HOST}:{port}"
        self.served: dict[str, int] = {}
        self._process = process

    def stop(self) -> None:
        last_words, _ = self._process.communicate()
        if last_words:
            self.served = json.loads(last_words)


@contextmanager
def running_site(pages: int) -> Iterator[Site]:
    """Outside the loop, which is to do nothing but the crawl."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("local_site.py")), "--pages", str(pages)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    first_line = process.stdout.readline()
    if not first_line:
        process.wait()
        raise SystemExit("the site did not start")
    site = Site(process, int(first_line))
    try:
        yield site
    finally:
        site.stop()


def judge(pages: int, fetched: list[str], broken: list[str], served: dict[str, int]) -> list[str]:
    """What is wrong with a crawl; nothing, if all is well."""
    wanted = all_paths(pages)
    problems = []
    if missed := sorted(wanted - set(fetched)):
        problems.append(f"{len(missed)} pages missed: {missed[:10]}")
    if surplus := sorted(set(fetched) - wanted):
        problems.append(f"{len(surplus)} pages that do not exist: {surplus[:10]}")
    if len(fetched) != len(set(fetched)):
        problems.append(f"{len(fetched) - len(set(fetched))} pages counted twice")
    if broken != [DEAD_LINK]:
        problems.append(f"broken links {broken[:10]} instead of one, {DEAD_LINK}")
    if served != dict.fromkeys(wanted | {DEAD_LINK}, 1):
        problems.append("the site did not serve every address exactly once")
    return problems


async def timed_crawl(site: Site, options: argparse.Namespace) -> tuple[Crawl, float, str]:
    with Progress(options.progress, "crawl", options.pages) as progress:
        begun = time.perf_counter()
        result = await crawl(site.origin, options.concurrency, progress)
        return result, time.perf_counter() - begun, loop_name()


def main() -> None:
    parser = argparse.ArgumentParser(description="Crawl a local site and check the result.")
    parser.add_argument("--pages", type=count, default=600)
    parser.add_argument("--concurrency", type=count, default=20, help="connections at a time")
    add_progress_option(parser)
    options = parser.parse_args()
    with running_site(options.pages) as site:
        result, seconds, loop = asyncio.run(timed_crawl(site, options))
    problems = judge(options.pages, result.fetched, result.broken, site.served)
    finish(
        scenario="crawl", pages=options.pages, seconds=seconds, ran_on=loop, problems=problems,
        fetched=len(result.fetched),
        verified=f"{len(result.fetched)} of {options.pages} pages, each served once" if not problems else "",
    )


if __name__ == "__main__":
    main()
