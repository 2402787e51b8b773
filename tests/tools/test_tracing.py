"""sys.settrace, sys.setprofile and sys.monitoring tell the same story about the user's code, event for event."""

import json
import sys

import pytest
from both_loops import run_on_both

Event = tuple[str, str, int]

MONITORING = pytest.param(
    "monitoring", marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
)


def events(hook: str) -> list[list[Event]]:
    both = run_on_both("watch_calls.py", hook)
    for ran in both:
        assert (ran.status, ran.stderr) == (0, "")
    return [[without_place(*event) if event[0] == "RAISE" else tuple(event) for event in json.loads(ran.stdout)] for ran in both]


def without_place(event: str, function: str, _place: int) -> Event:
    """In which instruction of an `async with` a time-out is raised, the call of `__aexit__` or the await, is not the same."""
    return (event, function, 0)


@pytest.mark.parametrize("hook", ["settrace", "setprofile", MONITORING])
def test_same_events(hook: str) -> None:
    stock, plait = events(hook)
    assert plait == stock
    functions = {function for _, function, _ in plait}
    # Coroutines, an asynchronous generator, callbacks, code after an error and after a cancellation.
    assert functions >= {"leaf", "numbers", "done", "soon", "recovers", "waits_until_cancelled", "__aexit__"}
    assert "never_starts" in functions  # begun by the CancelledError that ends it


def test_lines_after_an_await_are_traced() -> None:
    _, plait = events("settrace")
    lines = [line for event, function, line in plait if (event, function) == ("line", "branches")]
    assert len(lines) > len(set(lines)) > 4
