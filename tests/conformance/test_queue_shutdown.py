"""shutdown: who comes and who waits learns of it. It came with Python 3.13."""

import queue
import sys
import weakref

import pytest
from thread_sides import LIMIT
from thread_stage import side, stage, told

__all__ = ["side", "stage"]

pytestmark = pytest.mark.skipif(sys.version_info < (3, 13), reason="shutdown came with 3.13")

ShutDown = ("raised", getattr(queue, "ShutDown", None), "")


@pytest.fixture(params=["Queue", "LifoQueue", "PriorityQueue"])
def name(request):
    return request.param


@pytest.fixture
def make(side, name):
    return getattr(side.queue, name)


def filled(make, items, maxsize=0):
    q = make(maxsize)
    for item in items:
        q.put(item)
    return q


def test_shut_down(make, name):
    q = filled(make, [2, 1])
    assert q.is_shutdown is False
    assert q.shutdown() is None
    assert q.is_shutdown is True
    assert told(q.put, 3) == told(q.put_nowait, 3) == told(q.put, 3, True, -1) == told(q.put, 3, True, "x") == ShutDown
    assert q.qsize() == 2
    assert [q.get(), q.get_nowait()] == ([1, 2] if name != "Queue" else [2, 1])
    assert (
        told(q.get)
        == told(q.get_nowait)
        == told(q.get, True, 1)
        == told(q.get, True, -1)
        == told(q.get, False)
        == ShutDown
    )
    q.task_done()
    q.task_done()
    q.join()
    q.shutdown()
    assert q.is_shutdown is True


def test_shut_down_at_once(make):
    q = filled(make, [1, 2, 3])
    assert q.shutdown(immediate=True) is None
    assert (q.qsize(), q.unfinished_tasks, q.is_shutdown) == (0, 0, True)
    assert told(q.get) == told(q.put, 1) == ShutDown
    q.join()
    assert told(q.task_done) == ("raised", ValueError, "task_done() called too many times")
    assert told(q.shutdown, True, 1)[:2] == ("raised", TypeError)


def test_shut_down_at_once_counts_what_nobody_got(make):
    q = filled(make, [1, 2, 3])
    q.get()
    q.shutdown(True)
    assert q.unfinished_tasks == 1
    q.task_done()
    q.join()


def test_first_shut_down_and_then_at_once(make):
    q = filled(make, [1])
    q.shutdown()
    q.shutdown(immediate=1)
    assert told(q.get) == ShutDown and q.unfinished_tasks == 0


@pytest.mark.parametrize("immediate", [False, True])
def test_who_waits_learns_of_it(make, stage, immediate):
    empty, full, pending = make(), filled(make, [1], maxsize=1), filled(make, [1])
    pending.get()
    getters = [stage.block(told, empty.get, True, timeout) for timeout in (None, LIMIT * 100)]
    putters = [stage.block(told, full.put, 2, True, timeout) for timeout in (None, LIMIT * 100)]
    joins = [stage.block(told, full.join), stage.block(told, pending.join)]
    for q in (empty, full, pending):
        q.shutdown(immediate)
    assert [strand.result() for strand in getters + putters] == [ShutDown] * 4
    assert [strand in stage.over() for strand in joins] == [immediate, False]
    pending.task_done()
    if not immediate:
        assert full.unfinished_tasks == 1 and full.get() == 1
        full.task_done()
    assert [strand.result() for strand in joins] == [("returned", None)] * 2


def test_getters_get_what_is_left(make, stage):
    q = make()
    crowd = [stage.start(lambda: [told(q.get) for _ in range(3)]) for _ in range(3)]
    for number in range(5):
        q.put(number)
    stage.settle()
    q.shutdown()
    outcomes = sum((strand.result() for strand in crowd), [])
    assert sorted(value for kind, value, *_ in outcomes if kind == "returned") == list(range(5))
    assert outcomes.count(ShutDown) == 4


def test_a_shut_down_at_once_lets_go_of_the_items(make):
    class Item(float):
        pass

    gone = weakref.ref(item := Item(1))
    q = filled(make, [item])
    del item
    q.shutdown(immediate=True)
    assert gone() is None
