"""How a workload is measured, and what the parent is told about it.

Rejected: the best of several runs inside one process (it hides what the allocator and the collector cost,
which users pay), and switching the garbage collector off (programs run with it on).
"""

import asyncio
import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..columns import LOOPS, PLAIT, STANDARD

FAR_AWAY = 3600.0
# The CPUs of two threads that are to meet, or None where there is only one CPU.
Pins = tuple[int, int] | None


@dataclass(frozen=True)
class Measurement:
    """One run: what `n` operations cost each. Only a memory workload has `bytes_each`."""

    n: int
    wall_ns: float
    cpu_ns: float
    bytes_each: float | None = None


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What the table says of a workload.

    `n` is how many operations it does at scale 1, `per` the name of one of them. `judged` is the figure that
    decides: `wall_ns`, `cpu_ns` or `bytes_each`; `beside` names others that are always shown with it. `uses` names what it
    takes from asyncio besides the loop, and with its module what it takes from others (`queue.Queue`). `columns` are those
    in which it can be measured, `packages` what has to be installed besides.
    """

    name: str
    group: str
    n: int
    per: str
    about: str
    judged: str = "wall_ns"
    beside: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    columns: tuple[str, ...] = LOOPS
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class InProcess(Workload):
    """A workload that one process can measure."""

    warm_up: bool = True

    def uses_in(self, column: str) -> tuple[str, ...]:
        """`uses`, where it is not the same in every column."""
        return self.uses


@dataclass(frozen=True, kw_only=True)
class OnLoop(InProcess):
    """A workload that needs nothing but a loop: `run` does `n` operations on it."""

    run: Callable[[asyncio.AbstractEventLoop, int], Measurement]


@dataclass(frozen=True, kw_only=True)
class OnThreads(InProcess):
    """A workload without a loop: `run` does `n` operations, and pins its threads if there is more than one."""

    run: Callable[[Pins, int], Measurement]
    columns: tuple[str, ...] = (PLAIT, STANDARD)


def measure(n: int, run: Callable[[], object]) -> Measurement:
    gc.collect()
    cpu = time.process_time_ns()
    wall = time.perf_counter_ns()
    run()
    wall = time.perf_counter_ns() - wall
    cpu = time.process_time_ns() - cpu
    return Measurement(n, wall / n, cpu / n)


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def nothing() -> None:
    pass


async def nothing_async() -> None:
    pass
