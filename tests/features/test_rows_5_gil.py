"""Section 5 of the feature list: the GIL, which plait leaves as it is.

Not here: 5.2 and 5.7, which ``plait bench`` measures; of 5.1 and 5.11 what plait gives instead of parallel bytecode (worker processes, threads
without the GIL), which is to come. That plait works on a free-threaded build is shown by all tests there (``make test-free-threaded``);
what presumes the GIL is skipped on it. 5.12 says what 5.11 says.
"""

import collections
import gc
import os
import re
import socket
import subprocess
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import plait
import programs
import pytest
from plait import _native
from thread_sides import Strand, until

HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()
with_gil = pytest.mark.skipif(not HAS_GIL, reason="there is no GIL")


def results(strands):
    return [strand.result() for strand in strands]


def test_5_the_implementation_that_runs(way):
    assert way.threading.Barrier is _native.ThreadingBarrier and type(way.threading.Barrier(1)) is _native.ThreadingBarrier
    assert way.queue.Queue is _native.ThreadingQueue and type(way.queue.Queue()) is _native.ThreadingQueue


@with_gil
def test_5_1_one_thread_runs_bytecode_at_a_time(threading):
    """Two threads that compute use no more than one processor between them."""
    met = threading.Barrier(3)

    def computes():
        met.wait()
        return sum(i * i for i in range(400_000))

    strands = [Strand(computes), Strand(computes)]
    met.wait()
    wall, processor = time.monotonic(), time.process_time()
    results(strands)
    wall, processor = time.monotonic() - wall, time.process_time() - processor
    assert processor <= 1.25 * wall


class Site:
    """Pages that are served a while after they were asked for, each connection by a thread of its own."""

    def __init__(self, threading, delay, together):
        self.delay = delay
        self.all_asked = threading.Barrier(together)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.strand = Strand(self.accepts, together)

    def accepts(self, count):
        serving = [Strand(self.serves, self.listener.accept()[0]) for _ in range(count)]
        results(serving)

    def serves(self, connection):
        with connection:
            asked = connection.recv(100)
            self.all_asked.wait(10)
            time.sleep(self.delay)
            connection.sendall(b"page " + asked)

    def get(self, page):
        with socket.create_connection(self.address) as client:
            client.sendall(b"%d" % page)
            return client.makefile("rb").read()


def eight_pages(threading):
    site = Site(threading, 0.1, 8)
    with site.listener:
        began = time.monotonic()
        pages = results([Strand(site.get, page) for page in range(8)])
        took = time.monotonic() - began
        site.strand.result()
    assert pages == [b"page %d" % page for page in range(8)]
    return took


def test_5_3_threads_help_where_they_wait_for_input(threading):
    """Eight pages, each served 0.1 s after all eight were asked for: one after the other none would ever come."""
    assert any(eight_pages(threading) < 0.3 for _ in range(5)), "five times in a row the machine was too busy"


@pytest.mark.parametrize("beside", ["a computation", "os.read"])
def test_5_4_a_ticker_keeps_ticking(threading, beside):
    never, ticks = threading.Event(), []
    end, pipe = os.pipe()

    def computes():
        while len(ticks) < 20:
            pass
        return b"x"

    other = Strand(computes) if beside == "a computation" else Strand(os.read, end, 1).blocked()
    try:
        for i in range(20):
            assert never.wait(0.001) is False
            assert not other.over
            ticks.append(i)
        os.write(pipe, b"x")
        assert other.result() == b"x"
    finally:
        os.close(end)
        os.close(pipe)


