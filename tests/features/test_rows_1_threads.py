"""Section 1 of the feature list: threads, the idea and its promises.

Not here: 1.9 (what threads cost is measured by ``plait bench``), and of 1.10 plait's own thread pool, which is to come with
``plait.concurrent.futures``: the standard pool is shown, on plait's primitives.
"""

import _thread
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import plait
import programs
import pytest
from plait import _native
from thread_sides import Strand

NATIVE = {
    "Condition": _native.ThreadingCondition,
    "Event": _native.ThreadingEvent,
    "Semaphore": _native.ThreadingSemaphore,
    "BoundedSemaphore": _native.ThreadingBoundedSemaphore,
    "Barrier": _native.ThreadingBarrier,
}


def test_1_the_implementation_that_runs(threading):
    """Primitives are plait's; threads, and what the interpreter makes in C, are the standard ones."""
    assert {name: getattr(threading, name) for name in NATIVE} == NATIVE
    assert type(threading.Event()) is NATIVE["Event"]
    assert type(threading.Timer(1, print).finished) is NATIVE["Event"]
    thread = threading.Thread()
    assert type(thread).__module__ == "threading"
    assert isinstance(thread._started, NATIVE["Event"]) is (threading is sys.modules["threading"])
    assert type(threading.Lock()) is type(_thread.allocate_lock())


def test_1_the_implementation_that_runs_in_a_program(tmp_path):
    source = """
        import threading
        for make in (threading.Event, threading.Condition, threading.Semaphore, threading.Timer, threading.Thread, threading.local):
            print(make.__module__)
    """
    standard, native = ["threading"], ["plait.threading"]
    said = {way: programs.run_as(way, tmp_path, source).stdout.split() for way in programs.WAYS}
    assert said["run"][:3] == said["mirror"][:3] == native * 3
    assert said["run"][4] == said["mirror"][4] == "threading"
    assert said["host"] == [*standard * 5, "_thread"]


def test_1_1_threads_share_memory_and_globals(threading):
    shared = []
    globals()["told_by_a_thread"] = None

    def worker():
        shared.append(os.getpid())
        globals()["told_by_a_thread"] = threading.get_ident()

    thread = threading.Thread(target=worker)
    thread.start()
    thread.join()
    assert shared == [os.getpid()]
    assert globals().pop("told_by_a_thread") == thread.ident != threading.get_ident()


def test_1_2_a_computation_does_not_starve_a_ticker(threading):
    """If it did, this would not end: the computation lasts until the ticker has ticked."""
    never, over = threading.Event(), False
    ticks, steps = [], 0

    def computes():
        nonlocal steps
        while not over:
            steps += 1

    def ticker():
        nonlocal over
        for _ in range(20):
            assert never.wait(0.005) is False
            ticks.append(steps)
        over = True

    computation, ticking = Strand(computes), Strand(ticker)
    ticking.result()
    computation.result()
    assert len(ticks) == 20 and ticks[0] < ticks[-1], "and the computation went on between the ticks"


def test_1_3_a_thread_keeps_the_main_loop_responsive(threading, queue):
    """The child window works until ten clicks were served. In the main loop's own thread that would never be."""
    clicks, served = queue.Queue(), []

    def child_window():
        while len(served) < 10:
            pass

    child = threading.Thread(target=child_window)
    child.start()
    for i in range(10):
        clicks.put(i)
        assert child.is_alive()
        served.append(clicks.get())
    child.join()
    assert served == list(range(10))


def test_1_4_a_blocking_call_beside_a_loop(aio, threading):
    async def main():
        loop, go, turns = aio.get_running_loop(), threading.Event(), 0
        blocked = loop.run_in_executor(None, go.wait, 10)
        while turns < 100:
            turns += 1
            await aio.sleep(0)
        assert not blocked.done()
        go.set()
        return await blocked

    assert aio.run(main()) is True


def test_1_4_a_loop_in_a_thread(aio, threading):
    made, there = [], threading.Event()

    def body():
        async def main():
            stop = aio.Event()
            made.extend([aio.get_running_loop(), stop])
            there.set()
            await stop.wait()

        aio.run(main())

    async def doubled(number):
        await aio.sleep(0)
        return 2 * number, threading.get_ident()

    thread = threading.Thread(target=body)
    thread.start()
    assert there.wait(10)
    loop, stop = made
    assert type(loop) is plait.EventLoop
    assert aio.run_coroutine_threadsafe(doubled(21), loop).result(10) == (42, thread.ident)
    loop.call_soon_threadsafe(stop.set)
    thread.join()


