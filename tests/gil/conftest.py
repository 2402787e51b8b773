"""What the tests of the GIL monitor and the watchdog have in common: a hang becomes a failure."""

import signal
from collections.abc import Iterator

import pytest

HUNG_AFTER = 60


def _hung(*_: object) -> None:
    raise SystemExit(f"still running after {HUNG_AFTER} seconds")


@pytest.fixture(autouse=True)
def never_hang() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _hung)
    signal.setitimer(signal.ITIMER_REAL, HUNG_AFTER)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
