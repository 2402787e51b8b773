"""The watchdog: a report of what holds a plait loop for longer than a threshold, with the stack *while* it does.

It is on under ``plait run``, and wherever ``PLAIT_WATCHDOG`` says so; else `start` switches it on. Reports go to the logger ``plait.watchdog``,
at most one a second, and one in ten seconds for the same place; hooks hear of every stall::

    plait.watchdog.start(threshold=0.1)
    plait.watchdog.add_hook(lambda stall: metrics.count("loop.blocked", stall.seconds))

docs/watchdog.md shows the reports, and tells how the watchdog knows. The standard library's counterpart is debug mode's log of slow
callbacks, which is too slow to be left on, speaks when it is over, and has no stack.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from plait._native import watch_loops, watched_threshold
from plait.gil import Place

__all__ = ["Frame", "Stall", "add_hook", "remove_hook", "start", "stop", "threshold"]

#: Seconds for which a callback or a step may hold its loop.
THRESHOLD = 0.1
#: The log's limits, in seconds: between two reports, and between two of the same place.
LOG_EVERY, LOG_PLACE_EVERY = 1.0, 10.0
#: Places that are remembered.
_MOST_PLACES = 1000


#: A line of a stack: its file, its number, and the qualified name of its function.
Frame = Place


@dataclass(frozen=True)
class Stall:
    """Something held a loop for too long.

    Attributes:
        what: what ran: a task with its name and coroutine, a callback, a transport's protocol, or the loop itself.
        task: the name of the task; None for what is none.
        seconds: how long, as far as is known. It may have begun a quarter of the threshold (at most 50 ms) earlier.
        lasts: it has not ended yet.
        cause: what took most of the time, in words: "computing", "waiting for the GIL", "collecting garbage", "waiting for a processor",
            "in the system call clock_nanosleep"; "unknown" where nothing could be seen.
        causes: each cause, and its share of the time, from 0 to 1.
        cpu: seconds of processor time that the thread used while it was watched; None where the kernel does not tell.
        target: to what the descriptor of the system call leads: a path, or ``socket:[…]``.
        holder: who had the GIL when it was waited for last: thread and line.
        stack: the innermost frame last, from the loop's call on, as it was when the threshold was passed.
        thread: the name of the loop's thread.
        count: how many stalls there were in the same place by now, this one included.
    """

    what: str
    task: str | None
    seconds: float
    lasts: bool
    cause: str
    causes: dict[str, float] = field(hash=False)
    cpu: float | None
    target: str | None
    holder: str | None
    stack: tuple[Frame, ...]
    thread: str
    count: int

    def text(self) -> str:
        """The report, as it is logged."""
        from plait._watchdog_report import text

        return text(self)


Hook = Callable[[Stall], object]

_hooks: tuple[Hook, ...] = ()
_lock = threading.Lock()


def start(*, threshold: float = THRESHOLD) -> None:
    """Watch all plait loops of the process, those that run and those to come.

    Args:
        threshold: seconds for which a callback or a step may hold its loop, from 0.001 to 3600. What takes longer is reported.

    Raises:
        ValueError: it is none.

    To call it again sets the threshold. Safe to call from any thread. A forked child keeps the setting.
    """
    watch_loops(threshold)


def stop() -> None:
    """Watch no more. Safe to call from any thread; a report on its way may still come."""
    watch_loops(None)


def threshold() -> float | None:
    """Seconds for which a callback or a step may hold its loop; None: the watchdog is off. Safe to call from any thread."""
    return watched_threshold()


def add_hook(hook: Hook) -> None:
    """Have `hook` called with each `Stall`.

    It is called when the stall is over, in the loop's thread, between two callbacks; for one that lasts a second (or five thresholds, if that
    is more), once, in a thread of the watchdog's, while it lasts. What it raises is shown by ``sys.unraisablehook``. It should be quick:
    the loop stands still for it. Safe to call from any thread.
    """
    global _hooks
    with _lock:
        _hooks = (*_hooks, hook)


def remove_hook(hook: Hook) -> None:
    """Have it called no more.

    Raises:
        ValueError: it was not added.

    Safe to call from any thread.
    """
    global _hooks
    with _lock:
        hooks = list(_hooks)
        hooks.remove(hook)
        _hooks = tuple(hooks)


# ---- called by the native module


def _ended(raw: str, loop: Any, culprit: Any) -> None:
    """A stall is over; `culprit` is what ran. In the loop's thread."""
    from plait._watchdog_report import described

    what, task = described(culprit)
    _report(raw, what, task)


def _lasts(raw: str, native_id: int) -> None:
    """A stall goes on. In a thread of its own, which `threading` is not to remember."""
    from plait._watchdog_report import described, running_task

    known = threading.get_ident() in threading._active  # type: ignore[attr-defined]
    try:
        what, task = described(running_task(native_id))
        _report(raw, what, task)
    finally:
        if not known:  # logging asks for the current thread, and a dummy is made
            with threading._active_limbo_lock:  # type: ignore[attr-defined]
                threading._active.pop(threading.get_ident(), None)  # type: ignore[attr-defined]


def _report(raw: str, what: str, task: str | None) -> None:
    import json

    from plait._watchdog_report import read

    stall = read(json.loads(raw), what, task, _counted)
    for hook in _hooks:
        try:
            hook(stall)
        except Exception as error:
            _show(error, hook)
    muted = _log_limit.passes(_place(stall))
    if muted is None:
        return
    import logging

    more = f"\n  ({muted} more since the last report)" if muted else ""
    logging.getLogger("plait.watchdog").warning("%s%s", stall.text(), more)


def _show(error: Exception, hook: Hook) -> None:
    from types import SimpleNamespace

    sys.unraisablehook(
        SimpleNamespace(
            exc_type=type(error),
            exc_value=error,
            exc_traceback=error.__traceback__,
            err_msg="Exception ignored in plait's watchdog, in the hook",
            object=hook,
        )
    )


def _place(stall: Stall) -> object:
    return stall.stack[-1] if stall.stack else stall.what


_counts: dict[object, int] = {}


def _counted(place: object) -> int:
    """How often it happened there."""
    with _lock:
        if len(_counts) >= _MOST_PLACES and place not in _counts:
            _counts.clear()
        _counts[place] = _counts.get(place, 0) + 1
        return _counts[place]


class _LogLimit:
    """What may be logged, so that a program that stalls all the time is not slowed down by being told."""

    def __init__(self) -> None:
        self._last = float("-inf")
        self._last_of: dict[object, float] = {}
        self._muted = 0

    def passes(self, place: object) -> int | None:
        """None: not now. Else how many were not logged since the last that was."""
        now = time.monotonic()
        with _lock:
            recent = now - self._last_of.get(place, float("-inf")) < LOG_PLACE_EVERY
            if recent or now - self._last < LOG_EVERY:
                self._muted += 1
                return None
            if len(self._last_of) >= _MOST_PLACES:
                self._last_of.clear()
            self._last = self._last_of[place] = now
            muted, self._muted = self._muted, 0
            return muted


_log_limit = _LogLimit()


def _after_fork_in_child() -> None:
    """Another thread of the parent's may have held it."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork_in_child)
