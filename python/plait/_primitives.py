"""The coroutines of the native primitives.

Each asks one native question, ``_begin``: None (of a barrier: a number) means that it may go on, anything else is a future to wait for, which it yields itself
(see ``_coroutines``), to ask ``_resume`` then. Whatever else ends its wait it gives up, and what it had been handed goes to the next. ``connect`` lends them to the
native types, by name.
"""

import asyncio
import asyncio.locks
import enum
from collections.abc import Callable
from _thread import allocate_lock
from types import FunctionType, ModuleType
from typing import Any

from plait._coroutines import coroutine_function
from plait._open_queues import MUST_WAIT, OPENED, give_up

# As they were before plait could take their places.
_standard_get: Any = asyncio.Queue.get
_standard_put: Any = asyncio.Queue.put
_standard_join: Any = asyncio.Queue.join
_StandardCondition = asyncio.Condition


@coroutine_function
def acquire(self):  # type: ignore[no-untyped-def]
    """Take it, as soon as it can be had.

    Returns:
        True.

    Raises:
        RuntimeError: it has to wait, and no event loop runs, or (of an asyncio primitive) not the one that this is bound to.

    Cancelled, it takes nothing, and what it had been handed goes to the next. For coroutines. Counterpart: the ``acquire`` of asyncio's class of that name.
    """
    waiter = self._begin()
    while waiter is not None:
        try:
            yield waiter
        except BaseException:
            self._give_up(waiter)
            raise
        waiter = self._resume(waiter)
    return True


@coroutine_function
def _enter_later(self):  # type: ignore[no-untyped-def]
    """What ``async with`` awaits where it has to wait; None, where `acquire` has True."""
    waiter = self._begin()
    while waiter is not None:
        try:
            yield waiter
        except BaseException:
            self._give_up(waiter)
            raise
        waiter = self._resume(waiter)


async def _enter_by_acquiring(self: Any) -> None:
    """The same for a condition, whose lock may be of any make."""
    await self.acquire()


@coroutine_function
def wait(self):  # type: ignore[no-untyped-def]
    """Wait until the flag is set.

    Returns:
        True.

    Raises:
        RuntimeError: it has to wait, and no event loop runs, or (of an asyncio primitive) not the one that this is bound to.

    Cancelled, it only stops waiting. For coroutines. Counterpart: ``asyncio.Event.wait``.
    """
    waiter = self._begin()
    while waiter is not None:
        try:
            yield waiter
        except BaseException:
            self._give_up(waiter)
            raise
        waiter = self._resume(waiter)
    return True


# ---- conditions


async def wait_for_notification(self: Any) -> bool:
    """Release the lock, wait until notified, and take the lock again.

    Returns:
        True.

    Raises:
        RuntimeError: nobody holds the lock, no event loop runs, or not the one that this is bound to.

    Cancelled, it takes the lock again first, and its notification goes to the next. For coroutines. Counterpart: ``asyncio.Condition.wait``.
    """
    waiter = self._begin()
    try:
        self.release()
    except BaseException:
        self._give_up(waiter)
        raise
    # The host's rule: from some point on a wait that fails notifies another, whether it had been notified or not.
    await _until_notified(self, waiter, self.acquire, hasattr(_StandardCondition, "_notify"))
    return True


async def wait_for_universal_notification(self: Any) -> bool:
    """Release the lock, wait until notified, and take the lock again, as often as it was held.

    Returns:
        True.

    Raises:
        RuntimeError: the caller does not hold the lock, or no event loop runs.

    Cancelled, it takes the lock again first, and its notification goes to the next. For coroutines. Counterpart: ``asyncio.Condition.wait``.
    """
    waiter = self._begin()
    try:
        times = self._release_save()
    except BaseException:
        self._give_up(waiter)
        raise

    async def acquire() -> None:
        await self.aacquire()
        if times is not None:
            self._lock._restore(times)

    await _until_notified(self, waiter, acquire, False)
    return True


