"""Files on every engine: io_uring and threads, with and without reads that are had at once. Where the kernel refuses io_uring, its tests are skipped."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plait
import pytest
from plait import fs
from plait.fs._engine import current_engine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))

from loop_fixtures import loop, loops_of, never_hang, run  # noqa: E402

__all__ = ["loop", "make_loop", "never_hang", "run"]

ENGINES = [("io_uring", True), ("io_uring", False), ("threads", True), ("threads", False)]


@pytest.fixture
def make_loop() -> Iterator[Callable[[], Any]]:
    yield from loops_of(plait.new_event_loop)


def choose(monkeypatch: pytest.MonkeyPatch, name: str, at_once: bool) -> None:
    monkeypatch.setenv("PLAIT_FS_ENGINE", name)
    monkeypatch.setenv("PLAIT_FS_AT_ONCE", "1" if at_once else "0")


@pytest.fixture(params=ENGINES, ids=lambda chosen: f"{chosen[0]}-{'at_once' if chosen[1] else 'handed_over'}")
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, run: Any) -> Any:
    """The engine of the loop, which is the one that was asked for."""
    name, at_once = request.param
    choose(monkeypatch, name, at_once)

    async def made() -> Any:
        assert fs.engine() == name
        return current_engine()

    try:
        return run(made())
    except RuntimeError as refused:
        pytest.skip(str(refused))
