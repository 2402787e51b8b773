"""Tasks: making them, waiting for them, putting them to sleep.

`sleeps` is judged by CPU time. Its wall time has a floor that no loop can go below, the longest of the sleeps, and near
that floor a loop of half the cost would seem to be as quick as the other. The delays are drawn from a
seeded generator before the clock starts: the same ones for every loop, and timers that do not expire in order.
"""

import asyncio
from random import Random

from .measuring import Measurement, OnLoop, measure, nothing_async

BATCH = 1000
SEED = 20_000
LONGEST_SLEEP = 0.010


def create_task_await(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    async def body() -> None:
        for _ in range(n):
            await loop.create_task(nothing_async())

    return measure(n, lambda: loop.run_until_complete(body()))


def sleep0(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    async def body() -> None:
        for _ in range(n):
            await asyncio.sleep(0)

    return measure(n, lambda: loop.run_until_complete(body()))


def gather(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    async def body() -> None:
        left = n
        while left:
            size = min(BATCH, left)
            await asyncio.gather(*[nothing_async() for _ in range(size)])
            left -= size

    return measure(n, lambda: loop.run_until_complete(body()))


def sleeps(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    random = Random(SEED)
    delays = [random.uniform(0, LONGEST_SLEEP) for _ in range(n)]

    async def body() -> None:
        await asyncio.gather(*[loop.create_task(asyncio.sleep(delay)) for delay in delays])

    return measure(n, lambda: loop.run_until_complete(body()))


WORKLOADS = (
    OnLoop(
        name="create_task_await",
        group="tasks",
        run=create_task_await,
        n=100_000,
        per="task",
        about="create a task and await it, one by one",
    ),
    OnLoop(
        name="sleep0",
        group="tasks",
        run=sleep0,
        n=200_000,
        per="sleep",
        about="await asyncio.sleep(0), one by one",
        uses=("sleep",),
    ),
    OnLoop(
        name="gather",
        group="tasks",
        run=gather,
        n=200_000,
        per="coroutine",
        about=f"await asyncio.gather of {BATCH:,} coroutines",
        uses=("gather",),
    ),
    OnLoop(
        name="sleeps",
        group="tasks",
        run=sleeps,
        n=20_000,
        per="sleep",
        about="tasks that sleep for 0 to 10 ms all at once, gathered",
        judged="cpu_ns",
        uses=("gather", "sleep"),
    ),
)
