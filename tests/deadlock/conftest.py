"""Programs that really deadlock run in processes of their own. What resolves is tested in this one, with explaining switched on."""

import logging
from collections.abc import Callable, Iterator

import pytest
from plait import _deadlock
from told import Program, Said, until


@pytest.fixture
def run() -> Iterator[Callable[..., Program]]:
    """Starts programs, and kills those that are left."""
    started: list[Program] = []

    def start(*arguments: str, environment: dict[str, str] | None = None) -> Program:
        started.append(Program(*arguments, environment=environment))
        return started[-1]

    yield start
    for program in started:
        if program.process.poll() is None:
            program.kill()


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Iterator[Said]:
    """Switches explaining on for the length of the test; at its end nobody may be left in the graph."""
    said = Said(capfd)
    handler = logging.Handler()
    handler.emit = said.records.append  # type: ignore[method-assign, assignment]
    logger = logging.getLogger("plait")
    logger.addHandler(handler)
    assert not _deadlock.explain(True)
    try:
        yield said
        until(lambda: len(said.records) >= said.count(), "a report was not logged")
        assert not _deadlock._waits and not _deadlock._waits_of and not _deadlock._blocking and not _deadlock._handed
    finally:
        assert _deadlock.explain(False)
        logger.removeHandler(handler)
