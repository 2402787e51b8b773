"""Threads and tasks share one queue: files are hashed in threads, and the results are sent over TCP by tasks.

Hashing would block an event loop, and a thread for each connection would be waste. So threads do the one and tasks the other,
and `plait.Queue` lies between them: bounded, so that whoever is faster waits, each in its own way. `plait.Semaphore` keeps the
number of open files small. The server that collects the results runs on the same loop, so the program needs nothing but itself:

    python examples/one_queue.py [directory]

Prints one line, and exits with status 1 unless what was collected is what hashing the files one by one gives.
"""

import asyncio
import hashlib
import sys
import threading
from pathlib import Path

import plait

READERS = 4
SENDERS = 8


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(paths: "plait.Queue[Path]", results: "plait.Queue[tuple[Path, str]]", may_open: plait.Semaphore) -> None:
    """A thread: takes paths until there are no more, and blocks while the senders are behind."""
    while True:
        try:
            path = paths.get()
        except plait.ShutDown:
            return
        with may_open:
            found = digest(path)
        results.put((path, found))


async def send(port: int, results: "plait.Queue[tuple[Path, str]]") -> None:
    """A task: sends results until there are no more. While it waits its loop serves the others."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while True:
            path, found = await results.aget()
            writer.write(f"{found} {path}\n".encode())
            await reader.readline()  # the collector has it
            results.task_done()
    except plait.ShutDown:
        pass
    finally:
        writer.close()
        await writer.wait_closed()


async def collect(files: list[Path]) -> dict[str, str]:
    """Hash the files in threads, send the results by tasks, and return what the server was sent."""
    collected: dict[str, str] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            found, _, path = line.decode().rstrip("\n").partition(" ")
            collected[path] = found
            writer.write(b"ok\n")
        writer.close()

    paths: plait.Queue[Path] = plait.Queue()
    results: plait.Queue[tuple[Path, str]] = plait.Queue(maxsize=16)
    may_open = plait.Semaphore(2)
    for path in files:
        paths.put(path)
    paths.shutdown()  # what is there can still be got
    threads = [threading.Thread(target=read, args=(paths, results, may_open)) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.TaskGroup() as senders:
            for _ in range(SENDERS):
                senders.create_task(send(port, results))
            for thread in threads:
                await asyncio.to_thread(thread.join)
            await results.ajoin()
            results.shutdown()
    return collected


def main() -> int:
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    collected = plait.run(collect(files))
    right = collected == {str(path): digest(path) for path in files}
    print(f"{len(collected)} files hashed by {READERS} threads, sent by {SENDERS} tasks: {'right' if right else 'WRONG'}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
