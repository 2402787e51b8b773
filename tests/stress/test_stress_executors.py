"""Pools under many threads: nothing is lost, nothing is done twice, nobody is left waiting, whoever cancels, shuts down or looks inside meanwhile."""

import asyncio
import collections
import concurrent.futures as standard
import gc
import os
import random
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import _base

import plait
import pytest
from plait import _native
from plait.concurrent import futures

SUBMITTERS = 8
EACH = 1250
LIMIT = 60


@pytest.fixture(autouse=True)
def switching_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(*bodies):
    failed = []

    def guarded(body):
        try:
            body()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=[body]) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive(), "left waiting"
    assert failed == []


def test_ten_thousand_from_eight_threads():
    ran = collections.deque()
    results = collections.deque()
    with futures.ThreadPoolExecutor(5) as pool:

        def submits(number):
            made = [pool.submit(lambda n: (ran.append(n), n)[1], number * EACH + n) for n in range(EACH)]
            assert {type(future) for future in made} == {_native.ConcurrentFuture}
            results.extend(future.result(LIMIT) for future in made)

        in_threads(*(lambda number=number: submits(number) for number in range(SUBMITTERS)))
        assert len(pool._threads) <= 5
    everything = list(range(SUBMITTERS * EACH))
    assert sorted(ran) == everything and sorted(results) == everything


@pytest.mark.parametrize("seed", range(5))
def test_cancelled_at_every_point(seed):
    """A call that was cancelled was not made; one that was not was made once; and everybody hears of it once."""
    chance = random.Random(seed)
    ran, told = collections.Counter(), collections.Counter()
    lock = threading.Lock()

    def call(n):
        with lock:
            ran[n] += 1

    def heard(n):
        with lock:
            told[n] += 1

    cancelled = set()
    with futures.ThreadPoolExecutor(4) as pool:
        made = []
        submitted = threading.Event()

        def submits():
            for n in range(3000):
                future = pool.submit(call, n)
                future.add_done_callback(lambda _, n=n: heard(n))
                made.append(future)
            submitted.set()

        def cancels():
            while not submitted.is_set() or chance.random() < 0.9:
                if made:
                    n = chance.randrange(len(made))
                    if made[n].cancel():
                        cancelled.add(n)

        def waits():
            submitted.wait(LIMIT)
            for future in futures.as_completed(list(made), LIMIT):
                assert future.done()

        in_threads(submits, cancels, waits)
        done, left = futures.wait(made, LIMIT)
        assert not left and len(done) == len(made)
    for n, future in enumerate(made):
        assert future.cancelled() is (n in cancelled)
        assert ran[n] == (n not in cancelled) and told[n] == 1


@pytest.mark.parametrize("how", [{}, {"wait": False}, {"cancel_futures": True}, {"wait": False, "cancel_futures": True}])
def test_shut_down_while_others_submit(how):
    for _ in range(30):
        pool = futures.ThreadPoolExecutor(3)
        made, ran = [], collections.deque()
        begun = threading.Barrier(4)

        def submits(pool=pool, made=made, ran=ran, begun=begun):
            begun.wait(LIMIT)
            try:
                for _ in range(200):
                    made.append(pool.submit(ran.append, None))
            except RuntimeError as refused:
                assert str(refused) == "cannot schedule new futures after shutdown"

        def shuts_down(pool=pool, begun=begun):
            begun.wait(LIMIT)
            pool.shutdown(**how)

        in_threads(submits, submits, submits, shuts_down)
        pool.shutdown()
        assert all(future.done() for future in made)
        assert len(ran) == sum(not future.cancelled() for future in made)
        assert not any(thread.is_alive() for thread in pool._threads)


def test_dropped_while_it_works():
    for _ in range(50):
        pool = futures.ThreadPoolExecutor(3)
        made = [pool.submit(int, n) for n in range(20)]
        threads = list(pool._threads)
        del pool
        gc.collect()
        assert [future.result(LIMIT) for future in made] == list(range(20))
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive()


def test_opened_while_it_is_finished():
    """The standard functions take futures apart just when workers settle them."""
    with futures.ThreadPoolExecutor(4) as pool:

        def looks():
            for _ in range(100):
                made = [pool.submit(int, n) for n in range(10)]
                done, left = _base.wait(made, LIMIT)
                assert not left and sorted(future.result(0) for future in done) == list(range(10))
                made = [pool.submit(int, n) for n in range(10)]
                assert sorted(future.result(0) for future in _base.as_completed(made, LIMIT)) == list(range(10))

        def asks():
            for n in range(1000):
                future = pool.submit(int, n)
                assert future.result(LIMIT) == n and future._condition

        in_threads(looks, looks, asks, asks)


