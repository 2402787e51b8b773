"""Fixtures for tests of threads: the side under test, and a stage on which threads start and come to an end."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from thread_sides import LIMIT, SIDES, Side, Strand, settle

__all__ = ["plain_class", "run_scene", "side", "stage", "told"]

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> Side:
    return SIDES[request.param]


class Stage:
    def __init__(self) -> None:
        self.strands: list[Strand] = []

    def start(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Strand:
        strand = Strand(function, *args, **kwargs)
        self.strands.append(strand)
        return strand

    def block(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Strand:
        """Start, and return when it waits."""
        return self.start(function, *args, **kwargs).blocked()

    def crowd(self, count: int, function: Callable[..., Any], *args: Any) -> list[Strand]:
        """Several that wait, in the order in which they came."""
        return [self.block(function, *args) for _ in range(count)]

    def settle(self) -> None:
        settle(self.strands)

    def over(self) -> list[Strand]:
        """Who is through by now, when nothing moves any more."""
        self.settle()
        return [strand for strand in self.strands if strand.over]


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    failed_before = request.session.testsfailed
    stage = Stage()
    yield stage
    if request.session.testsfailed == failed_before:
        left = [strand.thread.name for strand in stage.strands if not strand.asked]
        assert not left, f"the test never asked what came of {left}"


def told(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """What came of a call, in a form that two sides can be compared by."""
    try:
        return ("returned", function(*args, **kwargs))
    except Exception as error:
        return ("raised", type(error), str(error))


def plain_class(shown: object) -> str:
    """The name by which reprs call an object's class."""
    return f"{shown.__class__.__module__}.{shown.__class__.__qualname__}"


def run_scene(side: Side, scene: str, kinds: Sequence[str] = ()) -> None:
    """Run a scene of thread_scenes.py in a process of its own: it has to end well, soon, and without a word.

    One process does for all kinds of wait, until it fails: then each has its own, to tell which of them do.
    """
    if len(kinds) < 2:
        outcome = _outcome(side, scene, kinds)
        assert outcome == (0, ""), outcome[1]
    elif _outcome(side, scene, kinds) != (0, ""):
        apart = {kind: _outcome(side, scene, [kind]) for kind in kinds}
        failed = [
            f"{scene}, {kind}: status {status}\n{words}" for kind, (status, words) in apart.items() if status or words
        ]
        pytest.fail("\n".join(failed) or "only one after the other they fail")


def _outcome(side: Side, scene: str, kinds: Sequence[str]) -> tuple[int, str]:
    command = [sys.executable, "-X", "faulthandler", "-W", "ignore", "thread_scenes.py", side.name, scene, *kinds]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            output, _ = process.communicate(timeout=LIMIT + 2)
        except subprocess.TimeoutExpired:
            process.kill()
            return -1, f"it hangs: {process.communicate()[0]}"
    return process.returncode, output
