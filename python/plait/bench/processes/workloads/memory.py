"""Memory: how much the resident set grows per thing that is held.

The list that holds the things is filled before the first reading, so it is not counted. The caller has to end the
process without closing the loop: taking a million of them down is not what is measured. What an idle
connection costs is measured on a server, by the rooms of the network.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import replace

from .measuring import FAR_AWAY, Measurement, OnLoop, measure, nothing, resident_bytes

# Timers of a program seldom fall due together: equal times would share one float object.
APART = 0.001


def sleeping_tasks(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    tasks: list[asyncio.Task[None] | None] = [None] * n

    async def fill() -> None:
        for i in range(n):
            tasks[i] = loop.create_task(asyncio.sleep(FAR_AWAY))
        # The loop serves callbacks in order: whoever was created before this turn has now taken its first step.
        await asyncio.sleep(0)

    measured = _growth(loop, n, fill)
    _require_asleep(tasks)
    return measured


def timers(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    handles: list[asyncio.TimerHandle | None] = [None] * n

    async def fill() -> None:
        for i in range(n):
            handles[i] = loop.call_later(FAR_AWAY + i * APART, nothing)

    measured = _growth(loop, n, fill)
    if any(handle is None or handle.cancelled() for handle in handles):
        raise RuntimeError("a timer is not held: the memory figure would be wrong")
    return measured


def _growth(loop: asyncio.AbstractEventLoop, n: int, fill: Callable[[], Awaitable[None]]) -> Measurement:
    grown = 0.0

    async def body() -> float:
        gc.collect()
        before = resident_bytes()
        await fill()
        gc.collect()
        return (resident_bytes() - before) / n

    def run() -> None:
        nonlocal grown
        grown = loop.run_until_complete(body())

    return replace(measure(n, run), bytes_each=grown)


def _require_asleep(tasks: list[asyncio.Task[None] | None]) -> None:
    """A task that has not taken its first step holds no timer and would flatter the figure."""
    for task in tasks:
        if task is None or task.done():
            raise RuntimeError("a sleeping task is already done: the memory figure would be wrong")
        if not getattr(task.get_coro(), "cr_suspended", True):
            raise RuntimeError("a sleeping task has not started: the memory figure would be wrong")


WORKLOADS = (
    OnLoop(
        name="sleeping_tasks",
        group="memory",
        run=sleeping_tasks,
        n=1_000_000,
        per="pending task",
        about="a task in asyncio.sleep(3600)",
        judged="bytes_each",
        uses=("sleep",),
        warm_up=False,
    ),
    OnLoop(
        name="timers",
        group="memory",
        run=timers,
        n=500_000,
        per="timer",
        about="a handle of call_later that is held",
        judged="bytes_each",
        warm_up=False,
    ),
)
