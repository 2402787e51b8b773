"""Executors on each engine. Dask's cluster and Ray's session are started once, by whoever needs them first, and real; where the package is not installed the tests are skipped, which says so."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from executor_packages import needs

import plait

ENGINES = ["threads", "processes", "dask", "ray"]
# Ray's workers have to find the tests' modules, and plait.
OPTIONS = {"ray": {"init": {"runtime_env": {"env_vars": {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}}}}}


@pytest.fixture(autouse=True, scope="module")
def no_helper_of_multiprocessing_stays() -> None:
    """Instead of the fixture for all tests: the workers of the cluster hold the helper's pipe."""


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[str], Any]]:
    """From an engine's name to an executor with two workers, which all tests share."""
    executors: dict[str, Any] = {}

    def start(engine: str) -> Any:
        needs(engine)
        if engine not in executors:
            executors[engine] = plait.executor(engine, max_workers=2, **OPTIONS.get(engine, {}))
        return executors[engine]

    yield start
    for executor in executors.values():
        executor.shutdown()


@pytest.fixture(scope="session")
def dask_address() -> Iterator[str]:
    """Of a cluster that knows nothing of plait, as one on another machine would be."""
    needs("dask")
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster:
        yield cluster.scheduler_address.removeprefix("tcp://")


@pytest.fixture(params=ENGINES)
def engine(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def executor(engine: str, started: Any) -> Any:
    return started(engine)


@pytest.fixture
def spec(engine: str, request: Any, started: Any) -> str:
    """What an executor of one test is made of, quickly: a cluster, or a session, that there is."""
    if engine == "dask":
        return "dask://" + str(request.getfixturevalue("dask_address"))
    started(engine)
    return engine


@pytest.fixture
def fresh(engine: str, spec: str) -> Iterator[Callable[..., Any]]:
    """Makes executors for one test alone."""
    made: list[Any] = []

    def make(**options: Any) -> Any:
        workers = {"max_workers": 2} if engine in ("threads", "processes") else {}
        made.append(plait.executor(spec, **{**workers, **options}))
        return made[-1]

    yield make
    for executor in made:
        executor.shutdown()
