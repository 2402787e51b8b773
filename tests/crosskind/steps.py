"""What a strand is told to do: a script of steps, written once, that a thread, a task and a greenlet can each perform.

A script is a generator function: it yields steps and is sent what came of them. A step names the blocking method, the one
without an ``a`` before it; where the strand is a task, its async twin is awaited instead. So a test says ``yield queue.get`` and
means ``queue.get()`` in a thread or in a greenlet, and ``await queue.aget()`` in a task. Rejected: two bodies, one of them
``async def``. They would drift apart, and the pairs of kinds would need four.
"""

import asyncio
import inspect
import keyword
import queue
from collections.abc import Awaitable, Callable, Generator
from enum import Enum
from typing import Any, NamedTuple

Script = Generator[Any, Any, Any]


class Outcome(Enum):
    GAVE_UP = "gave up"

    def __repr__(self) -> str:
        return self.value


# What comes of a step that ran out of time or was cancelled, whichever way its kind says so (False, Empty, TimeoutError …).
GAVE_UP = Outcome.GAVE_UP


class Step(NamedTuple):
    method: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    seconds: float | None = None  # it gives up after so long
    at_once: bool = False  # the method itself, in tasks too
    raced: bool = False  # it gives up about when something happens: see Strand.race

    def __repr__(self) -> str:
        return f"{getattr(self.method, '__name__', self.method)}{self.arguments}"


def step(method: Callable[..., Any], *arguments: Any) -> Step:
    return Step(method, arguments)


def within(seconds: float, method: Callable[..., Any], *arguments: Any) -> Step:
    """Gives up after so many seconds: by the method's own time-out, in tasks by asyncio's."""
    return Step(method, arguments, seconds=seconds)


def now(method: Callable[..., Any], *arguments: Any) -> Step:
    """Called as it is, in tasks too: what does not wait, like ``lock.acquire(False)``."""
    return Step(method, arguments, at_once=True)


def raced(method: Callable[..., Any], *arguments: Any) -> Step:
    return Step(method, arguments, raced=True)


def twin(method: Callable[..., Any]) -> Callable[..., Awaitable[Any]] | None:
    """A waiting method's async twin: an ``a`` before the name, and an underscore after it where that gives a keyword.

    So it is with the two methods of a with statement, in the language itself.
    """
    name = getattr(method, "__name__", "")
    name = f"__a{name[2:]}" if name.startswith("__") else f"a{name}"
    return getattr(getattr(method, "__self__", None), name + "_" * keyword.iskeyword(name), None)


def script_of(what: Any, arguments: tuple[Any, ...]) -> Script:
    if inspect.isgeneratorfunction(what):
        return what(*arguments)
    return _one_step(what if isinstance(what, Step) else Step(what, arguments))


def _one_step(only: Step) -> Script:
    return (yield only)


def perform(script: Script, one: Callable[[Step], Any]) -> Any:
    """Runs a script in a strand that blocks."""
    try:
        wanted = next(script)
        while True:
            try:
                outcome = one(wanted if isinstance(wanted, Step) else Step(wanted))
            except Exception as error:
                wanted = script.throw(error)
            else:
                wanted = script.send(outcome)
    except StopIteration as end:
        return end.value


async def aperform(script: Script, one: Callable[[Step], Awaitable[Any]]) -> Any:
    """Runs a script in a strand that awaits."""
    try:
        wanted = next(script)
        while True:
            try:
                outcome = await one(wanted if isinstance(wanted, Step) else Step(wanted))
            except Exception as error:
                wanted = script.throw(error)
            else:
                wanted = script.send(outcome)
    except StopIteration as end:
        return end.value


def call(wanted: Step, seconds: float | None) -> Any:
    """One step, blocking."""
    if wanted.at_once or seconds is None or twin(wanted.method) is None:
        return wanted.method(*wanted.arguments)
    try:
        outcome = wanted.method(*wanted.arguments, timeout=seconds)
    except (queue.Empty, queue.Full):
        return GAVE_UP
    return GAVE_UP if outcome is False else outcome


async def acall(wanted: Step, seconds: float | None) -> Any:
    """One step, awaited."""
    method = None if wanted.at_once else twin(wanted.method)
    if method is None:
        return wanted.method(*wanted.arguments)
    if seconds is None:
        return await method(*wanted.arguments)
    try:
        async with asyncio.timeout(seconds):
            return await method(*wanted.arguments)
    except TimeoutError:
        return GAVE_UP
