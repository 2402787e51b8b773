"""asyncio's own queue and locks, between the tasks of one loop.

A queue in which everything fits would measure the allocator, one for a single item the loop's turns: this one has room for
what a busy program lets pile up. The lock is never contended, as most are not; the semaphore always is, and its tasks
hold it over a turn of the loop. The event goes to and fro, so that each wait really waits. None of them may lose or
double anything, which a quick one could: the last item and what is left behind are looked at, after the clock has stopped.
"""

import asyncio

from .measuring import Measurement, OnLoop, measure

ROOM = 1000
TASKS = 1000
PERMITS = 10


def asyncio_queue(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    last = -1

    async def body() -> None:
        nonlocal last
        queue: asyncio.Queue[int] = asyncio.Queue(ROOM)

        async def produce() -> None:
            for i in range(n):
                await queue.put(i)

        producer = loop.create_task(produce())
        for _ in range(n):
            last = await queue.get()
        await producer

    measured = measure(n, lambda: loop.run_until_complete(body()))
    if last != n - 1:
        raise RuntimeError(f"wrong data: the last of {n} items was {last}")
    return measured


def asyncio_lock(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    lock = asyncio.Lock()

    async def body() -> None:
        for _ in range(n):
            async with lock:
                pass

    measured = measure(n, lambda: loop.run_until_complete(body()))
    if lock.locked():
        raise RuntimeError("the lock was not given back")
    return measured


def asyncio_semaphore(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    semaphore = asyncio.Semaphore(PERMITS)

    async def hold() -> None:
        async with semaphore:
            await asyncio.sleep(0)

    async def body() -> None:
        left = n
        while left:
            size = min(TASKS, left)
            await asyncio.gather(*[hold() for _ in range(size)])
            left -= size

    async def permits() -> int:
        taken = 0
        while not semaphore.locked():
            await semaphore.acquire()
            taken += 1
        return taken

    measured = measure(n, lambda: loop.run_until_complete(body()))
    left = loop.run_until_complete(permits())
    if left != PERMITS:
        raise RuntimeError(f"{left} of {PERMITS} permits were given back")
    return measured


def asyncio_event(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    there, back = asyncio.Event(), asyncio.Event()

    async def answer() -> None:
        for _ in range(n):
            await there.wait()
            there.clear()
            back.set()

    async def body() -> None:
        answering = loop.create_task(answer())
        for _ in range(n):
            there.set()
            await back.wait()
            back.clear()
        await answering

    measured = measure(n, lambda: loop.run_until_complete(body()))
    if there.is_set() or back.is_set():
        raise RuntimeError("an event was set once too often")
    return measured


WORKLOADS = (
    OnLoop(
        name="asyncio_queue",
        group="synchronisation",
        run=asyncio_queue,
        n=200_000,
        per="item",
        about=f"put by one task and got by another through an asyncio.Queue({ROOM:,})",
        uses=("Queue",),
    ),
    OnLoop(
        name="asyncio_lock",
        group="synchronisation",
        run=asyncio_lock,
        n=300_000,
        per="acquisition",
        about="async with an asyncio.Lock that is free",
        uses=("Lock",),
    ),
    OnLoop(
        name="asyncio_semaphore",
        group="synchronisation",
        run=asyncio_semaphore,
        n=30_000,
        per="task",
        about=f"{TASKS:,} tasks, gathered, hold an asyncio.Semaphore({PERMITS}) over asyncio.sleep(0)",
        uses=("Semaphore", "gather", "sleep"),
    ),
    OnLoop(
        name="asyncio_event",
        group="synchronisation",
        run=asyncio_event,
        n=40_000,
        per="round trip",
        about="two tasks wake each other in turn through two asyncio.Events",
        uses=("Event",),
    ),
)
