"""One body, two loops: every test here runs on stock asyncio and on plait, and both must pass.

Stock asyncio is in the list not to test CPython but to test the tests: what stock does not do is no expectation.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import plait
import pytest
from loop_fixtures import loop, loops_of, never_hang, reports, run

__all__ = ["loop", "make_loop", "never_hang", "reports", "run"]

FACTORIES = {"stock": asyncio.SelectorEventLoop, "plait": plait.new_event_loop}


@pytest.fixture(params=FACTORIES)
def factory(request: pytest.FixtureRequest) -> Callable[[], Any]:
    return FACTORIES[request.param]


@pytest.fixture
def make_loop(factory: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    yield from loops_of(factory)
