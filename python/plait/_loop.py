"""Making a loop and running one coroutine on it.

``run`` is the standard runner with plait's loop factory, rather than a runner of our own: signal handling,
cancellation of what is left and the order of shutdown are then exactly the host Python's.
"""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

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


def run(coro: Coroutine[Any, Any, _T], *, debug: bool | None = None) -> _T:
    """Run a coroutine on a new plait loop, and close the loop when it is done.

    Args:
        coro: the coroutine to run.
        debug: the loop's debug mode; None leaves it to ``-X dev`` and ``PYTHONASYNCIODEBUG``.

    Returns:
        What the coroutine returns.

    Raises:
        RuntimeError: a loop is running in this thread already.
        ValueError: coro is not a coroutine (TypeError from Python 3.14).
        KeyboardInterrupt: Ctrl-C, in the main thread, after the coroutine was cancelled.

    What the coroutine raises comes through. At the end every task that is left is cancelled and awaited,
    asynchronous generators are closed, and the default executor's threads are joined. Safe to call from any
    thread; each call has a loop of its own. The thread's current loop (``asyncio.set_event_loop``) is left
    alone. With ``PLAIT_DISABLE=1`` this is ``asyncio.run``.

    Counterpart: ``asyncio.run``.
    """
    if disabled():
        return asyncio.run(coro, debug=debug)
    if sys.version_info >= (3, 12):
        return asyncio.run(coro, debug=debug, loop_factory=new_event_loop)
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(coro)