def test_1_5_the_main_thread(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        print(threading.current_thread().name, threading.current_thread() is threading.main_thread(), threading.active_count())
        """,
    )
    assert end == (0, "MainThread True 1\n", "")


def test_1_6_daemon_threads_end_with_the_process(tmp_path):
    """Whatever they wait in; the longest of the waits has no end."""
    end = programs.same_in_each_way(
        tmp_path,
        """
        import queue
        import threading
        import time
        def waits_for_a_notification():
            condition = threading.Condition()
            with condition:
                condition.wait()
        waits = [
            waits_for_a_notification, threading.Event().wait, threading.Semaphore(0).acquire, threading.Barrier(2).wait,
            queue.Queue().get, lambda: time.sleep(3600), lambda: threading.Event().wait(3600), lambda: queue.Queue().get(timeout=3600),
        ]
        threads = [threading.Thread(target=wait, daemon=True) for wait in waits]
        for thread in threads:
            thread.start()
        def sleeps(thread):
            with open(f"/proc/self/task/{thread.native_id}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] == "S"
        while not all(map(sleeps, threads)):
            time.sleep(0.001)
        print(all(thread.is_alive() for thread in threads))
        """,
    )
    assert end == (0, "True\n", "")


def test_1_6_daemon_threads_that_compute_end_too(tmp_path):
    """The end of the process waits for no daemon thread's computation either."""
    source = """
        import threading
        def computes():
            started.set()
            while True:
                pass
        started = threading.Event()
        threading.Thread(target=computes, daemon=True).start()
        started.wait()
        print("main ends")
    """
    assert programs.same_in_each_way(tmp_path, source) == (0, "main ends\n", "")


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Condition", "Semaphore"])
def test_1_7_results_are_exact_with_locks(locks, kind, switching_often):
    """Each reads, lets others run, and writes: without a lock that loses most of it."""
    lock, value = getattr(locks, kind)(), 0

    def worker():
        nonlocal value
        for _ in range(100):
            with lock:
                read = value
                time.sleep(0)
                value = read + 1

    for strand in [Strand(worker) for _ in range(8)]:
        strand.result()
    assert value == 800


def test_1_8_a_thread_that_dies(tmp_path):
    status, stdout, stderr = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        def dies():
            raise LookupError("lost")
        def lives():
            go.wait()
            print("the other goes on")
        go = threading.Event()
        other = threading.Thread(target=lives)
        other.start()
        thread = threading.Thread(target=dies)
        thread.start()
        thread.join()
        print("the process goes on", flush=True)
        go.set()
        """,
    )
    assert (status, stdout) == (0, "the process goes on\nthe other goes on\n")
    lines = stderr.splitlines()
    assert lines[0] == "Exception in thread Thread-2 (dies):" and lines[-1] == "LookupError: lost"


def test_1_8_the_hook(threading, monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", seen.append)

    def dies():
        raise LookupError("lost")

    thread = threading.Thread(target=dies)
    thread.start()
    thread.join()
    ((kind, value, _, where),) = seen
    assert (kind, str(value), where) == (LookupError, "lost", thread)


def test_1_10_a_pool(threading):
    met = threading.Barrier(2)

    def work(i):
        met.wait(10)  # two at a time
        return i * i, threading.get_ident()

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(work, range(10)))
    assert [square for square, _ in answers] == [i * i for i in range(10)]
    assert len({ident for _, ident in answers}) == 2


def test_1_11_bare_threads_and_locks(way):
    held, done = _thread.allocate_lock(), []
    held.acquire()

    def body(*args, **kwargs):
        done.append((args, kwargs, _thread.get_ident()))
        held.release()

    ident = _thread.start_new_thread(body, (1, 2), {"three": 3})
    assert held.acquire(timeout=10)
    assert done == [((1, 2), {"three": 3}, ident)]


def test_1_11_bare_threads_in_a_program(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import _thread
        import threading
        event = threading.Event()
        def body(word):
            print(word, type(threading.current_thread()).__name__, threading.current_thread().name)
            event.set()
        _thread.start_new_thread(body, ("hello",))
        event.wait()
        print(type(_thread.allocate_lock()), type(threading.Lock()) is _thread.LockType)
        """,
    )
    assert end[0] == 0 and end[1].startswith("hello _DummyThread Dummy-1\n")
    assert end[1].endswith(" True\n") and end[2] == ""
