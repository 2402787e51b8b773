"""``multiprocessing.pool``, with a ``Pool`` whose calls cross in shared memory and which loses nothing.

It is the standard class with other workers: those of plait's ``ProcessPoolExecutor``. The words, the results as objects and what programs look at in them (``AsyncResult``,
``MapResult``, ``IMapIterator``) are the standard ones. A call is made in the worker by the functions of ``_pool_worker``, whose answer says whether it is a value or an error, so what
else comes back is about the worker. Where the standard pool waits for ever for a call whose worker died, this one has it fail with the executor's error.

What is handed to a pool is pickled and sent in the caller's thread, but for ``imap`` and ``imap_unordered``: these take their arguments one by one, in a thread of their own, and no
more than workers have use for. ``ThreadPool`` is the standard one.
"""

import multiprocessing.pool as _standard
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import util
from typing import Any

from plait.multiprocessing._pool_core import PoolCore, terminate
from plait.multiprocessing._pool_results import ApplyResult, Feeder, IMapIterator, IMapUnorderedIterator, MapResult
from plait.multiprocessing.context import _default_context

__all__ = list(_standard.__all__)

_internals: Any = _standard
ThreadPool = _standard.ThreadPool
AsyncResult = ApplyResult
RUN, CLOSE, TERMINATE, INIT = _internals.RUN, _internals.CLOSE, _internals.TERMINATE, _internals.INIT


