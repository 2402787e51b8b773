"""A stage on which one program of locks or queues runs again and again: with the standard classes and with plait's, on
stock loops and on plait's. Each run writes a trace, and the traces are compared.

The expectation is never written down: it is what the standard classes of the very Python do that runs the tests, turn
by turn. So one body serves all versions, and a waiter that is woken a turn too early, a turn too late or out of its
place is seen as well as one that is never woken.

What is done and what is shown are compared apart: `facts` for the one, `plain` for the other. A library that counts its
waiters in another way would else fail everywhere, and nothing more would be seen.

In two things the host is no judge. Up to some release of 3.12 a notification was lost with the waiter that was
cancelled right after it, and a semaphore woke its waiters in more turns than it needed. Later ones pass a notification
on whenever a waiter of a condition leaves by an exception, whether it had one or not: they wake somebody for nothing,
and who has waited longest goes to the end of the queue. To know better is not wrong. `assert_same_if` says how that is
compared, and `Stage.keeps` whether nothing may be lost.
"""

import asyncio
import gc
import inspect
import re
import warnings
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from types import SimpleNamespace
from typing import Any

import plait
import pytest
from loop_fixtures import settle, start_the_clock
from stream_stage import LOOPS, told

CLASSES = ("Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier")
QUEUES = ("Queue", "LifoQueue", "PriorityQueue")
# The functions come from the same place, so that plait's wait_for is tried on plait's lock.
NAMES = (*CLASSES, *QUEUES, "wait_for", "timeout", "gather")
LIBRARIES = {
    "stock": SimpleNamespace(**{name: getattr(asyncio, name) for name in NAMES}),
    "plait": SimpleNamespace(**{name: getattr(plait.asyncio, name) for name in NAMES}),
}
STOCK = LIBRARIES["stock"]

# What asyncio's later algorithms are known by: these private methods were not there before, or had no answer.
CONDITION_IS_MENDED = hasattr(STOCK.Condition, "_notify")
SEMAPHORE_IS_MENDED = STOCK.Semaphore()._wake_up_next() is False

# A waiter may be a task of the loop's own make, of C, or of Python: each is woken in another way.
TASKS: dict[str, Callable[[Any, Coroutine[Any, Any, Any]], Any]] = {
    "own": lambda loop, coroutine: loop.create_task(coroutine),
    "C": lambda loop, coroutine: asyncio.Task(coroutine, loop=loop),
    "Python": lambda loop, coroutine: asyncio.tasks._PyTask(coroutine, loop=loop),  # type: ignore[attr-defined]
}


FACTS = ("locked", "is_set", "qsize", "empty", "full", "maxsize", "parties", "n_waiting", "broken")

# Not the addresses, which differ by chance, and not the module of the class.
BY_CHANCE = re.compile(r"(?<=0x)[0-9a-f]+|\b(?:asyncio\.locks|asyncio\.queues|plait\.asyncio)\.")


def plain(shown: object) -> str:
    """A repr without what differs."""
    return BY_CHANCE.sub("", shown if isinstance(shown, str) else repr(shown))


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> Iterator[None]:
    """A collection in each run is quick when it passes over all that is there before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def waiters(futures: Iterable[Any] | None) -> list[str]:
    """A private list of waiters, as programs look into it."""
    return ["cancelled" if one.cancelled() else "woken" if one.done() else "waits" for one in futures or ()]


def still_waiting(futures: Iterable[Any] | None) -> int:
    """How many in a private list wait. plait's lists leave out who was woken and has not run yet."""
    return waiters(futures).count("waits")


def facts(thing: Any) -> dict[str, Any]:
    """What a program is told that asks by the public names."""
    values = {name: getattr(thing, name) for name in FACTS if hasattr(thing, name)}
    return {name: value() if callable(value) else value for name, value in values.items()}


def finish(awaitable: Any) -> Any:
    """The result of what need not wait, without a loop."""
    steps = awaitable if inspect.iscoroutine(awaitable) else awaitable.__await__()
    try:
        waiter = next(steps) if steps is not awaitable else steps.send(None)
    except StopIteration as stop:
        return stop.value
    steps.close()
    raise AssertionError(f"it waits: {waiter!r}")


