"""Subclasses of the queues that override the hooks `_init`, `_put` and `_get`.

Programs make sets, rings and priority queues with keys out of a queue by three lines of overriding, and some of them
never call `super()`. (test_asyncio_queue_overrides.py: the public methods.)
"""

import collections
import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primitive_stage import QUEUES, assert_same, finish, plain, told, waiters
from queue_player import HAS_SHUTDOWN, PEEK, SHUTDOWN, STEPS, QueuePlayer
from script_player import looking, scripted, scripts


def with_hooks_of_its_own(queue_class):
    """A queue whose items lie in a dictionary of its own, and which never calls the hooks of its base."""

    class Queue(queue_class):
        def _init(self, maxsize):
            self._queue = collections.OrderedDict()

        def _put(self, item):
            self._queue[item] = None

        def _get(self):
            return self._queue.popitem(last=False)[0]

    return Queue


def with_hooks_that_call_super(queue_class):
    class Mine(queue_class):
        def _init(self, maxsize):
            self.log = [("init", maxsize)]
            super()._init(maxsize)

        def _put(self, item):
            self.log.append(("put", item))
            super()._put(item)

        def _get(self):
            item = super()._get()
            self.log.append(("get", item))
            return item

    Mine.__name__ = queue_class.__name__
    return Mine


def with_one_hook(queue_class):
    class Mine(queue_class):
        def _put(self, item):
            super()._put(item)

    Mine.__name__ = queue_class.__name__
    return Mine


def with_nothing(queue_class):
    class Mine(queue_class):
        pass

    Mine.__name__ = queue_class.__name__
    return Mine


SUBCLASSES = (with_hooks_that_call_super, with_one_hook, with_nothing)
steps = (*STEPS, PEEK, SHUTDOWN) if HAS_SHUTDOWN else (*STEPS, PEEK)


@scripted
@given(
    subclass=st.sampled_from(SUBCLASSES),
    kind=st.sampled_from(QUEUES),
    maxsize=st.sampled_from([0, 0, 1, 2]),
    script=scripts(*steps, longest=30),
)
def test_scripts(subclass, kind, maxsize, script):
    def body(stage):
        queue = subclass(getattr(stage.asyncio, kind))(maxsize)
        QueuePlayer(stage, queue, False).play(script)
        stage.note(getattr(queue, "log", None))

    assert_same(body)


@looking
@scripted
@given(maxsize=st.sampled_from([0, 1, 2]), script=scripts(*steps, longest=30))
def test_scripts_on_hooks_that_never_call_super(looks, maxsize, script):
    def body(stage):
        QueuePlayer(stage, with_hooks_of_its_own(stage.asyncio.Queue)(maxsize), looks).play(script)

    assert_same(body)


# --- hooks


@pytest.mark.parametrize("kind", QUEUES)
def test_when_the_hooks_are_called(kind):
    def body(stage):
        queue = with_hooks_that_call_super(getattr(stage.asyncio, kind))(1)
        stage.note(queue.log[:])
        (getter,) = stage.blocked(queue.get())
        queue.put_nowait("a")
        stage.note(queue.log[:])  # put, and the getter has not got it
        stage.turn()
        stage.note(queue.log[:], plain(queue))
        stage.note_end("getter", getter)
        queue.put_nowait("b")
        (putter,) = stage.blocked(queue.put("c"))
        stage.note(queue.log[:])
        stage.attempt(queue.get_nowait)
        stage.note(queue.log[:])
        stage.turn()
        stage.note_end("putter", putter)
        if HAS_SHUTDOWN:
            queue.shutdown(immediate=True)  # gets what is left
        stage.note(queue.log[:])

    trace = assert_same(body)
    assert [one[0][-1] for one in trace if isinstance(one[0], list)][:3] == [("init", 1), ("put", "a"), ("get", "a")]