async def wait_for_process_notification(self: Any) -> bool:
    """Release the lock, wait until notified, and take the lock again, as often as it was held.

    Returns:
        True.

    Raises:
        AssertionError: the caller does not hold the lock.
        RuntimeError: no event loop runs.

    Cancelled, it takes the lock again first, and its notification goes to the next. For coroutines. Counterpart: ``asyncio.Condition.wait``.
    """
    lock = self._lock
    assert lock._semlock._is_mine(), "must acquire() condition before using wait()"
    group = self._enter()
    times = lock._semlock._count()
    for _ in range(times):
        lock.release()

    async def acquire() -> None:
        for _ in range(times):
            await lock.aacquire()

    await _until_notified_by_process(self, group, acquire)
    return True


@coroutine_function
def _until_notified_by_process(condition, group, acquire):  # type: ignore[no-untyped-def]
    error = waiter = None
    notified = False
    try:
        try:
            waiter = condition._begin(group)
            while waiter is not None:
                yield waiter
                waiter = condition._resume(waiter, group)
            notified = True
        except BaseException as raised:
            notified = waiter is not None and condition._end(waiter)
            error = raised
        while True:
            try:
                yield from acquire()
                break
            except asyncio.CancelledError as raised:
                error = raised
        if error is not None:
            notified = notified or condition._leave(group)
            raise error
    except BaseException:
        if notified:  # which the caller will not hear of
            condition._notify(1)
        raise
    finally:
        error = None  # which refers to this frame


@coroutine_function
def _until_notified(condition, waiter, acquire, passes_on_always):  # type: ignore[no-untyped-def]
    error = None
    notified = passes_on_always
    try:
        try:
            while waiter is not None:
                yield waiter
                waiter = condition._resume(waiter)
            notified = True
        except BaseException as raised:
            notified = condition._withdraw(waiter) or passes_on_always
            error = raised
        while True:
            try:
                yield from acquire()
                break
            except asyncio.CancelledError as raised:
                error = raised
        if error is not None:
            raise error
    except BaseException:
        if notified:  # which the caller will not hear of
            condition._notify(1)
        raise
    finally:
        error = None  # which refers to this frame


async def wait_for(self: Any, predicate: Callable[[], Any]) -> Any:
    """Wait until ``predicate()`` is true.

    Args:
        predicate: called with the lock held.

    Returns:
        What the predicate returned last.

    Raises:
        RuntimeError: it has to wait, and cannot: see ``wait``. And whatever the predicate raises.

    Cancelled, it takes the lock again first, and its notification goes to the next. For coroutines. Counterpart: ``asyncio.Condition.wait_for``.
    """
    result = predicate()
    while not result:
        await self.wait()
        result = predicate()
    return result


async def await_for(self: Any, predicate: Callable[[], Any]) -> Any:
    """Wait until ``predicate()`` is true.

    Args:
        predicate: called with the lock held.

    Returns:
        What the predicate returned last.

    Raises:
        RuntimeError: it has to wait, and cannot: see ``await_``. And whatever the predicate raises.

    Cancelled, it takes the lock again first, and its notification goes to the next. For coroutines. Counterpart: ``asyncio.Condition.wait_for``.
    """
    result = predicate()
    while not result:
        await self.await_()
        result = predicate()
    return result


# ---- barriers


@coroutine_function
def wait_at_barrier(self):  # type: ignore[no-untyped-def]
    """Wait until all parties have come.

    Returns:
        A number from 0 to parties - 1, another one for each.

    Raises:
        BrokenBarrierError: the barrier is broken, or was reset meanwhile.
        RuntimeError: it has to wait, and no event loop runs, or (of an asyncio primitive) not the one that this is bound to.

    Cancelled, it counts as not having come. For coroutines. Counterpart: ``asyncio.Barrier.wait``.
    """
    number = self._begin()
    while type(number) is not int:
        waiter = number
        try:
            yield waiter
        except BaseException:
            self._give_up(waiter)
            raise
        number = self._resume(waiter)
    return number


