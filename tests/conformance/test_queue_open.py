"""What lies inside a queue (`mutex`, its conditions, `queue`), read and changed, also while threads wait at it.

plait keeps items elsewhere until somebody looks for the first time. So each of these tests is one about that moment:
who waits must not notice it, and from then on the standard algorithm is what runs, on objects that are really there.
"""

import collections
import heapq
import queue
import sys
import threading

import pytest
from thread_sides import LIMIT
from thread_stage import side, stage, told

__all__ = ["side", "stage"]

CONDITIONS = ("not_empty", "not_full", "all_tasks_done")
INSIDES = ("mutex", *CONDITIONS, "queue")
Full, Empty = ("raised", queue.Full, ""), ("raised", queue.Empty, "")
shutdown_came_with_3_13 = pytest.mark.skipif(sys.version_info < (3, 13), reason="shutdown came with 3.13")


@pytest.fixture(params=["Queue", "LifoQueue", "PriorityQueue"])
def name(request):
    return request.param


@pytest.fixture
def make(side, name):
    return getattr(side.queue, name)


@pytest.fixture(params=INSIDES)
def inside(request):
    return request.param


def filled(make, items, maxsize=0):
    q = make(maxsize)
    for item in items:
        q.put(item)
    return q


def drain(q):
    return [q.get_nowait() for _ in range(q.qsize())]


def model_of(name, items):
    """What such a queue keeps its items in."""
    if name == "PriorityQueue":
        heap = []
        for item in items:
            heapq.heappush(heap, item)
        return heap
    return collections.deque(items) if name == "Queue" else list(items)


# --- what is there


def test_what_lies_inside(make, side, name):
    q = make(5)
    assert type(q.mutex) is type(threading.Lock())
    for condition in CONDITIONS:
        assert isinstance(getattr(q, condition), threading.Condition)
        assert type(getattr(q, condition)) is side.threading.Condition
        assert getattr(q, condition)._lock is q.mutex
    assert type(q.queue) is (collections.deque if name == "Queue" else list)
    for one in INSIDES:
        assert getattr(q, one) is getattr(q, one)
    assert {"mutex", "queue", "maxsize", "unfinished_tasks", *CONDITIONS} <= {*vars(q), *dir(q)}


def test_nothing_gets_lost_by_looking(make, name, inside):
    items = [5, 2, 9, 1, 7]
    q = filled(make, items, maxsize=6)
    q.task_done()
    assert getattr(q, inside) is not None
    assert (q.qsize(), q.unfinished_tasks, q.maxsize, q.full()) == (5, 4, 6, False)
    assert q.queue == model_of(name, items)
    q.put(3)
    assert q.full() and told(q.put_nowait, 0) == Full
    assert q.queue == model_of(name, [*items, 3])
    expected = drain(filled(getattr(queue, name), [*items, 3]))
    assert drain(q) == expected
    assert q.queue == model_of(name, []) and told(q.get_nowait) == Empty


def test_the_items_are_seen_and_changed(make, name):
    q = filled(make, [1, 2, 3])
    with q.mutex:
        q.queue.remove(2)
    assert q.qsize() == 2 and drain(q) == ([3, 1] if name == "LifoQueue" else [1, 3])
    with q.mutex:
        q.queue.append(4)
    assert not q.empty() and q.get() == 4


def test_another_container(make):
    """One may put another in its place; the queue goes on with what is there."""
    q = filled(make, [1, 2])
    q.queue = type(q.queue)([7])
    assert q.qsize() == 1 and q.get() == 7 and q.empty()
    untouched = make()
    untouched.queue = type(make().queue)([8])
    assert untouched.get_nowait() == 8 and untouched.unfinished_tasks == 0


def test_clearing_it(make, stage):
    """The idiom by which programs empty a queue."""
    q = filled(make, [1, 2, 3])
    joined = stage.block(q.join)
    with q.mutex:
        q.queue.clear()
        q.unfinished_tasks = 0
        q.all_tasks_done.notify_all()
    joined.result()
    assert q.empty() and told(q.get_nowait) == Empty


def test_clearing_it_makes_room(make, stage):
    q = filled(make, [1, 2], maxsize=2)
    crowd = [stage.block(q.put, number) for number in (3, 4)]
    with q.mutex:
        q.queue.clear()
        q.not_full.notify_all()
    for strand in crowd:
        strand.result()
    assert sorted(drain(q)) == [3, 4] and q.unfinished_tasks == 4


