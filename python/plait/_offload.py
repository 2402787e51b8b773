"""Calls that a loop has other threads make: ``run_in_executor``, name resolution, and the ways between the futures of threads and those of loops.

On plait's pool a call is one entry of the pool's queue with the loop's own future in it, and its outcome one entry of the loop's inbox: no second future, and no Python
function that the loop has to call. Executors of other makes are asked by ``submit``, as asyncio does it.

Names are resolved by threads of their own. asyncio resolves them in the default executor, where sixty-four calls that block keep every connection from being made, and
sixty-four names that a dead server is asked for keep every other call from being run.
"""

import concurrent.futures
import functools
import sys
from asyncio import base_events, coroutines, events, futures, tasks
from types import ModuleType
from typing import Any

_native: Any = None  # `connect` brings it
_ThreadPoolExecutor: Any = None  # imported when it is needed first
_StandardExecutor: Any = None
_own_submit: Any = None
_standard_submit: Any = None
_threads_of_pools: Any = None  # `concurrent.futures.thread`

# As they were before plait could take their places.
_standard_wrap_future: Any = futures.wrap_future
_standard_shutdown: Any = base_events.BaseEventLoop.shutdown_default_executor

# Where asyncio looks for the functions that resolve names.
_asyncios_globals: Any = vars(base_events)

# So many names are looked up at once.
MOST_RESOLVERS = 8


def _import_executor() -> None:
    global _ThreadPoolExecutor, _StandardExecutor, _own_submit, _standard_submit, _threads_of_pools
    from plait import _executors

    _ThreadPoolExecutor, _StandardExecutor, _threads_of_pools = _executors.ThreadPoolExecutor, _executors.StandardExecutor, _executors._thread
    _own_submit, _standard_submit = _executors.own_submit, _executors.standard_submit


def _is_submit_ours(executor: Any) -> bool:
    """Whether nobody has put something else into the place of ``submit``: then what it does may be done without it."""
    return _ThreadPoolExecutor.submit is _own_submit and _StandardExecutor.submit is _standard_submit and "submit" not in executor.__dict__


def run_in_executor(self: Any, executor: Any, func: Any, *args: Any) -> Any:
    """Have ``func(*args)`` called by an executor.

    Args:
        executor: any object with the executors' ``submit``; None: the loop's default executor, a pool of threads.
        func: what to call.
        args: its arguments.

    Returns:
        A future of the loop. If it is cancelled before the call has begun, the call is not made.

    Raises:
        RuntimeError: the loop is closed, its default executor was shut down, or the interpreter exits.

    For the loop's own thread. Counterpart: ``asyncio.loop.run_in_executor``.
    """
    self._check_closed()
    if self._debug:
        self._check_callback(func, "run_in_executor")
    if executor is None:
        executor = self._default_executor
        self._check_default_executor()
        if executor is None:
            if _ThreadPoolExecutor is None:
                _import_executor()
            executor = self._default_executor = _ThreadPoolExecutor(thread_name_prefix="asyncio")
    if type(executor) is _ThreadPoolExecutor and type(self) is _native.EventLoop and _is_submit_ours(executor):
        queue = executor._work_queue
        if type(queue) is _native.WorkQueue:
            # No worker is started any more when the interpreter exits.
            future = None if _threads_of_pools._shutdown else queue.offload(self, executor, func, args)
            if future is None:
                raise executor._refusal()
            return future
    return wrap_future(executor.submit(func, *args), loop=self)


def set_default_executor(self: Any, executor: Any) -> None:
    """Have ``run_in_executor(None, …)`` use this pool.

    Args:
        executor: a ``concurrent.futures.ThreadPoolExecutor``, plait's or the standard one.

    Raises:
        TypeError: it is none.

    For the loop's own thread. Counterpart: ``asyncio.loop.set_default_executor``.
    """
    if _StandardExecutor is None:
        _import_executor()
    if not isinstance(executor, (_StandardExecutor, concurrent.futures.ThreadPoolExecutor)):
        raise TypeError("executor must be ThreadPoolExecutor instance")
    self._default_executor = executor


class _Both:
    """The default executor and the one that resolves names, to be shut down together."""

    def __init__(self, *executors: Any) -> None:
        self._executors = executors

    def shutdown(self, wait: bool = True) -> None:
        for executor in self._executors:
            executor.shutdown(wait=False)
        if wait:
            for executor in self._executors:
                executor.shutdown(wait=True)


