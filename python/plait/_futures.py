"""``wait`` and ``as_completed`` over plait's futures, and what the native side of ``concurrent.futures`` has Python do.

Both functions take futures of any make; where one of a set is not plait's, or was taken apart (its ``_condition`` was looked at), the standard function
does it, which works on plait's futures too.
"""

import concurrent.futures._base as _base
import time
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any

_watch: Any = None  # native functions; `connect` brings them
_wait: Any = None

# As they were before plait could take their places.
_standard_wait: Any = _base.wait
_standard_as_completed: Any = _base.as_completed

# What the standard algorithm calls on a future that is open.
_LENT = ("_invoke_callbacks", "_Future__get_result")


def wait(fs: Iterable[Any], timeout: float | None = None, return_when: str = _base.ALL_COMPLETED) -> Any:
    """Block until futures are done.

    Args:
        fs: the futures, of any executors.
        timeout: wait for at most so many seconds; None for as long as it takes.
        return_when: ``FIRST_COMPLETED`` (one is enough), ``FIRST_EXCEPTION`` (all, or one that failed), or ``ALL_COMPLETED``.

    Returns:
        Two sets, named ``done`` and ``not_done``.

    Raises:
        ValueError: there is no such condition.

    For threads and greenlets. Counterpart: ``concurrent.futures.wait``.
    """
    futures = set(fs)
    sets = _wait(futures, timeout, return_when)
    if sets is None:
        return _standard_wait(futures, timeout, return_when)
    return _base.DoneAndNotDoneFutures(*sets)


def as_completed(fs: Iterable[Any], timeout: float | None = None) -> Iterator[Any]:
    """Iterate over futures as they get done.

    Args:
        fs: the futures, of any executors; each comes once.
        timeout: for at most so many seconds, all of them together; None for as long as it takes.

    Raises:
        TimeoutError: the time was up before all were done.

    For threads and greenlets. Counterpart: ``concurrent.futures.as_completed``.
    """
    end = None if timeout is None else timeout + time.monotonic()
    pending = set(fs)
    del fs
    watcher = _watch(pending)
    if watcher is None:
        rest = _standard_as_completed(pending, None if end is None else end - time.monotonic())
        del pending  # of which the standard iterator lets go
        yield from rest
        return
    total = len(pending)
    try:
        # What is done at the beginning comes whatever the time is.
        finished = watcher.take(pending, 0)
        while True:
            finished.reverse()
            while finished:
                pending.discard(finished[-1])
                # Whoever iterates has the only reference.
                yield finished.pop()
            if not pending:
                return
            left = None if end is None else end - time.monotonic()
            if left is not None and left < 0:
                raise TimeoutError(f"{len(pending)} (of {total}) futures unfinished")
            finished = watcher.take(pending, left)
    finally:
        watcher.forget(pending)


# Where they are to be found.
wait.__module__ = as_completed.__module__ = "plait.concurrent.futures"


# ---- what the native side calls


def raise_it(error: Any) -> None:
    """What is kept in a future's place for an exception, and is no instance of one: a class, or a mistake."""
    raise error


def initializer_failed(executor_reference: Any, error: BaseException) -> None:
    """The standard worker's way to tell."""
    _base.LOGGER.critical("Exception in initializer:", exc_info=error)
    executor = executor_reference()
    if executor is not None:
        executor._initializer_failed()


def worker_ends(executor_reference: Any) -> None:
    """A worker found its queue closed. Where the interpreter exits, the executor says from now on that it was shut down, as the standard one."""
    from concurrent.futures import thread

    executor = executor_reference()
    if executor is not None and thread._shutdown:
        executor._shutdown = True


def _await(self: Any) -> Any:
    """So that a coroutine can await the future of a pool. It is the loop's future that is awaited: cancelled, it cancels this one. No standard counterpart: ``asyncio.wrap_future``."""
    from asyncio import events

    from plait._offload import wrap_future

    return wrap_future(self, loop=events.get_running_loop()).__await__()


def connect(native: ModuleType) -> None:
    """Complete the native types. Called once, by the native module."""
    global _watch, _wait
    _watch, _wait = native.watch_futures, native.wait_for_futures
    for name in _LENT:
        function = getattr(_base.Future, name)
        if isinstance(function, FunctionType):
            setattr(native.ConcurrentFuture, name, function)
    _await.__name__ = "__await__"
    _await.__qualname__ = "Future.__await__"
    native.ConcurrentFuture.__await__ = _await
    # The interpreter shows a native type by its module's and its own name, until it is named anew.
    native.ConcurrentFuture.__name__ = native.ConcurrentFuture.__name__
