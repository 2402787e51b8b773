"""queue.Queue, LifoQueue, PriorityQueue: their methods, one by one.

test_queue_shutdown.py has shutdown, test_queue_open.py what lies inside, test_queue_priority.py what is compared.
"""

import queue

import pytest
from thread_sides import LIMIT
from thread_stage import side, stage, told

__all__ = ["side", "stage"]

KINDS = ("Queue", "LifoQueue", "PriorityQueue")
Full, Empty = ("raised", queue.Full, ""), ("raised", queue.Empty, "")


@pytest.fixture(params=KINDS)
def name(request):
    return request.param


@pytest.fixture
def make(side, name):
    return getattr(side.queue, name)


def expected_order(name, items):
    """In which order such a queue gives back what was put."""
    return {"Queue": list, "LifoQueue": lambda them: them[::-1], "PriorityQueue": sorted}[name](items)


def drain(q):
    items = []
    while not q.empty():
        items.append(q.get_nowait())
    return items


def filled(make, items, maxsize=0):
    q = make(maxsize)
    for item in items:
        q.put(item)
    return q


# --- order and size


def test_order(make, name):
    items = [5, 3, 8, 1, 9, 2, 7]
    q = filled(make, items)
    assert drain(q) == expected_order(name, items)
    q.put(2)
    q.put(1)
    first = q.get()
    q.put(0)
    assert [first, *drain(q)] == {"Queue": [2, 1, 0], "LifoQueue": [1, 0, 2], "PriorityQueue": [1, 0, 2]}[name]


def test_size(make):
    q = make(2)
    assert (q.qsize(), q.empty(), q.full(), q.maxsize) == (0, True, False, 2)
    assert q.put(1) is None
    assert (q.qsize(), q.empty(), q.full()) == (1, False, False)
    q.put(1)
    assert (q.qsize(), q.empty(), q.full()) == (2, False, True)
    q.get()
    q.get()
    assert (q.qsize(), q.empty(), q.full()) == (0, True, False)


@pytest.mark.parametrize("maxsize", [0, -1, -0.5, -(10**30), False, float("nan"), float("-inf")], ids=repr)
def test_no_bound(make, maxsize):
    q = filled(make, range(1000), maxsize)
    assert (q.qsize(), q.full()) == (1000, False)
    assert q.maxsize is maxsize
    assert sorted(drain(q)) == list(range(1000))


