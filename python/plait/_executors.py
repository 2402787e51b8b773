"""``ThreadPoolExecutor``: the standard one with a native queue, native workers and native futures.

It is a subclass of the standard class, which is Python: ``isinstance`` and ``issubclass`` tell the truth, ``shutdown``, the exit of the interpreter and the
failing initializer are the standard ones, and so are the attributes that programs read. What every call goes through is native: ``submit`` makes a
future and puts the call into the queue, a worker takes it out, calls, and tells who waits (``crates/plait-py/src/faces/futures``).

A subclass that puts another queue into the place of ``_work_queue`` (a priority queue, say) gets the standard methods, which work on any. So does a program in which threads
are greenlets (gevent's patch).
"""

import contextvars
import importlib
import itertools
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Empty as _Empty
from types import BuiltinFunctionType, FunctionType
from typing import Any

from plait._native import WorkQueue, result_or_cancel
from plait._native import work as _work

# Private names of it are used, which its stubs do not have.
_thread: Any = importlib.import_module("concurrent.futures.thread")
# As it was before plait could take its place.
StandardExecutor: Any = _thread.ThreadPoolExecutor


def _is_the_librarys(function: Any) -> bool:
    """Whether it is defined where the standard executor is. (A wrapper may copy the name of that module, but not what its globals are.)"""
    return isinstance(function, FunctionType) and function.__globals__ is vars(_thread)


# Tools that follow programs (of Sentry, OpenTelemetry, Datadog) put a `submit` of their own into the class, before plait is imported or after. None: it was there before.
standard_submit: Any = StandardExecutor.submit if _is_the_librarys(StandardExecutor.submit) else None


