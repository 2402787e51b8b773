"""Locks, semaphores, conditions, events and barriers of several processes, in the place of ``multiprocessing.synchronize``.

The standard classes with another bottom: they derive from them, so that ``isinstance`` and what is written for them go on as they are, and from native
types, whose methods come first. A native lock is its own ``_semlock``. Who waits may be a thread, a greenlet or a task: what waits has a twin for coroutines, as with
plait's other primitives (``aacquire``, ``await_``, ``async with``).

They get to other processes as the standard ones do: by fork, or pickled while a process is being spawned. What is pickled is where in shared memory one
lies; the memory's descriptor goes along, once for each piece of memory and process.
"""

import operator
import sys
import threading
import weakref
from collections.abc import Callable
from multiprocessing import context, reduction
from multiprocessing import synchronize as _standard
from typing import Any

from plait import _native
from plait.multiprocessing._fork_only import is_fork, refuse

__all__ = ["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event"]

# What its stubs keep to themselves.
_internals: Any = _standard
RECURSIVE_MUTEX: int = _internals.RECURSIVE_MUTEX
SEMAPHORE: int = _internals.SEMAPHORE
SEM_VALUE_MAX: int = _native.ProcessLock.SEM_VALUE_MAX

_Place = tuple["_native.LockSegment", int]
_Key = tuple[int, int, int]


# ---- how memory gets to other processes

# All that this process uses, by the names that they have everywhere.
_segments: "weakref.WeakValueDictionary[_Key, _native.LockSegment]" = weakref.WeakValueDictionary()
# Those that came from a parent: their descriptors come once, so they are kept.
_received: list["_native.LockSegment"] = []
# Which of them a child that is being spawned gets already.
_going: "weakref.WeakKeyDictionary[Any, dict[_Key, Any]]" = weakref.WeakKeyDictionary()


def _place_to_pickle(obj: Any, place: _Place) -> _Place:
    """Where something lies; refused unless a process is being spawned, in the standard words."""
    context.assert_spawning(obj)
    segment, index = place
    return _segments.setdefault(segment.key, segment), index


def _reduce_segment(segment: "_native.LockSegment") -> tuple[Any, ...]:
    context.assert_spawning(segment)
    going = _going.setdefault(context.get_spawning_popen(), {})
    if segment.key not in going:
        going[segment.key] = reduction.DupFd(segment.fileno())
    return _open_segment, (segment.key, going[segment.key])


def _open_segment(key: _Key, descriptor: Any) -> "_native.LockSegment":
    segment = _segments.get(key)
    if segment is None:
        segment = _segments[key] = _native.LockSegment(descriptor.detach())
        _received.append(segment)
    return segment


reduction.register(_native.LockSegment, _reduce_segment)


def _rebuild(cls: Any, state: Any) -> Any:
    obj = cls.__new__(cls)
    obj.__setstate__(state)
    return obj


class _Pickled:
    """How all of them are pickled: native types are not by default."""

    def __getstate__(self) -> Any:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.__getstate__())

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return self.__reduce__()


# ---- locks and semaphores


def _as_value(kind: int, value: Any, maxvalue: Any) -> int:
    """A number of permits. What is none the standard semaphore refuses, in its words."""
    if type(value) is not int or not 0 <= value <= SEM_VALUE_MAX:
        _internals._multiprocessing.SemLock(kind, value, maxvalue, _internals.SemLock._make_name(), True)
    return operator.index(value)


class SemLock(_native.ProcessLock, _Pickled, _standard.SemLock):
    """What locks and semaphores have in common.

    Args:
        kind: RECURSIVE_MUTEX or SEMAPHORE.
        value: how many can take it at first.
        maxvalue: how many at most.
        ctx: a context of multiprocessing, as the standard class takes it; None, the default one.

    Raises:
        OSError: there are not so many permits, or there is no memory or no descriptor for it.

    Safe to use from all threads, coroutines and greenlets of all processes that know it. Counterpart: ``multiprocessing.synchronize.SemLock``.
    """

    def __init__(self, kind: int, value: int, maxvalue: int, *, ctx: Any) -> None:
        self._make(kind, value, maxvalue, False, ctx)

    def _make(self, kind: int, value: int, maxvalue: int, holds: bool, ctx: Any) -> None:
        self._is_fork_ctx = is_fork(ctx)
        self._fill(kind, value, maxvalue, holds)

    @property
    def _semlock(self) -> Any:
        return self

    def __getstate__(self) -> Any:
        kind, value, maxvalue, holds, place = self._place()
        place = _place_to_pickle(self, place)
        if self._is_fork_ctx:
            refuse()
        return kind, value, maxvalue, holds, place

    def __setstate__(self, state: Any) -> None:
        self._fill(*state)
        self._is_fork_ctx = False


