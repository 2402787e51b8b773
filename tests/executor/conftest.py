"""Executors on each engine. Dask's cluster and Ray's session are started once, by whoever needs them first, and real; where the package is not installed the tests are skipped, which says so."""

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import plait

ENGINES = ["threads", "processes", "dask", "ray"]
PACKAGES = {"dask": "distributed", "ray": "ray"}


def needs(engine: str) -> None:
    """Skip, unless the engine is installed."""
    package = PACKAGES.get(engine)
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed (make cluster-tests installs it)")


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
            executors[engine] = plait.executor(engine, max_workers=2)
        return executors[engine]

    yield start
    for executor in executors.values():
        executor.shutdown()


@pytest.fixture(params=ENGINES)
def engine(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def executor(engine: str, started: Any) -> Any:
    return started(engine)


@pytest.fixture
def fresh(engine: str, started: Any) -> Iterator[Callable[..., Any]]:
    """Makes executors for one test alone, quickly: on the cluster and in the session that there are."""
    made: list[Any] = []

    def make(**options: Any) -> Any:
        shared = started(engine)
        if engine == "dask":
            spec = "dask://" + shared._core.engine._cluster.cluster.scheduler_address.removeprefix("tcp://")
        else:
            spec = engine
            if engine != "ray":
                options = {"max_workers": 2, **options}
        made.append(plait.executor(spec, **options))
        return made[-1]

    yield make
    for executor in made:
        executor.shutdown()