class Stage:
    """One choice of classes, on one loop, and the trace of what happened there."""

    def __init__(self, name: str, loop: Any) -> None:
        self.name = name
        self.asyncio: Any = LIBRARIES[name]
        self.trace: list[Any] = []
        self.loops: list[Any] = []
        self.loop = self._equipped(loop)

    def _equipped(self, loop: Any) -> Any:
        loop.set_exception_handler(self._reported)
        self.loops.append(loop)
        return loop

    def _reported(self, _: Any, context: dict[str, Any]) -> None:
        message = context["message"].partition("(")[0]  # what follows shows a function by its repr
        self.note("reported", plain(message), told(context.get("exception")))

    def keeps(self, mended: bool) -> bool:
        """Whether these classes must lose nothing: not the standard ones of a host that is known to."""
        native = self.name == "plait" and self.asyncio.Lock is not STOCK.Lock
        return native or mended

    def another_loop(self) -> Any:
        return self._equipped(type(self.loop)())

    def note(self, *what: Any) -> None:
        self.trace.append(what)

    def attempt(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call, note what came of it, and go on."""
        try:
            result = call(*arguments)
        except Exception as error:
            self.note("raised", told(error))
            return None
        self.note("returned", type(result).__name__, plain(result))
        return result

    def turn(self, times: int = 1) -> None:
        """Let the loop go round so often."""
        for _ in range(times):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def task(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.create_task(coroutine)

    def blocked(self, *coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
        """A task of each, all of them come to their wait."""
        tasks = [self.task(coroutine) for coroutine in coroutines]
        self.turn(2)
        assert not any(task.done() for task in tasks)
        return tasks

    def note_end(self, name: object, task: Any) -> None:
        """What became of a task; one that is pending is cancelled first."""
        if not task.done():
            self.note(name, "pending")
            task.cancel()
            self.turn(3)
        if not task.done():
            self.note(name, "does not end")
        elif task.cancelled():
            self.note(name, "cancelled")
        elif error := task.exception():
            self.note(name, told(error))
        else:
            self.note(name, type(task.result()).__name__, plain(task.result()))

    def note_ends(self, tasks: Iterable[Any]) -> None:
        for number, task in enumerate(tasks):
            self.note_end(number, task)

    def end_tasks(self, loop: Any) -> None:
        """A wait that cannot be cancelled is to fail here, at once; to run until it ends would hang."""
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        for _ in range(10 + 3 * len(left)):
            loop.call_soon(loop.stop)
            loop.run_forever()
            left = {task for task in left if not task.done()}
            if not left:
                break
        assert not left, f"tasks do not end when they are cancelled: {left}"

    @contextmanager
    def warned(self) -> Any:
        """Note the warnings that come meanwhile, those of a collection too."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
            gc.collect()
        for one in caught:
            self.note("warned", one.category.__name__, plain(str(one.message)))


def observe(library: str, loop: str, body: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Run the body on a fresh stage; its trace."""
    # Each run may take as long as a test: hypothesis makes many, and more while it looks for the shortest that fails.
    start_the_clock()
    stage = Stage(library, LOOPS[loop]())
    gc.disable()  # a collection by chance would report forgotten tasks in one run and not in another
    try:
        body(stage, *arguments)
        for made in stage.loops:
            if not made.is_closed():
                stage.end_tasks(made)
                settle(made)
    finally:
        gc.enable()
        for made in stage.loops:
            made.close()
    return list(stage.trace)


def assert_same(body: Callable[..., Any], *arguments: Any) -> list[Any]:
    """The body's trace, which must be the same with either classes on either loop."""
    expected = observe("stock", "stock", body, *arguments)
    for library, loop in (("stock", "plait"), ("plait", "plait"), ("plait", "stock")):
        _compare(library, loop, expected, observe(library, loop, body, *arguments))
    return expected


def assert_same_if(exact: bool, body: Callable[..., Any], *arguments: Any) -> None:
    """The same; but where the standard classes are no judge, each library is compared with itself on the other loop."""
    if exact:
        assert_same(body, *arguments)
        return
    for library in LIBRARIES:
        expected = observe(library, "stock", body, *arguments)
        _compare(library, "plait", expected, observe(library, "plait", body, *arguments))


def _compare(library: str, loop: str, expected: list[Any], seen: list[Any]) -> None:
    assert expected, "nothing was compared"
    if seen == expected:
        return
    pairs = list(zip_longest(expected, seen, fillvalue="(nothing)"))
    place = next(at for at, (wanted, got) in enumerate(pairs) if got != wanted)
    wanted, got = pairs[place]
    # back to the beginning of the script, where the body plays many
    begins = max((at for at in range(place) if expected[at][:1] == ("script",)), default=max(0, place - 8))
    before = "\n  ".join(map(repr, expected[begins:place]))
    raise AssertionError(f"{library} classes, {loop} loop: {got!r} instead of {wanted!r}, after\n  {before}")