def test_hooks_that_see_the_queue_as_it_is():
    def body(stage):
        class Mine(stage.asyncio.Queue):
            def look(self, name):
                waiting = waiters(self._getters), waiters(self._putters)
                stage.note(name, self._unfinished_tasks, self._finished.is_set(), self.maxsize, *waiting)

            def _init(self, maxsize):
                self.look("init")
                self.items = self._queue = []

            def _put(self, item):
                self.look("put")
                self.items.append(item)

            def _get(self):
                self.look("get")
                return self.items.pop()

        queue = Mine(2)
        for item in "ab":
            queue.put_nowait(item)
        tasks = stage.blocked(queue.put("c"))
        stage.note(queue.items, queue.qsize(), plain(queue))
        stage.attempt(queue.get_nowait)
        stage.turn()
        for _ in range(2):
            stage.attempt(finish, queue.get())
        tasks += stage.blocked(queue.get(), queue.join())
        queue.put_nowait("d")
        stage.turn()
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert trace[:2] == [("init", 0, True, 2, [], []), ("put", 0, True, 2, [], [])]


def test_a_set_of_items():
    """The best known use: what is in already is not put again, and still counts as a task."""

    def body(stage):
        class UniqueQueue(stage.asyncio.Queue):
            def _init(self, maxsize):
                self._queue = set()

            def _put(self, item):
                self._queue.add(item)

            def _get(self):
                return self._queue.pop()

        queue = UniqueQueue(2)
        for _ in range(3):
            queue.put_nowait("same")
        stage.note(queue.qsize(), queue.full(), queue._unfinished_tasks, plain(queue))
        getters = [stage.task(queue.get()) for _ in range(2)]
        stage.turn(2)
        stage.note([task.done() for task in getters], queue.empty())
        stage.note_ends(getters)

    assert assert_same(body)[0][:3] == (1, False, 3)


def test_a_ring_that_forgets_the_oldest():
    def body(stage):
        class Ring(stage.asyncio.Queue):
            def _init(self, maxsize):
                self._queue = collections.deque(maxlen=3)

        queue = Ring()
        for item in range(5):
            queue.put_nowait(item)
        stage.note(queue.qsize(), plain(queue), [queue.get_nowait() for _ in range(3)], queue._unfinished_tasks)

    assert assert_same(body)[0][2:] == ([2, 3, 4], 5)


def test_a_priority_queue_with_keys():
    """Overrides the hooks with their optional arguments."""

    def body(stage):
        class Keyed(stage.asyncio.PriorityQueue):
            def _put(self, item, heappush=heapq.heappush):
                super()._put((-item, item), heappush)

            def _get(self, heappop=heapq.heappop):
                return super()._get(heappop)[1]

        queue = Keyed()
        for item in (2, 5, 3):
            queue.put_nowait(item)
        stage.note([queue.get_nowait() for _ in range(3)])

    assert assert_same(body) == [([5, 3, 2],)]


@pytest.mark.parametrize("hook", ["_init", "_put", "_get"])
def test_a_hook_that_raises(hook):
    def body(stage):
        class Mine(stage.asyncio.Queue):
            pass

        failing = False

        def raising(self, *arguments):
            if failing:
                raise LookupError(hook)
            return getattr(super(Mine, self), hook)(*arguments)

        setattr(Mine, hook, raising)
        queue = Mine(1)
        tasks = [stage.task(queue.get())]
        stage.turn()
        failing = True
        stage.attempt(Mine)
        stage.attempt(queue.put_nowait, "a")
        stage.note(queue._unfinished_tasks, queue._finished.is_set(), plain(queue))
        stage.turn(2)
        stage.note([task.done() for task in tasks], plain(queue))
        failing = False
        stage.attempt(queue.put_nowait, "b")
        stage.turn(2)
        stage.note_ends(tasks)
        stage.note(queue._unfinished_tasks, plain(queue))

    assert ("raised", told(LookupError(hook))) in assert_same(body) or hook == "_get"


def test_hooks_put_on_the_object():
    def body(stage):
        queue = stage.asyncio.Queue()
        queue._put = lambda item: stage.note("put", item)
        stage.attempt(queue.put_nowait, 1)
        stage.note(queue.qsize(), queue._unfinished_tasks)

    assert assert_same(body)[0] == ("put", 1)


def test_hooks_called_directly():
    """By name, from outside; they neither count nor wake."""

    def body(stage):
        for kind in QUEUES:
            queue = getattr(stage.asyncio, kind)()
            queue._put(2)
            queue._put(1)
            stage.note(queue.qsize(), queue._unfinished_tasks, plain(queue), queue._get())
            queue._init(0)
            stage.note(queue.qsize(), plain(queue))

    assert [one[0] for one in assert_same(body)] == [2, 0] * 3
