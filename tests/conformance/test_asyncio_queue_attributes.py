"""How a queue looks, and what programs read and change of its private attributes, also while tasks are blocked."""

import asyncio
import warnings
from types import GenericAlias

import pytest
from primitive_stage import QUEUES, assert_same, facts, plain, waiters
from queue_player import ATTRIBUTES, HAS_SHUTDOWN, QueuePlayer


@pytest.mark.parametrize("kind", QUEUES)
def test_reprs(kind):
    def body(stage):
        queue = getattr(stage.asyncio, kind)(2)
        stage.note(plain(queue), str(queue), hex(id(queue)) in repr(queue))
        getters = stage.blocked(queue.get(), queue.get())
        stage.note(plain(queue))
        getters[0].cancel()
        stage.note(plain(queue))
        queue.put_nowait("b")
        stage.note(plain(queue), str(queue))
        stage.turn()
        for item in "ba":
            queue.put_nowait(item)
        stage.blocked(queue.put("c"), queue.put("d"))
        stage.note(plain(queue), str(queue))
        if HAS_SHUTDOWN:
            queue.shutdown()
            stage.note(plain(queue))

    trace = assert_same(body)
    assert trace[0] == (f"<{kind} at 0x maxsize=2>", f"<{kind} maxsize=2>", True)
    assert any("_putters[2] tasks=3" in one[0] for one in trace)


@pytest.mark.parametrize("kind", QUEUES)
@pytest.mark.parametrize("first", ATTRIBUTES)
def test_private_attributes_read_while_tasks_are_blocked(kind, first):
    """Whichever is read first, all tell the truth, and those who wait go on rightly."""

    def body(stage):
        for blocked in ("get", "put", "join"):
            queue = getattr(stage.asyncio, kind)(2)
            if blocked != "get":
                queue.put_nowait(2)
                queue.put_nowait(1)
            tasks = stage.blocked(*(getattr(queue, blocked)(*[0][: blocked == "put"]) for _ in range(3)))
            tasks[1].cancel()
            player = QueuePlayer(stage, queue, True)
            player.peek(first)
            stage.turn()
            stage.note(player.seen_inside(), plain(queue))
            if blocked == "get":
                queue.put_nowait("a")
            else:
                queue.get_nowait()
                queue.task_done()
            stage.note(player.seen_inside(), plain(queue))
            stage.turn()
            stage.note([task.done() for task in tasks], player.seen_inside(), plain(queue))
            if blocked == "join":
                queue.task_done()
            elif blocked == "get":
                queue.put_nowait("b")
            else:
                queue.get_nowait()
            stage.turn()
            stage.note([task.done() for task in tasks], plain(queue))
            stage.note_ends(tasks)

    trace = assert_same(body)
    assert sum(one[0] == [True] * 3 for one in trace) >= 3


def test_what_the_private_attributes_are():
    def body(stage):
        for kind in QUEUES:
            queue = getattr(stage.asyncio, kind)(3)
            stage.note(type(queue._queue).__name__, type(queue._getters).__name__, type(queue._putters).__name__)
            stage.note(queue._unfinished_tasks, queue._maxsize, queue._loop, queue._finished.is_set())
            queue.put_nowait(1)
            stage.note(queue._finished.is_set(), isinstance(queue._finished, asyncio.Event))
            queue.get_nowait()
            queue.task_done()
            stage.note(queue._finished.is_set())

    assert assert_same(body)[0] == ("deque", "deque", "deque")


def test_items_put_and_taken_through_the_private_queue():
    """Programs clear a queue, look through it or put something in front, this way."""

    def body(stage):
        queue = stage.asyncio.Queue()
        for item in range(4):
            queue.put_nowait(item)
        queue._queue.appendleft("first")
        stage.note(queue.qsize(), plain(queue), queue.get_nowait(), 2 in queue._queue)
        queue._queue.clear()
        stage.note(queue.qsize(), queue.empty(), plain(queue))
        stage.attempt(queue.get_nowait)

        heap = stage.asyncio.PriorityQueue()
        for item in (3, 1, 2):
            heap.put_nowait(item)
        stage.note(heap._queue[0], sorted(heap._queue), heap._queue is heap._queue)
        heap._queue.remove(1)
        stage.note(heap.qsize(), plain(heap))

    assert assert_same(body)[0][2] == "first"


