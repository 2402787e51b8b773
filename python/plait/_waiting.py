"""``asyncio.wait`` and its relatives as plait has them: the coroutines, over native objects.

What is a coroutine function in asyncio is one here: a task's name for it, its frames, the warning when it is never awaited.
Each asks one native question and then awaits, or yields, what it was answered. On a loop that is not plait's, or that
overrides what would be called, the standard functions run; ``timeout`` and ``TaskGroup`` work on any loop.

Before Python 3.12 ``wait_for`` makes a task and waits for that, with many a rule of its own: there it stays the standard one.
"""

import inspect
import sys
from asyncio import CancelledError, iscoroutine, isfuture
from asyncio import tasks as _tasks
from types import FunctionType
from typing import Any

from plait._native import TaskGroup as TaskGroup
from plait._native import Future, Timeout, WaitForTimeout, start_completions, start_wait, start_wait_for
from plait._native import shield as shield
from plait._native import timeout as timeout
from plait._native import timeout_at as timeout_at
from plait._coroutines import coroutine_function

_standard_wait: Any = _tasks.wait
_standard_wait_for: Any = _tasks.wait_for
_standard_as_completed: Any = _tasks.as_completed


@coroutine_function
def wait(fs, *, timeout=None, return_when=_tasks.ALL_COMPLETED):  # type: ignore[no-untyped-def]
    """Wait for futures, until all of them, or the first, are done.

    Args:
        fs: futures and tasks; coroutines are refused.
        timeout: how long at most, in seconds; None for no limit.
        return_when: ALL_COMPLETED, FIRST_COMPLETED, or FIRST_EXCEPTION (the first that fails; else all).

    Returns:
        Two sets: those that are done, and those that are not.

    Raises:
        TypeError: a coroutine is among them, or fs is a future itself.
        ValueError: fs is empty, or there is no such return_when.

    Neither a time-out nor a cancellation cancels the futures. For coroutines of the loop's own thread. Counterpart:
    ``asyncio.wait``.
    """
    waiter = start_wait(fs, timeout, return_when)
    if waiter is None:
        return (yield from _standard_wait(fs, timeout=timeout, return_when=return_when))
    try:
        yield waiter
    except BaseException:  # cancelled or closed
        waiter.give_up()
        raise
    return waiter.answer()


if sys.version_info >= (3, 12):

    async def wait_for(fut: Any, timeout: Any) -> Any:
        """Await something, but not for longer than `timeout`.

        Args:
            fut: a coroutine, which runs in the calling task, a future, or another awaitable.
            timeout: how long at most, in seconds; None for no limit.

        Returns:
            Its result.

        Raises:
            TimeoutError: it took longer, and was cancelled.

        To be called from a task. Counterpart: ``asyncio.wait_for``.
        """
        limit = start_wait_for(fut, timeout)
        if type(limit) is not WaitForTimeout:
            if limit is _standard_wait_for:
                return await _standard_wait_for(fut, timeout)
            return limit
        try:
            result = await fut
        except BaseException as error:
            limit.failed(error)
            raise
        limit.ended()
        return result

else:
    wait_for = _standard_wait_for


@coroutine_function
def _wait_for_one(completions, resolve=False):  # type: ignore[no-untyped-def]
    while (waiter := completions.wait()) is not None:
        try:
            yield waiter
        except BaseException:  # cancelled or closed
            completions.give_up(waiter)
            raise
    future = completions.take()
    return future.result() if resolve else future


if sys.version_info >= (3, 13):

    class _AsCompletedIterator:
        """What `as_completed` returns."""

        __slots__ = ("_completions", "_left")

        def __init__(self, aws: Any, timeout: Any) -> None:
            self._completions = start_completions(aws, timeout)
            self._left = len(self._completions)

        def __iter__(self) -> Any:
            return self

        def __aiter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            if not self._left:
                raise StopIteration
            self._left -= 1
            return _wait_for_one(self._completions, True)

        async def __anext__(self) -> Any:
            if not self._left:
                raise StopAsyncIteration
            self._left -= 1
            return await _wait_for_one(self._completions)

    def as_completed(fs: Any, *, timeout: Any = None) -> Any:
        """Run awaitables concurrently, and iterate over them in the order in which they end.

        Args:
            fs: coroutines (each becomes a task), futures, or other awaitables.
            timeout: how long at most, in seconds; None for no limit.

        Returns:
            An iterator. ``async for`` gets the futures, done. A plain ``for`` gets coroutines, each of which returns, or raises, what the
            next to end has ended with. Both raise TimeoutError for what is not done in time.

        Raises:
            TypeError: fs is an awaitable itself.

        For the loop's own thread. Counterpart: ``asyncio.as_completed``.
        """
        if inspect.isawaitable(fs):
            raise TypeError(f"expects an iterable of awaitables, not {type(fs).__name__}")
        return _AsCompletedIterator(fs, timeout)

else:

    def as_completed(fs: Any, *, timeout: Any = None) -> Any:
        """Run awaitables concurrently, and iterate over coroutines, each of which returns what the next to end has ended with.

        Args:
            fs: coroutines (each becomes a task), futures, or other awaitables.
            timeout: how long at most, in seconds; None for no limit. What is not done in time raises TimeoutError.

        Raises:
            TypeError: fs is an awaitable itself.

        For the loop's own thread. Counterpart: ``asyncio.as_completed``.
        """
        if isfuture(fs) or iscoroutine(fs):
            yield from _standard_as_completed(fs)  # complains
        completions = start_completions(fs, timeout)
        for _ in range(len(completions)):
            yield _wait_for_one(completions, True)


async def _enter(self: Any) -> Any:
    self._begin()
    return self


@coroutine_function
def _leave_group(self, et, exc, tb):  # type: ignore[no-untyped-def]
    found = self._begin_exit(et, exc)
    while type(found) is Future:
        try:
            yield found
        except CancelledError as error:
            self._exit_cancelled(error)
        found = self._go_on_exit(et, exc)
    if found is not None:
        try:
            raise found
        finally:
            del found, exc  # else each would keep the other alive, through this frame


def _lend(owner: type, name: str, function: Any) -> None:
    """Make a method of a native type out of a function of this file."""
    method = FunctionType(function.__code__, function.__globals__, name)
    method.__qualname__ = f"{owner.__name__}.{name}"
    setattr(owner, name, method)


_lend(Timeout, "__aenter__", _enter)
_lend(TaskGroup, "__aenter__", _enter)
_lend(TaskGroup, "__aexit__", _leave_group)
