"""Queues between processes: one child puts, this process gets.

The child is forked before the clock starts and puts when it is told to, so that neither its start nor the unpickling of a function is measured. It is plait's own class
in plait's column and the standard one beside it, by name: both take a context, and nothing else is different.

Rejected: a bound, which would measure how often the two wait for each other; the standard queue has none unless it is asked for one.
"""

import importlib
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..columns import PLAIT, STANDARD
from .measuring import InProcess, Measurement, Pins, measure

_CLASSES = {PLAIT: "plait.multiprocessing.queues.Queue", STANDARD: "multiprocessing.queues.Queue"}


@dataclass(frozen=True, kw_only=True)
class BetweenProcesses(InProcess):
    """A workload of two processes: `run` is told whose class it measures."""

    run: Callable[[str, Pins, int], Measurement]
    columns: tuple[str, ...] = (PLAIT, STANDARD)

    def uses_in(self, column: str) -> tuple[str, ...]:
        return (_CLASSES[column],)


def _queue_of(column: str, context: Any) -> Any:
    module, _, name = _CLASSES[column].rpartition(".")
    return getattr(importlib.import_module(module), name)(ctx=context)


def _put(items: Any, started: Any, pins: Pins, n: int, item: Callable[[int], object]) -> None:
    if pins is not None:
        os.sched_setaffinity(0, {pins[1]})
    started.recv_bytes()
    for i in range(n):
        items.put(item(i))


def _passed(column: str, pins: Pins, n: int, item: Callable[[int], object]) -> Measurement:
    context = multiprocessing.get_context("fork")
    items = _queue_of(column, context)
    waits, starts = context.Pipe(duplex=False)
    child = context.Process(target=_put, args=(items, waits, pins, n, item))
    child.start()
    if pins is not None:
        os.sched_setaffinity(0, {pins[0]})
    last = None

    def run() -> None:
        nonlocal last
        starts.send_bytes(b"")
        get = items.get
        for _ in range(n):
            last = get()

    measured = measure(n, run)
    child.join()
    if child.exitcode != 0 or last != item(n - 1) or not items.empty():
        raise RuntimeError(f"{items!r} did not pass on what was put")
    return measured


def process_queue(column: str, pins: Pins, n: int) -> Measurement:
    return _passed(column, pins, n, int)


def process_queue_tuples(column: str, pins: Pins, n: int) -> Measurement:
    return _passed(column, pins, n, lambda i: (i, "an item", 0.5))


WORKLOADS = (
    BetweenProcesses(
        name="process_queue",
        group="processes",
        run=process_queue,
        n=100_000,
        per="item",
        about="a number put by one process and got by another, through a multiprocessing.Queue",
    ),
    BetweenProcesses(
        name="process_queue_tuples",
        group="processes",
        run=process_queue_tuples,
        n=100_000,
        per="item",
        about="the same with a tuple of a number, a string and a float",
    ),
)
