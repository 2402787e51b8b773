"""Calls of the user's functions inside tasks: cProfile counts them alike, and who called whom."""

import pstats
from pathlib import Path
from typing import Any

from both_loops import PROGRAMS, run_on_both


def user_functions(profile: Path) -> dict[str, Any]:
    """Calls, primitive calls and callers (those in the program) of each function of the subject."""
    stats: dict[Any, Any] = vars(pstats.Stats(str(profile)))["stats"]
    subject = str(PROGRAMS / "subject.py")
    return {
        f"{name}:{line}": (
            calls,
            primitive,
            {caller: counts[:2] for caller, counts in callers.items() if caller[0] == subject},
        )
        for (file, line, name), (primitive, calls, _, _, callers) in stats.items()
        if file == subject
    }


def test_same_call_counts(tmp_path: Path) -> None:
    tool = ("-m", "cProfile", "-o", f"{tmp_path}/{{loop}}.profile")
    for ran in run_on_both("subject.py", tool=tool):
        assert (ran.status, ran.stderr) == (0, "")
    stock, plait = (user_functions(tmp_path / f"{loop}.profile") for loop in ("asyncio", "plait"))
    assert plait == stock
    calls = {name.partition(":")[0]: counts[0] for name, counts in plait.items()}
    assert calls["leaf"] > calls["branches"] > 1  # each step counts as a call
    assert calls["never_starts"] == 1  # begun by the CancelledError that ends it
