"""What all locks and queues have in common as objects: what they pass for, what they have, what can be made of them.

How one waits for them is in test_asyncio_waits.py.
"""

import asyncio
import copy
import gc
import inspect
import pickle
import weakref

import plait
import pytest
from primitive_cases import CASES, NEW
from primitive_stage import STOCK, assert_same, assert_same_if, facts, finish, plain, small_heap
from stream_stage import parameters

__all__ = ["small_heap"]

each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_kind = pytest.mark.parametrize("kind", NEW)


@each_kind
def test_the_native_class_ran(kind):
    """The other tests here would pass with the standard classes in plait's place."""
    native = getattr(plait.asyncio, kind)
    assert type(NEW[kind](native)) is native
    assert native is not getattr(STOCK, kind) and not issubclass(native, getattr(STOCK, kind))
    assert native.__module__ == "plait.asyncio" and native.__qualname__ == kind


# --- what they are


@each_kind
def test_it_passes_for_the_standard_class(kind):
    def body(stage):
        cls = getattr(stage.asyncio, kind)
        thing = NEW[kind](cls)
        stage.note([name for name in NEW if isinstance(thing, getattr(STOCK, name))])
        stage.note([name for name in NEW if isinstance(thing, getattr(stage.asyncio, name))])
        stage.note(type(thing) is cls, cls.__name__, cls.__qualname__, bool(thing))
        stage.note(thing in [thing], thing == NEW[kind](cls), len({thing, thing, NEW[kind](cls)}))

    assert kind in assert_same(body)[0][0]


@each_kind
def test_it_has_what_the_standard_class_has(kind):
    """Every public name, called the same way, with something to read about it."""
    standard = NEW[kind](getattr(STOCK, kind))

    def body(stage):
        thing = NEW[kind](getattr(stage.asyncio, kind))
        for name in dir(standard):
            if name.startswith("_"):
                continue
            value = getattr(thing, name)
            stage.note(name, callable(value), inspect.iscoroutinefunction(value), asyncio.iscoroutinefunction(value))
            if callable(value):
                stage.note(parameters(value), value.__name__, bool(inspect.getdoc(value)))
        stage.note(hasattr(thing, "__aenter__"), hasattr(thing, "__aexit__"), bool(inspect.getdoc(type(thing))))

    assert_same(body)


@each_kind
def test_the_signature_of_the_class(kind):
    def body(stage):
        stage.note(parameters(getattr(stage.asyncio, kind)))

    assert_same(body)


@each_kind
def test_arguments_that_it_does_not_take(kind):
    def body(stage):
        cls = getattr(stage.asyncio, kind)
        for arguments, keywords in (((1, 2), {}), ((), {"loop": None}), ((1,), {"value": 1, "maxsize": 1, "lock": 1})):
            stage.attempt(lambda arguments=arguments, keywords=keywords: cls(*arguments, **keywords))
        thing = NEW[kind](cls)
        for name in dir(standard):
            if not name.startswith("_") and callable(getattr(thing, name)):
                stage.attempt(getattr(thing, name), 1, 2, 3)
                stage.attempt(lambda name=name: getattr(thing, name)(no_such=1))

    standard = NEW[kind](getattr(STOCK, kind))
    trace = assert_same(body)
    assert trace == [("raised", ("TypeError", (), {}))] * len(trace)


@each_kind
def test_attributes_of_ones_own(kind):
    def body(stage):
        thing = NEW[kind](getattr(stage.asyncio, kind))
        thing.name = "mine"
        stage.note(thing.name, "name" in vars(thing), "name" in dir(thing))
        del thing.name
        stage.note(hasattr(thing, "name"))
        stage.attempt(getattr, thing, "name")

    assert assert_same(body)[0] == ("mine", True, True)


@each_kind
def test_weak_references(kind):
    def body(stage):
        thing = NEW[kind](getattr(stage.asyncio, kind))
        reference = weakref.ref(thing, lambda _: stage.note("gone"))
        keys = weakref.WeakKeyDictionary({thing: "value"})
        stage.note(reference() is thing, keys[thing])
        del thing
        gc.collect()
        stage.note(reference(), len(keys))

    assert assert_same(body)[1:] == [("gone",), (None, 0)]


