"""Queues between a thread and a task: plait.Queue beside the packages that were made for it.

The only workloads in which the columns do not run the same names: nothing in the standard library does this. Each package
calls the two sides of a queue differently, so the four methods are looked up first; from there on the lines are the same.

`bridge_round_trip` has one item under way, and measures how quickly either side wakes the other; `bridge_flow` lets items
pass from a thread through a task to another thread, as a pipeline does, with room for a hundred before and
behind the task. The loop runs on one core and the threads on the other.
"""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ..columns import BRIDGES, PLAIT
from .measuring import InProcess, Measurement, Pins, measure
from .pairs import beside_loop, pin_loop

ROOM = 100


@dataclass(frozen=True)
class Ends:
    """A queue's methods: for threads, and for tasks."""

    put: Callable[[int], None]
    get: Callable[[], int]
    aput: Callable[[int], Awaitable[None]]
    aget: Callable[[], Awaitable[int]]


@dataclass(frozen=True, kw_only=True)
class Bridge(InProcess):
    """A workload on the `Queue` of the package that its column is named after."""

    run: Callable[[asyncio.AbstractEventLoop, str, Pins, int], Measurement]
    columns: tuple[str, ...] = (PLAIT, *BRIDGES)

    def uses_in(self, column: str) -> tuple[str, ...]:
        return (f"{column}.Queue",)


def bridge_round_trip(loop: asyncio.AbstractEventLoop, column: str, pins: Pins, n: int) -> Measurement:
    async def body() -> None:
        there, back = _queue(column, 0), _queue(column, 0)

        def ask() -> None:
            for i in range(n):
                there.put(i)
                _require(back.get(), i)

        async def answer() -> None:
            for _ in range(n):
                await back.aput(await there.aget())

        await asyncio.gather(beside_loop(loop, pins, ask), answer())

    pin_loop(pins)
    return measure(n, lambda: loop.run_until_complete(body()))


def bridge_flow(loop: asyncio.AbstractEventLoop, column: str, pins: Pins, n: int) -> Measurement:
    async def body() -> None:
        before, behind = _queue(column, ROOM), _queue(column, ROOM)

        def produce() -> None:
            for i in range(n):
                before.put(i)

        def consume() -> None:
            for i in range(n):
                _require(behind.get(), i)

        async def pass_on() -> None:
            for _ in range(n):
                await behind.aput(await before.aget())

        await asyncio.gather(beside_loop(loop, pins, produce), beside_loop(loop, pins, consume), pass_on())

    pin_loop(pins)
    return measure(n, lambda: loop.run_until_complete(body()))


def _queue(package: str, size: int) -> Ends:
    queue: Any = importlib.import_module(package).Queue(size)
    if package == PLAIT:
        return Ends(queue.put, queue.get, queue.aput, queue.aget)
    threads, tasks = queue.sync_q, queue.async_q
    return Ends(threads.put, threads.get, tasks.put, tasks.get)


def _require(got: int, wanted: int) -> None:
    if got != wanted:
        raise RuntimeError(f"wrong data: {got} where {wanted} should have come")


WORKLOADS = (
    Bridge(
        name="bridge_round_trip",
        group="bridges",
        run=bridge_round_trip,
        n=10_000,
        per="round trip",
        about="an item from a thread to a task through one queue, and back through another",
        beside=("cpu_ns",),
    ),
    Bridge(
        name="bridge_flow",
        group="bridges",
        run=bridge_flow,
        n=30_000,
        per="item",
        about=f"from a thread through a task to another thread, over two queues for {ROOM}",
        beside=("cpu_ns",),
    ),
)