class ThreadPoolExecutor(StandardExecutor):  # type: ignore[misc]
    """Threads that make the calls that are submitted to them.

    Args:
        max_workers: how many threads there may be; None: as many as processors and four more, at most 32. They are started when they are needed.
        thread_name_prefix: what the threads' names begin with.
        initializer: called by each thread before anything else. If it raises, the pool is broken.
        initargs: its arguments.
        carry_context: each call runs in a copy of the context (``contextvars``) in which it was submitted, as with ``asyncio.to_thread``. The
            standard executor cannot do that.

    Raises:
        ValueError: max_workers is not more than zero.
        TypeError: initializer cannot be called.

    Safe to use from all threads. After ``fork`` the child has none of the threads, and needs a new pool. Counterpart:
    ``concurrent.futures.ThreadPoolExecutor``.
    """

    # For a subclass that goes without `__init__`.
    _plait_carries_context = False

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., Any] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        carry_context: bool = False,
    ) -> None:
        super().__init__(max_workers, thread_name_prefix, initializer, initargs)
        self._plait_carries_context = carry_context
        self._initializer = initializer
        self._initargs = initargs
        if not _starts_real_threads():
            return
        asks_always = type(self)._adjust_thread_count is not ThreadPoolExecutor._adjust_thread_count
        self._work_queue: Any = WorkQueue(asks_always, carry_context, weakref.ref(self))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have ``fn(*args, **kwargs)`` called by a thread of the pool.

        Returns:
            A future of what it will return.

        Raises:
            RuntimeError: the pool was shut down, or the interpreter exits. (BrokenThreadPool, one of them: an initializer has failed.)

        Safe to call from all threads. Counterpart: ``concurrent.futures.ThreadPoolExecutor.submit``.
        """
        queue = self._work_queue
        if type(queue) is not WorkQueue or StandardExecutor.submit is not standard_submit:
            if self._plait_carries_context:
                return StandardExecutor.submit(self, contextvars.copy_context().run, fn, *args, **kwargs)
            return StandardExecutor.submit(self, fn, *args, **kwargs)
        if _thread._shutdown:
            raise self._refusal()
        future = queue.submit(self, fn, args, kwargs)
        if future is None:
            raise self._refusal()
        return future

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """Have ``fn`` called for each of the arguments, and iterate over what it returns, in their order.

        Args:
            fn: what to call, with one argument from each of the iterables.
            iterables: where the arguments come from. Without a buffersize they are all taken at once.
            timeout: how many seconds it may take, from now on, until the last result is there; None: any number.
            chunksize: without meaning for threads.
            buffersize: how many results there may be at most, or be worked on, that nobody has asked for; None: any number. The iterables are
                taken from as results are asked for. (The standard method has it from Python 3.14.)

        Raises:
            TimeoutError: a result was not there in time. Of the iterator, as is whatever ``fn`` raises. Then what has not begun is cancelled.
            RuntimeError: see ``submit``.
            TypeError, ValueError: buffersize is no number, or less than one.

        Safe to call from all threads; the iterator is for one. Counterpart: ``concurrent.futures.Executor.map``.
        """
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        end = None if timeout is None else timeout + time.monotonic()
        calls = zip(*iterables)
        if buffersize is None:
            return _results(self._submit_each(fn, calls), end)
        return _buffered_results(weakref.ref(self), fn, calls, deque(self._submit_each(fn, itertools.islice(calls, buffersize))), end)

    def _submit_each(self, fn: Callable[..., Any], calls: Iterator[tuple[Any, ...]]) -> list[Any]:
        """Futures of all these calls, the last first."""
        is_ours = type(self).submit is own_submit and StandardExecutor.submit is standard_submit and "submit" not in vars(self)
        if not is_ours or type(self._work_queue) is not WorkQueue:
            futures = [self.submit(fn, *args) for args in calls]
            futures.reverse()
            return futures
        if _thread._shutdown and next(calls, None) is not None:
            raise self._refusal()
        submitted: list[Any] | None = self._work_queue.submit_each(self, fn, calls)
        if submitted is None:
            raise self._refusal()
        return submitted

    def _refusal(self) -> RuntimeError:
        if self._broken:
            broken: RuntimeError = _thread.BrokenThreadPool(self._broken)
            return broken
        if self._shutdown:
            return RuntimeError("cannot schedule new futures after shutdown")
        return RuntimeError("cannot schedule new futures after interpreter shutdown")

    # ---- how many threads there are

    def _plait_grow(self) -> None:
        """More is to be done than there are idle workers. Called by the queue, with no lock held, when the call is in it already.

        Whoever shuts the pool down, or the interpreter, may have come in between. Workers that there are empty the queue before they go; where there are none, nobody
        ever will, and the call is refused. It stays in the queue, so that whoever submits the next one is sent here, too.
        """
        with self._shutdown_lock, _thread._global_shutdown_lock:
            if not (_thread._shutdown or self._shutdown or self._broken):
                self._adjust_thread_count()
            elif not self._threads:
                raise self._refusal()

    def _adjust_thread_count(self) -> None:
        """Start another thread, if one is needed and there may be one more."""
        queue = self._work_queue
        if type(queue) is not WorkQueue:
            StandardExecutor._adjust_thread_count(self)
            return
        if not queue.needs_worker:
            return
        count = len(self._threads)
        if count >= self._max_workers:
            queue.may_grow = False
            return
        # The queue is closed when nobody refers to the executor any more.
        args = (weakref.ref(self, queue.close), queue, self._initializer, self._initargs)
        thread = threading.Thread(name=f"{self._thread_name_prefix or self}_{count}", target=_work, args=args)
        thread.start()
        self._threads.add(thread)
        _thread._threads_queues[thread] = queue

    def _initializer_failed(self) -> None:
        """The pool is broken: what is in the queue is not done, and nothing comes in any more."""
        queue = self._work_queue
        if type(queue) is not WorkQueue:
            StandardExecutor._initializer_failed(self)
            return
        with self._shutdown_lock:
            self._broken = "A thread initializer failed, the thread pool is not usable anymore"
            # For a subclass that has an attribute in the place of `_broken`.
            queue.refuse()
            while not queue.empty():
                try:
                    item = queue.get_nowait()
                except _Empty:
                    break
                # One that was cancelled is not to keep the others from hearing of it.
                if item.future.set_running_or_notify_cancel():
                    item.future.set_exception(_thread.BrokenThreadPool(self._broken))

    # ---- attributes of the standard executor that the queue has to hear of; they lie where they always do. (A subclass may hide them behind attributes of its
    # own. Then the queue hears of a shutdown by the None that is put into it.)

    def _kept(self, name: str) -> Any:
        try:
            return vars(self)[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self) from None

    @property
    def _max_workers(self) -> int:
        return self._kept("_max_workers")  # type: ignore[no-any-return]

    @_max_workers.setter
    def _max_workers(self, number: int) -> None:
        self.__dict__["_max_workers"] = number
        queue = vars(self).get("_work_queue")
        if type(queue) is WorkQueue:
            queue.may_grow = True

    @property
    def _shutdown(self) -> bool:
        return self._kept("_shutdown")  # type: ignore[no-any-return]

    @_shutdown.setter
    def _shutdown(self, shut_down: bool) -> None:
        self.__dict__["_shutdown"] = shut_down
        queue = vars(self).get("_work_queue")
        if shut_down and type(queue) is WorkQueue:
            queue.close()

    @property
    def _broken(self) -> Any:
        return self._kept("_broken")

    @_broken.setter
    def _broken(self, why: Any) -> None:
        self.__dict__["_broken"] = why
        queue = vars(self).get("_work_queue")
        if why and type(queue) is WorkQueue:
            queue.refuse()


# Where it is to be found.
ThreadPoolExecutor.__module__ = "plait.concurrent.futures"
# As long as the class has it, calls can be put into the queue by a shorter way.
own_submit: Any = ThreadPoolExecutor.submit


def _starts_real_threads() -> bool:
    """Whether what ``threading`` starts are threads. gevent's patch makes greenlets of them, which must not block; its patched queues know how they wait."""
    starts = getattr(threading, "_start_joinable_thread", None) or vars(threading)["_start_new_thread"]
    return isinstance(starts, BuiltinFunctionType)


def _results(futures: list[Any], end: float | None) -> Iterator[Any]:
    """What they return, the last first; those that nobody comes for are cancelled."""
    try:
        if end is None:
            while futures:
                # Nobody but the caller has a reference to what is yielded.
                yield result_or_cancel(futures.pop())
        else:
            while futures:
                yield result_or_cancel(futures.pop(), end - time.monotonic())
    finally:
        for future in futures:
            future.cancel()


def _buffered_results(executor: Any, fn: Any, calls: Iterator[tuple[Any, ...]], futures: "deque[Any]", end: float | None) -> Iterator[Any]:
    """The same, and for each that is asked for the next call is submitted, as long as there is the executor."""
    try:
        while futures:
            pool = executor()
            args = None if pool is None else next(calls, None)
            if args is not None:
                futures.appendleft(pool.submit(fn, *args))
            del pool, args
            yield result_or_cancel(futures.pop(), None if end is None else end - time.monotonic())
    finally:
        for future in futures:
            future.cancel()
