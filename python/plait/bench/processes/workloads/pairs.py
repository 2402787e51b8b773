"""Threads that are to meet: each on a core of its own, and none of them left waiting for one that failed.

Only what installing plait leaves as it is takes part in it (`threading.Thread`, `queue.SimpleQueue`, pinning by the
kernel), so that it costs every column the same. To start two threads is inside of the measured time, and little of it:
each of them has thousands of rounds to go.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

from .measuring import Pins

Body = Callable[[], None]


def together(pins: Pins, first: Body, second: Body) -> None:
    """Run both, each in a thread of its own, until both are done or one has raised."""
    ended: SimpleQueue[BaseException | None] = SimpleQueue()
    for body, cpu in zip((first, second), pins or (None, None), strict=True):
        _start(cpu, body, ended.put)
    for _ in range(2):
        error = ended.get()
        if error is not None:
            raise error


def beside_loop(loop: asyncio.AbstractEventLoop, pins: Pins, body: Body) -> asyncio.Future[None]:
    """Run it in a thread, on the second core; the loop's thread is on the first one (`pin_loop`)."""
    done = loop.create_future()

    def end(error: BaseException | None) -> None:
        if error is None:
            loop.call_soon_threadsafe(done.set_result, None)
        else:
            loop.call_soon_threadsafe(done.set_exception, error)

    _start(None if pins is None else pins[1], body, end)
    return done


def pin_loop(pins: Pins) -> None:
    if pins is not None:
        os.sched_setaffinity(0, {pins[0]})


def _start(cpu: int | None, body: Body, end: Callable[[BaseException | None], object]) -> None:
    def run() -> None:
        try:
            if cpu is not None:
                # Of a thread, not of the process: 0 is the calling one.
                os.sched_setaffinity(0, {cpu})
            body()
        except BaseException as error:
            end(error)
        else:
            end(None)

    # Not to be waited for at the end of the process: its partner may have raised.
    threading.Thread(target=run, daemon=True).start()