def test_5_4_the_switch_interval(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import sys
        import threading
        print(sys.getswitchinterval())
        sys.setswitchinterval(0.001)
        threading.Event().wait(0.001)
        print(sys.getswitchinterval())
        """,
    )
    assert end == (0, "0.005\n0.001\n", "")


def test_5_4_blocking_calls_beside_a_pool(threading):
    """Waiting in plait releases the GIL as a system call does: a pool of waiters does not hold up who is to wake them."""
    go, waiting = threading.Event(), []

    def waits(_):
        waiting.append(1)
        return go.wait(10)

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(waits, range(8))
        until(lambda: len(waiting) == 8)
        assert plait.Event().wait(0.001) is False
        go.set()
        assert list(answers) == [True] * 8


def test_5_5_reference_counts_come_back_to_their_start(way, switching_often):
    shared = object()
    condition, handed = way.threading.Condition(), [None]
    through, kept, table = way.queue.Queue(3), [], {}

    def worker(number):
        for i in range(100):
            through.put(shared)
            kept.append(through.get())
            table[number, i] = kept.pop()
            with condition:
                handed[0] = shared
                assert condition.wait_for(lambda: handed[0]) is shared
                condition.notify_all()

    gc.collect()
    before = sys.getrefcount(shared)
    results([Strand(worker, number) for number in range(8)])
    assert len(table) == 800 and all(value is shared for value in table.values())
    table.clear()
    handed[0] = None
    gc.collect()
    assert sys.getrefcount(shared) == before
    assert kept == [] and through.empty()


def test_5_5_what_threads_waited_in_is_freed(way):
    """Also where waits ended by a time-out, and where items were left in a queue."""
    class Item:
        pass

    made = {name: getattr(way.threading, name)() for name in ("Condition", "Semaphore", "Event")}
    made |= {"Barrier": way.threading.Barrier(2), "Queue": way.queue.Queue(), "LifoQueue": way.queue.LifoQueue()}
    gone = [weakref.ref(thing) for thing in made.values()]

    def worker(made):
        for _ in range(50):
            item = Item()
            gone.append(weakref.ref(item))
            made["Queue"].put(item)
            made["LifoQueue"].put(item)
            made["Queue"].get()
            with made["Condition"]:
                made["Condition"].wait(0.0001)
                made["Condition"].notify_all()
            made["Event"].wait(0.0001)
            made["Event"].set()
            with made["Semaphore"]:
                made["Barrier"].reset()

    results([Strand(worker, made) for _ in range(4)])
    assert made["LifoQueue"].qsize() == 200
    del made
    gc.collect()
    assert [ref() for ref in gone] == [None] * (6 + 200)


@pytest.mark.parametrize("append", ["list", "deque", "dict"])
def test_5_6_concurrent_appends_lose_nothing(threading, switching_often, append):
    kept = {"list": [], "deque": collections.deque(), "dict": {}}[append]
    met = threading.Barrier(4)

    def worker(number):
        add = kept.__setitem__ if append == "dict" else lambda key, _: kept.append(key)
        met.wait()
        for i in range(5000):
            add((number, i), True)

    results([Strand(worker, number) for number in range(4)])
    assert sorted(kept) == [(number, i) for number in range(4) for i in range(5000)]


def test_5_6_extension_modules_work_unchanged(way):
    """greenlet, which swaps C stacks, beside threads that wait in plait."""
    greenlet = pytest.importorskip("greenlet")
    passed = way.queue.Queue()

    def worker():
        def inner():
            while True:
                passed.put(main.switch())

        main = greenlet.getcurrent()
        other = greenlet.greenlet(inner)
        other.switch()
        for i in range(50):
            other.switch(i)
        other.throw()

    results([Strand(worker) for _ in range(4)])
    assert sorted(passed.get_nowait() for _ in range(200)) == sorted([*range(50)] * 4)


def test_5_6_numpy(way):
    numpy = pytest.importorskip("numpy")
    squares = way.queue.Queue()

    def worker():
        squares.put(int((numpy.arange(1000) ** 2).sum()))

    results([Strand(worker) for _ in range(4)])
    assert {squares.get_nowait() for _ in range(4)} == {332833500}


def test_5_8_an_unlocked_counter(threading):
    """Any value is right, as on the host; there is no more to promise."""
    counter, met = 0, threading.Barrier(2)

    def worker():
        nonlocal counter
        met.wait()
        for _ in range(1_000_000):
            counter += 1

    results([Strand(worker), Strand(worker)])
    assert 2 <= counter <= 2_000_000


def test_5_9_an_unlocked_counter_with_a_jump_in_between(threading, switching_often):
    counter, met = 0, threading.Barrier(2)

    def worker():
        nonlocal counter
        met.wait()
        for _ in range(200_000):
            read = counter
            if read >= 0:
                read += 1
            counter = read

    results([Strand(worker), Strand(worker)])
    assert 2 <= counter <= 400_000


def test_5_10_dis(tmp_path):
    script = programs.write(
        tmp_path,
        """
        import threading
        counter = 0
        def worker():
            global counter
            counter += 1
        """,
    )
    said = {}
    for way in ("host", "run"):
        command = [*programs.WAYS[way], "-m", "dis", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=programs.LIMIT, env=programs.environment())
        assert (done.returncode, done.stderr) == (0, "")
        said[way] = re.sub(r"0x[0-9a-f]+", "0x…", done.stdout)
    assert said["run"] == said["host"]
    names = [said["run"].rfind(name) for name in ("LOAD_GLOBAL", "BINARY_OP", "STORE_GLOBAL")]
    assert -1 not in names and names == sorted(names)


@pytest.mark.parametrize("processors", [1, 3, 64])
def test_5_13_default_pools_follow_the_number_of_cores(tmp_path, processors):
    end = programs.same_in_each_way(
        tmp_path,
        f"""
        import os
        os.cpu_count = os.process_cpu_count = lambda: {processors}
        import asyncio
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
        async def main():
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, int)
            print(ThreadPoolExecutor()._max_workers, ProcessPoolExecutor()._max_workers, loop._default_executor._max_workers)
        asyncio.run(main())
        """,
    )
    threads = min(32, processors + 4)
    assert end == (0, f"{threads} {processors} {threads}\n", "")
