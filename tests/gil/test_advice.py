"""``plait gil --why``: each kind of program gets the advice that helps it, and no other."""

import subprocess
import sys
from pathlib import Path

import plait.gil
import pytest

pytestmark = pytest.mark.skipif(not plait.gil.exists(), reason="this Python has no GIL")

SECONDS = 3.0

TWO_BUSY_THREADS = """
import threading, time
def spins():
    until = time.monotonic() + {seconds}
    while time.monotonic() < until:
        for _ in range(1000):
            pass
for name in ("one", "two"):
    threading.Thread(target=spins, name=name).start()
"""
A_POOL_THAT_WAITS = """
import socket, time
from concurrent.futures import ThreadPoolExecutor
pairs = [socket.socketpair() for _ in range(8)]
with ThreadPoolExecutor(8) as pool:
    answers = [pool.submit(here.recv, 1) for here, _ in pairs]
    time.sleep({seconds})
    for _, there in pairs:
        there.send(b"x")
"""
A_LOOP_THAT_HASHES = """
import asyncio, hashlib, time
async def main():
    until, payload = time.monotonic() + {seconds}, bytes(32 << 20)
    while time.monotonic() < until:
        hashlib.sha256(payload).digest()
        await asyncio.sleep(0)
asyncio.run(main())
"""
A_LOOP_THAT_BLOCKS = """
import asyncio, socket, threading
async def handler():
    here, there = socket.socketpair()
    threading.Timer({seconds} / 5, there.send, (b"x",)).start()
    here.recv(1)
async def main():
    for _ in range(5):
        await asyncio.create_task(handler())
asyncio.run(main())
"""


def told(tmp_path: Path, source: str) -> str:
    path = tmp_path / "program.py"
    path.write_text(source.format(seconds=SECONDS))
    done = subprocess.run([sys.executable, "-m", "plait", "gil", "--why", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    return done.stderr


def test_threads_that_compute_are_to_become_processes(tmp_path: Path) -> None:
    why = told(tmp_path, TWO_BUSY_THREADS).partition("why: ")[2]
    assert why.startswith("CPU-bound under the GIL")
    assert "More threads will not make this faster" in why
    assert "Processes (concurrent.futures.ProcessPoolExecutor) or a free-threaded build" in why
    assert "Coroutines" not in why


def test_threads_that_wait_for_sockets_are_to_become_coroutines(tmp_path: Path) -> None:
    why = told(tmp_path, A_POOL_THAT_WAITS).partition("why: ")[2]
    assert why.startswith("I/O-bound: the GIL was free")
    assert "9 of 9 threads slept" in why and "Coroutines would wait for the same with one thread" in why
    assert "Processes" not in why


def test_a_loop_that_calls_what_releases_the_gil_is_to_use_an_executor(tmp_path: Path) -> None:
    why = told(tmp_path, A_LOOP_THAT_HASHES).partition("why: ")[2]
    assert why.startswith("MainThread ran")
    assert "from a coroutine, call it in an executor (asyncio.to_thread)" in why
    assert "Processes" not in why and "Coroutines" not in why


def test_of_a_loop_that_blocks_the_watchdog_tells_in_the_same_run(tmp_path: Path) -> None:
    said = told(tmp_path, A_LOOP_THAT_BLOCKS)
    assert "(handler): in the system call recvfrom" in said
    assert "blocking calls that have no coroutine can stay in an executor (asyncio.to_thread)" in said.partition("why: ")[2]
