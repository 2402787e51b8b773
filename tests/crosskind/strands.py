"""A strand: something that waits, of one kind. It performs scripts (steps.py), one after the other, and can be seen to be blocked.

The test's own thread only directs: it gives strands their scripts, looks whether they are parked (``primitive._waiting``), and
never waits on a primitive itself. So whatever hangs, hangs in a strand, and the test fails with what each strand did last and
where it stands. Nothing is timed and nobody sleeps: between two strands the order is made by waiting until the first of them is
seen to be parked.

Strands live somewhere (homes.py): tasks on a loop, greenlets at a hub, several of them in one place.
"""

import asyncio
import faulthandler
import random
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import plait
from steps import GAVE_UP, Script, Step, acall, aperform, call, perform, script_of

# Only what hangs waits so long.
LIMIT = 30

# The time-out of a raced step on a thread or greenlet is random, up to so many seconds: about what the director takes to see the strand
# parked and to act, so that either may come first.
BRIEFLY = 0.001

_of_this_test: list["Strand"] = []


class Hung(AssertionError):
    """Something did not happen within the limit. Says what every strand was doing."""

    def __init__(self, what: str) -> None:
        told = "".join(f"\n{strand!r}\n{strand.stack()}" for strand in _of_this_test)
        super().__init__(f"{what}\n{told}\nall threads:\n{_threads()}")


def _threads() -> str:
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        return file.read()


def until(condition: Callable[[], Any], what: str = "the condition never held") -> None:
    """Polls. The pause only keeps the poll from taking the processor away from those it waits for."""
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise Hung(what)
        time.sleep(0.00005)


def parked(primitive: Any, count: int, unless: Callable[[], Any] = lambda: False) -> None:
    """Waits until so many strands wait on the primitive (or until ``unless`` holds)."""
    until(lambda: primitive._waiting == count or unless(), f"never {count} waiting on {primitive!r}")


class Call:
    """A script that a strand was given, and what came of it."""

    def __init__(self, strand: "Strand", script: Script) -> None:
        self.strand = strand
        self.script = script
        self._future: Future[Any] = Future()
        self.done = self._future.done

    def settle(self, result: Any = None, error: BaseException | None = None) -> None:
        if error is None:
            self._future.set_result(result)
        else:
            self._future.set_exception(error)

    def value(self) -> Any:
        """What the script returned; raises what it raised."""
        until(self.done, f"{self.strand.name} never came to the end of its script")
        return self._future.result()


