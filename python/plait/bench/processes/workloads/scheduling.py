"""Callbacks and timers: what a loop does before there is a task.

The cost of the body shows most in `call_soon`, whose method is therefore looked up once. Callbacks posted by
`call_soon_threadsafe` come in batches with a turn between them: posting them all before the first one runs would
measure the allocator. Timers are made and cancelled in one burst, with the turn that clears them away inside the
measured time: with a turn after every few timers, half of the figure was the turn.
"""

import asyncio
import threading

from .measuring import FAR_AWAY, Measurement, OnLoop, measure, nothing

BATCH = 1000


def call_soon(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    left = n
    schedule = loop.call_soon

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            schedule(step)
        else:
            loop.stop()

    loop.call_soon(step)
    return measure(n, loop.run_forever)


def call_later_cancel(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    def burst() -> None:
        for _ in range(n):
            loop.call_later(FAR_AWAY, nothing).cancel()
        loop.call_soon(loop.stop)

    loop.call_soon(burst)
    return measure(n, loop.run_forever)


def call_soon_threadsafe(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    left = n

    def batch() -> None:
        nonlocal left
        size = min(BATCH, left)
        for _ in range(size):
            loop.call_soon_threadsafe(nothing)
        left -= size
        # Behind the batch, so that every callback of it has run before the next one (or the end).
        loop.call_soon_threadsafe(batch if left else loop.stop)

    loop.call_soon(batch)
    return measure(n, loop.run_forever)


def call_soon_threadsafe_other(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    def post() -> None:
        for _ in range(n):
            loop.call_soon_threadsafe(nothing)
        loop.call_soon_threadsafe(loop.stop)

    poster = threading.Thread(target=post)
    loop.call_soon(poster.start)
    measured = measure(n, loop.run_forever)
    poster.join()
    return measured


WORKLOADS = (
    OnLoop(
        name="call_soon",
        group="scheduling",
        run=call_soon,
        n=300_000,
        per="callback",
        about="a chain: each callback schedules the next",
    ),
    OnLoop(
        name="call_later_cancel",
        group="scheduling",
        run=call_later_cancel,
        n=200_000,
        per="timer",
        about="make a timer an hour away and cancel it",
    ),
    OnLoop(
        name="call_soon_threadsafe",
        group="scheduling",
        run=call_soon_threadsafe,
        n=200_000,
        per="callback",
        about=f"from the loop's own thread, {BATCH:,} per turn",
    ),
    OnLoop(
        name="call_soon_threadsafe_other",
        group="scheduling",
        run=call_soon_threadsafe_other,
        n=200_000,
        per="callback",
        about="from another thread, until all of them ran",
    ),
)
