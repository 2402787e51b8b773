"""What is no deadlock, or none that lasts: nothing is said, or once, and nothing is left behind."""

import asyncio
import os
import random
import threading
from typing import Any

import plait
import pytest
from plait import _deadlock
from told import Said, until

FACTORIES = [plait.new_event_loop, asyncio.SelectorEventLoop]


def parked(lock: Any, count: int = 1) -> None:
    until(lambda: lock._waiting == count, f"never {count} waiting")


def start(target: Any, *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments)
    thread.start()
    return thread


@pytest.mark.parametrize("make", [plait.Lock, _deadlock.Lock])
def test_a_third_party_ends_it(make: Any, said: Said) -> None:
    lock = make()

    def twice() -> None:
        lock.acquire()
        lock.acquire()
        lock.release()

    thread = start(twice)
    parked(lock)
    assert said.count() == 1 and "held by itself" in said.err
    until(lambda: said.records)
    assert said.records[0].levelname == "ERROR" and said.err.strip() == said.records[0].getMessage()
    lock.release()
    thread.join()
    assert not _deadlock._holders


def test_a_cancelled_task_ends_it(said: Said) -> None:
    async def main() -> None:
        lock = plait.asyncio.Lock()
        await lock.acquire()
        alone = asyncio.ensure_future(lock.acquire())
        me = asyncio.current_task()
        assert me is not None
        asyncio.get_running_loop().call_later(0.001, me.cancel)
        with pytest.raises(asyncio.CancelledError):
            await lock.acquire()
        me.uncancel()
        lock.release()
        await alone

    plait.run(main())
    assert said.count() == 1


def test_the_same_circle_anew_is_a_new_one(said: Said) -> None:
    lock = plait.Lock()
    for round in (1, 2):

        def twice() -> None:
            lock.acquire()
            lock.acquire()
            lock.release()

        thread = start(twice)
        parked(lock)
        assert said.count() == round
        lock.release()
        thread.join()


def test_threads_with_a_time_out(said: Said) -> None:
    left, right, both = plait.Lock(), _deadlock.Lock(), threading.Barrier(2)

    def patient() -> None:
        with left:
            both.wait()
            with right:
                pass

    def other() -> None:
        with right:
            both.wait()
            parked(right)
            assert not left.acquire(timeout=0.001)

    for thread in [start(patient), start(other)]:
        thread.join()
    assert said.count() == 0


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("limited", ["timeout", "wait_for"])
@pytest.mark.parametrize("module", [asyncio, plait.asyncio], ids=["asyncio's", "plait's"])
def test_tasks_with_a_time_out(factory: Any, limited: str, module: Any, said: Said) -> None:
    async def main() -> None:
        left, right = plait.asyncio.Lock(), plait.asyncio.Lock()

        async def patient() -> None:
            async with left:
                await asyncio.sleep(0)
                async with right:
                    pass

        async def other() -> None:
            async with right:
                await asyncio.sleep(0)
                if limited == "timeout":
                    async with module.timeout(0.01):
                        await left.acquire()
                else:
                    await module.wait_for(left.acquire(), 0.01)

        results = await asyncio.gather(patient(), other(), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), TimeoutError]

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    assert said.count() == 0


def test_a_queue_for_one_lock(said: Said) -> None:
    """Threads, tasks of two loops, and the one that holds it."""
    lock = plait.Lock()

    async def tasks() -> None:
        async def one() -> None:
            async with lock:
                await asyncio.sleep(0)

        await asyncio.gather(*(one() for _ in range(50)))

    def thread() -> None:
        for _ in range(50):
            with lock:
                pass

    threads = [start(thread) for _ in range(4)] + [start(lambda: plait.run(tasks())) for _ in range(2)]
    for each in threads:
        each.join()
    assert said.count() == 0 and not _deadlock._holders


def test_a_hierarchy_of_locks(said: Said) -> None:
    """Many strands take several locks each, always in the same order."""
    locks = [(plait.Lock, plait.RLock)[number % 2]() for number in range(8)]
    failures: list[BaseException] = []

    async def task(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(20):
            chosen = sorted(chance.sample(range(len(locks)), 3))
            for number in chosen:
                await locks[number].aacquire()
                await asyncio.sleep(0)
            for number in reversed(chosen):
                locks[number].release()

    async def tasks(seed: int) -> None:
        await asyncio.gather(*(task(seed + number) for number in range(10)))

    def thread(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            chosen = sorted(chance.sample(range(len(locks)), 3))
            for number in chosen:
                locks[number].acquire()
            for number in reversed(chosen):
                locks[number].release()

    def guarded(function: Any, *arguments: Any) -> None:
        try:
            function(*arguments)
        except BaseException as error:
            failures.append(error)

    threads = [start(guarded, thread, seed) for seed in range(6)]
    threads += [start(guarded, lambda seed: plait.run(tasks(seed)), 100 * seed) for seed in range(1, 4)]
    for each in threads:
        each.join()
    assert not failures
    assert said.count() == 0 and not _deadlock._holders


def test_a_task_that_is_handed_a_lock_and_cancelled(said: Said) -> None:
    async def main() -> None:
        lock = plait.Lock()
        await lock.aacquire()
        first, second = (asyncio.ensure_future(lock.aacquire()) for _ in range(2))
        await asyncio.sleep(0)
        lock.release()
        first.cancel()
        await second
        assert lock.locked()
        lock.release()

    plait.run(main())
    assert said.count() == 0 and not _deadlock._holders


def test_a_lock_dies_while_it_is_held(said: Said) -> None:
    lock = plait.Lock()
    lock.acquire()
    assert len(_deadlock._holders) == 1
    del lock
    assert not _deadlock._holders


def test_a_condition_waits_without_its_lock(said: Said) -> None:
    condition = plait.threading.Condition()
    assert type(condition._lock).__module__ == "plait.threading"

    def waiter() -> None:
        with condition:
            condition.wait()

    thread = start(waiter)
    parked(condition)
    with condition:
        condition.notify()
        parked(condition._lock)
    thread.join()
    assert said.count() == 0


def test_a_forked_child_goes_on(said: Said) -> None:
    lock = plait.Lock()
    holding, leave = threading.Event(), threading.Event()

    def holder() -> None:
        with lock:
            holding.set()
            leave.wait()

    threads = [start(holder)]
    holding.wait()
    threads.append(start(lambda: lock.acquire() and lock.release()))
    parked(lock)
    pid = os.fork()
    if pid == 0:
        failed = 1
        try:
            other = plait.Lock()
            with other:
                failed = 2 * (len(_deadlock._waits) + len(_deadlock._blocking)) + 4 * (not lock.locked())
        finally:
            os._exit(failed)
    leave.set()
    for thread in threads:
        thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert said.count() == 0
