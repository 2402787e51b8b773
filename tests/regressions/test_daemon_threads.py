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
    "a predicate": """
        lock = threading.Lock()
        condition = plait.threading.Condition(lock)
        with lock:
            condition.wait_for(sleep_on)
    """,
    "a method of a subclass that a native one calls": """
        class Semaphore(plait.threading.Semaphore):
            def release(self, n=1):
                sleep_on()
        with Semaphore():
            pass
    """,
    "a put of a subclass": """
        class Queue(plait.queue.Queue):
            def put(self, *arguments):
                sleep_on()
        Queue().put_nowait(1)
    """,
    "an item that is let go": """
        class Item:
            def __del__(self):
                sleep_on()
        q = plait.queue.Queue()
        q.put(Item())
        q.shutdown(immediate=True) if sys.version_info >= (3, 13) else q.__init__()
    """,
    "callbacks on a loop in Python": """
        class Loop(asyncio.SelectorEventLoop):
            def call_soon(self, *arguments, **keywords):
                sleep_on()
        future = plait.Future(loop=Loop())
        future.add_done_callback(print)
        future.set_result(1)
    """,
    "calls from outside, in debug mode": """
        loop = plait.new_event_loop()
        loop.set_debug(True)
        while True:
            loop.call_soon_threadsafe(print)
    """,
    "a thread of which threading does not know": """
        event = plait.threading.Event()
        def unknown():
            while True:
                event.wait(0.00001)
        import _thread
        _thread.start_new_thread(unknown, ())
        sleep_on()
    """,
}
PROGRAM = """
import asyncio, sys, threading, time
import plait, plait.queue, plait.threading

def spin():
    for _ in range(2000):
        pass

def sleep_on():
    while True:
        time.sleep(0.0005)

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


def outcome(program, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("work", WORK)
def test_they_do_not_abort_the_process(work):
    for _ in range(5):
        assert outcome(PROGRAM.format(work=WORK[work])) == (0, "")


def test_they_do_not_abort_the_process_while_deadlocks_are_looked_for():
    work = """
        lock = plait.Lock()
        while True:
            with lock:
                pass
    """
    for _ in range(5):
        assert outcome(PROGRAM.format(work=work), PLAIT_DEBUG="1") == (0, "")


def test_signal_handlers_stay_the_programs_own():
    """Threads are told of the exit by a signal that nobody uses."""
    program = """
import signal, threading, time
import plait
for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
    if number != signal.SIGRTMAX - 3:
        signal.signal(number, lambda *_: print("called"))
threading.Thread(target=lambda: [time.sleep(0.001) for _ in range(10**6)], daemon=True).start()
"""
    assert outcome(program) == (0, "")
