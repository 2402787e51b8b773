"""What threading's primitives and the queues are as objects: their classes, subclasses, references, copies."""

import copy
import gc
import inspect
import pickle
import queue
import sys
import threading
import types
import weakref

import pytest
from thread_sides import SIDES
from thread_stage import side, stage, told

__all__ = ["side", "stage"]

PRIMITIVES = ("Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier")
QUEUES = ("Queue", "LifoQueue", "PriorityQueue")
METHODS = {
    "Condition": "wait wait_for notify notify_all notifyAll",
    "Semaphore": "acquire release",
    "BoundedSemaphore": "acquire release",
    "Event": "is_set isSet set clear wait",
    "Barrier": "wait reset abort",
    "Timer": "start join cancel run",
    **dict.fromkeys(QUEUES, "put get put_nowait get_nowait qsize empty full task_done join"),
}
WORKS_BY = {
    **{"Condition": "wait", "Semaphore": "acquire", "BoundedSemaphore": "acquire", "Event": "wait", "Barrier": "wait"},
    **dict.fromkeys(QUEUES, "put"),
}


class Token:
    """Something that can be seen to die."""


def module_of(side, name):
    return side.queue if name in QUEUES else side.threading


def arguments_of(name):
    return {"Barrier": (2,), "Timer": (1000, print)}.get(name, ())


@pytest.fixture(params=[*PRIMITIVES, *QUEUES, "Timer"])
def name(request):
    return request.param


@pytest.fixture(params=[*PRIMITIVES, *QUEUES])
def native_name(request):
    return request.param


@pytest.fixture
def standard(name):
    return getattr(queue if name in QUEUES else threading, name)


@pytest.fixture
def kind(side, name):
    return getattr(module_of(side, name), name)


def make(kind):
    return kind(*arguments_of(next(base.__name__ for base in kind.__mro__ if base.__name__ in METHODS)))


# --- which classes there are


def test_plaits_own_ran(native_name):
    """The native class, not the standard one under another name."""
    kind = getattr(module_of(SIDES["plait"], native_name), native_name)
    standard = getattr(module_of(SIDES["stock"], native_name), native_name)
    assert type(make(kind)) is kind
    assert kind is not standard and not issubclass(kind, standard)
    module = "plait.queue" if native_name in QUEUES else "plait.threading"
    assert (kind.__module__, kind.__qualname__) == (module, native_name)
    assert not isinstance(getattr(kind, WORKS_BY[native_name]), types.FunctionType)


def test_the_modules_mirror_the_standard_ones(side):
    for mirror, standard in ((side.threading, threading), (side.queue, queue)):
        assert sorted(mirror.__all__) == sorted(standard.__all__)
        native = {*PRIMITIVES, *QUEUES, "Timer"}
        for public in set(standard.__all__) - native:
            assert getattr(mirror, public) is getattr(standard, public)
    assert hasattr(side.queue, "ShutDown") == hasattr(queue, "ShutDown") == hasattr(side.queue.Queue, "shutdown")
    assert hasattr(side.queue.Queue(), "is_shutdown") == hasattr(queue, "ShutDown")


def test_isinstance(side, kind, standard, name):
    made = make(kind)
    assert isinstance(made, kind) and isinstance(made, standard)
    if name in QUEUES:
        assert isinstance(made, side.queue.Queue) and isinstance(made, queue.Queue)
        assert issubclass(kind, side.queue.Queue)
    if name == "BoundedSemaphore":
        assert isinstance(made, side.threading.Semaphore) and isinstance(made, threading.Semaphore)
        assert issubclass(kind, side.threading.Semaphore)
    others = {threading.Event, threading.Condition, threading.Barrier, queue.PriorityQueue, queue.LifoQueue} - {
        standard
    }
    assert not isinstance(made, tuple(others))


def test_signatures_and_words(kind, standard, name):
    def parameters(function):
        return [(one.name, one.default, one.kind) for one in inspect.signature(function).parameters.values()]

    assert parameters(kind) == parameters(standard)
    made, model = make(kind), make(standard)
    for method in METHODS[name].split():
        assert parameters(getattr(made, method)) == parameters(getattr(model, method)), method
        assert inspect.getdoc(getattr(made, method)) or not inspect.getdoc(getattr(model, method)), method
    assert inspect.getdoc(kind)


def test_public_names(kind, standard):
    assert not {name for name in dir(make(standard)) if not name.startswith("_")} - set(dir(make(kind)))


@pytest.mark.parametrize("name", QUEUES)
def test_queues_are_generic(kind, name):
    alias = kind[int]
    assert type(alias) is types.GenericAlias
    assert alias.__origin__ is kind and alias.__args__ == (int,)
    made = alias(3)
    assert type(made) is kind and made.maxsize == 3


def test_the_plain_repr_of_queues_and_timers(side):
    for kind in (side.queue.Queue, side.queue.LifoQueue, side.queue.PriorityQueue):
        made = kind()
        assert repr(made) == f"<{type(made).__module__}.{type(made).__qualname__} object at {id(made):#x}>"
    assert repr(side.threading.Timer(1, print)).startswith("<Timer(Thread-")


# --- references and copies