def test_the_mutex_excludes(make, stage):
    q = filled(make, [1])
    with q.mutex:
        strands = [stage.block(q.put, 2), stage.block(q.get), stage.block(q.qsize), stage.block(q.task_done)]
        strands += [stage.block(q.empty), stage.block(q.full), stage.block(told, q.get, True, 0.0001)]
        assert len(q.queue) == 1
    for strand in strands:
        strand.result()


def test_the_conditions_are_those_of_the_algorithm(make, stage):
    """Who waits in get waits at not_empty, and may be woken there."""
    q = make(1)
    getter = stage.block(q.get)
    with q.not_empty:
        q.queue.append("item")
        q.not_empty.notify()
    assert getter.result() == "item"
    q.put("old")
    putter = stage.block(q.put, "new")
    with q.not_full:
        q.queue.clear()
        q.not_full.notify()
    putter.result()
    joined = stage.block(q.join)
    with q.all_tasks_done:
        q.unfinished_tasks = 0
        q.all_tasks_done.notify_all()
    joined.result()
    assert drain(q) == ["new"]


def test_programs_wait_at_the_conditions(make, stage):
    """join with a time-out; waiting until there is something, without taking it."""
    q = make(2)

    def peek():
        with q.not_empty:
            while not q._qsize():
                q.not_empty.wait()
            return q.queue[0]

    def join(timeout):
        with q.all_tasks_done:
            return q.all_tasks_done.wait_for(lambda: not q.unfinished_tasks, timeout)

    peeking = stage.block(peek)
    q.put("item")
    assert peeking.result() == "item"
    assert join(0.0001) is False
    joining = stage.block(join, LIMIT * 100)
    assert q.get() == "item"
    q.task_done()
    assert joining.result() is True


def test_nobody_waits_at_the_conditions_afterwards(make, stage):
    q = make(1)
    for _ in range(2):
        assert told(q.get, timeout=0.0001) == Empty
        q.put(1)
        assert told(q.put, 1, timeout=0.0001) == Full
        q.get()
    assert [repr(getattr(q, one)).endswith(", 0)>") for one in CONDITIONS] == [True] * 3
    crowd = stage.crowd(2, q.get)
    assert repr(q.not_empty).endswith(", 2)>")
    for number in range(2):
        q.put(number)
    assert sorted(strand.result() for strand in crowd) == [0, 1]


# --- opened while threads wait


def test_while_some_wait_to_get(make, stage, inside):
    q = make()
    crowd = [stage.block(q.get, True, timeout) for timeout in (None, LIMIT * 100, None)]
    getattr(q, inside)
    assert stage.over() == []
    late = stage.block(q.get)
    for number in range(4):
        q.put(number)
        assert len(stage.over()) == number + 1
    assert sorted(strand.result() for strand in [*crowd, late]) == [0, 1, 2, 3]
    assert q.unfinished_tasks == 4 and told(q.get_nowait) == Empty


def test_while_some_wait_to_put(make, stage, inside):
    q = filled(make, [10], maxsize=1)
    crowd = [stage.block(q.put, number, True, timeout) for number, timeout in enumerate((None, LIMIT * 100, None))]
    getattr(q, inside)
    assert stage.over() == [] and list(q.queue) == [10]
    late = stage.block(q.put, 3)
    got = []
    for count in range(5):
        assert len(stage.over()) == count
        got.append(q.get())
    for strand in [*crowd, late]:
        strand.result()
    assert got[0] == 10 and sorted(got) == [0, 1, 2, 3, 10]
    assert q.unfinished_tasks == 5 and q.empty()


def test_while_some_wait_to_join(make, stage, inside):
    q = filled(make, [1, 2])
    crowd = stage.crowd(2, q.join)
    getattr(q, inside)
    q.task_done()
    assert stage.over() == []
    late = stage.block(q.join)
    q.task_done()
    for strand in [*crowd, late]:
        strand.result()
    assert told(q.task_done) == ("raised", ValueError, "task_done() called too many times")


def test_a_time_out_goes_on_over_it(make, stage, inside):
    """Its rest counts: those who wait in vain give up, and nobody else notices."""
    q = make(1)
    q.put(0)
    putters = [stage.start(told, q.put, 1, True, 0.005) for _ in range(3)]
    empty = make()
    getters = [stage.start(told, empty.get, True, 0.005) for _ in range(3)]
    getattr(q, inside), getattr(empty, inside)
    assert [strand.result() for strand in putters + getters] == [Full] * 3 + [Empty] * 3
    assert q.qsize() == 1 and q.unfinished_tasks == 1 and empty.unfinished_tasks == 0