@each_kind
def test_subclasses(kind):
    def body(stage):
        class Mine(getattr(stage.asyncio, kind)):
            """With attributes that are set before anything is ready for them."""

            limit = 3

            def __init__(self, *arguments, name="nobody"):
                self.name = name
                self.things = []
                super().__init__(*arguments)
                self.after = True

            @property
            def size(self):
                return len(self.things)

        thing = NEW[kind](lambda *arguments: Mine(*arguments, name="somebody"))
        stage.note(thing.name, thing.size, thing.limit, thing.after, type(thing) is Mine)
        stage.note(isinstance(thing, getattr(stage.asyncio, kind)), issubclass(Mine, getattr(stage.asyncio, kind)))
        stage.note(plain(thing).rpartition(".")[2], weakref.ref(thing)() is thing, Mine.__doc__.split()[0])
        for base in (cls.__name__ for cls in Mine.__mro__ if cls.__name__ in NEW):
            stage.note(base)

    assert assert_same(body)[0] == ("somebody", 0, 3, True, True)


@each_case
def test_subclasses_wait_as_well(case):
    def body(stage):
        class Mine(getattr(stage.asyncio, case.kind)):
            pass

        thing = case.make(Mine)
        tasks = stage.blocked(*(case.wait(thing) for _ in range(3)))
        for _ in tasks:
            stage.attempt(case.wake, thing)
            stage.turn(3)
            stage.note([task.done() for task in tasks], facts(thing))
        stage.note_ends(tasks)

    assert_same_if(case.exact, body)


@each_kind
def test_init_again(kind):
    """A second __init__ begins anew; it takes what the first one takes."""

    def body(stage):
        thing = NEW[kind](getattr(stage.asyncio, kind))
        for name, *arguments in (("acquire",), ("set",), ("put_nowait", 1)):
            if hasattr(thing, name):
                result = getattr(thing, name)(*arguments)
                stage.note(finish(result) if name == "acquire" else result)
        if kind == "Barrier":
            stage.note(finish(thing.abort()))
        stage.note(plain(thing))
        NEW[kind](lambda *arguments: thing.__init__(*arguments))
        stage.note(plain(thing), plain(NEW[kind](type(thing))) == plain(thing))

    assert assert_same(body)[-1][1] is True


@each_kind
def test_without_a_loop(kind):
    """They are made before any loop exists. What need not wait works without one, or on any, and binds to none."""

    async def use(thing):
        for name, *arguments in (("set",), ("acquire",), ("put", 1), ("get",), ("abort",), ("wait",), ("reset",)):
            if name == "wait" and kind in ("Condition", "Barrier"):
                continue
            if hasattr(thing, name):
                result = getattr(thing, name)(*arguments)
                yield name, await result if inspect.iscoroutine(result) else result
        for name in ("clear", "notify_all", "release", "task_done"):
            if hasattr(thing, name):
                yield name, getattr(thing, name)()

    async def used(thing):
        return [one async for one in use(thing)]

    def body(stage):
        thing = NEW[kind](getattr(stage.asyncio, kind))
        stage.note(thing._loop)
        stage.note(finish(used(thing)), thing._loop)
        for _ in range(2):
            stage.note(stage.another_loop().run_until_complete(used(thing)), thing._loop)
        stage.note(plain(thing), plain(thing) == plain(NEW[kind](type(thing))))

    trace = assert_same(body)
    assert all(one[1] is None for one in trace[1:4]) and trace[-1][1] is True


@each_kind
def test_copies_and_pickles(kind):
    """Either they are refused, or what comes out is new and works."""

    def body(stage):
        cls = getattr(stage.asyncio, kind)
        for duplicate in (copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))):
            thing = NEW[kind](cls)
            try:
                other = duplicate(thing)
            except TypeError as error:
                assert str(error).startswith(("cannot pickle", "cannot copy")), error
            else:
                assert type(other) is cls and plain(other) == plain(thing)
                assert not hasattr(other, "acquire") or finish(other.acquire()) and plain(other) != plain(thing)
        stage.note("tried")

    assert_same(body)


@each_case
def test_one_that_is_waited_for_cannot_be_copied(case):
    def body(stage):
        thing = case.new(stage)
        tasks = stage.blocked(case.wait(thing))
        for duplicate in (copy.deepcopy, pickle.dumps):
            stage.attempt(duplicate, thing)
        stage.note_ends(tasks)

    assert assert_same(body)[:2] == [("raised", ("TypeError", (), {}))] * 2


@each_kind
def test_cycles_through_attributes_are_collected(kind):
    def body(stage):
        thing = NEW[kind](getattr(stage.asyncio, kind))
        gone = weakref.ref(thing)
        thing.me = thing
        if hasattr(thing, "put_nowait"):
            thing.put_nowait((1, [thing]))
        del thing
        gc.collect()
        stage.note(gone() is None)

    assert assert_same(body) == [(True,)]
