"""The engine "threads": plait's pool of threads, with what the other engines have.

A thread cannot be ended, so there are no time-outs of calls, and ``future.kill()`` is False once the call runs. Nor does one die by itself: retries are never used. Rejected: raising an
exception in the thread from outside, which reaches no call that waits, and any line of any ``finally``.
"""

import itertools
import os
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from plait._executor._context import Carrier
from plait._executor._errors import NotSupported
from plait._executor._interface import Executor, checked
from plait._executor._stored import Stored, put_back, take_out
from plait._executors import ThreadPoolExecutor
from plait._process_pool._stats import PoolStats, WorkerStats, resident_memory


class ThreadsExecutor(ThreadPoolExecutor, Executor):
    """See `Executor`."""

    engine = "threads"

    def __init__(self, max_workers: int | None, thread_name_prefix: str, initializer: Any, initargs: tuple[Any, ...], carrier: Carrier) -> None:
        super().__init__(max_workers, thread_name_prefix, initializer, initargs, carry_context=carrier.everything)
        self._carrier = carrier
        self._submitted = itertools.count()
        self._over = itertools.count()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See ``ThreadPoolExecutor.submit``."""
        args, kwargs, values = take_out(self, args, kwargs)
        if values:
            args, kwargs = put_back(args, kwargs, tuple(values))
        if self._carrier.variables:
            future = super().submit(self._carrier.for_thread().run, fn, *args, **kwargs)
        else:
            future = super().submit(fn, *args, **kwargs)
        next(self._submitted)
        future.add_done_callback(self._count)
        return future

    def _count(self, _: Any) -> None:
        next(self._over)

    def options(self, *, timeout: float | None = None, retries: int | None = None) -> "ThreadsExecutor":
        """See `Executor.options`."""
        checked(timeout, retries)
        if timeout is not None:
            raise NotSupported(
                'threads cannot be ended, so their calls have no time-outs: executor("processes") ends calls that take too long; future.result(timeout) only stops waiting'
            )
        return self

    def put(self, value: Any) -> Stored:
        """See `Executor.put`. Threads share what there is: the value itself is handed over."""
        return Stored(self, value)

    def stats(self) -> PoolStats:
        """See `Executor.stats`. Threads are not told apart: there is one worker, this process."""
        over, submitted = _value_of(self._over), _value_of(self._submitted)
        queued = min(self._work_queue.qsize(), max(submitted - over, 0))
        running = max(submitted - over - queued, 0)
        worker = WorkerStats(os.getpid(), over, 0.0, resident_memory(os.getpid()), 0)
        return PoolStats([worker], queued, running, over, 0, "threads", over)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False, timeout: float | None = None) -> None:
        """See `Executor.shutdown`."""
        if timeout is None:
            ThreadPoolExecutor.shutdown(self, wait, cancel_futures=cancel_futures)
            return
        ThreadPoolExecutor.shutdown(self, False, cancel_futures=cancel_futures)
        if not self._join(timeout):
            ThreadPoolExecutor.shutdown(self, False, cancel_futures=True)
            running = sum(thread.is_alive() for thread in self._threads)
            raise NotSupported(f'{running} threads still make calls, and cannot be ended; those of executor("processes") can')

    def _join(self, timeout: float) -> bool:
        """Until the threads have ended. False: the time is up."""
        end = monotonic() + timeout
        for thread in list(self._threads):
            thread.join(max(end - monotonic(), 0))
        return not any(thread.is_alive() for thread in self._threads)


def _value_of(counter: "itertools.count[int]") -> int:
    """How often `next` was called on it. (A counter is safe to use from all threads, without a lock; this is the way to look at one.)"""
    return int(repr(counter)[len("count(") : -1])


def make(
    max_workers: int | None = None,
    carry_context: "bool | Iterable[Any]" = False,
    retries: int = 0,
    thread_name_prefix: str = "",
    initializer: Callable[..., Any] | None = None,
    initargs: tuple[Any, ...] = (),
) -> ThreadsExecutor:
    """For ``plait.executor``."""
    checked(None, retries)
    return ThreadsExecutor(max_workers, thread_name_prefix, initializer, initargs, Carrier(carry_context))