def test_first_of_many_again_and_again():
    with futures.ThreadPoolExecutor(4) as pool:

        def waits():
            pending = {pool.submit(int, n) for n in range(200)}
            seen = set()
            while pending:
                done, pending = futures.wait(pending, LIMIT, "FIRST_COMPLETED")
                assert done
                seen |= {future.result(0) for future in done}
            assert seen == set(range(200))

        in_threads(*[waits] * 4)


@pytest.mark.parametrize("seed", range(3))
def test_tasks_cancelled_at_every_turn(seed):
    chance = random.Random(seed)
    ran = collections.Counter()

    def call(n):
        ran[n] += 1
        return n

    async def waits(pool, n):
        assert await asyncio.get_running_loop().run_in_executor(pool, call, n) == n
        return n

    async def main():
        loop = asyncio.get_running_loop()
        with futures.ThreadPoolExecutor(3) as pool:
            tasks = [loop.create_task(waits(pool, n)) for n in range(1500)]
            cancelled = 0
            while not all(task.done() for task in tasks):
                cancelled += chance.choice(tasks).cancel()
                await asyncio.sleep(0)
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert cancelled
        for n, result in enumerate(results):
            assert result == n or isinstance(result, asyncio.CancelledError)
            assert ran[n] <= 1 and (ran[n] == 1 or isinstance(result, asyncio.CancelledError))
        return loop

    loop = plait.run(main())
    assert loop.is_closed()


def test_two_loops_and_threads_at_one_pool():
    with futures.ThreadPoolExecutor(4) as pool:

        async def asks():
            loop = asyncio.get_running_loop()
            for n in range(300):
                assert await loop.run_in_executor(pool, int, n) == n
                assert await plait.asyncio.wrap_future(pool.submit(int, n)) == n

        def submits():
            for n in range(1000):
                assert pool.submit(int, n).result(LIMIT) == n

        in_threads(lambda: plait.run(asks()), lambda: plait.run(asks()), submits)


def test_nothing_is_left():
    def count():
        gc.collect()
        return sum(type(item) in (_native.ConcurrentFuture, _native.WorkQueue, _native.FutureWatcher) for item in gc.get_objects())

    before = count()
    for _ in range(20):
        with futures.ThreadPoolExecutor(3) as pool:
            made = [pool.submit(lambda: made) for _ in range(100)]
            futures.wait(made)
            made[0].circle = made
            list(futures.as_completed(made))
            for each in made[::2]:
                assert each._condition
    del made, pool, each
    assert count() == before


def test_exits_with_calls_pending():
    program = textwrap.dedent(
        """
        import os, sys, threading, time
        from plait.concurrent import futures
        pools = [futures.ThreadPoolExecutor(2) for _ in range(5)]
        done = []
        def call(n):
            done.append(n)
            if len(done) == 500:
                os.write(1, b"all")
        def submits(pool):
            for n in range(100):
                pool.submit(call, n)
        threads = [threading.Thread(target=submits, args=[pool]) for pool in pools]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """
    )
    for _ in range(5):
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=LIMIT, env=dict(os.environ))
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"all", b"")


def test_standard_pools_beside_it():
    with standard.ThreadPoolExecutor(2) as stock, futures.ThreadPoolExecutor(2) as pool:
        mixed = [(pool if n % 2 else stock).submit(int, n) for n in range(200)]
        assert sorted(future.result(0) for future in futures.as_completed(mixed, LIMIT)) == list(range(200))
        done, left = futures.wait(mixed)
        assert len(done) == 200 and not left


def test_nothing_is_lost_of_a_future_that_is_opened_meanwhile():
    """One thread looks at what it is made of while others add callbacks to it, or finish it."""
    for turn in range(400):
        called = collections.Counter()
        future, start = futures.Future(), threading.Barrier(3)

        def add(future=future, called=called, start=start):
            start.wait()
            for n in range(50):
                future.add_done_callback(lambda _, n=n: called.update([n]))

        def look(future=future, start=start):
            start.wait()
            assert future._condition is future._condition

        def finish(future=future, start=start, turn=turn):
            start.wait()
            if turn % 2:
                future.set_result(turn)

        in_threads(add, look, finish)
        if not turn % 2:
            future.set_result(turn)
        assert future.result(LIMIT) == turn
        assert called == collections.Counter(range(50))
