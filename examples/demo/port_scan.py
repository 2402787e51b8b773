"""Scan 20,000 ports of this machine, a few hundred of which are open, and get every one right.

An ordinary asyncio program: workers take ports from a queue and hand sockets to `loop.sock_connect`
as they come, every other one still blocking. What makes the result exact:

- Only a refusal means closed. No descriptors, no source port, no time: those say something about us,
  not about the port, so it gets a second look with few connections under way.
- The time-out begins when the connection does, not when the port enters the queue.
- A connection from a port to itself succeeds although nobody listens, and counts as closed.

Rejected: one task per port behind a semaphore, whose 20,000 tasks exist from the first moment, so that
even a scan of one port at a time pays for all of them.
"""

import argparse
import asyncio
import errno
import random
import socket
import sys
import time
from contextlib import ExitStack

from descriptors import make_room
from reporting import Progress, add_progress_option, count, finish, loop_name
from ports import CLOSED, HOST, OPEN, choose, ephemeral_range, judge, listening, open_some

SECOND_LOOK = 50


def connected_to_itself(sock: socket.socket) -> bool:
    return sock.getsockname() == sock.getpeername()


async def probe(port: int, blocking: bool, timeout: float) -> str:
    """Ask one port: open, closed, or the name of the error that prevented an answer."""
    loop = asyncio.get_running_loop()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setblocking(blocking)
            async with asyncio.timeout(timeout):
                await loop.sock_connect(sock, (HOST, port))
            return CLOSED if connected_to_itself(sock) else OPEN
    except ConnectionRefusedError:
        return CLOSED
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as error:
        return errno.errorcode.get(error.errno, repr(error))


async def sweep(ports: list[int], concurrency: int, timeout: float, progress: Progress) -> dict[int, str]:
    """Ask each port once, `concurrency` of them at a time."""
    answers: dict[int, str] = {}
    queue: asyncio.Queue[tuple[int, bool]] = asyncio.Queue()
    # asyncio refuses blocking sockets in debug mode.
    mixed = not asyncio.get_running_loop().get_debug()
    for number, port in enumerate(ports):
        queue.put_nowait((port, mixed and number % 2 == 0))

    async def work() -> None:
        while True:
            port, blocking = await queue.get()
            try:
                answers[port] = await probe(port, blocking, timeout)
                progress.advance()
            finally:
                # Whatever happens to one port, join() must not wait for it for ever.
                queue.task_done()

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work()) for _ in range(min(concurrency, len(ports)))]
        await queue.join()
        for worker in workers:
            worker.cancel()
    return answers


async def scan(
    ports: list[int], concurrency: int, timeout: float, progress: Progress
) -> tuple[dict[int, str], int]:
    """Every port's answer, and how many needed the second look."""
    answers = await sweep(ports, concurrency, timeout, progress)
    unsure = [port for port, answer in answers.items() if answer not in (OPEN, CLOSED)]
    if unsure:
        # Progress counts them a second time.
        progress.total += len(unsure)
        answers |= await sweep(unsure, min(concurrency, SECOND_LOOK), timeout, progress)
    return answers, len(unsure)


def affordable(concurrency: int, listeners: int) -> int:
    """The concurrency that fits beside the listeners under the hard limit on descriptors."""
    possible = make_room(concurrency + listeners) - listeners
    if possible < 1:
        raise SystemExit("the hard limit on open files leaves no room for a scan: see ulimit -Hn")
    if possible < concurrency:
        print(f"the hard limit on open files is too small for {concurrency} connections "
              f"at a time: using {possible}", file=sys.stderr)
    return min(concurrency, possible)


async def timed_scan(ports: list[int], concurrency: int, options: argparse.Namespace) -> dict:
    with Progress(options.progress, "port scan", len(ports)) as progress:
        begun = time.perf_counter()
        answers, second_looks = await scan(ports, concurrency, options.timeout, progress)
        seconds = time.perf_counter() - begun
    return {"answers": answers, "second_looks": second_looks, "seconds": seconds, "ran_on": loop_name()}


def main() -> None:
    options = parse_arguments()
    concurrency = affordable(min(options.concurrency, options.ports), options.open)
    before = listening()
    ports = choose(options.ports, ephemeral_range(), before)
    with ExitStack() as listeners:
        opened = open_some(ports, options.open, random.Random(options.seed))
        for listener in opened.values():
            listeners.enter_context(listener)
        result = asyncio.run(timed_scan(ports, concurrency, options))
        foreign = (before | listening()) - opened.keys()
    verdict = judge(ports, result.pop("answers"), set(opened), foreign)
    finish(
        scenario="port scan",
        verified=f"{len(opened) - len(verdict.missed)} of {len(opened)} open ports found among {len(ports)}, "
                 f"{len(verdict.false)} false",
        problems=verdict.problems(),
        ports=len(ports),
        opened=len(opened),
        foreign=verdict.foreign,
        concurrency=concurrency,
        **result,
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Scan ports of 127.0.0.1 and check the result.")
    parser.add_argument("--ports", type=count, default=20_000, help="how many ports to scan")
    parser.add_argument("--open", type=count, default=300, help="how many of them to open first")
    parser.add_argument("--concurrency", type=count, default=500, help="connections under way at a time")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for one connection")
    parser.add_argument("--seed", type=int, default=1, help="decides which ports are opened")
    add_progress_option(parser)
    options = parser.parse_args()
    if options.open > options.ports:
        parser.error("--open cannot exceed --ports")
    return options


if __name__ == "__main__":
    main()
