"""One program from one loop to a cluster: a crawl whose pages are fetched and parsed where one string says.

    python examples/crawl_anywhere.py                    # on the program's own loop
    python examples/crawl_anywhere.py threads
    python examples/crawl_anywhere.py processes
    python examples/crawl_anywhere.py dask               # or dask://host:port
    python examples/crawl_anywhere.py ray                # or ray://host:port
    python examples/crawl_anywhere.py --compare          # all that are installed, each in a process of its own: a table

A local site is crawled, which this program serves from a process of its own; each page comes after a moment and takes some work to parse, as real ones do. It is crawled level by level, in batches:
a batch is fetched by coroutines, and parsed, wherever it is sent. The program checks its own result, and exits with status 1 unless each page was found, once, with the right words.
"""

import argparse
import asyncio
import concurrent.futures
import importlib.util
import json
import subprocess
import sys
import time
from collections import Counter
from html.parser import HTMLParser

import plait

HOST = "127.0.0.1"
BATCH = 10
WORDS = 500
WAITS = 0.02  # seconds, until the site answers


class Page(HTMLParser):
    """The links of a page, and how often each of its words comes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.words: Counter[str] = Counter()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attributes if tag == "a" and name == "href" and value]

    def handle_data(self, data: str) -> None:
        self.words.update(data.split())


async def fetch(port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n\r\n")[2].decode()


async def crawl_batch(port: int, paths: list[str]) -> list[tuple[str, list[str], int]]:
    """The one coroutine: fetch these pages at once, and parse them. Of each its path, its links and how many words it has."""
    texts = await asyncio.gather(*[fetch(port, path) for path in paths])
    pages = [Page(text) for text in texts]
    return [(path, page.links, page.words.total()) for path, page in zip(paths, pages)]


def make_batch(port: int, paths: list[str]) -> list[tuple[str, list[str], int]]:
    """The same for a worker, which has no loop yet."""
    return plait.run(crawl_batch(port, paths))


async def crawl(port: int, executor: concurrent.futures.Executor | None) -> dict[str, int]:
    """Level by level from the front page on. Without an executor all is done here."""
    found: dict[str, int] = {}
    level = ["/0"]
    while level:
        batches = [level[at : at + BATCH] for at in range(0, len(level), BATCH)]
        if executor is None:
            done = [await crawl_batch(port, batch) for batch in batches]
        else:
            done = await asyncio.gather(*[executor.submit(make_batch, port, batch) for batch in batches])
        pages = [page for batch in done for page in batch]
        found.update((path, words) for path, _, words in pages)
        level = sorted({link for _, links, _ in pages for link in links} - found.keys())
    return found


# ---- the site


def links_of(number: int, pages: int) -> list[int]:
    return [child for child in range(8 * number + 1, 8 * number + 9) if child < pages]


def text_of(number: int, pages: int) -> str:
    links = "".join(f'<a href="/{child}">{child}</a> ' for child in links_of(number, pages))
    return f"<html><body>{links}<p>{' '.join(f'<b>word{n % 97}</b>' for n in range(WORDS))}</p></body></html>"


async def serve(pages: int) -> None:
    """Until stdin ends."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        await asyncio.sleep(WAITS)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + texts[int(path[1:])])
        writer.close()

    texts = [text_of(number, pages).encode() for number in range(pages)]
    server = await asyncio.start_server(answer, HOST, 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


# ---- the program


def run(spec: str, pages: int) -> dict[str, object]:
    with subprocess.Popen([sys.executable, __file__, "--serve", "--pages", str(pages)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as site:
        assert site.stdin is not None and site.stdout is not None
        port = int(site.stdout.readline())
        begun = time.perf_counter()
        executor = None if spec == "loop" else plait.executor(spec)
        if executor is not None:  # so that workers that are started later are there
            list(executor.map(abs, range(8)))
        ready = time.perf_counter()
        found = plait.run(crawl(port, executor))
        seconds = time.perf_counter() - ready
        if executor is not None:
            executor.shutdown()
        site.stdin.close()
    expected = {f"/{number}": len(links_of(number, pages)) + WORDS for number in range(pages)}
    return {"executor": spec, "pages": len(found), "start": round(ready - begun, 2), "seconds": round(seconds, 2), "right": found == expected}


def compare(pages: int) -> int:
    print("| executor | start, seconds | crawl, seconds |\n| --- | --- | --- |")
    status = 0
    for spec, package in [("loop", "plait"), ("threads", "plait"), ("processes", "plait"), ("dask", "distributed"), ("ray", "ray")]:
        if importlib.util.find_spec(package) is None:
            print(f"| {spec} | {package} is not installed | |")
            continue
        done = subprocess.run([sys.executable, __file__, spec, "--pages", str(pages)], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            print(f"| {spec} | failed | |")
            status = 1
        else:
            result = json.loads(done.stdout.splitlines()[-1])
            print(f"| {spec} | {result['start']} | {result['seconds']} |", flush=True)
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description="Crawl a local site on one loop, in threads, in processes or on a cluster.")
    parser.add_argument("executor", nargs="?", default="loop", help="loop, threads, processes, dask, dask://host:port, ray or ray://host:port")
    parser.add_argument("--pages", type=int, default=600)
    parser.add_argument("--compare", action="store_true", help="run all, and print a table")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.pages))
        return 0
    if options.compare:
        return compare(options.pages)
    result = run(options.executor, options.pages)
    print(json.dumps(result))
    return 0 if result["right"] else 1


if __name__ == "__main__":
    sys.exit(main())
