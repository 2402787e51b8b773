"""The two sides of the tests of ``concurrent.futures``, and what they have in common."""

import concurrent.futures
import threading
from types import ModuleType
from typing import Any

import plait.concurrent.futures
import pytest
from plait import _executors, _native

SIDES: dict[str, ModuleType] = {"stock": concurrent.futures, "plait": plait.concurrent.futures}

both = pytest.fixture(params=SIDES, name="futures")(lambda request: SIDES[request.param])


def is_plaits(futures: ModuleType) -> bool:
    return futures is plait.concurrent.futures


def check_that_plait_ran(futures: ModuleType, pool: Any, future: Any) -> None:
    """The types of a pool and of a future that came out of it."""
    if is_plaits(futures):
        assert type(pool)._adjust_thread_count is _executors.ThreadPoolExecutor._adjust_thread_count
        assert (type(pool._work_queue), type(future)) == (_native.WorkQueue, _native.ConcurrentFuture)
    else:
        assert type(future) is concurrent.futures.Future and not isinstance(pool, _executors.ThreadPoolExecutor)


class Gate:
    """Holds workers until it is opened, and tells how many are there."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._condition = threading.Condition()
        self.inside = 0

    def __call__(self, result: Any = None) -> Any:
        with self._condition:
            self.inside += 1
            self._condition.notify_all()
        assert self._open.wait(60), "the gate was never opened"
        return result

    def await_inside(self, count: int) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: self.inside >= count, 60), f"{self.inside} of {count} came"

    def open(self) -> None:
        self._open.set()
