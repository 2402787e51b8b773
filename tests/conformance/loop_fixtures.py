"""Fixtures of the loop's tests, here and in tests/loop: a hang becomes a failure, a leaked descriptor too."""

import asyncio
import gc
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peers import open_descriptors

# A test that hangs fails after so long. Nothing here takes a tenth of it, on a machine with time to spare.
HUNG_AFTER = 60


class Hung(SystemExit):
    """Raised in a test that does not end. A SystemExit, because that is what leaves a loop."""


def _hung(*_: object) -> None:
    raise Hung(f"still running after {HUNG_AFTER} seconds")


def start_the_clock() -> None:
    """Each script may take as long as a test: hypothesis plays many, more while it shortens one that fails."""
    # again and again: the clean-up of a test that hung may hang too
    signal.setitimer(signal.ITIMER_REAL, HUNG_AFTER, 3 * HUNG_AFTER)


@pytest.fixture(autouse=True)
def never_hang() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _hung)
    start_the_clock()
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def loops_of(factory: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Makes loops, closes them all at the end, and then no descriptor may be left over."""
    gc.collect()
    before = open_descriptors()
    made: list[Any] = []

    def make() -> Any:
        made.append(factory())
        return made[-1]

    yield make
    for loop in made:
        if not loop.is_closed():
            settle(loop)
    made.clear()
    asyncio.set_event_loop(None)
    gc.collect()
    # A thread that has told of its work's end may still be about to let go of what it was told by.
    late = time.monotonic() + 2
    while open_descriptors() != before and time.monotonic() < late:
        time.sleep(0.001)
    assert open_descriptors() == before, "descriptors were left open"


def settle(loop: Any) -> None:
    """Ends a loop as asyncio.run does."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture
def loop(make_loop: Callable[[], Any]) -> Any:
    return make_loop()


@pytest.fixture
def run(loop: Any) -> Callable[..., Any]:
    return loop.run_until_complete


@pytest.fixture
def reports(loop: Any) -> list[dict[str, Any]]:
    """What the loop's exception handler is told."""
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: told.append(context))
    return told
