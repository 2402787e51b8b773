"""queue.PriorityQueue and what its items do when they are compared: raise, wait, or let others run."""

import queue
import random
import sys
import threading
import time
from fractions import Fraction

import pytest
from thread_stage import side, stage, told

__all__ = ["side", "stage"]


@pytest.fixture
def make(side):
    return side.queue.PriorityQueue


@pytest.fixture(params=["untouched", "opened"])
def q(request, make):
    made = make()
    return made if request.param == "untouched" else (made.queue, made)[1]


class Key:
    """Knows only `<`, and does something first."""

    def __init__(self, key, first=lambda: None):
        self.key = key
        self.first = first

    def __lt__(self, other):
        self.first()
        return self.key < other.key


def drain(q):
    return [q.get_nowait() for _ in range(q.qsize())]


class Backwards(int):
    def __lt__(self, other):
        return int(self) > int(other)


@pytest.mark.parametrize(
    "items",
    [
        [3, 1, 2, 1, -5, 0],
        [2**62, 2**63, -(2**64), 2**70, 0, 2**63 - 1, 2**63 + 1],
        [1.5, 1, 0.5, -0.0, float("inf"), float("-inf"), 2**53 + 1, float(2**53), True, False],
        [Fraction(1, 3), 0.3, 1, Fraction(2, 6), 0],
        ["b", "a", "", "ä", "ab", "\U0001f600"],
        [b"b", b"a", b"", b"ab"],
        [(1, "b"), (1, "a"), (0, "z"), (1,), (), (2, "a", 1)],
        [(1, (2, 3)), (1, (2, 1)), (0, (9, 9)), (2**70, (0,)), (1.5, ())],
        [[2], [1, 5], [], [1]],
        [{1, 2}, {1}, set(), {1, 2, 3}],
        [Backwards(1), Backwards(3), Backwards(2)],
    ],
    ids=lambda items: repr(items)[:30],
)
def test_keys(q, items):
    """As heapq orders them: by `<` alone, whatever they are."""
    model = queue.PriorityQueue()
    for item in items:
        q.put(item)
        model.put(item)
    expected = drain(model)
    assert list(map(repr, drain(q))) == list(map(repr, expected))


def test_a_subclass_of_a_number_is_asked(q):
    items = [Backwards(5), 3, Backwards(1), 4, (1, 2), Backwards(9)]
    model = queue.PriorityQueue()
    expected = [told(model.put, item) for item in items]
    assert [told(q.put, item) for item in items] == expected


def test_keys_that_know_only_less_than(q):
    keys = [5, 3, 8, 1, 9, 2]
    for key in keys:
        q.put(Key(key))
    assert [item.key for item in drain(q)] == sorted(keys)


def test_equal_keys_with_items_that_cannot_be_compared(q):
    q.put((0, {}))
    q.put((1, {}))
    assert told(q.put, (0, {"other": 1})) == (
        "raised",
        TypeError,
        "'<' not supported between instances of 'dict' and 'dict'",
    )
    assert q.get() == (0, {})


@pytest.mark.parametrize(
    "mixed", [(1, "a"), (None, None), ("a", b"a"), (1j, 2j), (object, 1), ((1, "a"), (1, 2))], ids=repr
)
def test_keys_that_cannot_be_compared(q, mixed):
    """What the queue holds afterwards is what the standard one holds."""
    model = queue.PriorityQueue()
    for item in mixed:
        expected = told(model.put, item)
        assert told(q.put, item) == expected
    assert expected[1] is TypeError
    assert (q.qsize(), q.unfinished_tasks) == (model.qsize(), model.unfinished_tasks)


def test_a_comparison_that_raises_in_put(q, stage):
    """Its error comes through, and the queue is left as the standard one is, with the mutex free."""

    class Mine(Exception):
        pass

    error = Mine()

    def refuse():
        if refusing:
            raise error

    model, outcomes = queue.PriorityQueue(), []
    for one in (q, model):
        refusing = False
        for key in (1, 2, 3):
            one.put(Key(key, refuse))
        refusing = True
        with pytest.raises(Mine) as caught:
            one.put(Key(0, refuse))
        assert caught.value is error
        refusing = False
        outcomes.append((one.qsize(), one.unfinished_tasks, sorted(item.key for item in drain(one))))
        one.put(Key(7, refuse))
        assert one.get().key == 7
    assert outcomes[0] == outcomes[1]


def test_a_comparison_that_raises_in_get(q):
    def refuse():
        if refusing:
            raise LookupError("compared")

    model, outcomes = queue.PriorityQueue(), []
    for one in (q, model):
        refusing = False
        for key in (1, 2, 3, 4, 5):
            one.put(Key(key, refuse))
        refusing = True
        assert told(one.get) == ("raised", LookupError, "compared")
        assert told(one.get, False) == ("raised", LookupError, "compared")
        refusing = False
        outcomes.append((one.qsize(), one.unfinished_tasks, len(drain(one))))
    assert outcomes[0] == outcomes[1]


