"""``plait.Cluster``, as programs see it."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar

from plait._cluster._core import ClusterCore
from plait._cluster._results import Results, follow
from plait._process_pool._stats import PoolStats

_C = TypeVar("_C", bound="Cluster")
# How many calls of a map are out, where nothing else is said: of one whose results are asked for one by one, and together.
_LEAST_BUFFER = 128
_TOGETHER = 4096
# Nothing is written there.
_NO_KEYWORDS: dict[str, Any] = {}


class Cluster:
    """Processes with a loop each, which run coroutines that are submitted to them, many at a time.

    Args:
        workers: how many processes; None: as many as there are processors for this process.
        per_worker: so many coroutines run at once in each of them, at most.
        mp_context: a context of ``multiprocessing``, which says how they are started; None: ``spawn``, since a process with a loop should not be forked.
        initializer: called by each worker before anything else, on its loop; what it returns is awaited if that can be. If it raises, the cluster is broken.
        initargs: its arguments.
        retries: so many times a call is tried again whose worker died. (What a call raises is its result.)
        max_tasks_per_worker: after so many calls a worker is replaced, when it is through with them; None: never.

    Raises:
        ValueError: a number is less than it can be. TypeError: initializer cannot be called.

    It is used by ``async with``, at whose end what was submitted is waited for, or, after an exception, cancelled. Arguments and results are pickled, as by ``ProcessPoolExecutor``: long buffers
    cross in shared memory, and lambdas by cloudpickle. A worker that dies fails the calls that it ran, with `WorkerDied`, and is replaced; nothing else is lost.

    Methods are for tasks of one loop at a time, ``stats`` is safe to call from all threads. No standard counterpart; aiomultiprocess's is ``Pool``.
    """

    def __init__(
        self,
        workers: int | None = None,
        per_worker: int = 16,
        *,
        mp_context: Any = None,
        initializer: Callable[..., Any] | None = None,
        initargs: tuple[Any, ...] = (),
        retries: int = 0,
        max_tasks_per_worker: int | None = None,
    ) -> None:
        if workers is None:
            workers = len(os.sched_getaffinity(0))
        for name, number, least in (("workers", workers, 1), ("per_worker", per_worker, 1), ("retries", retries, 0), ("max_tasks_per_worker", max_tasks_per_worker or 1, 1)):
            if number < least:
                raise ValueError(f"{name} must be >= {least}")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if mp_context is None:
            import multiprocessing

            mp_context = multiprocessing.get_context("spawn")
        self._retries = retries
        self._room = workers * per_worker
        self._core = ClusterCore(workers, per_worker, mp_context, initializer, initargs, max_tasks_per_worker)
        self._started = False

    # ---- its beginning and its end

    async def __aenter__(self: _C) -> _C:
        """Start the workers. They are not waited for: calls wait."""
        await self._start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """See ``close``."""
        await self.close(cancel=kind is not None)

    async def _start(self) -> None:
        if not self._started:
            self._started = True
            await asyncio.get_running_loop().run_in_executor(None, self._core.start)

    async def close(self, *, cancel: bool = False, timeout: float | None = None) -> None:
        """Take no more calls, and end the workers when all is done.

        Args:
            cancel: cancel what was submitted and is not done.
            timeout: after so many seconds whatever still runs is ended with its worker (its future has a ``TaskKilled``); None: never.

        To cancel this ends what runs at once, as after the timeout. May be called more than once.
        """
        core = self._core
        core.close(cancel)
        if cancel:
            core.cancel_all()
        loop = asyncio.get_running_loop()
        try:
            if not await loop.run_in_executor(None, core.wait, timeout):
                core.end_all()
                await loop.run_in_executor(None, core.wait, None)
        except asyncio.CancelledError:
            core.end_all()
            raise

    # ---- calls

    def submit(self, fn: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> "asyncio.Future[Any]":
        """Have a worker await ``fn(*args, **kwargs)``.

        Returns:
            A future of the running loop. To cancel it cancels the coroutine in its worker. If the call cannot be pickled, it has that error. What the coroutine raises has the worker's traceback
            as its cause.

        Raises:
            RuntimeError: the cluster was closed, or has no running loop. (BrokenProcessPool, one of them: workers cannot be started.)

        For tasks; it does not wait. Use ``map`` where there is more to do than should be in memory.
        """
        future = self._core.submit(fn, ((args, kwargs),), self._retries, None)[0]
        return follow(self._core, future)

    async def apply(self, fn: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Any:
        """The result of ``fn(*args, **kwargs)``, awaited by a worker. See ``submit``; to cancel this cancels that."""
        return await self.submit(fn, *args, **kwargs)

    def map(
        self,
        fn: Callable[..., Awaitable[Any]],
        *iterables: Iterable[Any] | AsyncIterable[Any],
        ordered: bool = True,
        buffersize: int | None = None,
        return_exceptions: bool = False,
    ) -> Results:
        """Have ``fn`` awaited for each of the arguments.

        Args:
            fn: a coroutine function, called with one argument from each of the iterables.
            iterables: where the arguments come from; or one asynchronous iterable. They may be endless.
            ordered: results come in the order of the arguments; else as they are there.
            buffersize: how many calls there may be at most whose results nobody has asked for; None: twice as many as run at once, but at least 128, and more where all results are awaited together.
            return_exceptions: what a call raises is its result. Else it is raised, and the rest is cancelled.

        Returns:
            An asynchronous iterator of the results; awaited, it is a list of them. Calls are submitted as results are asked for. What has no result is cancelled by ``aclose()``, or when it is
            collected.

        Raises:
            ValueError: buffersize is less than one. TypeError: there is no iterable, or an asynchronous one among several.
            RuntimeError: of the iterator: see ``submit``.
        """
        if buffersize is None:
            buffersize = max(_LEAST_BUFFER, 2 * self._room)
            together = max(_TOGETHER, buffersize)
        else:
            together = buffersize
        if buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        if not iterables:
            raise TypeError("map() must have at least one iterable")
        arriving = [iterable for iterable in iterables if isinstance(iterable, AsyncIterable)]
        if arriving and len(iterables) > 1:
            raise TypeError("an asynchronous iterable must be the only one")
        synchronous: Any = iterables
        calls: Any = arriving[0] if arriving else zip(zip(*synchronous, strict=False), itertools.repeat(_NO_KEYWORDS))
        return Results(self._core, fn, calls, ordered, (buffersize, together), self._retries, return_exceptions)

    def stats(self) -> PoolStats:
        """What the cluster and its workers have done. Safe to call from all threads."""
        return self._core.stats()


Cluster.__module__ = "plait"
