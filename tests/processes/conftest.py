"""Pools for the tests; and nothing of them is left when a test is over."""

import multiprocessing
import os
from collections.abc import Iterator
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


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No child of ours, apart from those that multiprocessing keeps for itself, and no descriptor of a link."""
    yield

    def links() -> list[str]:
        found = []
        for name in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{name}")
            except FileNotFoundError:
                continue
            if "plait-" in target:
                found.append(target)
        return found

    until(lambda: not links())
    assert not multiprocessing.active_children()
