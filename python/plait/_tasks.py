"""``asyncio.sleep`` and ``asyncio.gather`` as plait has them.

``gather`` is native. ``sleep`` has to be a real coroutine (a task's name for it, its frames, the warning when it is never
awaited), and a frame that the interpreter enters by itself is the cheapest there is, so it is Python; what it waits
for is native. It yields that itself, where ``await`` would make an iterator to do so: a third of a ``sleep(0)``.

On a loop that is not plait's, or that overrides what a sleep would call, the standard ``sleep`` runs.
"""

from asyncio import tasks as _tasks
from typing import Any

from plait._coroutines import coroutine_function
from plait._native import gather as gather
from plait._native import start_timer

_standard_sleep: Any = _tasks.sleep


@coroutine_function
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
