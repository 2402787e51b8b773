"""How coroutines wait for a queue between processes: their loop watches its descriptor.

All tasks of a loop that wait for the same descriptor stand in one line, and one is woken each time the loop finds it readable; it stays readable while there is something to
be had, so nobody who is cancelled takes a wake-up along. What is watched is a duplicate: the program may watch the queue's own descriptor
by the same loop.

A process that is killed when it has made a place, or put something in, but not said so yet, leaves the descriptor silent: so the loop has the queue look again, once in
a while, which makes the descriptor readable for all who watch it.

Rejected: a thread that waits in place of the task, since what it gets after a cancellation would have to be put back.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary


_LOOKS_AGAIN = 1.0  # seconds, as long as a thread sleeps at most


class _Line:
    """Those of one loop who wait for one descriptor."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int, watch: Callable[[], object]) -> None:
        self.waiting: deque[asyncio.Future[None]] = deque()
        self._loop, self._watch = loop, watch
        self._watched = os.dup(descriptor)
        try:
            loop.add_reader(self._watched, self._wake_one)
        except BaseException:
            os.close(self._watched)
            raise
        self._timer = loop.call_later(_LOOKS_AGAIN, self._look_again)

    def _look_again(self) -> None:
        self._watch()
        self._timer = self._loop.call_later(_LOOKS_AGAIN, self._look_again)

    def _wake_one(self) -> None:
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
                return

    def end(self) -> None:
        self._timer.cancel()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._watched)
        os.close(self._watched)


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Line]] = WeakKeyDictionary()


async def until_ready(watch: Callable[[], int | None]) -> None:
    """Wait until a descriptor is readable; it may be so no more when the caller goes on. A cancellation ends the wait and takes nothing along.

    Args:
        watch: gives the descriptor of something that stays readable until somebody has taken what there is; called again, it looks whether there is something, and
            makes the descriptor readable then.
    """
    descriptor = watch()
    assert descriptor is not None, "a queue without a bound is never full"
    loop = asyncio.get_running_loop()
    lines = _lines.setdefault(loop, {})
    line = lines.get(descriptor)
    if line is None:
        line = lines[descriptor] = _Line(loop, descriptor, watch)
    waiter = loop.create_future()
    line.waiting.append(waiter)
    try:
        await waiter
    finally:
        line.waiting.remove(waiter)
        if not line.waiting:
            del lines[descriptor]
            line.end()
