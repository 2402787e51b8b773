"""Section 7 of the feature list: executors and futures.

Programs that run as they are (``same_in_each_way``) import the standard names; the others take their pools from ``pools``, the standard module after an
install, or ``plait.concurrent.futures``.
"""

import concurrent.futures
import re
import sys

import plait
import programs
import pytest
from plait import _executors, _futures, _native
from thread_sides import until


def test_7_the_implementation_that_runs(aio, threading, pools):
    installed = threading is sys.modules["threading"]
    with pools.ThreadPoolExecutor(1) as pool:
        future = pool.submit(int)
        assert (type(pool), type(pool._work_queue), type(future)) == (_executors.ThreadPoolExecutor, _native.WorkQueue, _native.ConcurrentFuture)
        assert isinstance(future, concurrent.futures.Future)
        assert (type(future._condition) is _native.ThreadingCondition) is installed
    assert pools.wait is _futures.wait and pools.as_completed is _futures.as_completed

    async def main():
        loop = aio.get_running_loop()
        await loop.run_in_executor(None, int)
        assert type(loop._default_executor) is _executors.ThreadPoolExecutor
        return loop.create_future(), aio.create_task(aio.sleep(0)), loop.run_in_executor(None, int)

    assert [type(each) for each in aio.run(main())] == [plait.Future, plait.Task, plait.Future]


def test_7_1_two_at_a_time_and_the_third_waits(threading, pools):
    begun, go = [], threading.Event()

    def work(i):
        begun.append((i, threading.current_thread().name, threading.get_ident()))
        assert go.wait(10)
        return i

    with pools.ThreadPoolExecutor(max_workers=2) as pool:
        futures = [pool.submit(work, i) for i in range(6)]
        until(lambda: len(begun) == 2)
        assert [future.running() for future in futures] == [True, True, False, False, False, False]
        assert not any(future.done() for future in futures)
        go.set()
        assert [future.result(10) for future in futures] == list(range(6))
    assert [i for i, _, _ in begun][:2] == [0, 1] and len({ident for _, _, ident in begun}) <= 2, "workers are used again"
    assert {re.sub(r"-\d+_", "-N_", name) for _, name, _ in begun} == {"ThreadPoolExecutor-N_0", "ThreadPoolExecutor-N_1"}


