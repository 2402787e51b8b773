"""Processes that are killed with a lock, and with less."""

import asyncio
import multiprocessing
import os
import random
import threading
import warnings
from multiprocessing import sharedctypes

import pytest
from process_lock_stage import LIMIT, child, ctx, every_method, forks_with_threads, never_hang, until

import plait
from plait.multiprocessing import synchronize

__all__ = ["child", "ctx", "never_hang"]
pytestmark = forks_with_threads
FORK = multiprocessing.get_context("fork")


def died(pid):
    return pytest.warns(RuntimeWarning, match=f"^process {pid} has died holding this lock, which was taken from it")


@pytest.fixture(params=["Lock", "RLock"])
def held(request, ctx, child):
    """A lock, and the child that holds it."""
    lock = getattr(synchronize, request.param)(ctx=ctx)
    other = child(lock=lock)
    other.do("lock", "acquire")
    return lock, other


def warns_no_more(lock):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lock.release()
        assert lock.acquire(True, LIMIT)
        lock.release()


def test_the_next_one_takes_it_and_is_warned_once(held):
    lock, other = held
    other.kill()
    with died(other.pid) as caught:
        assert lock.acquire(True, LIMIT) is True
    assert len(caught) == 1
    warns_no_more(lock)


def test_also_one_that_only_tries(held):
    lock, other = held
    assert lock.acquire(False) is False
    other.kill()
    with died(other.pid):
        until(lambda: lock.acquire(False))
    warns_no_more(lock)


def test_while_it_waits(held):
    lock, other = held
    waiter = Waiter(lock)
    waiter.wait_until_it_sleeps()
    other.kill()
    with died(other.pid):
        waiter.join()
    warns_no_more(lock)


class Waiter:
    """A thread that takes a lock, and leaves it to the test."""

    def __init__(self, lock):
        self.thread = threading.Thread(target=self.take, args=(lock,), daemon=True)
        self.taken = None
        self.lock = lock
        self.caught = []
        self.thread.start()

    def take(self, lock):
        with warnings.catch_warnings(record=True) as self.caught:
            warnings.simplefilter("always")
            self.taken = lock.acquire(True, LIMIT)
            lock.release()

    def wait_until_it_sleeps(self):
        until(lambda: open(f"/proc/self/task/{self.thread.native_id}/stat").read().rpartition(")")[2].split()[0] == "S")

    def join(self):
        self.thread.join(LIMIT)
        assert self.taken is True
        for each in self.caught:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        self.lock.acquire()


def test_before_its_parent_has_asked_for_its_end(ctx, child):
    """It is in the table of processes still."""
    lock = synchronize.Lock(ctx=FORK)
    other = child(lock=lock)
    other.do("lock", "acquire")
    other.kill(reap=False)
    with died(other.pid):
        assert lock.acquire(True, LIMIT)


def test_one_that_lives_keeps_it(held):
    lock, _ = held
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lock.acquire(True, 0.5) is False


def test_a_task_takes_it(held):
    lock, other = held

    async def take():
        assert await lock.aacquire()
        warns_no_more(lock)

    async def main():
        task = asyncio.ensure_future(take())
        await asyncio.sleep(0)
        other.kill()
        with died(other.pid):
            await asyncio.wait_for(task, LIMIT)

    plait.run(main())


def test_where_the_warning_is_an_error_it_is_not_taken(held):
    lock, other = held
    other.kill()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="has died"):
            lock.acquire(True, LIMIT)
        assert lock.acquire(False) is True


@every_method
def test_each_death_is_told(ctx, child):
    lock = synchronize.Lock(ctx=ctx)
    for _ in range(2):
        other = child(lock=lock)
        other.do("lock", "acquire")
        other.kill()
        with died(other.pid):
            assert lock.acquire(True, LIMIT)
        lock.release()


def test_permits_are_not_recovered(child):
    semaphore = synchronize.Semaphore(1, ctx=FORK)
    other = child(semaphore=semaphore)
    other.do("semaphore", "acquire")
    other.kill()
    assert semaphore.acquire(True, 0.5) is False
    assert semaphore.get_value() == 0
    semaphore.release()
    assert semaphore.acquire(False)


@pytest.mark.parametrize("name", ["Lock", "Semaphore"])
def test_a_waiter_that_is_killed_takes_nothing_with_it(child, name):
    lock = getattr(synchronize, name)(ctx=FORK)
    for _ in range(3):
        lock.acquire()
        victims = [child(lock=lock) for _ in range(2)]
        survivor = child(lock=lock)
        for each in (*victims, survivor):
            each.start("lock", "acquire")
        for each in (*victims, survivor):
            each.wait_until_it_sleeps()
        for each in victims:
            each.kill()
        lock.release()
        assert survivor.value() is True
        survivor.do("lock", "release")
        for each in (*victims, survivor):
            each.end()


def test_who_waits_for_a_notification_and_is_killed_does_not_hang_the_notifier(child):
    condition = synchronize.Condition(ctx=FORK)
    victim, survivor = child(condition=condition), child(condition=condition)
    for each in (victim, survivor):
        each.do("condition", "acquire")
        each.start("condition", "wait")
        each.wait_until_it_sleeps()
    victim.kill()
    with condition:
        condition.notify_all()
    assert survivor.value() is True


def is_at_work(pid):
    """Whether a process is there and not at its end."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def take_turns(lock, inside, total, meetings):
    """Threads and tasks of one process, until it is killed."""
    warnings.simplefilter("ignore")

    def turn():
        # Whoever is named there was killed in its turn, or should not be here.
        if inside.value and is_at_work(inside.value):
            meetings.value += 1
        inside.value = os.getpid()
        total.value += 1
        inside.value = 0

    def in_a_thread():
        while True:
            with lock:
                turn()

    async def in_a_task():
        while True:
            async with lock:
                turn()

    async def tasks():
        await asyncio.gather(in_a_task(), in_a_task())

    threading.Thread(target=in_a_thread, daemon=True).start()
    plait.run(tasks())


def test_processes_are_killed_at_random_and_the_others_go_on():
    lock = synchronize.Lock(ctx=FORK)
    inside, total, meetings = (sharedctypes.RawValue("L", 0) for _ in range(3))

    def start():
        process = FORK.Process(target=take_turns, args=(lock, inside, total, meetings), daemon=True)
        process.start()
        return process

    processes = [start() for _ in range(3)]
    chance = random.Random(1)
    for _ in range(30):
        before = total.value
        until(lambda before=before: total.value > before + chance.randrange(100))
        index = chance.randrange(3)
        processes[index].kill()
        processes[index].join(LIMIT)
        processes[index] = start()
    for process in processes:
        process.kill()
        process.join(LIMIT)
    assert meetings.value == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert lock.acquire(True, LIMIT)
