"""Barriers of several processes, and values with locks: one body on the standard classes and on plait's."""

import multiprocessing
import threading
from multiprocessing import sharedctypes

import pytest
from process_lock_stage import LIMIT, Raised, child, ctx, every_method, forks_with_threads, never_hang, sync, until

__all__ = ["child", "ctx", "never_hang", "sync"]
pytestmark = forks_with_threads
BROKEN = threading.BrokenBarrierError


@every_method
def test_parties_meet_again_and_again(sync, ctx, child):
    barrier = sync.Barrier(3, ctx=ctx)
    children = [child(barrier=barrier) for _ in range(2)]
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)
    for _ in range(20):
        for each in children:
            each.start("barrier", "wait", LIMIT)
        numbers = [barrier.wait(LIMIT), *(each.value() for each in children)]
        assert sorted(numbers) == [0, 1, 2]
    assert barrier.n_waiting == 0


@every_method
def test_the_last_one_acts_before_all_go_on(sync, ctx, child):
    value = sharedctypes.RawValue("i", 0)
    barrier = sync.Barrier(2, Increment(value), ctx=ctx)
    other = child(barrier=barrier)
    for count in range(1, 6):
        other.start("barrier", "wait")
        assert barrier.wait() in (0, 1)
        assert value.value == count
        assert other.value() in (0, 1)


class Increment:
    def __init__(self, value):
        self.value = value

    def __call__(self):
        self.value.value += 1


def fail():
    raise ZeroDivisionError("in the action")


def test_an_action_that_fails_breaks_it(sync, ctx, child):
    barrier = sync.Barrier(2, fail, ctx=ctx)
    other = child(barrier=barrier)
    other.start("barrier", "wait")
    until(lambda: barrier.n_waiting == 1)
    with pytest.raises(ZeroDivisionError, match="in the action"):
        barrier.wait()
    with pytest.raises(Raised, match="BrokenBarrierError"):
        other.value()
    assert barrier.broken
    with pytest.raises(BROKEN):
        barrier.wait()


def test_abort_and_reset(sync, ctx, child):
    barrier = sync.Barrier(3, ctx=ctx)
    children = [child(barrier=barrier) for _ in range(2)]
    for end, broken in (("reset", False), ("abort", True), ("reset", False)):
        if not barrier.broken:
            for count, each in enumerate(children, 1):
                each.start("barrier", "wait")
                until(lambda count=count: barrier.n_waiting == count)
            getattr(barrier, end)()
            for each in children:
                with pytest.raises(Raised, match="BrokenBarrierError"):
                    each.value()
        else:
            getattr(barrier, end)()
        until(lambda: barrier.n_waiting == 0)
        assert barrier.broken is broken


def test_a_time_out_breaks_it_for_all(sync, ctx, child):
    barrier = sync.Barrier(3, timeout=0.05, ctx=ctx)
    other = child(barrier=barrier)
    other.start("barrier", "wait", LIMIT)
    until(lambda: barrier.n_waiting == 1)
    with pytest.raises(BROKEN):
        barrier.wait()
    with pytest.raises(Raised, match="BrokenBarrierError"):
        other.value()
    assert barrier.broken


def test_how_a_barrier_is_shown(sync, ctx):
    barrier = sync.Barrier(2, ctx=ctx)
    where = f"<{sync.__name__}.Barrier at {id(barrier):#x}:"
    assert repr(barrier) == f"{where} waiters=0/2>"
    barrier.abort()
    assert repr(barrier) == f"{where} broken>"


# ---- values


@every_method
@pytest.mark.parametrize("make", ["Value", "Array"])
def test_values_with_a_lock(sync, ctx, make):
    lock = sync.RLock(ctx=ctx)
    if make == "Value":
        shared = ctx.Value("i", 0, lock=lock)
    else:
        shared = ctx.Array("i", 4, lock=lock)
    assert shared.get_lock() is lock
    processes = [ctx.Process(target=add, args=(shared, make, 200), daemon=True) for _ in range(2)]
    for process in processes:
        process.start()
    add(shared, make, 200)
    for process in processes:
        process.join(LIMIT)
        assert process.exitcode == 0
    assert (shared.value if make == "Value" else shared[0]) == 600


def add(shared, make, rounds):
    for _ in range(rounds):
        with shared.get_lock():
            if make == "Value":
                shared.value += 1
            else:
                shared[0] += 1


def test_a_standard_queue_over_these_locks(sync, monkeypatch, ctx):
    """It looks below them."""
    for name in ("Lock", "BoundedSemaphore", "Semaphore"):
        monkeypatch.setattr(multiprocessing.synchronize, name, getattr(sync, name))
    queue = ctx.JoinableQueue(2)
    process = ctx.Process(target=echo, args=(queue,))
    for number in range(2):
        queue.put(number)
    assert queue.full() and queue.qsize() == 2
    process.start()
    queue.join()
    process.join(LIMIT)
    assert process.exitcode == 0 and queue.qsize() == 0
    queue.close()
    queue.join_thread()


def echo(queue):
    for number in range(2):
        assert queue.get(True, LIMIT) == number
        queue.task_done()