@coroutine_function
def wait_at_process_barrier(self):  # type: ignore[no-untyped-def]
    """Wait until all parties, of whatever process, have come.

    Returns:
        A number from 0 to parties - 1, another one for each.

    Raises:
        BrokenBarrierError: the barrier is broken, or was reset meanwhile.
        RuntimeError: it has to wait, and no event loop runs.

    Cancelled, it counts as not having come. For coroutines. Counterpart: ``asyncio.Barrier.wait``.
    """
    inside = None  # at the door
    answer = self._begin(inside)
    while type(answer) is not int:
        if type(answer) is tuple:
            inside = answer[0]
            answer = self._begin(inside)
            continue
        try:
            yield answer
        except BaseException:
            self._give_up(answer, inside)
            raise
        answer = self._resume(answer, inside)
    return answer


async def reset(self: Any) -> None:
    """Back to the beginning: tasks that wait get BrokenBarrierError.

    It never waits, so that no cancellation comes between. For the loop's own thread. Counterpart: ``asyncio.Barrier.reset``.
    """
    self._reset()


async def abort(self: Any) -> None:
    """Break it: tasks that wait or come get BrokenBarrierError, until it is reset.

    It never waits, so that no cancellation comes between. For the loop's own thread. Counterpart: ``asyncio.Barrier.abort``.
    """
    self._abort()


# ---- queues: the marks MUST_WAIT and OPENED stand where an item, or a future, would


@coroutine_function
def get(self):  # type: ignore[no-untyped-def]
    """Take an item out of the queue, as soon as there is one.

    Returns:
        The item.

    Raises:
        QueueShutDown: the queue was shut down, and is empty. (``ShutDown``, of a universal queue.)
        RuntimeError: it has to wait, and no event loop runs, or (of an asyncio primitive) not the one that this is bound to.

    Cancelled, it takes nothing. For coroutines. Counterpart: ``asyncio.Queue.get``.
    """
    item = self._take()
    while item is MUST_WAIT:
        waiter = self._wait_to_take()
        if type(waiter) is tuple:  # one came at the last moment
            return waiter[0]
        if waiter is OPENED:
            item = waiter
            break
        try:
            yield waiter
        except BaseException:
            self._give_up(waiter)
            if self._is_open:
                give_up(self, waiter)
            raise
        item = self._take_woken(waiter)
    if item is OPENED:
        return (yield from _standard_get(self))
    return item


@coroutine_function
def put(self, item):  # type: ignore[no-untyped-def]
    """Put an item into the queue, as soon as there is room.

    Args:
        item: what to put.

    Raises:
        QueueShutDown: the queue was shut down. (``ShutDown``, of a universal queue.)
        RuntimeError: it has to wait, and no event loop runs, or (of an asyncio primitive) not the one that this is bound to.

    Cancelled, it puts nothing. For coroutines. Counterpart: ``asyncio.Queue.put``.
    """
    waiter = self._offer(item)
    while waiter is not None:
        if waiter is OPENED:
            yield from _standard_put(self, item)
            return
        try:
            yield waiter
        except BaseException:
            self._give_up(waiter)
            if self._is_open:
                give_up(self, waiter)
            raise
        waiter = self._offer_woken(item, waiter)


@coroutine_function
def join(self):  # type: ignore[no-untyped-def]
    """Wait until ``task_done()`` was called for each item that was put.

    Raises:
        RuntimeError: it has to wait, and no event loop runs, or (of an asyncio primitive) not the one that this is bound to.

    Cancelled, it only stops waiting. For coroutines. Counterpart: ``asyncio.Queue.join``.
    """
    waiter = self._begin_join()
    while waiter is not None:
        if waiter is OPENED:
            yield from _standard_join(self)
            return
        try:
            yield waiter
        except BaseException:
            self._give_up(waiter)
            if self._is_open:
                give_up(self, waiter)
            raise
        waiter = self._resume_join(waiter)