def test_weak_references(kind):
    made = make(kind)
    died = []
    reference = weakref.ref(made, lambda _: died.append(1))
    assert reference() is made
    if isinstance(made, threading.Thread):
        threading._dangling.discard(made)
    del made
    gc.collect()
    assert reference() is None and died == [1]


def test_they_are_keys(kind):
    one, other = make(kind), make(kind)
    assert {one: 1, other: 2}[one] == 1
    assert one == one and one != other and bool(one)


def test_no_pickling_and_no_deep_copies(kind, standard):
    model = make(standard)
    for attempt in (copy.deepcopy, *(lambda it, protocol=p: pickle.dumps(it, protocol) for p in range(2, 6))):
        expected = told(attempt, model)
        assert expected[1] is TypeError and expected[2].startswith("cannot pickle '_thread.")
        assert told(attempt, make(kind)) == expected


def test_a_subclass_decides_how_it_is_pickled(kind):
    global Picklable

    class Picklable(kind):
        def __reduce__(self):
            return str, ("pickled",)

    assert pickle.loads(pickle.dumps(make(Picklable))) == "pickled"
    assert copy.deepcopy(make(Picklable)) == "pickled"


def test_a_cycle_through_an_attribute_is_collected(kind):
    class Holder(kind):
        pass

    for one in (kind, Holder):
        made = make(one)
        made.me = made
        made.token = token = Token()
        gone = weakref.ref(token)
        if isinstance(made, threading.Thread):
            threading._dangling.discard(made)
        del made, token
        gc.collect()
        assert gone() is None


def test_attributes_of_ones_own(kind):
    made = make(kind)
    made.label = "mine"
    assert made.label == "mine" and vars(made)["label"] == "mine"
    del made.label
    assert not hasattr(made, "label")


# --- subclasses


def test_a_constructor_of_ones_own(kind, name, stage):
    """With other arguments, and attributes that are set before the base's own."""

    class Own(kind):
        def __init__(self, label, /, *args, spare, **kwargs):
            self.label = label
            self.seen = []
            super().__init__(*args, **kwargs)
            self.spare = spare

    made = Own("name", *arguments_of(name), spare=1)
    assert (made.label, made.seen, made.spare) == ("name", [], 1)
    assert type(made) is made.__class__ is Own and isinstance(made, kind)
    assert "Own" in repr(made) or name == "Condition"
    check_that_it_works(made, name, stage)


def check_that_it_works(made, name, stage):
    if name == "Condition":
        with made:
            assert made.wait(0) is False
        strand = stage.block(lambda: made.acquire() and (made.wait(), made.release()))
        with made:
            made.notify()
        assert strand.result() == (True, None)
    elif name == "Event":
        strand = stage.block(made.wait)
        made.set()
        assert strand.result() is True
    elif name == "Barrier":
        strand = stage.block(made.wait)
        assert made.wait() == 1 and strand.result() == 0
    elif name in QUEUES:
        strand = stage.block(made.get)
        made.put("item")
        assert strand.result() == "item"
    elif name != "Timer":
        assert made.acquire()
        strand = stage.block(made.acquire)
        made.release()
        assert strand.result() is True


def test_several_bases(kind, name, stage):
    class Mixin:
        def __init__(self, *args, **kwargs):
            self.mixed = True
            super().__init__(*args, **kwargs)

    class Left(Mixin, kind):
        pass

    class Right(kind, Mixin):
        __slots__ = ("slot",)

    left = Left(*arguments_of(name))
    assert left.mixed
    check_that_it_works(left, name, stage)
    right = Right(*arguments_of(name))
    right.slot = 1
    check_that_it_works(right, name, stage)


def test_made_again(kind, name, stage):
    """Its constructor called once more puts it where it began."""
    if name == "Timer":
        pytest.skip("a Thread is made once")
    made = make(kind)
    if name == "Condition":
        made.acquire()
    elif name == "Event":
        made.set()
    elif name == "Barrier":
        made.abort()
    elif name in QUEUES:
        made.put(1)
    else:
        made.acquire()
    made.__init__(*arguments_of(name))
    if name in QUEUES:
        assert made.empty() and made.unfinished_tasks == 0
    check_that_it_works(made, name, stage)


@pytest.mark.parametrize("name", QUEUES)
def test_class_attributes_that_hide(kind, name):
    """In the standard class these are attributes of the instance, which a class attribute cannot hide."""

    class Hiding(kind):
        maxsize = 7
        unfinished_tasks = "none"
        is_shutdown = "hidden"

    made = Hiding(2)
    assert (made.maxsize, made.unfinished_tasks) == (2, 0)
    if sys.version_info >= (3, 13):
        assert made.is_shutdown is False
    made.put(1)
    made.put(2)
    assert made.full() and made.unfinished_tasks == 2


def test_replaced_on_the_instance(kind, name):
    """Programs replace methods of one object, and look through mocks with a spec."""
    from unittest import mock

    made = make(kind)
    method = METHODS[name].split()[-1]
    with mock.patch.object(made, method, return_value="patched"):
        assert getattr(made, method)() == "patched"
    assert getattr(made, method) == getattr(made, method)
    assert isinstance(mock.create_autospec(kind, instance=True), kind)


def test_classes_can_be_patched_by_subclasses_only(kind):
    class Own(kind):
        pass

    Own.extra = lambda self: "extra"
    assert make(Own).extra() == "extra"
