"""Rows of the feature list: the standard library's spelling under ``plait.install()``, and plait's own mirrors.

A test asks for the modules it uses by name (``aio``, ``threading``, ``queue``) and is run once per way of getting plait. Locks and queues come a
third way as well, from ``plait`` itself, where they are for threads, tasks and greenlets at once (``locks``, ``queues``).
"""

import asyncio
import concurrent.futures as standard_futures
import queue as standard_queue
import sys
import threading as standard_threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import plait
import pytest
from plait import _native

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))

from loop_fixtures import never_hang  # noqa: E402

__all__ = ["never_hang"]

# Under `plait run` the standard modules are plait's before the first test, and stay so after the last.
UNDER_PLAIT_RUN = standard_threading.Condition is _native.ThreadingCondition


class Modules(NamedTuple):
    asyncio: ModuleType
    threading: ModuleType
    queue: ModuleType
    futures: ModuleType


@contextmanager
def modules(way: str) -> Iterator[Modules]:
    """The modules as a program has them: the standard ones after an install, or ``from plait import asyncio, threading, queue``."""
    if way == "mirror":
        yield Modules(plait.asyncio, plait.threading, plait.queue, plait.concurrent.futures)
        return
    plait.install()
    try:
        yield Modules(asyncio, standard_threading, standard_queue, standard_futures)
    finally:
        if not UNDER_PLAIT_RUN:
            plait.uninstall()


@pytest.fixture(params=["installed", "mirror"])
def way(request: pytest.FixtureRequest) -> Iterator[Modules]:
    with modules(request.param) as found:
        yield found


@pytest.fixture
def aio(way: Modules) -> ModuleType:
    return way.asyncio


@pytest.fixture
def threading(way: Modules) -> ModuleType:
    return way.threading


@pytest.fixture
def queue(way: Modules) -> ModuleType:
    return way.queue


@pytest.fixture
def pools(way: Modules) -> ModuleType:
    """``concurrent.futures``."""
    return way.futures


@pytest.fixture(params=["installed", "mirror", "universal"])
def locks(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """A module that has Lock, RLock, Condition, Semaphore, BoundedSemaphore, Event and Barrier."""
    if request.param == "universal":
        yield plait
        return
    with modules(request.param) as found:
        yield found.threading


@pytest.fixture(params=["installed", "mirror", "universal"])
def queues(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """A module that has Queue, LifoQueue and PriorityQueue."""
    if request.param == "universal":
        yield plait
        return
    with modules(request.param) as found:
        yield found.queue


@pytest.fixture
def switching_often() -> Iterator[None]:
    """Threads take turns far more often than they do by themselves."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def switching_seldom() -> Iterator[None]:
    """A thread keeps the interpreter until it waits, however long the machine keeps it from running."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(10)
    yield
    sys.setswitchinterval(before)
