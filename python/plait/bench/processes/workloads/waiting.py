"""Waiting with a limit, and waiting for several.

What is waited for takes one turn of the loop: a body that never waits would leave the cancelled timers of all rounds in the
loop, which no program does, and would measure how it holds those. The time-outs are an hour away, since it is
what a time-out costs that does not strike.
"""

import asyncio

from .measuring import FAR_AWAY, Measurement, OnLoop, measure, nothing_async

# As many as programs wait for at a time, rather than as many as would hide what the call itself costs.
AT_A_TIME = 10


def wait_for(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    async def body() -> None:
        for _ in range(n):
            await asyncio.wait_for(asyncio.sleep(0), FAR_AWAY)

    return measure(n, lambda: loop.run_until_complete(body()))


def timeout(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    async def body() -> None:
        for _ in range(n):
            async with asyncio.timeout(FAR_AWAY):
                await asyncio.sleep(0)

    return measure(n, lambda: loop.run_until_complete(body()))


def wait(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    done = 0

    async def body() -> None:
        nonlocal done
        left = n
        while left:
            size = min(AT_A_TIME, left)
            finished, _ = await asyncio.wait([loop.create_task(nothing_async()) for _ in range(size)])
            done += len(finished)
            left -= size

    measured = measure(n, lambda: loop.run_until_complete(body()))
    if done != n:
        raise RuntimeError(f"{done} of {n} tasks were done")
    return measured


def task_group(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    async def body() -> None:
        left = n
        while left:
            size = min(AT_A_TIME, left)
            async with asyncio.TaskGroup() as group:
                for _ in range(size):
                    group.create_task(nothing_async())
            left -= size

    return measure(n, lambda: loop.run_until_complete(body()))


WORKLOADS = (
    OnLoop(
        name="wait_for",
        group="waiting",
        run=wait_for,
        n=50_000,
        per="call",
        about="await asyncio.wait_for(asyncio.sleep(0), 3600)",
        uses=("wait_for", "sleep"),
    ),
    OnLoop(
        name="timeout",
        group="waiting",
        run=timeout,
        n=50_000,
        per="block",
        about="asyncio.sleep(0) in a block of asyncio.timeout(3600)",
        uses=("timeout", "sleep"),
    ),
    OnLoop(
        name="wait",
        group="waiting",
        run=wait,
        n=50_000,
        per="task",
        about=f"await asyncio.wait for {AT_A_TIME} new tasks",
        uses=("wait",),
    ),
    OnLoop(
        name="task_group",
        group="waiting",
        run=task_group,
        n=50_000,
        per="task",
        about=f"an asyncio.TaskGroup of {AT_A_TIME} tasks",
        uses=("TaskGroup",),
    ),
)