async def _shut_both_down(loop: Any, *timeout: Any) -> None:
    default, resolver = loop._default_executor, loop._resolver
    if resolver is None:
        await _standard_shutdown(loop, *timeout)
        return
    loop._default_executor = resolver if default is None else _Both(default, resolver)
    try:
        await _standard_shutdown(loop, *timeout)
    finally:
        loop._default_executor = default


if sys.version_info >= (3, 12):

    @functools.wraps(_standard_shutdown)
    async def shutdown_default_executor(self: Any, timeout: float | None = None) -> None:
        await _shut_both_down(self, timeout)

else:  # it takes no time-out

    @functools.wraps(_standard_shutdown)
    async def shutdown_default_executor(self: Any) -> None:
        await _shut_both_down(self)


# ---- name resolution


def _resolver(loop: Any) -> Any:
    """The pool that looks names up for this loop."""
    loop._check_default_executor()
    if loop._resolver is None:
        if _ThreadPoolExecutor is None:
            _import_executor()
        loop._resolver = _ThreadPoolExecutor(MOST_RESOLVERS, thread_name_prefix="plait-resolver")
    return loop._resolver


async def getaddrinfo(self: Any, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
    """``socket.getaddrinfo``, by a thread that does nothing else than resolving.

    Raises:
        OSError: as ``socket.getaddrinfo`` (``socket.gaierror``).
        RuntimeError: the loop's executors were shut down.

    For coroutines of the loop. Counterpart: ``asyncio.loop.getaddrinfo``.
    """
    look_up = self._getaddrinfo_debug if self._debug else _asyncios_globals["socket"].getaddrinfo
    return await self.run_in_executor(_resolver(self), look_up, host, port, family, type, proto, flags)


async def getnameinfo(self: Any, sockaddr: Any, flags: int = 0) -> Any:
    """``socket.getnameinfo``, in the same way. Counterpart: ``asyncio.loop.getnameinfo``."""
    return await self.run_in_executor(_resolver(self), _asyncios_globals["socket"].getnameinfo, sockaddr, flags)


# ---- futures


def wrap_future(future: Any, *, loop: Any = None) -> Any:
    """A future of a loop that ends as the executor's future does; cancelled, it cancels that.

    Args:
        future: a ``concurrent.futures.Future``; one of a loop comes back as it is.
        loop: None: the current one.

    For the loop's own thread. Counterpart: ``asyncio.wrap_future``.
    """
    if type(future) is not _native.ConcurrentFuture or type(loop) is not _native.EventLoop:
        if loop is None and type(future) is _native.ConcurrentFuture:
            loop = events._get_running_loop()
            if type(loop) is _native.EventLoop:
                return wrap_future(future, loop=loop)
        return _standard_wrap_future(future, loop=loop)
    wrapped = loop.create_future()
    if not _native.follow(future, wrapped, loop):
        futures._chain_future(future, wrapped)  # type: ignore[attr-defined]
    return wrapped


def run_coroutine_threadsafe(coro: Any, loop: Any) -> Any:
    """Have a loop run a coroutine, from another thread.

    Args:
        coro: the coroutine.
        loop: the loop, of any make.

    Returns:
        A ``concurrent.futures.Future`` of what it will return. Cancelled, it cancels the task.

    Raises:
        TypeError: it is no coroutine.

    Safe to call from all threads but the loop's. Counterpart: ``asyncio.run_coroutine_threadsafe``.
    """
    if not coroutines.iscoroutine(coro):
        raise TypeError("A coroutine object is required")
    future = _native.ConcurrentFuture()

    def callback() -> None:
        try:
            futures._chain_future(tasks.ensure_future(coro, loop=loop), future)  # type: ignore[attr-defined]
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            if future.set_running_or_notify_cancel():
                future.set_exception(exc)
            raise

    loop.call_soon_threadsafe(callback)
    return future


def connect(native: ModuleType) -> None:
    """Give the loop its methods. Called once, by the native module."""
    global _native
    _native = native
    loop_type: Any = native.EventLoop
    loop_type._resolver = None
    for function in (run_in_executor, set_default_executor, shutdown_default_executor, getaddrinfo, getnameinfo):
        function.__qualname__ = f"EventLoop.{function.__name__}"
        setattr(loop_type, function.__name__, function)
