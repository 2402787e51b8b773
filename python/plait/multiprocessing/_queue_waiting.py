"""How coroutines wait for a queue between processes: their loop watches its descriptor.

All tasks of a loop that wait for the same descriptor stand in one line, and one is woken each time the loop finds it readable; it stays readable while there is something to
be had, so nobody who is cancelled takes a wake-up along. What is watched is a duplicate: the program may watch the queue's own descriptor
by the same loop.

Rejected: a thread that waits in place of the task, since what it gets after a cancellation would have to be put back.
"""

import asyncio
import os
from collections import deque
from weakref import WeakKeyDictionary


class _Line:
    """Those of one loop who wait for one descriptor."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        self.waiting: deque[asyncio.Future[None]] = deque()
        self._loop = loop
        self._watched = os.dup(descriptor)
        try:
            loop.add_reader(self._watched, self._wake_one)
        except BaseException:
            os.close(self._watched)
            raise

    def _wake_one(self) -> None:
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
                return

    def end(self) -> None:
        if not self._loop.is_closed():
            self._loop.remove_reader(self._watched)
        os.close(self._watched)


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Line]] = WeakKeyDictionary()


async def until_ready(descriptor: int) -> None:
    """Wait until the descriptor is readable; it may be so no more when the caller goes on. A cancellation ends the wait and takes nothing along.

    Args:
        descriptor: of something that stays readable until somebody has taken what there is.
    """
    loop = asyncio.get_running_loop()
    lines = _lines.setdefault(loop, {})
    line = lines.get(descriptor)
    if line is None:
        line = lines[descriptor] = _Line(loop, descriptor)
    waiter = loop.create_future()
    line.waiting.append(waiter)
    try:
        await waiter
    finally:
        line.waiting.remove(waiter)
        if not line.waiting:
            del lines[descriptor]
            line.end()
