"""What is plait's own: the fixtures of the conformance tests, on plait alone."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plait
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))

from loop_fixtures import loop, loops_of, never_hang, reports, run  # noqa: E402

__all__ = ["loop", "make_loop", "never_hang", "reports", "run"]


@pytest.fixture
def make_loop() -> Iterator[Callable[[], Any]]:
    yield from loops_of(plait.new_event_loop)
