"""``from plait import asyncio``: every name of the standard module, on plait's loop.

Names that decide which loop is made (``run``, ``Runner``, ``new_event_loop``, ``get_event_loop``, ``EventLoop``,
``DefaultEventLoopPolicy``), streams, locks, queues, ``sleep``, ``gather``, ``wait``, ``wait_for``, ``timeout``, ``timeout_at``, ``shield``, ``as_completed``,
``wrap_future``, ``run_coroutine_threadsafe`` and ``TaskGroup`` are plait's; the rest are the standard ones, so that ``except asyncio.TimeoutError``,
``isinstance(task, asyncio.Task)`` and ``class MyProtocol(asyncio.Protocol)`` mean the same as ever. ``SelectorEventLoop``
stays the standard one: it names one particular loop. Nothing is patched; a module that imports the standard asyncio
by itself gets stock loops from it, unless ``plait.install()`` was called.
"""

import asyncio as _standard
import sys
import threading as _threading
import warnings as _warnings
from asyncio import *
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from plait._loop import new_event_loop as new_event_loop
from plait._native import EventLoop as EventLoop  # type: ignore[assignment, unused-ignore]
from plait._native import StreamReader as StreamReader  # type: ignore[assignment, unused-ignore]
from plait._native import StreamReaderProtocol as StreamReaderProtocol  # type: ignore[assignment, unused-ignore]
from plait._native import StreamWriter as StreamWriter  # type: ignore[assignment, unused-ignore]
from plait._processes import create_subprocess_exec as create_subprocess_exec
from plait._processes import create_subprocess_shell as create_subprocess_shell
from plait._streams import open_connection as open_connection  # type: ignore[assignment, unused-ignore]
from plait._streams import open_unix_connection as open_unix_connection  # type: ignore[assignment, unused-ignore]
from plait._streams import start_server as start_server  # type: ignore[assignment, unused-ignore]
from plait._streams import start_unix_server as start_unix_server  # type: ignore[assignment, unused-ignore]
from plait._switch import disabled as _disabled

if not TYPE_CHECKING:  # the standard signatures hold
    from plait._native import AsyncioBarrier as Barrier
    from plait._native import AsyncioBoundedSemaphore as BoundedSemaphore
    from plait._native import AsyncioCondition as Condition
    from plait._native import AsyncioEvent as Event
    from plait._native import AsyncioLifoQueue as LifoQueue
    from plait._native import AsyncioLock as Lock
    from plait._native import AsyncioPriorityQueue as PriorityQueue
    from plait._native import AsyncioQueue as Queue
    from plait._native import AsyncioSemaphore as Semaphore
    from plait._offload import run_coroutine_threadsafe, wrap_future
    from plait._tasks import gather, sleep
    from plait._waiting import TaskGroup, as_completed, shield, timeout, timeout_at, wait, wait_for

_T = TypeVar("_T")

__all__ = list(_standard.__all__)


class Runner(_standard.Runner):  # type: ignore[no-redef, misc]
    """``asyncio.Runner`` on a plait loop.

    Args:
        debug: the loop's debug mode; None leaves it to ``-X dev`` and ``PYTHONASYNCIODEBUG``.
        loop_factory: makes the loop; None means plait's. As ever with a factory, the thread's current loop is left
            alone.

    To be used from one thread. On Ctrl-C in the main thread ``run`` cancels its coroutine and raises KeyboardInterrupt.
    With ``PLAIT_DISABLE=1`` None means the standard loop.
    """

    def __init__(
        self, *, debug: bool | None = None, loop_factory: Callable[[], _standard.AbstractEventLoop] | None = None
    ) -> None:
        if loop_factory is None and not _disabled():
            loop_factory = new_event_loop
        super().__init__(debug=debug, loop_factory=loop_factory)


def run(  # type: ignore[no-redef]
    main: Coroutine[Any, Any, _T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], _standard.AbstractEventLoop] | None = None,
) -> _T:
    """Run a coroutine on a new plait loop, and close the loop when it is done.

    Args:
        main: the coroutine to run.
        debug: the loop's debug mode; None leaves it to ``-X dev`` and ``PYTHONASYNCIODEBUG``.
        loop_factory: makes the loop; None means plait's. (The standard ``run`` has it from 3.12.)

    Returns:
        What the coroutine returns; what it raises comes through.

    Raises:
        RuntimeError: a loop is running in this thread already.
        KeyboardInterrupt: Ctrl-C, in the main thread, after the coroutine was cancelled.

    Safe to call from any thread. Counterpart: ``asyncio.run``; see also ``plait.run``.
    """
    if _standard._get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    with Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(main)


def get_event_loop() -> _standard.AbstractEventLoop:  # type: ignore[no-redef]
    """The running loop, or else the thread's current one.

    Where the host Python would make a loop by itself (the main thread, up to 3.13), a plait loop is made; a policy
    other than the default one is asked as ever.

    Raises:
        RuntimeError: this thread has no current loop.

    Counterpart: ``asyncio.get_event_loop``.
    """
    if _would_make_a_loop() and not _disabled():
        if sys.version_info >= (3, 12):
            _warnings.warn("There is no current event loop", DeprecationWarning, stacklevel=2)
        _standard.set_event_loop(new_event_loop())
    return _standard.get_event_loop()


def _would_make_a_loop() -> bool:
    """Whether the standard get_event_loop would answer with a new stock loop."""
    if sys.version_info >= (3, 14) or _standard._get_running_loop() is not None:
        return False
    policy = _standard.get_event_loop_policy()
    if type(policy) is not _standard.DefaultEventLoopPolicy:
        return False
    current: Any = vars(policy)["_local"]
    in_main_thread = _threading.current_thread() is _threading.main_thread()
    return in_main_thread and current._loop is None and not current._set_called


if sys.version_info < (3, 16):
    from plait._policy import EventLoopPolicy as DefaultEventLoopPolicy


def __getattr__(name: str) -> Any:
    """What is not in ``__all__``: ``asyncio.subprocess``, ``asyncio.events``, names of later Pythons."""
    return getattr(_standard, name)


def __dir__() -> list[str]:
    return sorted({*dir(_standard), *globals()})
