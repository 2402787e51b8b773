"""Making a loop and running one coroutine on it.

``run`` is the standard runner with plait's loop factory, rather than a runner of our own: signal handling,
cancellation of what is left and the order of shutdown are then exactly the host Python's.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

from plait._native import EventLoop
from plait._switch import disabled

_T = TypeVar("_T")


def new_event_loop() -> EventLoop:
    """Make a new plait event loop; nothing is patched and no current loop is set.

    Fits wherever a loop factory is asked for: ``asyncio.Runner(loop_factory=plait.new_event_loop)``,
    ``asyncio.run(main(), loop_factory=plait.new_event_loop)`` (3.12 and later), ``uvicorn --loop plait:new_event_loop``.

    Returns:
        A loop that is not running. Whoever made it closes it.

    Raises:
        OSError: the process has no file descriptors left.

    Safe to call from any thread; the loop itself, as in asyncio, belongs to the thread that runs it.
    Counterpart: ``asyncio.new_event_loop``.
    """
    return EventLoop()


@overload
def run(coro: Coroutine[Any, Any, _T], *, debug: bool | None = None) -> _T: ...


@overload
def run(
    coro: Callable[[], Coroutine[Any, Any, Any]],
    *,
    debug: bool | None = None,
    workers: int,
    sharing: str = "inherit",
    deadline: float = 30.0,
    linger: float = 1.0,
    start_timeout: float = 60.0,
    liveness: float | None = 30.0,
    max_requests: int | None = None,
    max_memory: int | None = None,
    jitter: float = 0.1,
) -> None: ...


def run(coro: Any, *, debug: bool | None = None, workers: int | None = None, **settings: Any) -> Any:
    """Run a coroutine on a new plait loop, and close the loop when it is done. Or have it run by workers: processes with a loop each, which share their listening sockets.

    Args:
        coro: the coroutine to run; with workers, a function without arguments that returns it. Each worker imports what it needs and calls it.
        debug: the loop's debug mode; None leaves it to ``-X dev`` and ``PYTHONASYNCIODEBUG``.
        workers: how many processes; None: this one. The rest is about them.
        sharing: ``"inherit"``: all listen with one socket. ``"reuseport"``: each has its own, and the kernel spreads connections over them.
        deadline: so many seconds a worker that ends has for what is in flight; then it is killed.
        linger: for so many seconds a worker that was replaced goes on with what it has accepted, before it is told to end.
        start_timeout: a worker that is not ready after so many seconds is killed.
        liveness: a worker whose loop has been stuck for so many seconds is killed; None: never.
        max_requests: a worker is replaced after so many requests (connections, where nothing is known of requests); None: never.
        max_memory: a worker is replaced when it has so many bytes of memory; None: never.
        jitter: by this fraction the two limits differ from worker to worker.

    Returns:
        What the coroutine returns; with workers None, once they were ended by SIGTERM or SIGINT, or all have ended by themselves.

    Raises:
        RuntimeError: a loop is running in this thread already. With workers: this is not the main thread.
        ValueError: coro is not a coroutine (TypeError from Python 3.14); a setting of workers is out of its range.
        TypeError: there are settings without workers; with workers, coro is no function.
        KeyboardInterrupt: Ctrl-C, in the main thread, after the coroutine was cancelled. Not with workers.
        plait.WorkersFailed: no worker could be started, five times.

    What the coroutine raises comes through. At the end every task that is left is cancelled and awaited,
    asynchronous generators are closed, and the default executor's threads are joined. Safe to call from any
    thread; each call has a loop of its own. The thread's current loop (``asyncio.set_event_loop``) is left
    alone. With ``PLAIT_DISABLE=1`` this is ``asyncio.run``.

    Counterpart: ``asyncio.run``.
    """
    if workers is not None:
        from plait import _workers
        from plait._workers._settings import Settings

        return _workers.run_function(coro, debug, Settings(workers, **settings))
    if settings:
        raise TypeError(f"run() has the argument {next(iter(settings))!r} only with workers")
    if disabled():
        return asyncio.run(coro, debug=debug)
    if sys.version_info >= (3, 12):
        return asyncio.run(coro, debug=debug, loop_factory=new_event_loop)
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(coro)
