"""A stage on which one program of locks or queues runs again and again: with the standard classes and with plait's, on
stock loops and on plait's. Each run writes a trace, and the traces are compared.

The expectation is never written down: it is what the standard classes of the very Python do that runs the tests, turn
by turn. So one body serves all versions, and a waiter that is woken a turn too early, a turn too late or out of its
place is seen as well as one that is never woken.

In one thing the host is no judge. Up to some release of 3.12 a notification was lost with the waiter that was
cancelled right after it, and a semaphore woke its waiters in more turns than it needed. A library that mends this is
not wrong; `assert_same_if_mended` says how it is compared there, and `Stage.keeps` what it must keep all the same.
"""

import asyncio
import gc
import re
import signal
import warnings
from collections.abc import Callable, Coroutine, Iterable
from contextlib import contextmanager
from itertools import zip_longest
from types import SimpleNamespace
from typing import Any

import plait
from loop_fixtures import HUNG_AFTER, settle
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

# What asyncio's later algorithms are known by; their private methods had no answer, or were not there, before.
CONDITION_IS_MENDED = hasattr(STOCK.Condition, "_notify")
SEMAPHORE_IS_MENDED = STOCK.Semaphore()._wake_up_next() is False

# A waiter may be a task of the loop's own make, of C, or of Python: each is woken in another way.
TASKS: dict[str, Callable[[Any, Coroutine[Any, Any, Any]], Any]] = {
    "own": lambda loop, coroutine: loop.create_task(coroutine),
    "C": lambda loop, coroutine: asyncio.Task(coroutine, loop=loop),
    "Python": lambda loop, coroutine: asyncio.tasks._PyTask(coroutine, loop=loop),  # type: ignore[attr-defined]
}


def plain(shown: object) -> str:
    """A repr without what differs by chance, addresses and the name of the class's module."""
    text = re.sub(r"0x[0-9a-f]+", "*", str(shown))
    return re.sub(r"\b(asyncio\.locks|asyncio\.queues|plait\.asyncio)\.", "", text)


def waiters(futures: Iterable[Any] | None) -> list[str]:
    """A private list of waiters, as programs look into it."""
    return ["cancelled" if one.cancelled() else "woken" if one.done() else "waits" for one in futures or ()]


def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that need not wait, without a loop."""
    try:
        waiter = coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
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

    @contextmanager
    def warned(self) -> Any:
        """Note the warnings that come meanwhile, those of a collection too."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
            gc.collect()
        for one in caught:
            self.note("warned", one.category.__name__, plain(one.message))


def observe(library: str, loop: str, body: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Run the body on a fresh stage; its trace."""
    # Each run may take as long as a test: hypothesis makes many, and more while it looks for the shortest that fails.
    signal.setitimer(signal.ITIMER_REAL, HUNG_AFTER, 3 * HUNG_AFTER)
    stage = Stage(library, LOOPS[loop]())
    try:
        body(stage, *arguments)
        for made in stage.loops:
            if not made.is_closed():
                settle(made)
    finally:
        for made in stage.loops:
            made.close()
    return stage.trace


def assert_same(body: Callable[..., Any], *arguments: Any) -> list[Any]:
    """The body's trace, which must be the same with either classes on either loop."""
    expected = observe("stock", "stock", body, *arguments)
    for library, loop in (("stock", "plait"), ("plait", "plait"), ("plait", "stock")):
        _compare(library, loop, expected, observe(library, loop, body, *arguments))
    return expected


def assert_same_if_mended(mended: bool, body: Callable[..., Any], *arguments: Any) -> None:
    """The same; but where the host's own algorithm is an older one, each library is compared with itself."""
    if mended:
        assert_same(body, *arguments)
        return
    for library in LIBRARIES:
        expected = observe(library, "stock", body, *arguments)
        _compare(library, "plait", expected, observe(library, "plait", body, *arguments))


def _compare(library: str, loop: str, expected: list[Any], seen: list[Any]) -> None:
    assert expected, "nothing was compared"
    if seen == expected:
        return
    for place, (wanted, got) in enumerate(zip_longest(expected, seen, fillvalue="(nothing)")):
        if got != wanted:
            break
    # back to the beginning of the script, where the body plays many
    begins = max((at for at in range(place) if expected[at][:1] == ("script",)), default=max(0, place - 8))
    before = "\n  ".join(map(repr, expected[begins:place]))
    raise AssertionError(f"{library} classes, {loop} loop: {got!r} instead of {wanted!r}, after\n  {before}")
