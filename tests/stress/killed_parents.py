"""A program with pools is killed with -9 in the midst of its work: no process of it is left, and no memory.

    python tests/stress/killed_parents.py [times]
"""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from plait.concurrent.futures import ProcessPoolExecutor

LIMIT = 60
MARK = "PLAIT_STRESS_PARENT"


def work(data: bytes) -> bytes:
    time.sleep(0.001)
    return data


def victim(method: str) -> None:
    """Works until it is killed."""
    with ProcessPoolExecutor(3, multiprocessing.get_context(method)) as pool:
        assert pool.submit(work, b"x").result(LIMIT) == b"x"
        print("working", flush=True)
        while True:
            futures = [pool.submit(work, bytes(size)) for size in (10, 100_000, 3_000_000)]
            for future in futures:
                future.result(LIMIT)


def marked(mark: str) -> list[int]:
    """The processes that have the mark in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def main(times: int) -> None:
    chance = random.Random(1)
    for turn in range(times):
        method = ("fork", "spawn", "forkserver")[turn % 3]
        mark = f"{os.getpid()}-{turn}"
        program = [sys.executable, __file__, "--victim", method]
        with subprocess.Popen(program, stdout=subprocess.PIPE, env={**os.environ, MARK: mark}) as process:
            assert process.stdout is not None and process.stdout.readline() == b"working\n"
            time.sleep(chance.uniform(0, 0.05))
            assert len(marked(mark)) > 1
            os.kill(process.pid, signal.SIGKILL)
        until = time.monotonic() + LIMIT
        while left := marked(mark):
            assert time.monotonic() < until, left
            time.sleep(0.01)
    print(f"{times} killed, nothing left")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--victim"]:
        victim(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
