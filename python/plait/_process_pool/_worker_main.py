"""What runs in a worker process: it takes calls, makes them, and sends back what came of them.

Each call is claimed before it is unpickled: from then on it is this worker's, whatever becomes of it; before, the pool may take it back. Each answer is sent when it is
there, so that a worker's death loses no call that it was through with; but the pool is not woken for each, where calls are quick and more are waiting.
"""

import importlib
import time
from collections.abc import Callable
from typing import Any

from plait import _native
from plait._process_pool import _messages, _pickling

# Private names of it are used, which its stubs do not have.
_standard: Any = importlib.import_module("concurrent.futures.process")
_WithTraceback: Any = _standard._ExceptionWithTraceback

# After so many seconds without work, memory of results that nobody has any more is given back.
_IDLE = 5.0
# While calls are quick, the pool is woken once in so many nanoseconds.
_WAKING = 500_000


def main(door: Any, initializer: Callable[..., Any] | None, initargs: tuple[Any, ...]) -> None:
    """The target of a worker's process. `door` opens its end of the link."""
    end = door.open()
    if initializer is not None:
        try:
            initializer(*initargs)
        except BaseException:
            report_broken_initializer(end)
            return
    del initializer, initargs
    end.send(_messages.READY, 0, 0, [b""], True)
    Worker(end).work()


class Worker:
    """One that works."""

    def __init__(self, end: Any) -> None:
        self._end = end
        self._known: dict[bytes, Any] = {}  # functions that were loaded
        self._woke = 0  # when the pool was woken

    def work(self) -> None:
        """Until there is nothing more to do."""
        end = self._end
        trimmed = True
        while True:
            try:
                message = end.receive(None if trimmed else _IDLE)
            except EOFError:
                return  # the parent is gone
            if message is None:
                if not trimmed:
                    end.trim()
                    trimmed = True
                continue
            kind, number, parts = message
            del message
            trimmed = False
            if kind == _messages.CALL:
                self._call(number, parts, not end.has_more())
            elif kind == _messages.CALLS:
                self._calls(number, parts)
            elif kind == _messages.STOP:
                return

    def _calls(self, number: int, pickles: list[Any]) -> None:
        last = len(pickles) - 1
        for at in range(last + 1):
            parts = [pickles[at]]
            pickles[at] = None
            self._call((number + at) & 0xFFFFFFFF, parts, at == last and not self._end.has_more())

    def _call(self, number: int, parts: list[Any], is_last: bool) -> None:
        """Make a call and answer. Nothing of it is left when this returns."""
        end = self._end
        if not end.claim(number):
            end.send(_messages.TAKEN_BACK, number, 0, [b""], is_last)
            return
        began = time.perf_counter_ns()
        kind = _messages.NOT_LOADED
        try:
            function, args, kwargs = _pickling.load_call(parts, self._known)
            parts.clear()
            kind = _messages.RAISED
            answer = _pickling.dump(function(*args, **kwargs))
            kind = _messages.RETURNED
            del function, args, kwargs
        except BaseException as error:
            # What the call had is let go of while the error is being sent.
            function, args, kwargs = None, (), {}
            answer = dump_error(error)
        now = time.perf_counter_ns()
        rings = is_last or now - self._woke > _WAKING
        if rings:
            self._woke = now
        try:
            end.send(kind, number, now - began, answer, rings)
        except (ValueError, OverflowError) as error:  # it cannot be sent at all: it is too long
            end.send(_messages.RAISED, number, now - began, dump_error(error), True)


def report_broken_initializer(end: Any) -> None:
    """In the standard words, and to the pool. Where it is being handled."""
    _standard._base.LOGGER.critical("Exception in initializer:", exc_info=True)
    end.send(_messages.NOT_STARTED, 0, 0, [b""], True)


def dump_error(error: BaseException) -> list[Any]:
    """An exception, pickled with its traceback; or the one that keeps it from being pickled."""
    try:
        return _pickling.dump(with_traceback(error))
    except BaseException as unpicklable:
        return _pickling.dump(with_traceback(unpicklable))


def with_traceback(error: BaseException) -> Any:
    """What takes the error's traceback along, in words, when it is pickled."""
    return _WithTraceback(error, error.__traceback__)


class Door:
    """A worker's end of the link on its way to the worker: a forked process has inherited it, others are handed it with what they are started with."""

    def __init__(self, link: Any, leave: Callable[[], None]) -> None:
        self._link = link
        self._leave = leave

    def open(self) -> Any:
        """In a forked worker."""
        descriptor = self._link.take_descriptor()
        self._leave()
        return _native.WorkerEnd(descriptor)

    def __reduce__(self) -> Any:
        from multiprocessing.reduction import DupFd

        return HandedDoor, (DupFd(self._link.descriptor()),)


class HandedDoor:
    """The same, on the other side."""

    def __init__(self, duplicate: Any) -> None:
        self._duplicate = duplicate

    def open(self) -> Any:
        """In a worker that was started anew."""
        return _native.WorkerEnd(self._duplicate.detach())
