"""Coroutines that a pool of processes runs, each worker with a loop of its own: `plait.Cluster` beside aiomultiprocess, on asyncio's loop, in its fastest way, a map that is awaited as a whole.

What is measured begins when all workers are up and have answered. The results are looked at.
"""

import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..columns import AIOMULTIPROCESS, PLAIT
from .measuring import InProcess, Measurement, measure

WORKERS = 2
PER_WORKER = 16
# Workers are interpreters of their own, which import this module by its name, and plait.
PATHS = [str(Path(__file__).absolute().parents[at]) for at in (2, 4)]
NAMES = {PLAIT: "plait.Cluster", AIOMULTIPROCESS: "aiomultiprocess.Pool"}


@dataclass(frozen=True, kw_only=True)
class OnClusters(InProcess):
    """A workload on the cluster that its column is named after."""

    run: Callable[[str, int], Measurement]
    columns: tuple[str, ...] = (PLAIT, AIOMULTIPROCESS)

    def uses_in(self, column: str) -> tuple[str, ...]:
        return (NAMES[column],)


async def same(value: Any) -> Any:
    return value


def _cluster(column: str) -> Any:
    sys.path += [path for path in PATHS if path not in sys.path]
    module, _, name = NAMES[column].rpartition(".")
    make = getattr(importlib.import_module(module), name)
    return make(WORKERS, PER_WORKER) if column == PLAIT else make(WORKERS, childconcurrency=PER_WORKER)


def _end_manager() -> None:
    """aiomultiprocess keeps a server of multiprocessing's, which would outlive this process: that does not end in the normal way."""
    core: Any = sys.modules.get("aiomultiprocess.core")
    if core is not None and core._manager is not None:
        core._manager.shutdown()
        core._manager = None


def cluster_map(column: str, n: int) -> Measurement:
    async def results(cluster: Any, values: Iterable[int]) -> list[Any]:
        found: list[Any] = await cluster.map(same, values)
        return found

    async def begin() -> Any:
        cluster = await _cluster(column).__aenter__()
        await results(cluster, range(100 * WORKERS * PER_WORKER))
        return cluster

    with asyncio.Runner() as runner:
        cluster = runner.run(begin())
        seen: list[Any] = []
        try:
            measured = measure(n, lambda: seen.extend(runner.run(results(cluster, range(n)))))
        finally:
            runner.run(cluster.__aexit__(None, None, None))
            _end_manager()
    if seen != list(range(n)):
        raise RuntimeError(f"wrong data in process {os.getpid()}")
    return measured


WORKLOADS = (
    OnClusters(
        name="cluster_map",
        group="pools",
        run=cluster_map,
        n=10_000,
        per="call",
        about=f"a trivial coroutine through map() over the loops of {WORKERS} processes",
        beside=("cpu_ns",),
    ),
)