class Strand:
    """The common part. A kind adds how it is told what to do, and how it performs a step."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.random = random.Random(seed)
        self.log: list[str] = []
        _of_this_test.append(self)

    def __repr__(self) -> str:
        return f"{self.name}: {'; '.join(self.log[-12:])}{'' if self.idle() else ' (busy)'}"

    def start(self, what: Any, *arguments: Any) -> Call:
        """Has it perform a script, or a single step, after those that it was given before."""
        started = Call(self, script_of(what, arguments))
        self.last = started
        self._give(started)
        return started

    def do(self, what: Any, *arguments: Any) -> Any:
        return self.start(what, *arguments).value()

    def idle(self) -> bool:
        return not hasattr(self, "last") or self.last.done()

    def beside(self, function: Callable[[], Any]) -> Any:
        """What a function returns, called at once and in no strand: in the thread where ``race`` lets things happen."""
        return function()

    def race(self, happens: Callable[[], Any]) -> None:
        """Lets something happen about when the raced step, which the strand is at, gives up."""
        self.beside(happens)

    def end(self) -> None:
        self._give(None)

    def stack(self) -> str:
        return ""

    def _give(self, work: Call | None) -> None:
        raise NotImplementedError

    def _noted(self, wanted: Step, outcome: Any) -> Any:
        self.log[-1] = f"{wanted!r} -> {outcome!r}"
        return outcome


class Blocking(Strand):
    """A strand that waits by calling: a thread or a greenlet."""

    inbox: Any
    deadline = 0.0  # of the raced step

    def live(self) -> None:
        while (work := self.inbox.get()) is not None:
            try:
                result = perform(work.script, self._one)
            except BaseException as error:
                work.settle(error=error)
            else:
                work.settle(result)

    def _one(self, wanted: Step) -> Any:
        seconds = wanted.seconds
        if wanted.raced:
            seconds = self.random.uniform(0, BRIEFLY)
            self.deadline = time.monotonic() + seconds
        self.log.append(f"{wanted!r} …")
        return self._noted(wanted, call(wanted, seconds))

    def _give(self, work: Call | None) -> None:
        self.inbox.put(work)

    def _spin(self, beyond: float) -> None:
        """Until so long after the deadline, and without letting anybody else run who needs the interpreter."""
        while time.monotonic() < self.deadline + beyond:
            pass


class ThreadStrand(Blocking):
    def __init__(self, name: str, seed: int) -> None:
        super().__init__(name, seed)
        self.inbox = SimpleQueue()
        self.thread = threading.Thread(target=self.live, name=name, daemon=True)
        self.thread.start()

    def race(self, happens: Callable[[], Any]) -> None:
        """A little before its deadline, or a little after."""
        self._spin(self.random.uniform(-0.1, 0.1) * BRIEFLY)
        happens()


class GreenletStrand(Blocking):
    """Its inbox is a plait.Queue: a greenlet has nothing else to wait with."""

    def __init__(self, name: str, seed: int, hub: Any) -> None:
        super().__init__(name, seed)
        self.inbox = plait.Queue()
        self.hub = hub
        hub.loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self.greenlet = self.hub.spawn(self.live)

    def beside(self, function: Callable[[], Any]) -> Any:
        return in_its_thread(self.hub.loop, function)

    def race(self, happens: Callable[[], Any]) -> None:
        """At once, or in a turn of the hub that lasts beyond the deadline, so that the next turn finds both."""
        lasts = self.random.choice((False, True))
        self.beside(lambda: [lasts and self._spin(0), happens()])

    def stack(self) -> str:
        frame = getattr(getattr(self, "greenlet", None), "gr_frame", None)
        return "".join(traceback.format_stack(frame)) if frame else ""


class TaskStrand(Strand):
    def __init__(self, name: str, seed: int, loop: Any) -> None:
        super().__init__(name, seed)
        self.loop = loop
        in_its_thread(loop, self._begin)

    def _begin(self) -> None:
        self.inbox: asyncio.Queue[Call | None] = asyncio.Queue()
        self.task = self.loop.create_task(self.live())

    async def live(self) -> None:
        while (work := await self.inbox.get()) is not None:
            try:
                result = await aperform(work.script, self._one)
            except BaseException as error:
                work.settle(error=error)
            else:
                work.settle(result)

    async def _one(self, wanted: Step) -> Any:
        self.log.append(f"{wanted!r} …")
        self.cancelled = False
        self.racing = wanted.raced
        try:
            outcome = await acall(wanted, wanted.seconds)
        except asyncio.CancelledError:
            assert self.cancelled, "cancelled by nobody"
            self.task.uncancel()
            return self._noted(wanted, GAVE_UP)
        finally:
            self.racing = False
        assert not self.cancelled, "a cancellation was swallowed"
        return self._noted(wanted, outcome)

    def beside(self, function: Callable[[], Any]) -> Any:
        return in_its_thread(self.loop, function)

    def race(self, happens: Callable[[], Any]) -> None:
        """It is cancelled in the same turn of its loop, just before or just after: whatever it was handed, it has not run yet."""
        order = [self._cancel, happens]
        self.random.shuffle(order)
        self.beside(lambda: [each() for each in order])

    def _cancel(self) -> None:
        if self.racing:
            self.cancelled = self.task.cancel()

    def _give(self, work: Call | None) -> None:
        self.loop.call_soon_threadsafe(self.inbox.put_nowait, work)

    def stack(self) -> str:
        with tempfile.TemporaryFile("w+") as file:
            self.task.print_stack(file=file)
            file.seek(0)
            return file.read()


def in_its_thread(loop: Any, function: Callable[[], Any]) -> Any:
    """What the function returns, called in the thread of that loop."""
    answer: Future[Any] = Future()

    def run() -> None:
        try:
            answer.set_result(function())
        except BaseException as error:
            answer.set_exception(error)

    loop.call_soon_threadsafe(run)
    until(answer.done, "the loop's thread did not take a turn")
    return answer.result()
