"""Queues of one's own: the documented hooks, other methods, and hooks on one object."""

import collections
import threading

import pytest
from thread_sides import LIMIT
from thread_stage import side, stage, told

__all__ = ["side", "stage"]


@pytest.fixture(params=["Queue", "LifoQueue", "PriorityQueue"])
def name(request):
    return request.param


@pytest.fixture
def base(side, name):
    return getattr(side.queue, name)


def drain(q):
    return [q.get_nowait() for _ in range(q.qsize())]


@pytest.fixture
def unique(base):
    class Unique(base):
        """Each item once: a well-known recipe."""

        def _init(self, maxsize):
            self.given = maxsize
            self.queue = set()

        def _put(self, item):
            self.queue.add(item)

        def _get(self):
            return self.queue.pop()

    return Unique


def test_all_hooks(unique, stage):
    q = unique(2)
    assert q.given == 2 and q.queue == set()
    q.put(1)
    q.put(1)
    assert q.qsize() == 1 and not q.full() and q.unfinished_tasks == 2
    q.put(2)
    assert q.full()
    putter = stage.block(q.put, 3)
    got = q.get()
    putter.result()
    assert sorted([got, *drain(q)]) == [1, 2, 3]
    getter = stage.block(q.get)
    q.put(4)
    assert getter.result() == 4


def test_the_hooks_are_called_under_the_mutex(base):
    calls = []

    class Watched(base):
        def _init(self, maxsize):
            calls.append(("_init", maxsize, hasattr(self, "mutex"), self.maxsize))
            super()._init(maxsize)

        def _put(self, item):
            calls.append(("_put", item, self.mutex.locked()))
            super()._put(item)

        def _get(self):
            calls.append(("_get", self.mutex.locked()))
            return super()._get()

        def _qsize(self):
            calls.append(("_qsize", self.mutex.locked()))
            return super()._qsize()

    q = Watched(3)
    assert calls.pop() == ("_init", 3, False, 3)
    size, put, get = ("_qsize", True), ("_put", 5, True), ("_get", True)
    for call, expected in (
        (lambda: q.put(5), [size, put]),
        (q.qsize, [size]),
        (q.empty, [size]),
        (q.full, [size]),
        (lambda: q.put_nowait(5), [size, put]),
        (q.get, None),
        (q.get_nowait, None),
        (q.task_done, []),
    ):
        call()
        made, calls[:] = calls[:], []
        if expected is None:  # how often it asks for the size differs from Python to Python
            assert made[-1] == get and {*made[:-1]} == {size}
        else:
            assert made == expected
    unbound = Watched()
    calls.clear()
    unbound.put(5)
    assert calls == [put]


@pytest.mark.parametrize("hook", ["_init", "_put", "_get", "_qsize"])
def test_one_hook(base, name, hook, stage):
    called = []

    def override(self, *args):
        called.append(args)
        return getattr(super(Own, self), hook)(*args)

    Own = type("Own", (base,), {hook: override})
    q = Own(2)
    q.put(2)
    q.put(1)
    putter = stage.block(q.put, 0)
    assert q.get() == (2 if name == "Queue" else 1)
    putter.result()
    assert drain(q) == ([0, 2] if name != "Queue" else [1, 0])
    assert called and (hook != "_put" or called == [(2,), (1,), (0,)])


def test_hooks_of_a_base_between(base, stage):
    class Counting(base):
        count = 0

        def _put(self, item):
            self.count += 1
            super()._put(item)

    class Own(Counting):
        pass

    q = Own()
    getter = stage.block(q.get)
    q.put(1)
    assert getter.result() == 1 and q.count == 1


def test_hooks_that_raise(base, stage):
    """The queue is left whole: the mutex free, nothing counted."""

    class Failing(base):
        fails = ()

        def _put(self, item):
            if "put" in self.fails:
                raise LookupError("put")
            super()._put(item)

        def _get(self):
            if "get" in self.fails:
                raise LookupError("get")
            return super()._get()

        def _qsize(self):
            if "size" in self.fails:
                raise LookupError("size")
            return super()._qsize()

    q = Failing(2)
    q.put(1)
    q.fails = ("put",)
    assert told(q.put, 2) == told(q.put_nowait, 2) == ("raised", LookupError, "put")
    q.fails = ("get",)
    assert told(q.get) == told(q.get, False) == told(q.get, timeout=1) == ("raised", LookupError, "get")
    q.fails = ("size",)
    for call in (lambda: q.put(2), q.get, q.qsize, q.empty, q.full):
        assert told(call) == ("raised", LookupError, "size")
    q.fails = ()
    assert not q.mutex.locked() and q.unfinished_tasks == 1
    assert q.qsize() == 1 and q.get() == 1
    getter = stage.block(told, q.get)
    q.fails = ("get",)
    q.put(3)
    assert getter.result() == ("raised", LookupError, "get")
    q.fails = ()
    assert q.get(timeout=LIMIT) == 3


