"""Calls by the thousand while workers are killed with -9 at random: each ends exactly once, with its result or an error that says why. Memory, descriptors and the process table are
as before.

    python tests/stress/process_pools.py [calls] [--method fork|spawn|forkserver] [--seed N]
"""

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from plait.concurrent.futures import ProcessPoolExecutor, WorkerDied

LIMIT = 120
WORKERS = 4


def call(number: int, ledger: str, data: Any) -> tuple[int, int]:
    """Note that it was made, by one write; take a while, now and then."""
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
    os.write(descriptor, b"%d\n" % number)
    os.close(descriptor)
    if number % 7 == 0:
        time.sleep(0.002)
    return number, len(data)


class Killer(threading.Thread):
    """Kills a worker every few milliseconds, or two at once. Those that take long to start are left more time."""

    def __init__(self, pool: Any, seed: int, longest: float) -> None:
        super().__init__(daemon=True)
        self.longest = longest
        self.pool, self.random, self.over, self.kills = pool, random.Random(seed), threading.Event(), 0

    def run(self) -> None:
        while not self.over.wait(self.random.uniform(self.longest / 40, self.longest)):
            pids = list(self.pool._processes)
            if pids:
                try:
                    os.kill(self.random.choice(pids), signal.SIGKILL)
                    self.kills += 1
                except ProcessLookupError:
                    pass


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def one_round(calls: int, method: str, seed: int) -> dict[str, int]:
    """What became of them."""
    told: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as directory:
        ledger = os.path.join(directory, "ledger")
        with ProcessPoolExecutor(WORKERS, multiprocessing.get_context(method)) as pool:
            retried = pool.options(retries=1_000)
            killer = Killer(pool, seed, 0.02 if method == "fork" else 0.4)
            killer.start()
            futures = []
            for number in range(calls):
                # Every fourth is tried again; some take a segment.
                data = bytes(200_000) if number % 100 == 0 else b"short"
                future = (retried if number % 4 == 0 else pool).submit(call, number, ledger, data)
                future.add_done_callback(lambda _, number=number: told.update([number]))
                futures.append((number, len(data), future))
            done = died = 0
            for number, length, future in futures:
                try:
                    assert future.result(LIMIT) == (number, length)
                    done += 1
                except WorkerDied as error:
                    assert "SIGKILL" in str(error), error
                    assert number % 4, "it was to be tried again"
                    died += 1
            killer.over.set()
            killer.join()
            restarts = pool.stats().restarts
        made = Counter(map(int, Path(ledger).read_text().split()))
    assert told == Counter(range(calls)), "each future is done once"
    assert all(count == 1 or number % 4 == 0 for number, count in made.items()), "none is made twice that is not to be tried again"
    assert done + died == calls
    return {"done": done, "died": died, "kills": killer.kills, "restarts": restarts}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("calls", nargs="?", type=int, default=2_000)
    parser.add_argument("--method", default="fork")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    one_round(100, options.method, options.seed)
    before = descriptors(), children(), resident()
    outcome = one_round(options.calls, options.method, options.seed)
    until = time.monotonic() + LIMIT
    while (descriptors(), children()) != before[:2]:
        assert time.monotonic() < until, (descriptors(), children(), before)
        time.sleep(0.01)
    grown = resident() - before[2]
    assert grown < 64 * 2**20 + options.calls * 4096, f"{grown} bytes more"
    print(outcome, f"{grown / 2**20:.1f} MiB more")


if __name__ == "__main__":
    main(sys.argv[1:])
