"""What a queue holds on to, for how long, and what the garbage collector sees of it."""

import gc
import queue
import weakref

import pytest
from thread_stage import side, stage, told

__all__ = ["side", "stage"]

Empty = ("raised", queue.Empty, "")


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


def test_nothing_is_held_on_to(make, name):
    class Item(float):
        pass

    q = make()
    item = Item(1)
    gone = weakref.ref(item)
    q.put(item)
    assert q.get() is item
    del item
    assert gone() is None
    q.put(Item(1))
    gone = weakref.ref(q)
    del q
    gc.collect()
    assert gone() is None


def test_items_die_with_the_queue(make):
    class Item(float):
        pass

    items = [Item(number) for number in range(5)]
    gone = [weakref.ref(item) for item in items]
    q = filled(make, items)
    items.clear()
    q.get()
    gc.collect()
    assert [ref() is None for ref in gone].count(False) == 4
    del q
    gc.collect()
    assert [ref() for ref in gone] == [None] * 5


def test_cycles_through_items_are_collected(make):
    class Item(float):
        pass

    q = make()
    items = [Item(number) for number in range(20)]
    for item in items:
        item.queue = q
        q.put(item)
    gone = [weakref.ref(q), *map(weakref.ref, items)]
    del q, item
    items.clear()
    gc.collect()
    assert {ref() for ref in gone} == {None}


def test_a_queue_dies_with_nobody_waiting(make, stage):
    """A thread that gave up does not keep it alive."""
    q = make()
    gone = weakref.ref(q)
    stage.start(told, q.get, timeout=0.0001).join()
    assert stage.strands[0].value == Empty
    del q
    stage.strands.clear()
    gc.collect()
    assert gone() is None