class Pool(_internals.Pool):  # type: ignore[misc]
    """Processes that make calls.

    Args:
        processes: how many; by default as many as there are CPUs for this process.
        initializer: what each of them calls first.
        initargs: its arguments.
        maxtasksperchild: after so many calls (chunks, of ``map``) a process is replaced; None: never.
        context: how they are started; by default the program's way.

    Raises:
        ValueError: `processes` is less than one, or `maxtasksperchild` is no positive integer.
        TypeError: `initializer` cannot be called.

    May be used from any thread. A call whose worker dies fails with ``plait.concurrent.futures.WorkerDied``, and the worker is replaced. If an initializer fails, all calls fail with
    ``BrokenProcessPool``. At the program's exit, or when nobody refers to it any more, it is terminated. Counterpart: ``multiprocessing.pool.Pool``.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        self._state = INIT
        self._ended: list[Any] = []
        self._ctx = context or _default_context.get_context()
        self._cache: dict[int, Any] = {}  # what was asked for and is not answered, by number
        self._maxtasksperchild = maxtasksperchild
        self._initializer = initializer
        self._initargs = initargs
        self._processes = _processors() if processes is None else processes
        if self._processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if maxtasksperchild is not None and (not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0):
            raise ValueError("maxtasksperchild must be a positive int or None")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._feeders = 0
        self._closing = threading.Lock()  # for the two above
        self._core = core = PoolCore(self._processes, _Workers(self._ctx, type(self).Process), initializer, tuple(initargs), maxtasksperchild)
        try:
            core.fill()
        except BaseException:
            terminate(core)
            raise
        # At the program's end. The collector comes in the midst of anything: then the helper is told.
        self._terminate: Any = util.Finalize(None, terminate, args=(core,), exitpriority=15)
        core.ends_with = self._terminate
        weakref.finalize(self, core.abandon).atexit = False
        self._state = RUN

    @property
    def _pool(self) -> list[Any]:
        """The processes; of a pool that has ended, the last ones."""
        core = getattr(self, "_core", None)
        return (list(core.processes.values()) if core is not None else []) or self._ended

    def _repopulate_pool(self) -> None:
        self._core.fill()

    # ---- what is asked of it

    def apply(self, func: Callable[..., Any], args: Iterable[Any] = (), kwds: Any = {}) -> Any:  # noqa: B006
        """What ``func(*args, **kwds)`` returns in a worker, or raises. Counterpart: ``multiprocessing.pool.Pool.apply``."""
        return self.apply_async(func, args, kwds).get()

    def apply_async(self, func: Any, args: Any = (), kwds: Any = {}, callback: Any = None, error_callback: Any = None) -> Any:  # noqa: B006
        """Have ``func(*args, **kwds)`` called by a worker.

        Args:
            func: what is called.
            args: its arguments.
            kwds: its keyword arguments.
            callback: called with what it returns, in a thread of the pool's or of whoever waits.
            error_callback: called with what it raises, likewise.

        Returns:
            An ``AsyncResult``. What cannot be pickled is its error.

        Raises:
            ValueError: the pool is not running.

        May be called from any thread. Counterpart: ``multiprocessing.pool.Pool.apply_async``.
        """
        self._check_running()
        result = ApplyResult(self, callback, error_callback)
        try:
            args, kwds = tuple(args), dict(kwds)
        except TypeError as error:
            result.follow(self._core, [_refused(func, args, kwds, error)])
        else:
            result.follow(self._core, [self._core.call(func, args, kwds)])
        return result

    def _map_async(self, func: Any, iterable: Any, mapper: Any, chunksize: int | None = None, callback: Any = None, error_callback: Any = None) -> Any:
        self._check_running()
        if not hasattr(iterable, "__len__"):
            iterable = list(iterable)
        length = len(iterable)
        if chunksize is None:
            chunksize = -(-length // (self._processes * 4))
        if length == 0:
            chunksize = 0
        result = MapResult(self, chunksize, length, callback, error_callback=error_callback)
        if length:
            result.follow(self._core, self._chunk_calls(func, iterable, mapper, chunksize))
        return result

    def _chunk_calls(self, func: Any, iterable: Any, mapper: Any, chunksize: int) -> Iterator[Any]:
        """The futures of a map; where the iterable fails, its error in their place."""
        try:
            for chunk in _internals.Pool._get_tasks(func, iterable, chunksize):
                yield self._core.call(mapper, (chunk,), {})
        except Exception as error:
            yield error

    def imap(self, func: Any, iterable: Any, chunksize: int = 1, *, buffersize: int | None = None) -> Any:
        """What ``func`` returns for each item, in their order, as it is there.

        Args:
            func: what is called, with one argument.
            iterable: where that comes from. It is iterated by a thread of its own.
            chunksize: so many calls are one task of a worker.
            buffersize: how many tasks there may be at most of which nobody has asked for a result; None: any number.

        Returns:
            An ``IMapIterator``, whose ``next`` takes a timeout in seconds; with a chunksize, a generator.

        Raises:
            ValueError: the pool is not running; `chunksize` or `buffersize` is less than one.

        May be called from any thread; the iterator is for one. Counterpart: ``multiprocessing.pool.Pool.imap``, which has no buffersize.
        """
        return self._imap(IMapIterator, func, iterable, chunksize, buffersize)

    def imap_unordered(self, func: Any, iterable: Any, chunksize: int = 1, *, buffersize: int | None = None) -> Any:
        """As ``imap``, in the order in which results are there. Counterpart: ``multiprocessing.pool.Pool.imap_unordered``."""
        return self._imap(IMapUnorderedIterator, func, iterable, chunksize, buffersize)

    def _imap(self, iterator: Any, func: Any, iterable: Any, chunksize: int, buffersize: int | None) -> Any:
        self._check_running()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"Buffersize must be 1+, not {buffersize:n}")
        result = iterator(self, buffersize)
        if chunksize == 1:
            calls: Any = ((func, (item,)) for item in iterable)
        else:
            calls = ((_internals.mapstar, (chunk,)) for chunk in _internals.Pool._get_tasks(func, iterable, chunksize))
        with self._closing:
            self._feeders += 1
        Feeder(self._core, result, calls, self._fed).start()
        return result if chunksize == 1 else (item for chunk in result for item in chunk)

    def _fed(self) -> None:
        """An imap has taken its last argument: a pool that was closed meanwhile ends with what it has."""
        with self._closing:
            self._feeders -= 1
            over = self._state != RUN and not self._feeders
        if over:
            self._core.close(False)

    def stats(self) -> Any:
        """What the pool and its workers have done: a ``PoolStats``. May be called from any thread. No standard counterpart."""
        return self._core.stats()

    # ---- its end

    def close(self) -> None:
        """Take no more calls; the workers end when all is done. Counterpart: ``multiprocessing.pool.Pool.close``."""
        util.debug("closing pool")
        with self._closing:
            if self._state != RUN:
                return
            self._ended = self._pool
            self._state = CLOSE
            over = not self._feeders
        self._core.hurry()
        if over:
            self._core.close(False)

    def terminate(self) -> None:
        """End the workers at once. What was not answered fails with ``plait.concurrent.futures.TaskKilled``. Counterpart: ``multiprocessing.pool.Pool.terminate``."""
        util.debug("terminating pool")
        self._ended = self._pool
        self._state = TERMINATE
        self._terminate()

    def join(self) -> None:
        """Wait until the workers have ended.

        Raises:
            ValueError: neither ``close`` nor ``terminate`` was called.

        Counterpart: ``multiprocessing.pool.Pool.join``.
        """
        util.debug("joining pool")
        if self._state == RUN:
            raise ValueError("Pool is still running")
        if self._state not in (CLOSE, TERMINATE):
            raise ValueError("In unknown state")
        self._core.wait(None)


class _Workers:
    """The context, as the workers' core uses it: it starts them as the pool's ``Process`` has it, and names them."""

    def __init__(self, context: Any, process: Any) -> None:
        self._context = context
        self._process = process

    def get_start_method(self, allow_none: bool = False) -> Any:
        return self._context.get_start_method(allow_none=allow_none)

    def Process(self, **keywords: Any) -> Any:
        worker = self._process(self._context, **keywords)
        worker.name = worker.name.replace("Process", "PoolWorker")
        worker.daemon = True
        return worker


def _refused(func: Any, args: Any, kwds: Any, error: TypeError) -> TypeError:
    """What these are in a call, which is not made: no arguments. In the interpreter's words."""
    if hasattr(args, "__iter__") and hasattr(kwds, "keys"):
        return error
    try:
        func(*args, **kwds)
    except TypeError as refusal:
        return refusal
    return error


def _processors() -> int:
    count: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1


def __getattr__(name: str) -> Any:
    """The rest of the standard module."""
    return getattr(_standard, name)