def test_7_1_names_in_a_program(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        def work(_):
            met.wait()
            return threading.current_thread().name
        met = threading.Barrier(2)
        with ThreadPoolExecutor(max_workers=2) as pool:
            print(sorted(set(pool.map(work, range(10)))))
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="mine") as pool:
            print(sorted(set(pool.map(work, range(2)))))
        """,
    )
    assert end == (0, "['ThreadPoolExecutor-0_0', 'ThreadPoolExecutor-0_1']\n['mine_0', 'mine_1']\n", "")


def test_7_2_submit_and_map(threading, pools):
    steps = [threading.Event() for _ in range(4)]

    def work(i, doubled=None):
        """The later ones end first."""
        if i < 3:
            assert steps[i + 1].wait(10)
        steps[i].set()
        return i if doubled is None else (i, doubled)

    with pools.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4), [0, 2, 4, 6])) == [(0, 0), (1, 2), (2, 4), (3, 6)]
        for step in steps:
            step.clear()
        futures = [pool.submit(work, i, doubled=True) for i in range(4)]
        order = [future.result()[0] for future in pools.as_completed(futures)]
        assert sorted(order) == [0, 1, 2, 3]
        assert [future.result() for future in futures] == [(i, True) for i in range(4)]


def test_7_2_leaving_the_with_block_waits(threading, pools):
    go, done = threading.Event(), []

    def work():
        assert go.wait(10)
        done.append(threading.get_ident())

    with pools.ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            pool.submit(work)
        opens = threading.Timer(0.01, go.set)
        opens.start()
    assert len(done) == 5
    with pytest.raises(RuntimeError, match="^cannot schedule new futures after shutdown$"):
        pool.submit(work)
    opens.join()


def test_7_3_callbacks_of_a_concurrent_future(threading, pools):
    called, go = [], threading.Event()

    def callback(future):
        called.append((future.result(), threading.get_ident()))

    def fails(future):
        raise LookupError("a callback's exception is logged, and the others are called")

    with pools.ThreadPoolExecutor(1) as pool:
        future = pool.submit(lambda: go.wait(10) and threading.get_ident())
        future.add_done_callback(fails)
        future.add_done_callback(callback)
        go.set()
        worker = future.result(10)
    assert called == [(worker, worker)], "called by the worker"
    future.add_done_callback(callback)
    assert called[1:] == [(worker, threading.get_ident())], "or at once, when it is done already"


def test_7_3_callbacks_of_a_task_and_of_an_asyncio_future(aio):
    called = []

    async def work():
        await aio.sleep(0)
        return "task"

    async def main():
        loop = aio.get_running_loop()
        task, future = aio.create_task(work()), loop.create_future()
        for each in (task, future):
            each.add_done_callback(lambda done: called.append(("first", done.result())))
            each.add_done_callback(lambda done: called.append(("second", done.result())))
            each.add_done_callback(called.append)
            assert each.remove_done_callback(called.append) == 1
        future.set_result("future")
        assert called == [], "callbacks are called by the loop, later"
        await task
        await aio.sleep(0)

    aio.run(main())
    assert [each for each in called if each[1] == "future"] == [("first", "future"), ("second", "future")]
    assert [each for each in called if each[1] == "task"] == [("first", "task"), ("second", "task")]


def test_7_3_callbacks_across(aio, threading):
    """A pool's future awaited in a loop calls back in the loop's thread; a task asked for from a thread, in that of the task."""
    where = {}

    async def work():
        return threading.get_ident()

    async def main():
        loop = aio.get_running_loop()
        called = aio.Event()
        future = loop.run_in_executor(None, threading.get_ident)
        future.add_done_callback(lambda done: (where.__setitem__("in the loop", threading.get_ident()), called.set()))
        worker = await future
        await called.wait()
        assert worker != threading.get_ident()

        def asks():
            concurrent_future = aio.run_coroutine_threadsafe(work(), loop)
            concurrent_future.add_done_callback(lambda done: where.__setitem__("of the task", threading.get_ident()))
            return concurrent_future.result(10)

        assert await aio.to_thread(asks) == threading.get_ident()

    aio.run(main())
    assert where == dict.fromkeys(["in the loop", "of the task"], threading.get_ident())


def test_7_4_exceptions_are_kept_not_printed(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        def fails(word):
            raise LookupError(word)
        with ThreadPoolExecutor(2) as pool:
            silent = [pool.submit(fails, word) for word in ("never looked at", "looked at")]
            results = pool.map(fails, ["mapped"])
        print(repr(silent[1].exception()))
        for ask in (silent[1].result, lambda: next(results)):
            try:
                ask()
            except LookupError as error:
                print(error, error.__traceback__ is not None)
        print(threading.active_count())
        """,
    )
    assert end == (0, "LookupError('looked at')\nlooked at True\nmapped True\n1\n", "")


def test_7_4_exception_of_a_future(aio, threading, pools):
    go = threading.Event()

    def fails():
        assert go.wait(10)
        raise LookupError("lost")

    with pools.ThreadPoolExecutor(1) as pool:
        future, waits = pool.submit(fails), pool.submit(int)
        with pytest.raises(TimeoutError):
            future.exception(timeout=0.01)
        assert waits.cancel() is True
        go.set()
        assert (type(future.exception(10)), str(future.exception())) == (LookupError, "lost")
        with pytest.raises(pools.CancelledError):
            waits.exception()

    async def main():
        awaited = aio.get_running_loop().run_in_executor(None, fails)
        with pytest.raises(LookupError, match="^lost$"):
            await awaited
        assert isinstance(awaited.exception(), LookupError)
        done, _ = await aio.wait([aio.wrap_future(future)])
        assert done.pop().exception() is future.exception()

    aio.run(main())


def test_7_4_a_future_waited_for_by_many(threading, pools):
    go = threading.Event()
    with pools.ThreadPoolExecutor(5) as pool:
        future = pool.submit(go.wait, 10)
        asking = [pool.submit(future.result, 10) for _ in range(4)]
        until(lambda: all(each.running() for each in asking))
        go.set()
        assert [each.result(10) for each in asking] == [True] * 4
        done, left = pools.wait([future, *asking], timeout=10)
    assert len(done) == 5 and left == set()
