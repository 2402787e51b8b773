"""An executor over an engine of somebody else's: Dask, Ray."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from plait._executor._calls import Calls
from plait._executor._engine import Engine
from plait._executor._interface import Executor, checked
from plait._executor._stored import Stored
from plait._process_pool._options import Options
from plait._process_pool._stats import PoolStats


class ClusterExecutor(Executor):
    """See `Executor`. Nobody refers to it any more: what was submitted is done, and then the engine is let go of."""

    def __init__(self, calls: Calls, engine: Engine, retries: int) -> None:
        calls.engine = engine
        self.engine = engine.name
        self._core = calls
        self._options = Options(self, None, retries)
        self._finalizer = weakref.finalize(self, calls.close, False)
        self._finalizer.atexit = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have ``fn(*args, **kwargs)`` called by a worker of the cluster.

        Returns:
            A future of what it will return. If the call cannot be pickled, the future has that error, which says where the object is. ``cancel()`` succeeds until it is done:
            the engine does not tell when a call begins. ``kill()`` ends its worker.

        Raises:
            RuntimeError: it was shut down, or the interpreter exits.

        Safe to call from all threads. Counterpart: ``concurrent.futures.Executor.submit``.
        """
        return self._core.submit(fn, ((args, kwargs),), self._options.retries, None)[0]

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        progress: "bool | Callable[[int, int], object]" = False,
    ) -> Iterator[Any]:
        """See `Executor.map`; `progress` as in ``ProcessPoolExecutor.map``."""
        return self._options.map(fn, *iterables, timeout=timeout, chunksize=chunksize, buffersize=buffersize, progress=progress)

    def options(self, *, timeout: float | None = None, retries: int | None = None) -> Options:
        """See `Executor.options`."""
        checked(timeout, retries)
        if timeout is not None:
            self._core.engine.refuse_timeouts()
        return Options(self, timeout, self._options.retries if retries is None else retries)

    def put(self, value: Any) -> Stored:
        """See `Executor.put`."""
        self._core._check()
        return Stored(self._core, self._core.engine.put(value))

    def stats(self) -> PoolStats:
        """See `Executor.stats`. What the engine has counts as running; "restarts" is how many workers died while they made calls of this executor."""
        return self._core.stats()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False, timeout: float | None = None) -> None:
        """See `Executor.shutdown`."""
        core = self._core
        core.close(cancel_futures)
        if timeout is not None:
            if not core.wait(timeout):
                core.end_all()
                core.wait(None)
            core.wait_closed()
        elif wait:
            core.wait(None)
            core.wait_closed()
