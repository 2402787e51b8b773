"""Calls that a pool of threads makes, of a function that does nothing: what it costs to hand one over and to be told.

`executor_map` hands over all of them at once, so that nobody waits for long and what shows is the work per call. In `executor_round_trip` the caller waits for
each one: two threads wake each other in turn, which is mostly the kernel and, with the GIL, who asks for it when; so the CPU time stands beside it. In
`run_in_executor` the caller is a task, and the loop sleeps meanwhile. Nothing is pinned: a pool starts its threads by itself. The results are looked at.
"""

import asyncio
import concurrent.futures

from .measuring import Measurement, OnLoop, OnThreads, Pins, measure

WORKERS = 4


def same(value: int) -> int:
    return value


def executor_map(_: Pins, n: int) -> Measurement:
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        _require(list(pool.map(same, range(WORKERS))), list(range(WORKERS)))
        total = 0

        def run() -> None:
            nonlocal total
            total = sum(pool.map(same, range(n)))

        measured = measure(n, run)
        _require(total, n * (n - 1) // 2)
    return measured


def executor_round_trip(_: Pins, n: int) -> Measurement:
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        _require(pool.submit(same, -1).result(), -1)
        total = 0

        def run() -> None:
            nonlocal total
            for i in range(n):
                total += pool.submit(same, i).result()

        measured = measure(n, run)
        _require(total, n * (n - 1) // 2)
    return measured


def run_in_executor(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    total = 0

    async def body() -> None:
        nonlocal total
        for i in range(n):
            total += await loop.run_in_executor(None, same, i)

    loop.run_until_complete(loop.run_in_executor(None, same, -1))
    measured = measure(n, lambda: loop.run_until_complete(body()))
    _require(total, n * (n - 1) // 2)
    return measured


def _require(got: object, expected: object) -> None:
    if got != expected:
        raise RuntimeError(f"wrong data: {got} instead of {expected}")


WORKLOADS = (
    OnThreads(
        name="executor_map",
        group="executors",
        run=executor_map,
        n=50_000,
        per="call",
        about=f"a call of a trivial function through ThreadPoolExecutor({WORKERS}).map, all of them at once",
        beside=("cpu_ns",),
        uses=("concurrent.futures.ThreadPoolExecutor",),
    ),
    OnThreads(
        name="executor_round_trip",
        group="executors",
        run=executor_round_trip,
        n=10_000,
        per="round trip",
        about=f"a call submitted to a ThreadPoolExecutor({WORKERS}), and its result waited for",
        beside=("cpu_ns",),
        uses=("concurrent.futures.ThreadPoolExecutor",),
    ),
    OnLoop(
        name="run_in_executor",
        group="executors",
        run=run_in_executor,
        n=10_000,
        per="round trip",
        about="await loop.run_in_executor(None, …) of a trivial function",
        beside=("cpu_ns",),
    ),
)
