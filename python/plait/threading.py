"""``from plait import threading``: every name of the standard module, with plait's primitives.

``Condition``, ``Event``, ``Semaphore``, ``BoundedSemaphore`` and ``Barrier`` are native, ``Timer`` waits on a native event. Threads, ``local``, ``Lock`` and ``RLock`` are
the standard ones: the interpreter itself makes them, in C. (With ``PLAIT_DEBUG=1`` the two locks are native as well.) Nothing is patched; see ``plait.install()``.
"""

import sys
import threading as _standard
from threading import *
from types import ModuleType
from typing import TYPE_CHECKING, Any

from plait._switch import debugging

if not TYPE_CHECKING:  # the standard signatures hold
    from plait._native import ThreadingBarrier as Barrier
    from plait._native import ThreadingBoundedSemaphore as BoundedSemaphore
    from plait._native import ThreadingCondition as Condition
    from plait._native import ThreadingEvent as Event
    from plait._native import ThreadingSemaphore as Semaphore

    if debugging():  # nobody can see who holds the interpreter's own
        from plait._deadlock import Lock, RLock

del excepthook  # changes: see _Mirror

__all__ = list(_standard.__all__)


class Timer(_standard.Timer):  # type: ignore[no-redef]
    """A thread that calls a function after a time, unless it is cancelled before.

    Args:
        interval: the time, in seconds, from ``start()`` on.
        function: what to call, in the timer's own thread.
        args: its arguments, a list.
        kwargs: its keyword arguments, a dict.

    ``cancel()`` may be called from any thread. Counterpart: ``threading.Timer``.
    """

    def __init__(self, interval: float, function: Any, args: Any = None, kwargs: Any = None) -> None:
        super().__init__(interval, function, args, kwargs)
        self.finished = Event()


class _Mirror(ModuleType):
    """What programs assign to the module has to reach the standard one: threads look there."""

    @property
    def excepthook(self) -> Any:
        return _standard.excepthook

    @excepthook.setter
    def excepthook(self, hook: Any) -> None:
        _standard.excepthook = hook


sys.modules[__name__].__class__ = _Mirror


def __getattr__(name: str) -> Any:
    """What is not in ``__all__``: deprecated and private names, and those of later Pythons."""
    return getattr(_standard, name)


def __dir__() -> list[str]:
    return sorted({*dir(_standard), *globals()})
