"""Each loop's engine of files: made when the loop first asks, kept with the loop.

``PLAIT_FS_ENGINE`` (``io_uring``, ``threads`` or ``auto``) chooses who makes the calls, ``PLAIT_FS_AT_ONCE=0`` has even what is cached
handed over. Both are for tests and measurements.
"""

import asyncio
import atexit
import functools
import os
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from plait._native import FileEngine

_T = TypeVar("_T")
_KEPT_AS = "_plait_files"
# How long the end of a program waits for what is to be written, in seconds.
_LONGEST_GOODBYE = 10.0
_engines: "weakref.WeakSet[FileEngine]" = weakref.WeakSet()


def current_engine() -> FileEngine:
    """The engine of the running loop."""
    loop: Any = asyncio.get_running_loop()
    try:
        return loop._plait_files  # type: ignore[no-any-return]
    except AttributeError:
        return _make(loop)


def _make(loop: Any) -> FileEngine:
    at_once = os.environ.get("PLAIT_FS_AT_ONCE", "1") != "0"
    engine = FileEngine(loop, os.environ.get("PLAIT_FS_ENGINE") or None, at_once)
    loop.add_reader(engine.fileno(), engine._collect)
    setattr(loop, _KEPT_AS, engine)
    _finish_at_exit()
    _engines.add(engine)
    return engine


@functools.cache
def _finish_at_exit() -> None:
    atexit.register(_finish)


def _finish() -> None:
    """What was handed over to be written is written before the program ends; reads are not waited for."""
    for engine in list(_engines):
        engine.settle_writes(_LONGEST_GOODBYE)


def engine() -> str:
    """Tell who reads and writes the files of the running loop.

    Returns:
        ``"io_uring"``, or ``"threads"`` where the kernel or the container forbids it.

    Raises:
        RuntimeError: no loop is running; or ``PLAIT_FS_ENGINE`` demands io_uring, and it is not to be had.

    For the loop's own thread. It has no standard counterpart.
    """
    return current_engine().kind


async def wanted(engine: FileEngine, future: "asyncio.Future[_T]") -> _T:
    """Wait for an operation, which is given up, if it can be, when nobody waits any more."""
    try:
        return await future
    except asyncio.CancelledError:
        engine.give_up(future)
        raise


async def in_thread(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """One hop to the loop's executor, for what is a call of the standard library."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, functools.partial(function, *args, **kwargs))