def test_the_truth_of_a_comparison_that_raises(q):
    class Untrue:
        def __bool__(self):
            raise LookupError("truth")

    q.put(Key(1))
    Refusing = type("Refusing", (), {"__lt__": lambda self, other: Untrue()})
    assert told(q.put, Refusing()) == ("raised", LookupError, "truth")


def test_a_comparison_that_waits(q, stage):
    """Others see the queue before it or after it and nothing between, whether they have to wait for that or not."""
    compared, go_on = threading.Event(), threading.Event()

    def wait():
        compared.set()
        go_on.wait()

    q.put(Key(1))
    putter = stage.block(q.put, Key(0, wait))
    assert compared.is_set()
    looks = [stage.start(q.qsize), stage.start(q.empty), stage.start(q.full)]
    late = [stage.start(q.put, Key(2)), stage.start(lambda: q.get().key)]
    stage.settle()
    go_on.set()
    putter.result()
    late[0].result()
    assert looks[0].result() in (1, 2, 3)
    assert (looks[1].result(), looks[2].result()) == (False, False)
    taken = late[1].result()
    assert taken in (0, 1) and sorted([taken, *(item.key for item in drain(q))]) == [0, 1, 2]


def test_a_comparison_that_waits_in_get(q, stage):
    go_on = threading.Event()
    waiting = False

    def wait():
        if waiting:
            go_on.wait()

    for key in range(5):
        q.put(Key(key, wait))
    waiting = True
    getter = stage.block(q.get)
    others = [stage.start(q.get), stage.start(q.put, Key(-1)), stage.start(q.qsize)]
    stage.settle()
    go_on.set()
    keys = [getter.result().key, others[0].result().key]
    others[1].result()
    assert others[2].result() in (3, 4, 5)
    assert sorted(keys + [item.key for item in drain(q)]) == [-1, 0, 1, 2, 3, 4]


def test_another_thread_asks_for_the_size_within_a_comparison(q, stage):
    """It may have to wait until the comparison is through, which does not wait for the answer."""
    asked = []

    def ask():
        asked.append(stage.start(q.qsize))
        stage.settle()

    q.put(Key(2))
    q.put(Key(1, ask))
    assert [strand.result() for strand in asked] in ([1], [2])
    assert [item.key for item in drain(q)] == [1, 2]
    for strand in asked[1:]:
        strand.result()


def test_comparisons_that_let_others_run(q, stage):
    """The heap stays a heap although each comparison hands the interpreter on."""
    keys = list(range(120))
    random.Random(1).shuffle(keys)

    def give_way():
        time.sleep(0)

    def put(mine):
        for key in mine:
            q.put(Key(key, give_way))

    def take():
        return [q.get().key for _ in range(20)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        putters = [stage.start(put, keys[part::4]) for part in range(4)]
        takers = [stage.start(take) for _ in range(2)]
        for strand in putters:
            strand.result()
        taken = sum((strand.result() for strand in takers), [])
    finally:
        sys.setswitchinterval(interval)
    rest = [item.key for item in drain(q)]
    assert rest == sorted(rest)
    assert sorted(taken + rest) == list(range(120))


def test_items_that_look_at_the_queue_when_they_die(make):
    """A finalizer may run in the middle of anything that lets go of an item, but not under the mutex."""
    q = make()
    died = []

    class Last(float):
        def __del__(self):
            died.append(q.qsize())

    q.put(Last(1))
    q.put(Last(2))
    q.get()
    assert died == [1]
    q.get()
    assert died == [1, 0]


def test_opened_while_a_comparison_runs(make, stage):
    """Who looks inside meanwhile, under the mutex, sees a heap that is whole."""
    q, go_on = make(), threading.Event()
    for key in (1, 2):
        q.put(Key(key))
    putter = stage.block(q.put, Key(0, go_on.wait))

    def look():
        with q.mutex:
            return [item.key for item in q.queue]

    looker = stage.start(look)
    stage.settle()
    go_on.set()
    putter.result()
    assert looker.result() in ([0, 2, 1], [1, 2])
    assert [item.key for item in drain(q)] == [0, 1, 2]


def test_opened_while_a_comparison_of_get_runs(make, stage):
    q, go_on = make(), threading.Event()
    waiting = False

    def wait():
        if waiting:
            go_on.wait()

    for key in range(4):
        q.put(Key(key, wait))
    waiting = True
    getter = stage.block(q.get)
    looker = stage.start(lambda: q.mutex.acquire() and (sorted(item.key for item in q.queue), q.mutex.release()))
    stage.settle()
    go_on.set()
    assert getter.result().key == 0
    assert looker.result()[0] in ([0, 1, 2, 3], [1, 2, 3])
    assert [item.key for item in drain(q)] == [1, 2, 3]
