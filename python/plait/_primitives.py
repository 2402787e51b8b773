"""The coroutines of the native primitives.

Each asks one native question: None means that it may go on, anything else is a future to wait for, which it yields itself (see ``_coroutines``). ``connect`` lends them
to the native types, by name.
"""

from types import ModuleType
from typing import Any

from plait._coroutines import coroutine_function


@coroutine_function
def acquire(self):  # type: ignore[no-untyped-def]
    """Take it, as soon as it can be had.

    Returns:
        True.

    Cancelled, it takes nothing; what it had been handed goes to the next. For coroutines. Counterpart: the method of the same name in ``asyncio``.
    """
    waiter = self._begin()
    while waiter is not None:
        try:
            yield waiter
        except BaseException:
            self._give_up(waiter)
            raise
        waiter = self._resume(waiter)
    return True


@coroutine_function
def _enter_later(self):  # type: ignore[no-untyped-def]
    waiter = self._begin()
    while waiter is not None:
        try:
            yield waiter
        except BaseException:
            self._give_up(waiter)
            raise
        waiter = self._resume(waiter)


def connect(native: ModuleType) -> None:
    """Complete the native types. Called once, by the native module."""
    native.AsyncioLock.acquire = acquire
    native.Lock.aacquire = acquire
    for name in ("AsyncioLock", "Lock"):
        getattr(native, name)._enter_later = _enter_later
