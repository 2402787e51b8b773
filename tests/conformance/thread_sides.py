"""What the tests of threading's primitives and of queues stand on: the two sides, and threads that are seen to wait.

A test that needs a thread to be blocked must not guess how long that takes, and must not look into the primitive
either, since the two sides keep their waiters in different places. So the kernel is asked: a thread that has entered
its call and sleeps, with the same count of context switches before and after a moment in which this thread slept
itself, is blocked. One that only waits for the interpreter's lock would have had it in that moment, unless a third thread
has it and has no processor: so no other thread of the program may be running either, except for one that always does.
Rejected: counting waiters through private attributes, and a plain sleep "long enough".

No pytest here: programs that run in a process of their own import this file too.
"""

import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

import plait.queue
import plait.threading

# What is not over by then hangs. Nothing here takes a tenth of it.
LIMIT = 30
NAP = 0.0004
# A thread that runs for longer than this beside them has given the interpreter's lock away in between, many times.
ALWAYS = 0.2


class Side(NamedTuple):
    name: str
    threading: ModuleType
    queue: ModuleType

    @property
    def stricter(self) -> bool:
        """Whether plait's further promise holds: who has given up passes on what it was handed meanwhile."""
        return self.name == "plait"


SIDES = {
    "stock": Side("stock", threading, queue),
    "plait": Side("plait", plait.threading, plait.queue),
}


class Hangs(AssertionError):
    pass


def stacks() -> str:
    """Where each thread is."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame, 8))}"
        for ident, frame in sys._current_frames().items()
    )


def until(condition: Callable[[], Any]) -> None:
    """Wait for what another thread does."""
    give_up = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > give_up:
            raise Hangs(f"it never came about\n{stacks()}")
        time.sleep(NAP)


def asleep(native_id: int) -> Any:
    """None for a thread that runs or is about to; else something that changes whenever the thread has run."""
    try:
        with open(f"/proc/self/task/{native_id}/status") as file:
            lines = [line for line in file if line.startswith(("State:", "voluntary", "nonvoluntary"))]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    return lines if lines[0].split()[1] == "S" else None


class Strand:
    """A thread that makes one call, and what came of it."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._call = (function, args, kwargs)
        self._entered = False
        self.asked = False
        self.over = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True, name=getattr(function, "__qualname__", None))
        self.thread.start()

    def _run(self) -> None:
        function, args, kwargs = self._call
        self._entered = True
        try:
            self.value = function(*args, **kwargs)
        except BaseException as error:
            self.error = error.with_traceback(None)
        del self._call, function, args, kwargs
        self.over = True

    def look(self) -> Any:
        """None while it does something; equal answers mean that it did nothing in between."""
        if self.over:
            return "over"
        return asleep(self.thread.native_id) if self._entered else None

    def blocked(self) -> "Strand":
        """Returns when it waits for others."""
        settle([self])
        assert not self.over, f"it did not wait: {self.error or self.value!r}"
        return self

    def join(self) -> None:
        self.asked = True
        self.thread.join(LIMIT)
        if self.thread.is_alive():
            raise Hangs(f"{self.thread.name} still waits\n{stacks()}")

    def result(self) -> Any:
        self.join()
        if self.error is not None:
            raise self.error
        return self.value

    def raised(self) -> type[BaseException] | None:
        self.join()
        return self.error and type(self.error)


def others_run() -> bool:
    """Whether any thread but this one runs or is about to."""
    me = threading.get_native_id()
    return any(asleep(native_id) is None for native_id in map(int, os.listdir("/proc/self/task")) if native_id != me)


def settle(strands: Iterable["Strand | Sleeper"]) -> None:
    """Returns when each of them is over or waits for others, so that nothing moves any more by itself."""
    strands = list(strands)
    before: list[Any] | None = None
    began = time.monotonic()
    give_up = began + LIMIT
    while True:
        seen = [strand.look() for strand in strands]
        if None not in seen and seen == before and (not others_run() or time.monotonic() > began + ALWAYS):
            return
        if time.monotonic() > give_up:
            raise Hangs(f"they do not come to rest\n{stacks()}")
        before = seen
        time.sleep(NAP)


class Sleeper:
    """Any thread by its number, for `settle`: nobody knows whether it has entered its call, so be sure of that."""

    def __init__(self, native_id: int) -> None:
        self.native_id = native_id

    def look(self) -> Any:
        return asleep(self.native_id)


class OwnLock:
    """A lock as a program may write it: acquire, release, and what `with` needs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def acquire(self, *args: Any, **kwargs: Any) -> bool:
        return self._lock.acquire(*args, **kwargs)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
