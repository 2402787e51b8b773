"""Daemon threads that are at work in the native module when the interpreter exits: the process aborted.

Before 3.14 the interpreter unwinds such a thread's stack, which Rust's frames do not bear.
"""

import os
import subprocess
import sys

import pytest

WORK = {
    "a loop's callbacks and tasks": """
        loop = plait.new_event_loop()
        def again():
            spin()
            loop.call_soon(again)
        async def turns():
            while True:
                spin()
                await asyncio.sleep(0)
        loop.call_soon(again)
        for _ in range(3):
            loop.create_task(turns())
        loop.run_forever()
    """,
    "native tasks on the standard loop": """
        loop = asyncio.new_event_loop()
        async def turns():
            while True:
                spin()
                await asyncio.sleep(0)
        loop.create_task(turns())
        task = plait.Task(turns(), loop=loop)
        loop.run_forever()
    """,
    "items that are compared": """
        q = plait.queue.PriorityQueue()
        while True:
            q.put(Item())
            q.put(Item())
            q.get()
    """,
    "a queue that was opened": """
        q = plait.queue.Queue()
        q.mutex
        while True:
            q.put(1)
            q.get()
    """,
    "waits": """
        event = plait.threading.Event()
        while True:
            event.wait(0.00001)
    """,
    "a barrier's action": """
        barrier = plait.threading.Barrier(1, spin)
        while True:
            barrier.wait()
    """,
    "a condition over a lock of its own kind": """
        condition = plait.threading.Condition(Lock())
        while True:
            with condition:
                condition.notify()
                condition.wait(0)
    """,
    "a condition's lock": """
        condition = plait.threading.Condition()
        while True:
            with condition:
                spin()
    """,
}
PROGRAM = """
import asyncio, sys, threading, time
import plait, plait.queue, plait.threading

def spin():
    for _ in range(2000):
        pass

class Item:
    def __lt__(self, other):
        spin()
        return False

class Lock:
    def __init__(self):
        self.lock = threading.Lock()
    def acquire(self, *arguments):
        spin()
        return self.lock.acquire(*arguments)
    def release(self):
        spin()
        self.lock.release()
    __enter__ = acquire
    def __exit__(self, *exception):
        self.release()

def work():
{work}

sys.setswitchinterval(1e-5)
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
"""


@pytest.mark.parametrize("work", WORK)
def test_they_do_not_abort_the_process(work):
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM.format(work=WORK[work])],
            capture_output=True,
            text=True,
            timeout=30,
            env=dict(os.environ),
        )
        assert (done.returncode, done.stderr) == (0, "")
