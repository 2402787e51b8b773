"""Calls that one worker of a Dask cluster, or of a Ray session, makes: through `plait.executor`, and through what the engine has itself.

What is measured is what is laid over the engine: the schedulers and the workers are the same, whoever asks. A Dask cluster has processes of its own, apart from the one that is measured, and so has a Ray
session; each measurement starts one, of one worker, and ends it. It begins when the worker has answered some calls. The results are looked at.
"""

import contextlib
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..columns import DASK, PLAIT, RAY
from .measuring import InProcess, Measurement, measure

HERE = Path(__file__).absolute()
# Where workers find plait, which only plait's calls have them import, and the function that is called.
PATHS = [str(HERE.parents[at]) for at in (2, 4)]
USES = {PLAIT: "plait.executor", DASK: "distributed.Client", RAY: "ray.remote"}


@dataclass(frozen=True)
class Caller:
    """One way to have calls made: one, whose result is waited for, and many at once."""

    one: Callable[[int], Any]
    many: Callable[[Iterable[int]], list[Any]]


@dataclass(frozen=True, kw_only=True)
class OnEngines(InProcess):
    """A workload on the engine that it is named after, through what its column is named after."""

    run: Callable[[str, int], Measurement]
    warm_up: bool = False  # `run` has its own: a cluster takes seconds to start

    def uses_in(self, column: str) -> tuple[str, ...]:
        return (USES[column],)


def same(value: Any) -> Any:
    return value


@contextlib.contextmanager
def _dask(column: str) -> Iterator[Caller]:
    with _process("dask_cluster.py") as address:
        if column == PLAIT:
            with _by_plait("dask" + address.removeprefix("tcp")) as caller:
                yield caller
            return
        distributed: Any = importlib.import_module("distributed")
        with distributed.Client(address, set_as_default=False) as client:
            # By itself Dask takes two calls with the same arguments for one.
            yield Caller(
                lambda value: client.submit(same, value, pure=False).result(),
                lambda values: list(client.gather(client.map(same, values, pure=False))),
            )


@contextlib.contextmanager
def _ray(column: str) -> Iterator[Caller]:
    ray: Any = importlib.import_module("ray")
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        if column == PLAIT:
            with _by_plait("ray") as caller:
                yield caller
            return
        remote = ray.remote(same).remote
        yield Caller(lambda value: ray.get(remote(value)), lambda values: list(ray.get([remote(value) for value in values])))
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _by_plait(spec: str) -> Iterator[Caller]:
    plait: Any = sys.modules[PLAIT]
    with plait.executor(spec) as executor:
        yield Caller(lambda value: executor.submit(same, value).result(), lambda values: list(executor.map(same, values)))


@contextlib.contextmanager
def _process(script: str) -> Iterator[str]:
    """What it says first, while it runs: until its standard input ends, so that it does not outlive this process either."""
    command = [sys.executable, "-P", str(HERE.parents[1] / "apps" / script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            said = process.stdout.readline().strip()
            if not said:
                raise RuntimeError(f"{script} did not start: exit status {process.wait()}")
            yield said
        finally:
            process.stdin.close()


ENGINES = {DASK: _dask, RAY: _ray}


def _measured(engine: str, column: str, n: int, is_many: bool) -> Measurement:
    os.environ["PYTHONPATH"] = os.pathsep.join([*PATHS, *filter(None, [os.environ.get("PYTHONPATH")])])
    with ENGINES[engine](column) as caller:

        def run(n: int) -> list[Any]:
            return caller.many(range(n)) if is_many else [caller.one(value) for value in range(n)]

        run(max(10, n // 10))
        seen: list[Any] = []
        measured = measure(n, lambda: seen.extend(run(n)))
    if seen != list(range(n)):
        raise RuntimeError("wrong data")
    return measured


def _workload(engine: str, package: str, n: int, is_many: bool) -> OnEngines:
    title, theirs = ("Dask", "distributed's Client") if engine == DASK else ("Ray", "ray.remote and ray.get")
    return OnEngines(
        name=f"executor_{engine}" + ("_many" if is_many else ""),
        group="engines",
        run=lambda column, n: _measured(engine, column, n, is_many),
        n=n,
        per="call",
        about=f"a trivial call by a worker of {title}, {'all at once' if is_many else 'one after the other'}, through plait.executor or {theirs}",
        beside=("cpu_ns",),
        columns=(PLAIT, engine),
        packages=(package, "cloudpickle"),
    )


WORKLOADS = (
    _workload(DASK, "distributed", 300, False),
    _workload(DASK, "distributed", 2_000, True),
    _workload(RAY, "ray", 1_000, False),
    _workload(RAY, "ray", 5_000, True),
)
