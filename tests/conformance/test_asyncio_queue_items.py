"""What can be put into a queue, and what can be its size: odd items, odd keys, sizes that are no ints."""

import asyncio
import gc
import math
import weakref

import pytest
from primitive_stage import QUEUES, assert_same, finish, plain, small_heap, told

__all__ = ["small_heap"]


@pytest.mark.parametrize("item", [None, [], {}, NotImplemented, StopIteration(), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("kind", QUEUES)
def test_any_item_will_do(kind, item):
    def body(stage):
        queue = getattr(stage.asyncio, kind)()
        stage.attempt(queue.put_nowait, item)
        stage.note(queue.get_nowait() is item)
        (getter,) = stage.blocked(queue.get())
        stage.attempt(finish, queue.put(item))
        stage.note(stage.run(getter) is item)

    assert assert_same(body)[1::2] == [(True,)] * 2


@pytest.mark.parametrize("kind", QUEUES)
@pytest.mark.parametrize("looked_into", [False, True])
def test_nothing_is_kept_of_an_item(kind, looked_into):
    """When it was got, when its putter was cancelled, and with the queue."""

    class Item:
        def __lt__(self, other):
            return False

    def body(stage):
        queue = getattr(stage.asyncio, kind)(1)
        if looked_into:
            assert len(queue._queue) == 0
        got, cancelled, left = Item(), Item(), Item()
        gone = [weakref.ref(item) for item in (got, cancelled, left)]
        queue.put_nowait(got)
        (putter,) = stage.blocked(queue.put(cancelled))
        putter.cancel()
        stage.turn(2)
        queue.get_nowait()
        queue.put_nowait(left)
        del got, cancelled, left, putter
        gc.collect()
        stage.note([reference() is None for reference in gone])
        del queue
        gc.collect()
        stage.note([reference() is None for reference in gone])

    assert assert_same(body) == [([True, True, False],), ([True] * 3,)]


class Key:
    """Compares as it is told to."""

    def __init__(self, number, compare=None):
        self.number = number
        self.compare = compare

    def __repr__(self):
        return f"Key({self.number})"

    def __lt__(self, other):
        if self.compare:
            self.compare()
        return self.number < other.number


def test_keys_that_cannot_be_compared():
    def body(stage):
        queue = stage.asyncio.PriorityQueue()
        queue.put_nowait(1)
        stage.attempt(queue.put_nowait, "one")
        stage.note(plain(queue), queue.qsize(), queue._unfinished_tasks)
        stage.attempt(queue.get_nowait)
        stage.note(plain(queue))

    assert assert_same(body)[0] == ("raised", ("TypeError", (), {}))


def test_keys_whose_comparison_raises():
    def body(stage):
        queue = stage.asyncio.PriorityQueue()

        def compare():
            raise LookupError("not today")

        for number in (3, 1, 2):
            queue.put_nowait(Key(number))
        stage.attempt(queue.put_nowait, Key(0, compare))
        stage.note(plain(queue), queue.qsize())
        (joiner,) = stage.blocked(queue.join())
        for _ in range(4):
            stage.attempt(queue.get_nowait)
            stage.note(plain(queue), queue.qsize())
        stage.note_end("joiner", joiner)

    assert ("raised", told(LookupError("not today"))) in assert_same(body)


def test_keys_whose_comparison_looks_at_the_queue():
    def body(stage):
        queue = stage.asyncio.PriorityQueue(4)

        def compare():
            assert queue.qsize() <= 4 and queue.full() in (True, False) and not queue.empty() or queue.qsize() == 0

        for number in (3, 1, 2, 4):
            stage.attempt(queue.put_nowait, Key(number, compare))
        for _ in range(4):
            stage.attempt(queue.get_nowait)

    trace = assert_same(body)
    assert [one[2] for one in trace if one[:2] == ("returned", "Key")] == [f"Key({number})" for number in (1, 2, 3, 4)]


def test_keys_whose_comparison_puts_another():
    """The heap is in the middle of its work, and may refuse; but what is inside comes out, once."""

    def body(stage):
        queue = stage.asyncio.PriorityQueue()
        more = [10, 11]

        def compare():
            if more:
                queue.put_nowait(Key(more.pop()))

        for number in (3, 1, 2):
            try:
                queue.put_nowait(Key(number, compare))
            except RuntimeError as error:
                assert "changed" in str(error)
        got = [queue.get_nowait().number for _ in range(queue.qsize())]
        assert len(got) == len(set(got)) and {3, 10, 11} <= set(got) <= {1, 2, 3, 10, 11}
        stage.note(queue.empty())

    assert_same(body)


def test_priority_queue_compares_with_less_than_alone():
    def body(stage):
        queue = stage.asyncio.PriorityQueue()
        for number in (5, 3, 8, 1, 9, 2):
            queue.put_nowait((number, Key(number)))
        for number in (7.5, True, 2):  # equal first parts are told apart by the second
            queue.put_nowait((number, Key(-1)))
        stage.note([plain(queue.get_nowait()) for _ in range(9)])

    (shown,) = assert_same(body)[0]
    assert shown[:2] == ["(True, Key(-1))", "(1, Key(1))"]


# --- sizes


@pytest.mark.parametrize("maxsize", [-3, True, False, 2.0, 0.5, math.inf, -math.inf, 10**30], ids=repr)
def test_odd_sizes(maxsize):
    def body(stage):
        queue = stage.asyncio.Queue(maxsize)
        stage.note(queue.maxsize, queue._maxsize, queue.full(), plain(queue))
        for item in range(3):
            stage.attempt(queue.put_nowait, item)
        stage.note(queue.full(), queue.qsize(), plain(queue))

    assert_same(body)


@pytest.mark.parametrize("kind", QUEUES)
@pytest.mark.parametrize("maxsize", [None, "1", [], object()], ids=lambda maxsize: type(maxsize).__name__)
def test_sizes_that_cannot_be_compared(kind, maxsize):
    """The standard ones say so when something is put; sooner will do."""

    def body(stage):
        stage.attempt(lambda: getattr(stage.asyncio, kind)(maxsize).put_nowait(1))
        stage.attempt(lambda: finish(getattr(stage.asyncio, kind)(maxsize=maxsize).put(1)))

    assert assert_same(body) == [("raised", ("TypeError", (), {}))] * 2
