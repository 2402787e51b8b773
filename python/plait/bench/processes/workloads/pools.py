"""Calls that a pool of processes makes: what it costs to hand one over and to be told, and what a large array costs on its way there or back.

The peers are the pools that people use: `ProcessPoolExecutor`, loky's, and for maps `multiprocessing.Pool`, each started as it starts by itself. What is measured
begins when the workers are up and have answered once; only the `…_first` workloads look at the first array that a new pool meets, when nothing is
warm. Wall time decides: most of the work is the other process's. The results are looked at.
"""

import importlib
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..columns import LOKY, PLAIT, POOL, STANDARD
from .measuring import InProcess, Measurement, measure

WORKERS = 2
HERE = str(Path(__file__).absolute().parents[2])
# Of 64-bit floats: 64 MiB.
LENGTH = 8 << 20


@dataclass(frozen=True, kw_only=True)
class OnPools(InProcess):
    """A workload on the pool of processes that its column is named after."""

    run: Callable[[str, int], Measurement]
    columns: tuple[str, ...] = (PLAIT, STANDARD, LOKY)

    def uses_in(self, column: str) -> tuple[str, ...]:
        return (NAMES[column],)


NAMES = {
    PLAIT: "concurrent.futures.ProcessPoolExecutor",
    STANDARD: "concurrent.futures.ProcessPoolExecutor",
    LOKY: "loky.ProcessPoolExecutor",
    POOL: "multiprocessing.Pool",
}


def _pool(column: str) -> AbstractContextManager[Any]:
    if column == LOKY and HERE not in sys.path:
        # Its workers are interpreters of their own, which import this module by its name and with this path.
        sys.path.append(HERE)
    module, _, name = NAMES[column].rpartition(".")
    pool: AbstractContextManager[Any] = getattr(importlib.import_module(module), name)(WORKERS)
    return pool


def same(value: Any) -> Any:
    return value


def total(array: Any) -> float:
    return float(array.sum())


def ones(length: int) -> Any:
    import numpy

    return numpy.ones(length)


def pool_round_trip(column: str, n: int) -> Measurement:
    with _pool(column) as pool:
        _require(pool.submit(same, -1).result(), -1)
        seen = 0

        def run() -> None:
            nonlocal seen
            for i in range(n):
                seen += pool.submit(same, i).result()

        measured = measure(n, run)
        _require(seen, n * (n - 1) // 2)
    return measured


def pool_map(column: str, n: int) -> Measurement:
    with _pool(column) as pool:
        _require(list(pool.map(same, range(WORKERS))), list(range(WORKERS)))
        seen = 0

        def run() -> None:
            nonlocal seen
            seen = sum(pool.map(same, range(n), chunksize=1))

        measured = measure(n, run)
        _require(seen, n * (n - 1) // 2)
    return measured


def pool_array(column: str, n: int) -> Measurement:
    array = ones(LENGTH)
    return _steady(column, n, lambda pool: _require(pool.submit(total, array).result(), float(LENGTH)))


def pool_array_result(column: str, n: int) -> Measurement:
    return _steady(column, n, lambda pool: _require(len(pool.submit(ones, LENGTH).result()), LENGTH))


def pool_array_first(column: str, n: int) -> Measurement:
    array = ones(LENGTH)
    return _first(column, n, lambda pool: _require(pool.submit(total, array).result(), float(LENGTH)))


def pool_array_result_first(column: str, n: int) -> Measurement:
    return _first(column, n, lambda pool: _require(len(pool.submit(ones, LENGTH).result()), LENGTH))


def _steady(column: str, n: int, once: Callable[[Any], None]) -> Measurement:
    with _pool(column) as pool:
        # Until each worker has met one, whichever takes it.
        for _ in range(2 * WORKERS):
            once(pool)

        def run() -> None:
            for _ in range(n):
                once(pool)

        return measure(n, run)


def _first(column: str, n: int, once: Callable[[Any], None]) -> Measurement:
    wall = cpu = 0
    for _ in range(n):
        with _pool(column) as pool:
            # NumPy is in the workers that fork has given it to; the others import it now.
            _require(pool.submit(len, pool.submit(ones, 1).result()).result(), 1)
            cpu -= time.process_time_ns()
            wall -= time.perf_counter_ns()
            once(pool)
            wall += time.perf_counter_ns()
            cpu += time.process_time_ns()
    return Measurement(n, wall / n, cpu / n)


def _require(got: object, expected: object) -> None:
    if got != expected:
        raise RuntimeError(f"wrong data in process {os.getpid()}: {got} instead of {expected}")


def _on_array(name: str, run: Callable[[str, int], Measurement], n: int, about: str) -> OnPools:
    return OnPools(
        name=name, group="pools", run=run, n=n, per="array", about=about, beside=("cpu_ns",), packages=("numpy",), warm_up=False
    )


WORKLOADS = (
    OnPools(
        name="pool_round_trip",
        group="pools",
        run=pool_round_trip,
        n=5_000,
        per="round trip",
        about=f"a call submitted to a pool of {WORKERS} processes, and its result waited for",
        beside=("cpu_ns",),
    ),
    OnPools(
        name="pool_map",
        group="pools",
        run=pool_map,
        n=20_000,
        per="call",
        about=f"a call of a trivial function through map(chunksize=1) of a pool of {WORKERS} processes",
        beside=("cpu_ns",),
        columns=(PLAIT, STANDARD, POOL, LOKY),
    ),
    _on_array("pool_array_first", pool_array_first, 3, "the first 64 MiB array that a pool is given as an argument, and sums"),
    _on_array("pool_array", pool_array, 10, "a 64 MiB array as an argument of a call that sums it, one after the other"),
    _on_array("pool_array_result_first", pool_array_result_first, 3, "the first 64 MiB array that a call in a pool returns"),
    _on_array("pool_array_result", pool_array_result, 10, "a 64 MiB array that a call in a pool makes and returns, one after the other"),
)