class Semaphore(SemLock, _standard.Semaphore):
    """A number of permits for several processes.

    Args:
        value: how many there are at first, from 0 to SEM_VALUE_MAX.
        ctx: a context of multiprocessing.

    Raises:
        OSError: value is not in that range.

    Permits that a process had when it died are not recovered. Safe to use from all threads, coroutines and greenlets. Counterpart:
    ``multiprocessing.Semaphore``.
    """

    def __init__(self, value: int = 1, *, ctx: Any) -> None:
        self._make(SEMAPHORE, _as_value(SEMAPHORE, value, SEM_VALUE_MAX), SEM_VALUE_MAX, False, ctx)

    def get_value(self) -> int:
        """How many permits are left. Safe to call from everywhere. Counterpart: ``multiprocessing.Semaphore.get_value``."""
        return self._get_value()


class BoundedSemaphore(Semaphore, _standard.BoundedSemaphore):
    """A semaphore that is never released more often than it was acquired.

    Args:
        value: how many permits there are at first, and at most.
        ctx: a context of multiprocessing.

    Raises:
        OSError: value is not from 0 to SEM_VALUE_MAX.

    Safe to use from all threads, coroutines and greenlets. Counterpart: ``multiprocessing.BoundedSemaphore``.
    """

    def __init__(self, value: int = 1, *, ctx: Any) -> None:
        value = _as_value(SEMAPHORE, value, value)
        self._make(SEMAPHORE, value, value, False, ctx)


class Lock(SemLock, _standard.Lock):
    """Mutual exclusion for several processes. Anybody may release it.

    Args:
        ctx: a context of multiprocessing.

    Where the process that holds it is dead, the next one takes it, with a RuntimeWarning. Safe to use from all threads, coroutines and greenlets. Counterpart:
    ``multiprocessing.Lock``.
    """

    def __init__(self, *, ctx: Any) -> None:
        self._make(SEMAPHORE, 1, 1, True, ctx)


class RLock(SemLock, _standard.RLock):
    """Mutual exclusion for several processes; who holds it may take it again. Its holder is a task, else a greenlet, else a thread.

    Args:
        ctx: a context of multiprocessing.

    Where the process that holds it is dead, the next one takes it, with a RuntimeWarning. Safe to use from all threads, coroutines and greenlets. Counterpart:
    ``multiprocessing.RLock``.
    """

    def __init__(self, *, ctx: Any) -> None:
        self._make(RECURSIVE_MUTEX, 1, 1, True, ctx)


# ---- conditions, events and barriers


class _Count:
    """A number in the shape of a semaphore, for those who look into a standard condition."""

    def __init__(self, value: int) -> None:
        self._value = value

    def get_value(self) -> int:
        return self._value

    _get_value = get_value

    @property
    def _semlock(self) -> "_Count":
        return self