def _lend(cls: Any, name: str, function: Any) -> None:
    """Give a type a method, under the name that it has there."""
    qualified = f"{cls.__name__}.{name}"
    code = function.__code__.replace(co_name=name, co_qualname=qualified)
    lent = FunctionType(code, function.__globals__, name, function.__defaults__, function.__closure__)
    lent.__kwdefaults__ = function.__kwdefaults__
    lent.__qualname__ = qualified
    lent.__module__ = cls.__module__
    lent.__doc__ = function.__doc__
    setattr(cls, name, lent)


def _attributes(self: Any) -> list[str]:
    """``__dir__``: what the object really has, and not what the class has that ``__class__`` names."""
    return sorted({*dir(type(self)), *vars(self)})


def _refuse_to_be_pickled(self: Any) -> Any:
    """``__getstate__``, in the words in which the standard class's own lock refuses."""
    lock = type(getattr(self, "_lock", None) or _a_lock)
    raise TypeError(f"cannot pickle {lock.__module__ + '.' + lock.__qualname__!r} object")


_a_lock = allocate_lock()


def _finish(cls: Any) -> None:
    """What each base type gets."""
    cls.__dir__ = _attributes
    # The interpreter shows a native type by its module's and its own name, until it is named anew.
    for each in (cls, *cls.__subclasses__()):
        each.__name__ = each.__name__


def connect(native: ModuleType) -> None:
    """Complete the native types. Called once, by the native module."""
    for cls in (native.AsyncioLock, native.AsyncioSemaphore):
        _lend(cls, "acquire", acquire)
        _lend(cls, "_enter_later", _enter_later)
    for cls in (native.AsyncioLock, native.AsyncioSemaphore, native.AsyncioCondition):
        _lend(cls, "_enter_by_acquiring", _enter_by_acquiring)
    _lend(native.AsyncioEvent, "wait", wait)
    _lend(native.AsyncioCondition, "wait", wait_for_notification)
    _lend(native.AsyncioCondition, "wait_for", wait_for)
    _lend(native.AsyncioBarrier, "wait", wait_at_barrier)
    _lend(native.AsyncioBarrier, "reset", reset)
    _lend(native.AsyncioBarrier, "abort", abort)
    states: type[enum.Enum] = asyncio.locks._BarrierState  # type: ignore[attr-defined, unused-ignore]
    native.AsyncioBarrier._state = property(lambda self: states(self._phase))
    for cls in (native.Lock, native.RLock, native.Semaphore):
        _lend(cls, "aacquire", acquire)
        _lend(cls, "_enter_later", _enter_later)
    _lend(native.Event, "await_", wait)
    _lend(native.Condition, "await_", wait_for_universal_notification)
    _lend(native.Condition, "await_for", await_for)
    _lend(native.Barrier, "await_", wait_at_barrier)
    _lend(native.ProcessLock, "aacquire", acquire)
    _lend(native.ProcessLock, "_enter_later", _enter_later)
    _lend(native.ProcessEvent, "await_", wait)
    _lend(native.ProcessCondition, "await_", wait_for_process_notification)
    _lend(native.ProcessCondition, "await_for", await_for)
    _lend(native.ProcessBarrier, "await_", wait_at_process_barrier)
    for name, coroutine in (("get", get), ("put", put), ("join", join)):
        _lend(native.AsyncioQueue, name, coroutine)
        _lend(native.Queue, "a" + name, coroutine)
    for name in ("Lock", "Event", "Condition", "Semaphore", "Barrier", "Queue"):
        _finish(getattr(native, "Asyncio" + name))
    for name in ("Event", "Condition", "Semaphore", "Barrier", "Queue"):
        cls = getattr(native, "Threading" + name)
        cls.__getstate__ = _refuse_to_be_pickled
        _finish(cls)