def test_the_event_of_join_is_waited_for():
    def body(stage):
        queue = stage.asyncio.Queue()
        queue.put_nowait(1)
        tasks = stage.blocked(queue._finished.wait(), queue.join())
        stage.note(plain(queue._finished))
        queue.task_done()
        stage.turn()
        stage.note([task.done() for task in tasks], plain(queue._finished))

    assert assert_same(body)[-1][0] == [True, True]


def test_a_size_that_is_changed():
    def body(stage):
        queue = stage.asyncio.Queue(1)
        queue.put_nowait(1)
        (putter,) = stage.blocked(queue.put(2))
        queue._maxsize = 3
        stage.note(queue.maxsize, queue.full())
        stage.attempt(queue.put_nowait, 3)
        stage.turn(2)
        stage.note(putter.done(), facts(queue))
        stage.attempt(queue.get_nowait)
        stage.turn()
        stage.note(putter.done(), facts(queue))
        queue._maxsize = 1
        stage.note(facts(queue))
        stage.attempt(queue.put_nowait, 4)
        queue._maxsize = 0
        stage.attempt(queue.put_nowait, 4)
        stage.attempt(setattr, queue, "maxsize", 5)
        stage.note(queue.maxsize, plain(queue))

    trace = assert_same(body)
    assert trace[0][:2] == (3, False) and ("raised", ("AttributeError", (), {})) in trace


def test_a_count_of_tasks_that_is_changed():
    def body(stage):
        queue = stage.asyncio.Queue()
        queue.put_nowait(1)
        (joiner,) = stage.blocked(queue.join())
        queue._unfinished_tasks += 1
        stage.note(queue._unfinished_tasks, plain(queue))
        for _ in range(3):
            stage.attempt(queue.task_done)
            stage.turn()
            stage.note(joiner.done(), queue._unfinished_tasks)

    assert [one[0] for one in assert_same(body)[2::2]] == [False, True, True]


def test_it_is_generic():
    def body(stage):
        for kind in QUEUES:
            cls = getattr(stage.asyncio, kind)
            alias = cls[int]
            stage.note(type(alias) is GenericAlias, alias.__origin__ is cls, alias.__args__, type(alias(3)) is cls)

    assert assert_same(body) == [(True, True, (int,), True)] * 3


def test_a_queue_has_no_length():
    def body(stage):
        queue = stage.asyncio.Queue()
        for call in (len, iter, lambda queue: queue[0]):
            stage.attempt(call, queue)
        stage.note(bool(queue))

    assert assert_same(body) == [("raised", ("TypeError", (), {}))] * 3 + [(True,)]


def test_what_is_put_is_not_awaited():
    """put_nowait of a coroutine is an item like another; put that is not awaited warns and puts nothing."""

    def body(stage):
        queue = stage.asyncio.Queue()
        with stage.warned():
            queue.put(1)
        stage.note(queue.qsize())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ((what, category, words), size) = assert_same(body)
    assert (what, category, size) == ("warned", "RuntimeWarning", (0,)) and words.endswith("put' was never awaited")


def test_private_lists_of_waiters():
    def body(stage):
        queue = stage.asyncio.Queue(1)
        getters = stage.blocked(queue.get(), queue.get(), queue.get())
        stage.note(waiters(queue._getters), len(queue._getters), bool(queue._putters))
        getters[0].cancel()
        stage.note(waiters(queue._getters))
        queue.put_nowait(1)
        stage.note(waiters(queue._getters))  # the cancelled one is passed over, the woken one is out
        stage.turn()
        stage.note(waiters(queue._getters))
        stage.note_ends(getters)

    trace = assert_same(body)
    assert [one[0] for one in trace[1:4]] == [["cancelled", "waits", "waits"], ["waits"], ["waits"]]
