"""What is measured: one function per workload, each given a loop and a count.

A workload knows nothing of which loop it runs on. The loop is made elsewhere, in a process of its own, so
the same lines of Python run on every peer and nothing here can favour one of them. `asyncio.sleep` and
`asyncio.gather` are looked up when they are called, never imported by name: a runtime that replaces them
does so in the module, and a name bound too early would go on measuring the standard one.

The bodies do as little as they can beside the call that is measured, because what they do themselves costs
every loop the same and brings the ratios nearer to one. That shows most in `call_soon`, whose method is
therefore looked up once. Callbacks posted by `call_soon_threadsafe` come in batches with a turn between them:
posting them all before the first one runs would measure the allocator. Timers are made and cancelled in one
burst, with the turn that clears them away inside the measured time: with a turn after every few timers, half
of the figure was the turn.

Rejected: the best of several runs inside one process (it hides what the allocator and the collector cost,
which users pay), and switching the garbage collector off (programs run with it on).
"""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

BATCH = 1000
FAR_AWAY = 3600.0


@dataclass(frozen=True)
class Measurement:
    """One run: what `n` operations cost each. Only a memory workload has `bytes_each`."""

    n: int
    wall_ns: float
    cpu_ns: float
    bytes_each: float | None = None


@dataclass(frozen=True)
class Workload:
    """A workload's function, how many operations it does at scale 1, and the unit it is judged in."""

    name: str
    run: Callable[[asyncio.AbstractEventLoop, int], Measurement]
    n: int
    about: str
    unit: str = "ns/op"
    warm_up: bool = True


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
    return _measure(n, loop.run_forever)


def call_later_cancel(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    def burst() -> None:
        for _ in range(n):
            loop.call_later(FAR_AWAY, _nothing).cancel()
        loop.call_soon(loop.stop)

    loop.call_soon(burst)
    return _measure(n, loop.run_forever)


def call_soon_threadsafe(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    left = n

    def batch() -> None:
        nonlocal left
        size = min(BATCH, left)
        for _ in range(size):
            loop.call_soon_threadsafe(_nothing)
        left -= size
        # Behind the batch, so that every callback of it has run before the next one (or the end).
        loop.call_soon_threadsafe(batch if left else loop.stop)

    loop.call_soon(batch)
    return _measure(n, loop.run_forever)


def call_soon_threadsafe_other(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    def post() -> None:
        for _ in range(n):
            loop.call_soon_threadsafe(_nothing)
        loop.call_soon_threadsafe(loop.stop)

    poster = threading.Thread(target=post)
    loop.call_soon(poster.start)
    measured = _measure(n, loop.run_forever)
    poster.join()
    return measured


def create_task_await(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    async def body() -> None:
        for _ in range(n):
            await loop.create_task(_nothing_async())

    return _measure(n, lambda: loop.run_until_complete(body()))


def sleep0(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    async def body() -> None:
        for _ in range(n):
            await asyncio.sleep(0)

    return _measure(n, lambda: loop.run_until_complete(body()))


def gather(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    async def body() -> None:
        left = n
        while left:
            size = min(BATCH, left)
            await asyncio.gather(*[_nothing_async() for _ in range(size)])
            left -= size

    return _measure(n, lambda: loop.run_until_complete(body()))


def sleeping_tasks(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    """Memory: how much the resident set grows per task that has begun to sleep.

    The list that holds the tasks is filled before the first reading, so it is not counted. The caller has
    to end the process without closing the loop: taking a million tasks down is not what is measured.
    """
    tasks: list[asyncio.Task[None] | None] = [None] * n

    async def body() -> float:
        gc.collect()
        before = _resident_bytes()
        for i in range(n):
            tasks[i] = loop.create_task(asyncio.sleep(FAR_AWAY))
        # The loop serves callbacks in order: whoever was created before this turn has now taken its first step.
        await asyncio.sleep(0)
        gc.collect()
        return (_resident_bytes() - before) / n

    grown = 0.0

    def run() -> None:
        nonlocal grown
        grown = loop.run_until_complete(body())

    measured = _measure(n, run)
    _require_asleep(tasks)
    return Measurement(n, measured.wall_ns, measured.cpu_ns, grown)


def _require_asleep(tasks: list[asyncio.Task[None] | None]) -> None:
    """A task that has not taken its first step holds no timer and would flatter the figure."""
    for task in tasks:
        if task is None or task.done():
            raise RuntimeError("a sleeping task is already done: the memory figure would be wrong")
        if not getattr(task.get_coro(), "cr_suspended", True):
            raise RuntimeError("a sleeping task has not started: the memory figure would be wrong")


def _measure(n: int, run: Callable[[], object]) -> Measurement:
    gc.collect()
    cpu = time.process_time_ns()
    wall = time.perf_counter_ns()
    run()
    wall = time.perf_counter_ns() - wall
    cpu = time.process_time_ns() - cpu
    return Measurement(n, wall / n, cpu / n)


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _nothing() -> None:
    pass


async def _nothing_async() -> None:
    pass


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("call_soon", call_soon, 300_000, "a chain: each callback schedules the next"),
        Workload("call_later_cancel", call_later_cancel, 200_000, "make a timer an hour away and cancel it"),
        Workload(
            "call_soon_threadsafe", call_soon_threadsafe, 200_000, f"from the loop's thread, {BATCH} per turn"
        ),
        Workload(
            "call_soon_threadsafe_other", call_soon_threadsafe_other, 200_000, "from another thread, until all ran"
        ),
        Workload("create_task_await", create_task_await, 100_000, "create a task and await it, one by one"),
        Workload("sleep0", sleep0, 200_000, "asyncio.sleep(0), one by one"),
        Workload("gather", gather, 200_000, f"asyncio.gather of {BATCH} coroutines, per coroutine"),
        Workload(
            "sleeping_tasks",
            sleeping_tasks,
            1_000_000,
            "resident memory of a task in asyncio.sleep(3600)",
            unit="bytes/each",
            warm_up=False,
        ),
    )
}