def test_a_hook_that_takes_its_time(base, stage):
    """Others wait for the mutex meanwhile, and nobody is inside twice."""
    inside, go_on = [], threading.Event()

    class Slow(base):
        def _put(self, item):
            inside.append(item)
            go_on.wait()
            assert inside.pop() == item
            super()._put(item)

    q = Slow()
    strands = [stage.block(q.put, number) for number in range(3)]
    strands.append(stage.block(q.qsize))
    assert inside == [0]
    go_on.set()
    for strand in strands:
        strand.result()
    assert sorted(drain(q)) == [0, 1, 2]


def test_hooks_on_one_object(base, stage):
    q = base()
    put = []
    q._put = lambda item: put.append(item)
    q._qsize = lambda: len(put)
    q._get = lambda: put.pop()
    q.put(1)
    assert put == [1] and q.qsize() == 1 and q.get() == 1
    getter = stage.block(q.get)
    q.put(2)
    assert getter.result() == 2
    del q._put, q._get, q._qsize
    q.put(3)
    assert q.get() == 3


def test_hooks_put_into_the_class_before_its_first_queue_is_made(base):
    class Own(base):
        pass

    Own._put = lambda self, item: super(Own, self)._put(-item)
    q = Own()
    q.put(1)
    q.put(2)
    assert sorted(drain(q)) == [-2, -1]


def test_other_methods(base):
    """put_nowait calls put, get_nowait calls get, as programs rely on that override only those."""
    calls = []

    class Own(base):
        def put(self, item, block=True, timeout=None):
            calls.append(("put", item, block, timeout))
            super().put(item, block, timeout)

        def get(self, block=True, timeout=None):
            calls.append(("get", block, timeout))
            return super().get(block, timeout)

    q = Own()
    q.put_nowait(1)
    assert q.get_nowait() == 1
    q.put(2, timeout=1)
    q.get(timeout=1)
    assert calls == [("put", 1, False, None), ("get", False, None), ("put", 2, True, 1), ("get", True, 1)]


def test_a_bounded_history(base, stage):
    """Another container, with a rule of its own, and a full that says something else."""

    class Latest(base):
        def _init(self, maxsize):
            self.queue = collections.deque(maxlen=2)

        def _put(self, item):
            self.queue.append(item)

        def _get(self):
            return self.queue.popleft()

        def full(self):
            return "never"

    q = Latest()
    for number in range(5):
        q.put(number)
    assert q.full() == "never" and drain(q) == [3, 4]


def test_a_queue_made_without_init_of_the_base(base):
    """_init may do all that there is to do before the rest."""

    class Own(base):
        def __init__(self, items):
            self.items = items
            super().__init__(len(items))

        def _init(self, maxsize):
            super()._init(maxsize)
            for item in self.items:
                self._put(item)

    q = Own([3, 1, 2])
    assert q.full() and q.unfinished_tasks == 0
    assert sorted(drain(q)) == [1, 2, 3]


def test_a_closable_queue(base, stage):
    """A subclass that works with the conditions itself."""

    class Closable(base):
        closed = False

        def close(self):
            with self.mutex:
                self.closed = True
                self.not_empty.notify_all()

        def get(self):
            with self.not_empty:
                while not self._qsize():
                    if self.closed:
                        raise EOFError
                    self.not_empty.wait()
                return self._get()

    q = Closable()
    crowd = [stage.block(told, q.get) for _ in range(3)]
    q.put(1)
    stage.settle()
    q.close()
    outcomes = [strand.result() for strand in crowd]
    assert outcomes.count(("returned", 1)) == 1 and outcomes.count(("raised", EOFError, "")) == 2