class Condition(_native.ProcessCondition, _Pickled, _standard.Condition):
    """Strands of several processes that wait to be notified, and a lock.

    Args:
        lock: a Lock or RLock of this module, or of the standard one; None: a new RLock.
        ctx: a context of multiprocessing.

    Those that have waited longest are notified first. A waiter whose process was killed still counts: a notification may be spent on it. Safe to use from
    all threads, coroutines and greenlets. Counterpart: ``multiprocessing.Condition``.
    """

    def __init__(self, lock: Any = None, *, ctx: Any) -> None:
        self._lock = lock or RLock(ctx=ctx)
        self._fill()
        self._make_methods()

    def _make_methods(self) -> None:
        self.acquire = self._lock.acquire  # type: ignore[method-assign]
        self.release = self._lock.release  # type: ignore[method-assign]
        if hasattr(self._lock, "aacquire"):
            self.aacquire = self._lock.aacquire

    def __getstate__(self) -> Any:
        return _place_to_pickle(self, self._place()), self._lock

    def __setstate__(self, state: Any) -> None:
        place, self._lock = state
        self._fill(place)
        self._make_methods()

    async def __aenter__(self) -> None:
        await self._lock.aacquire()

    async def __aexit__(self, *exception: Any) -> None:
        self._lock.release()

    def __repr__(self) -> str:
        try:
            waiting: Any = sum(self._waiting())
        except Exception:
            waiting = "unknown"
        return f"<{self.__class__.__name__}({self._lock}, {waiting})>"

    @property
    def _sleeping_count(self) -> _Count:
        return _Count(sum(self._waiting()))

    @property
    def _woken_count(self) -> _Count:
        return _Count(0)

    @property
    def _wait_semaphore(self) -> _Count:
        return _Count(self._waiting()[1])

    def wait(self, timeout: float | None = None) -> bool:
        """Release the lock, wait until notified, and take the lock again, as often as it was held.

        Args:
            timeout: wait for at most so many seconds; None for ever.

        Returns:
            Whether it was notified.

        Raises:
            AssertionError: the caller does not hold the lock.
            KeyboardInterrupt: while it waited (or whatever else a signal's handler raises); it has taken the lock again, and a notification goes to the next.

        For threads and greenlets. See ``await_`` for coroutines. Counterpart: ``multiprocessing.Condition.wait``.
        """
        lock = self._lock
        assert lock._semlock._is_mine(), "must acquire() condition before using wait()"
        group = self._enter()
        times = lock._semlock._count()
        for _ in range(times):
            lock.release()
        try:
            notified = self._sleep(group, timeout)
        except BaseException:
            for _ in range(times):
                lock.acquire()
            if self._leave(group):  # which the caller will not hear of
                self._notify(1)
            raise
        for _ in range(times):
            lock.acquire()
        return notified or self._leave(group)

    def notify(self, n: int = 1) -> None:
        """Notify up to n waiters, those that have waited longest.

        Args:
            n: how many at most.

        Raises:
            AssertionError: the caller does not hold the lock.

        For the lock's holder, of whatever kind. Counterpart: ``multiprocessing.Condition.notify``.
        """
        assert self._lock._semlock._is_mine(), "lock is not owned"
        if n > 0:
            self._notify(min(n, sys.maxsize))

    def notify_all(self) -> None:
        """Notify all waiters. AssertionError when the caller does not hold the lock. Counterpart: ``multiprocessing.Condition.notify_all``."""
        self.notify(n=sys.maxsize)


class Event(_native.ProcessEvent, _Pickled, _standard.Event):
    """A flag that strands of several processes wait for.

    Args:
        ctx: a context of multiprocessing.

    Safe to use from all threads, coroutines and greenlets. Counterpart: ``multiprocessing.Event``.
    """

    def __init__(self, *, ctx: Any) -> None:
        self._is_fork_ctx = is_fork(ctx)
        self._fill()

    __repr__ = _standard.Event.__repr__

    def __getstate__(self) -> Any:
        return _place_to_pickle(self, self._place())

    def __setstate__(self, state: Any) -> None:
        self._fill(state)


class Barrier(_native.ProcessBarrier, _Pickled, _standard.Barrier):
    """A number of strands of several processes that wait for each other.

    Args:
        parties: how many have to come, one or more.
        action: called without arguments by the last that comes, before any goes on; what it raises breaks the barrier. None: nothing.
        timeout: how many seconds `wait` waits at most where it is not told; None for ever.
        ctx: a context of multiprocessing.

    Raises:
        ValueError: parties is less than one.

    A party whose process was killed inside still counts there: abort it, and make another one. Safe to use from all threads, coroutines and greenlets.
    Counterpart: ``multiprocessing.Barrier``.
    """

    def __init__(
        self, parties: int, action: Callable[[], Any] | None = None, timeout: float | None = None, *, ctx: Any
    ) -> None:
        if parties < 1:
            raise ValueError("parties must be > 0")
        self._timeout = timeout
        self._fill(parties, action)

    __repr__ = threading.Barrier.__repr__

    def __getstate__(self) -> Any:
        place = _place_to_pickle(self, self._place())
        return self.parties, self._action, self._timeout, place

    def __setstate__(self, state: Any) -> None:
        parties, action, self._timeout, place = state
        self._fill(parties, action, place)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all parties have come.

        Args:
            timeout: wait for at most so many seconds, and then break the barrier; None for what the barrier was made with.

        Returns:
            A number from 0 to parties - 1, another one for each.

        Raises:
            BrokenBarrierError: the barrier is broken, or was reset meanwhile, or the time was up.
            KeyboardInterrupt: while it waited; then it counts as not having come. And whatever the action raises.

        For threads and greenlets. See ``await_`` for coroutines. Counterpart: ``multiprocessing.Barrier.wait``.
        """
        return self._wait(self._timeout if timeout is None else timeout)
