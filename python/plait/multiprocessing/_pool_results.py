"""What a ``Pool`` gives out: the standard results, told by futures of the pool's core.

Who waits for a result reads the workers' answers himself, as with futures of the executor. The standard classes keep the state and their words; what is mended in them is that a
callback that raises keeps nobody waiting.
"""

import multiprocessing.pool as _standard
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

from plait._process_pool import NotLoaded, TaskKilled
from plait.multiprocessing import _pool_worker

_internals: Any = _standard

# An imap has at most so many tasks under way for each worker, and at most so many if that is more. Enough to keep them busy; an endless iterable fills no memory.
_AHEAD_FOR_EACH = 16
_AHEAD = 256


def outcome(future: Any) -> tuple[bool, Any]:
    """What became of a call whose future is done."""
    try:
        return _pool_worker.read(future.result())
    except CancelledError:
        return False, TaskKilled("the pool was terminated")
    except SystemExit as error:
        unloaded = NotLoaded("what came back from the worker could not be unpickled")
        unloaded.__cause__ = error
        return False, unloaded
    except BaseException as error:  # also an interrupt, which is then told to who asks for the result: otherwise nobody would be told anything
        return False, error


class _Result(_internals.ApplyResult):  # type: ignore[misc]
    """What `ApplyResult` and `MapResult` have in common."""

    _core: Any = None
    _futures: Any = ()

    def follow(self, core: Any, futures: Iterable[Any]) -> None:
        """Be told of these, each of which is one part. An exception in their place is that of all that would have followed."""
        self._core = core
        self._futures = followed = []
        for i, future in enumerate(futures):
            if isinstance(future, Exception):
                self._fail_from(i, future)
                return
            followed.append(future)
            future.add_done_callback(partial(self._told, i))
        if self._event.is_set():
            self._futures = ()

    def wait(self, timeout: float | None = None) -> None:
        """Until the result is there, or `timeout` seconds have passed. Counterpart: ``multiprocessing.pool.AsyncResult.wait``."""
        end = None if timeout is None else time.monotonic() + timeout
        for future in self._futures:
            if not future.done():
                self._core._read_for(future, None if end is None else max(0.0, end - time.monotonic()))
            if self._event.is_set() or end is not None and time.monotonic() >= end:
                break
        self._event.wait(None if end is None else max(0.0, end - time.monotonic()))

    def _told(self, i: int, future: Any) -> None:
        self._set(i, outcome(future))

    def _fail_from(self, i: int, error: Exception) -> None:
        raise NotImplementedError

    def _settled(self) -> None:
        """It is over, whatever a callback did."""
        self._futures = ()
        if not self._event.is_set():
            self._cache.pop(self._job, None)
            self._pool = None
            self._event.set()


class ApplyResult(_Result):
    """The result of ``apply_async``. Counterpart: ``multiprocessing.pool.AsyncResult``."""

    def _set(self, i: int, obj: tuple[bool, Any]) -> None:
        try:
            super()._set(i, obj)
        finally:
            self._settled()

    def _fail_from(self, i: int, error: Exception) -> None:
        self._set(i, (False, error))


class MapResult(_Result, _internals.MapResult):  # type: ignore[misc]
    """The result of ``map_async`` and ``starmap_async``. Counterpart: ``multiprocessing.pool.MapResult``."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self._counting = threading.Lock()  # parts may be told by two threads at once
        super().__init__(*args, **keywords)

    def _set(self, i: int, success_result: tuple[bool, Any]) -> None:
        with self._counting:
            last = self._number_left == 1
            if not last:
                _internals.MapResult._set(self, i, success_result)
                return
        try:
            _internals.MapResult._set(self, i, success_result)
        finally:
            self._settled()

    def _fail_from(self, i: int, error: Exception) -> None:
        parts = -(-len(self._value) // self._chunksize)
        for part in range(i, max(parts, i + 1)):
            if self._number_left:
                self._set(part, (False, error))


class Room:
    """How far a feeder may be ahead. One that is to hurry may be as far ahead as it likes."""

    def __init__(self, tasks: int) -> None:
        self._changed = threading.Condition()
        self._left = tasks
        self._hurries = False

    def take(self) -> None:
        """For one task, when there is room."""
        with self._changed:
            self._changed.wait_for(lambda: self._left > 0 or self._hurries)
            self._left -= 1

    def give(self) -> None:
        """A task is out of the way."""
        with self._changed:
            self._left += 1
            self._changed.notify()

    def hurry(self) -> None:
        """From now on there is room."""
        with self._changed:
            self._hurries = True
            self._changed.notify()


class _Iterator(_internals.IMapIterator):  # type: ignore[misc]
    """What `IMapIterator` and `IMapUnorderedIterator` have in common: how far their feeder may be ahead."""

    def __init__(self, pool: Any, buffersize: int | None) -> None:
        super().__init__(pool)
        self._buffersize = buffersize
        self.room = Room(buffersize or max(_AHEAD, _AHEAD_FOR_EACH * pool._processes))

    def told(self, i: int, future: Any) -> None:
        """A call was answered."""
        self._set(i, outcome(future))
        if self._buffersize is None:
            self.room.give()

    def next(self, timeout: float | None = None) -> Any:
        """The next result. Raises TimeoutError if it is not there within `timeout` seconds. Counterpart: ``multiprocessing.pool.IMapIterator.next``."""
        waiting = True
        try:
            return super().next(timeout)
        except (StopIteration, _internals.TimeoutError):
            waiting = False
            raise
        finally:
            if waiting and self._buffersize is not None:
                self.room.give()

    __next__ = next


class IMapIterator(_Iterator):
    """The results of ``imap``. Counterpart: ``multiprocessing.pool.IMapIterator``."""


class IMapUnorderedIterator(_Iterator, _internals.IMapUnorderedIterator):  # type: ignore[misc]
    """The results of ``imap_unordered``. Counterpart: ``multiprocessing.pool.IMapUnorderedIterator``."""


class Feeder(threading.Thread):
    """Takes the arguments of an imap one by one, and has the calls made, as far ahead as there is room."""

    def __init__(self, core: Any, result: _Iterator, calls: Iterator[tuple[Any, tuple[Any, ...]]], fed: Callable[[], None]) -> None:
        super().__init__(name="plait-imap", daemon=True)
        self._core = core
        self._result = result
        self._calls = calls
        self._fed = fed

    def run(self) -> None:
        """Until there are no more arguments, or the pool takes no more calls."""
        count = 0
        self._core.feed(self._result.room)
        try:
            for function, args in self._calls:
                self._result.room.take()
                if self._core.closing:
                    break
                future = self._core.call(function, args, {})
                future.add_done_callback(partial(self._result.told, count))
                count += 1
        except Exception as error:
            self._result._set(count, (False, error))
            count += 1
        finally:
            self._result._set_length(count)
            self._fed()
            del self._calls, self._result, self._core, self._fed
