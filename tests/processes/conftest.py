"""Pools for the tests; and nothing of them is left when a test is over."""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from pool_tasks import until

from plait.concurrent.futures import ProcessPoolExecutor

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(params=METHODS)
def context(request: Any) -> Any:
    return multiprocessing.get_context(request.param)


@pytest.fixture
def fork() -> Any:
    return multiprocessing.get_context("fork")


@pytest.fixture
def pool(context: Any) -> Iterator[Any]:
    with ProcessPoolExecutor(2, context) as executor:
        yield executor
        stats = executor.stats()
        assert stats.transport == "rings"
        assert stats.messages > 0, "nothing went by the native link"


@pytest.fixture
def forked(fork: Any) -> Iterator[Any]:
    with ProcessPoolExecutor(2, fork) as executor:
        yield executor
        assert executor.stats().transport == "rings"


def links() -> set[str]:
    """The descriptors of pools. (Locks and queues, which earlier tests may have left to the collector, are not theirs.)"""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith(("/memfd:plait-bell", "/memfd:plait-link", "/memfd:plait-segment")):
                found.add(f"{name}: {target}")
    return found


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No child of ours, apart from those that multiprocessing keeps for itself, and no descriptor of a link."""
    before = links()
    yield
    until(lambda: links() <= before)
    assert not multiprocessing.active_children()
