"""``ProcessPoolExecutor``, as programs see it. A subclass of the standard one, so that ``isinstance`` and ``issubclass`` tell the truth; nothing of that is used but its check of the
arguments' words."""

import importlib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from plait._process_pool._core import Core
from plait._process_pool._options import Options
from plait._process_pool._stats import PoolStats

# Private names of it are used, which its stubs do not have.
_standard: Any = importlib.import_module("concurrent.futures.process")
# As it was before plait could take its place.
StandardExecutor: Any = _standard.ProcessPoolExecutor


class ProcessPoolExecutor(StandardExecutor):  # type: ignore[misc]
    """Processes that make the calls that are submitted to them.

    Args:
        max_workers: how many processes there may be; None: as many as there are processors for this process.
        mp_context: a context of ``multiprocessing``, which says how they are started; None: the default one.
        initializer: called by each worker before anything else. If it raises, the pool is broken.
        initargs: its arguments.
        max_tasks_per_child: after so many calls a worker is replaced; None: never. Not with fork.
        retries: so many times a call is tried again whose worker died. (What a call raises is its result.)

    Raises:
        ValueError: max_workers or max_tasks_per_child is not more than zero; max_tasks_per_child with fork; retries is negative.
        TypeError: initializer cannot be called; max_tasks_per_child is no integer.

    A worker that dies fails the call that it made, with `WorkerDied`, and is replaced; nothing else is lost. Futures have ``kill()``. Long buffers (of arrays, say) cross in shared
    memory. Safe to use from all threads; in a forked child it refuses. Counterpart: ``concurrent.futures.ProcessPoolExecutor``.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: Any = None,
        initializer: Callable[..., Any] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        retries: int = 0,
    ) -> None:
        if max_workers is None:
            max_workers = _processors()
        elif max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if mp_context is None:
            import multiprocessing

            mp_context = multiprocessing.get_context("spawn" if max_tasks_per_child is not None else None)
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_tasks_per_child is not None:
            _check_tasks(max_tasks_per_child, mp_context)
        if retries < 0:
            raise ValueError("retries must be >= 0")
        self._max_workers = max_workers
        self._mp_context = mp_context
        self._initializer = initializer
        self._initargs = initargs
        self._max_tasks_per_child = max_tasks_per_child
        self._shutdown_lock = threading.Lock()
        self._core = core = Core(max_workers, mp_context, initializer, initargs, max_tasks_per_child)
        self._options = Options(self, None, retries)
        # Nobody refers to the executor any more: what was submitted is done, and that is all.
        self._finalizer = weakref.finalize(self, core.abandon)
        self._finalizer.atexit = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have ``fn(*args, **kwargs)`` called by a worker.

        Returns:
            A future of what it will return. If the call cannot be pickled, the future has that error, which says where the object is.

        Raises:
            RuntimeError: the pool was shut down, or the interpreter exits. (BrokenProcessPool, one of them: an initializer has failed.)

        Safe to call from all threads. Counterpart: ``concurrent.futures.ProcessPoolExecutor.submit``.
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
        """Have ``fn`` called for each of the arguments, and iterate over what it returns, in their order.

        Args:
            fn: what to call, with one argument from each of the iterables.
            iterables: where the arguments come from. Without a buffersize they are all taken at once.
            timeout: how many seconds it may take, from now on, until the last result is there; None: any number.
            chunksize: so many calls are one task: they end together, and are lost together. Quick calls are sent together in any case.
            buffersize: how many tasks there may be at most that nobody has asked for; None: any number. (The standard method has it from Python 3.14.)
            progress: True: draw a bar on stderr, if that is a terminal. Or a function that is called with how many calls are done and how many there are.

        Raises:
            ValueError: chunksize or buffersize is less than one. TypeError: buffersize is no integer.
            TimeoutError: a result was not there in time. Of the iterator, as is whatever ``fn`` raises. Then what has not begun is cancelled.
            RuntimeError: see ``submit``.

        Safe to call from all threads; the iterator is for one. Counterpart: ``concurrent.futures.ProcessPoolExecutor.map``.
        """
        return self._options.map(fn, *iterables, timeout=timeout, chunksize=chunksize, buffersize=buffersize, progress=progress)

    def options(self, *, timeout: float | None = None, retries: int | None = None) -> Options:
        """The same pool, with something said about the calls that are submitted by what this returns.

        Args:
            timeout: a call may take so many seconds, from when it is sent to a worker; then it is ended, and its future has a TimeoutError.
            retries: so many times a call is tried again whose worker died; None: as the pool was made.

        Raises:
            ValueError: timeout is not more than zero; retries is negative.

        Safe to call from all threads. No standard counterpart.
        """
        if timeout is not None and timeout <= 0:
            raise ValueError("timeout must be more than 0")
        if retries is not None and retries < 0:
            raise ValueError("retries must be >= 0")
        return Options(self, timeout, self._options.retries if retries is None else retries)

    def stats(self) -> PoolStats:
        """What the pool and its workers have done. Safe to call from all threads. No standard counterpart."""
        return self._core.stats()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False, timeout: float | None = None) -> None:
        """Take no more calls, and end the workers when all is done.

        Args:
            wait: until that is so.
            cancel_futures: calls that have not begun are cancelled.
            timeout: after so many seconds whatever runs is ended (its future has a `TaskKilled`), and what has not begun is cancelled; None: never. It takes ``wait`` for granted.

        Safe to call from all threads, and more than once. Counterpart: ``concurrent.futures.ProcessPoolExecutor.shutdown``.
        """
        core = self._core
        core.close(cancel_futures)
        if timeout is not None:
            if not core.wait(timeout):
                core.end_all()
                core.wait(None)
        elif wait:
            core.wait(None)

    # ---- what programs look at

    @property
    def _processes(self) -> Any:
        return self._core.processes

    @property
    def _broken(self) -> Any:
        return self._core.broken

    @property
    def _shutdown_thread(self) -> bool:
        return self._core.closing

    @property
    def _executor_manager_thread(self) -> Any:
        return self._core._helper


# Where it is to be found.
ProcessPoolExecutor.__module__ = "plait.concurrent.futures"


def _processors() -> int:
    count = getattr(os, "process_cpu_count", None)
    return (count() if count is not None else len(os.sched_getaffinity(0))) or 1


def _check_tasks(max_tasks_per_child: Any, context: Any) -> None:
    if not isinstance(max_tasks_per_child, int):
        raise TypeError("max_tasks_per_child must be an integer")
    if max_tasks_per_child <= 0:
        raise ValueError("max_tasks_per_child must be >= 1")
    if context.get_start_method(allow_none=False) == "fork":
        raise ValueError(
            "max_tasks_per_child is incompatible with the 'fork' multiprocessing start method; supply a different mp_context."
        )