@pytest.mark.parametrize("maxsize", [1, 3, True, 2.0, 2.5, 0.5, 10**30, float("inf")], ids=repr)
def test_bounds(make, maxsize):
    q = make(maxsize=maxsize)
    assert q.maxsize is maxsize
    size = int(-(-maxsize // 1)) if maxsize < 10 else 1000
    for number in range(size):
        assert not q.full()
        q.put_nowait(number)
    if maxsize < 10:
        assert q.full() and told(q.put_nowait, 0) == told(q.put, 0, False) == told(q.put, 0, True, 0) == Full
        assert q.qsize() == size


@pytest.mark.parametrize("maxsize", ["1", None, [], 1j], ids=repr)
def test_bounds_that_cannot_be_compared(make, name, maxsize):
    """Nobody notices before something is put."""
    model, q = getattr(queue, name)(maxsize), make(maxsize)
    assert q.maxsize is maxsize
    for method, *arguments in (("put", 1), ("put_nowait", 1), ("full",)):
        expected = told(getattr(model, method), *arguments)
        assert expected[1] is TypeError
        assert told(getattr(q, method), *arguments) == expected
    assert q.qsize() == 0 and q.unfinished_tasks == 0 and told(q.get_nowait) == Empty


# --- put and get, without waiting


def test_nothing_to_get(make):
    q = make()
    for arguments in (
        (False,),
        (0,),
        (None,),
        (False, 10),
        (False, -1),
        (False, "x"),
        (True, 0),
        (True, 0.0001),
        (1, 1e-9),
    ):
        assert told(q.get, *arguments) == Empty
    assert told(q.get, block=False) == told(q.get, timeout=0) == told(q.get_nowait) == Empty


def test_no_room_to_put(make):
    q = filled(make, [1], maxsize=1)
    for arguments in (
        (False,),
        (0,),
        (None,),
        (False, 10),
        (False, -1),
        (False, "x"),
        (True, 0),
        (True, 0.0001),
        (1, 1e-9),
    ):
        assert told(q.put, 2, *arguments) == Full
    assert told(q.put, item=2, block=False) == told(q.put, 2, timeout=0) == told(q.put_nowait, item=2) == Full
    assert q.unfinished_tasks == 1 and drain(q) == [1]


def test_room_and_items_are_taken_whatever_the_arguments(make):
    q = make(3)
    for arguments in ((), (False,), (True, 0), (True, None), (False, -1), (True, 1e9), ("yes", 0.5)):
        q.put("item", *arguments)
        assert q.get(*arguments) == "item"
    q.put_nowait("item")
    assert q.get_nowait() == "item"


@pytest.mark.parametrize("timeout", [-1, -0.001, -(10**30), float("-inf")], ids=repr)
def test_negative_time_outs(make, timeout):
    """Are an error where a time-out counts at all: not without blocking, and not for a put without bound."""
    words = ("raised", ValueError, "'timeout' must be a non-negative number")
    q = make(2)
    assert told(q.get, True, timeout) == told(q.get, timeout=timeout) == words
    assert told(q.put, 1, True, timeout) == words
    q.put(1)
    assert told(q.get, True, timeout) == told(q.put, 1, timeout=timeout) == words
    assert drain(q) == [1] and q.unfinished_tasks == 1
    unbound = make()
    unbound.put(1, True, timeout)
    assert drain(unbound) == [1]


@pytest.mark.parametrize("timeout", ["1", b"1", [], 1j, 1e10, 1e20, 10**30, float("inf")], ids=repr)
def test_time_outs_that_are_refused(make, name, timeout):
    """Some only when there is something to wait for, in the same words."""

    def attempts(kind):
        for state in ([], [1], [1, 1]):
            q = filled(kind, state, maxsize=2)
            yield told(q.get, True, timeout), drain(q), q.unfinished_tasks
            q = filled(kind, state, maxsize=2)
            yield told(q.put, 1, True, timeout), drain(q), q.unfinished_tasks
        yield told(kind().put, 1, True, timeout)

    expected = list(attempts(getattr(queue, name)))
    assert [one[0][0] for one in expected[:6:5]] == ["raised", "raised"]
    for got, wanted in zip(attempts(make), expected, strict=True):
        if wanted[0][0] == "raised" and "object cannot be interpreted" in wanted[0][2]:
            assert got[0][:2] == wanted[0][:2] and got[1:] == wanted[1:]
        else:
            assert got == wanted


def test_arguments(make):
    q = make()
    for call, arguments in (
        (make, (1, 2)),
        (q.put, ()),
        (q.put, (1, True, None, 4)),
        (q.get, (True, None, 3)),
        (q.put_nowait, ()),
        (q.put_nowait, (1, 2)),
        (q.get_nowait, (1,)),
        (q.task_done, (1,)),
        (q.join, (1,)),
        (q.qsize, (1,)),
        (q.empty, (1,)),
        (q.full, (1,)),
    ):
        assert told(call, *arguments)[:2] == ("raised", TypeError)
    assert told(make, size=1)[:2] == told(q.put, 1, wait=True)[:2] == told(q.get, item=1)[:2] == ("raised", TypeError)
    assert q.empty() and q.unfinished_tasks == 0


class Odd:
    """An item that does not want to be looked at."""

    def _refuse(self, *_):
        raise AssertionError("the queue has no business with what is in an item")

    __eq__ = __bool__ = __len__ = __iter__ = __repr__ = __getattr__ = __hash__ = _refuse


@pytest.mark.parametrize("name", ["Queue", "LifoQueue"])
def test_odd_items(make, name):
    items = [
        None,
        [],
        {},
        set(),
        NotImplemented,
        Ellipsis,
        Odd(),
        Odd,
        StopIteration(),
        queue.Empty(),
        float("nan"),
        make,
        b"",
    ]
    q = filled(make, items)
    items = items[::-1] if name == "LifoQueue" else items
    assert [got is item for got, item in zip(drain(q), items, strict=True)] == [True] * len(items)
    q.put(q)
    assert q.get() is q


# --- waiting


@pytest.mark.parametrize("timeout", [None, LIMIT * 100, LIMIT * 100.5, 10**6])
def test_get_waits(make, stage, timeout):
    q = make()
    strand = stage.block(q.get, True, timeout)
    q.put("item")
    assert strand.result() == "item"
    assert q.empty() and told(q.get_nowait) == Empty


@pytest.mark.parametrize("timeout", [None, LIMIT * 100, LIMIT * 100.5, 10**6])
def test_put_waits(make, name, stage, timeout):
    q = filled(make, [1, 2], maxsize=2)
    strand = stage.block(q.put, 3, True, timeout)
    assert q.qsize() == 2 and q.unfinished_tasks == 2
    order = expected_order(name, [1, 2])
    assert q.get() == order[0]
    assert strand.result() is None
    assert q.full() and q.unfinished_tasks == 3
    assert drain(q) == expected_order(name, [order[1], 3])


def test_one_item_wakes_one(make, stage):
    q = make()
    crowd = stage.crowd(3, q.get)
    for count in range(1, 4):
        q.put(count)
        assert stage.over() == crowd[:count]
    assert [strand.result() for strand in crowd] == [1, 2, 3]


def test_one_place_wakes_one(make, stage):
    q = filled(make, [0], maxsize=1)
    crowd = [stage.block(q.put, count) for count in range(1, 4)]
    for count in range(4):
        assert stage.over() == crowd[:count]
        assert q.get() == count
    for strand in crowd:
        strand.result()
    assert q.empty() and q.unfinished_tasks == 4


def test_the_last_place_goes_round(make, stage):
    """Getters and putters hand each other on."""
    q = make(1)
    put = [stage.start(lambda: [q.put(number) for number in range(200)]) for _ in range(3)]
    got = [stage.start(lambda: [q.get() for _ in range(200)]) for _ in range(3)]
    for strand in put:
        strand.result()
    assert sorted(sum((strand.result() for strand in got), [])) == sorted([*range(200)] * 3)


def test_who_gives_up_leaves_the_item_to_others(make, stage):
    q = make()
    for _ in range(3):
        assert told(q.get, timeout=0.0001) == Empty
    crowd = stage.crowd(2, q.get)
    assert told(q.get, timeout=0.0001) == Empty
    q.put(1)
    q.put(2)
    assert sorted(strand.result() for strand in crowd) == [1, 2]


def test_who_gives_up_leaves_the_place_to_others(make, stage):
    q = filled(make, [1], maxsize=1)
    assert told(q.put, 2, timeout=0.0001) == Full
    strand = stage.block(q.put, 3)
    assert told(q.put, 4, timeout=0.0001) == Full
    assert q.get() == 1
    strand.result()
    assert drain(q) == [3] and q.unfinished_tasks == 2


# --- task_done and join


def test_task_done(make):
    q = make()
    too_often = ("raised", ValueError, "task_done() called too many times")
    assert told(q.task_done) == too_often
    q.put(1)
    q.put(2)
    assert q.unfinished_tasks == 2
    assert q.task_done() is None  # also for an item that nobody has got
    assert q.unfinished_tasks == 1
    q.get()
    q.get()
    assert q.unfinished_tasks == 1
    q.task_done()
    assert told(q.task_done) == too_often and q.unfinished_tasks == 0


def test_join(make, stage):
    q = make()
    assert q.join() is None
    q.put(1)
    q.put(2)
    crowd = stage.crowd(3, q.join)
    q.get()
    q.get()
    assert stage.over() == []
    q.task_done()
    assert stage.over() == []
    q.task_done()
    assert [strand.result() for strand in crowd] == [None] * 3
    q.join()


def test_join_waits_for_what_comes_meanwhile(make, stage):
    q = filled(make, [1])
    strand = stage.block(q.join)
    q.put(2)
    q.task_done()
    assert stage.over() == []
    q.task_done()
    strand.result()
