"""``asyncio.sleep`` and ``asyncio.gather`` as plait has them.

``gather`` is native. ``sleep`` has to be a real coroutine (a task's name for it, its frames, the warning when it is never
awaited), and a frame that the interpreter enters by itself is the cheapest there is, so it is Python; what it waits
for is native. It yields that itself, where ``await`` would make an iterator to do so: a third of a ``sleep(0)``.

On a loop that is not plait's, or that overrides what a sleep would call, the standard ``sleep`` runs.
"""

import inspect
from asyncio import tasks as _tasks
from collections.abc import Callable, Generator
from functools import update_wrapper
from types import FunctionType
from typing import Any

from plait._native import gather as gather
from plait._native import start_timer

_standard_sleep: Any = _tasks.sleep


def _coroutine_function(function: Callable[..., Generator[Any, None, Any]]) -> Any:
    """What ``async def`` would have made of a generator function, were ``yield`` allowed in it.

    A flag of its code tells the interpreter which of the two to make, as `types.coroutine` does it with another flag.
    """
    assert isinstance(function, FunctionType)
    flags = function.__code__.co_flags & ~inspect.CO_GENERATOR | inspect.CO_COROUTINE
    code = function.__code__.replace(co_flags=flags)
    made: Any = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    update_wrapper(made, function)
    del made.__wrapped__
    return made


@_coroutine_function
def sleep(delay, result=None):  # type: ignore[no-untyped-def]
    """Wait, and let other tasks run meanwhile.

    Args:
        delay: how long, in seconds. Zero or less: one turn of the loop.
        result: what to return.

    Returns:
        result.

    Raises:
        ValueError: delay is NaN (from Python 3.13).

    Cancelled, it ends with CancelledError at once. For coroutines of the loop's own thread. Counterpart: ``asyncio.sleep``.
    """
    if delay <= 0:
        yield
        return result
    timer = start_timer(delay)
    if timer is None:
        return (yield from _standard_sleep(delay, result))
    try:
        yield timer
    except BaseException:  # cancelled or closed
        timer.disarm()
        raise
    return result