@shutdown_came_with_3_13
@pytest.mark.parametrize("immediate", [False, True])
def test_shut_down_after_it(make, stage, inside, immediate):
    q = filled(make, [1], maxsize=1)
    putter, joiner = stage.block(told, q.put, 2), stage.block(q.join)
    empty = make()
    getter = stage.block(told, empty.get)
    for one in (q, empty):
        getattr(one, inside)
        one.shutdown(immediate)
        assert one.is_shutdown is True
    assert putter.result() == getter.result() == ("raised", queue.ShutDown, "")
    assert q.qsize() == q.unfinished_tasks == (not immediate)
    if not immediate:
        q.get()
        q.task_done()
    joiner.result()


@shutdown_came_with_3_13
def test_looked_into_after_the_shut_down(make, inside):
    q = filled(make, [1])
    q.shutdown()
    getattr(q, inside)
    assert told(q.put, 2) == ("raised", queue.ShutDown, "")
    assert q.get() == 1 and told(q.get) == ("raised", queue.ShutDown, "")


def test_by_several_threads_at_once(make, stage):
    """Amid a rush of items, each thread looks for something else first; they see the same objects."""
    q = make(3)
    start = threading.Barrier(len(INSIDES) + 4)

    def look(inside):
        start.wait()
        return getattr(q, inside)

    def produce(numbers):
        start.wait()
        for number in numbers:
            q.put(number)

    def consume():
        start.wait()
        return [q.get() for _ in range(100)]

    producers = [stage.start(produce, range(0, 100)), stage.start(produce, range(100, 200))]
    consumers = [stage.start(consume), stage.start(consume)]
    looks = [stage.start(look, inside) for inside in INSIDES]
    assert [strand.result() for strand in looks] == [getattr(q, inside) for inside in INSIDES]
    for strand in producers:
        strand.result()
    assert sorted(consumers[0].result() + consumers[1].result()) == list(range(200))
    assert q.unfinished_tasks == 200


# --- what can be written, opened or not


@pytest.fixture(params=["untouched", "opened"])
def prepare(request):
    return lambda q: q if request.param == "untouched" else (q.mutex, q)[1]


def test_another_maxsize(make, prepare):
    q = prepare(make(1))
    q.put(1)
    assert told(q.put_nowait, 2) == Full
    q.maxsize = 2
    assert q.maxsize == 2 and not q.full()
    q.put_nowait(2)
    assert q.full() and told(q.put_nowait, 3) == Full
    q.maxsize = 1  # fewer than there are
    assert q.full() and told(q.put, 3, True, 0) == Full
    q.get()
    assert q.full()
    q.maxsize = 0
    assert not q.full()
    for number in range(10):
        q.put_nowait(number)
    q.maxsize = 2.5
    assert q.full() and q.maxsize == 2.5
    q.maxsize = "many"
    assert told(q.put, 1)[1] is TypeError
    q.maxsize = -1
    q.put(1)
    assert q.qsize() == 12


def test_a_larger_maxsize_while_some_wait(make, stage, prepare):
    """At the latest they see it when the next item goes."""
    q = prepare(filled(make, [10], maxsize=1))
    crowd = [stage.block(q.put, number) for number in range(2)]
    q.maxsize = 3
    q.put(2)
    got = [q.get(), q.get()]
    for strand in crowd:
        strand.result()
    assert sorted(got + drain(q)) == [0, 1, 2, 10]


def test_unfinished_tasks_written(make, stage, prepare):
    q = prepare(make())
    q.unfinished_tasks += 2
    assert q.unfinished_tasks == 2
    strand = stage.block(q.join)
    q.task_done()
    q.unfinished_tasks += 1
    q.task_done()
    assert stage.over() == []
    q.task_done()
    strand.result()
    q.put(1)
    q.unfinished_tasks = 0
    q.join()
    assert told(q.task_done)[1] is ValueError
    q.unfinished_tasks = -1
    assert q.unfinished_tasks == -1 and told(q.task_done)[1] is ValueError


def test_a_program_finishes_tasks_by_hand(make, stage, prepare):
    q = prepare(filled(make, [1, 2, 3]))
    strand = stage.block(q.join)
    with q.all_tasks_done:
        q.unfinished_tasks -= 3
        q.all_tasks_done.notify_all()
    strand.result()


def test_hooks_that_are_called_from_outside(make, prepare, name):
    """A program may call them itself, with the mutex held as the queue does."""
    q = prepare(make(5))
    with q.mutex:
        q._put(2)
        q._put(1)
        assert q._qsize() == 2
        first = q._get()
    assert first == (2 if name == "Queue" else 1)
    assert q.qsize() == 1 and q.unfinished_tasks == 0
    q._init(5)
    assert q.qsize() == 0 and q.maxsize == 5
