"""A pytest plugin for the packages' own suites: it writes down each test's outcome, and which loops were run.

The name of the file is in ECOSYSTEM_RESULTS. A loop is counted when an asyncio.Runner hands it out,
which is what the frameworks and the programs under test use.
"""

import asyncio
import json
import os
from typing import Any

_loops: set[str] = set()
_outcomes: dict[str, str] = {}


def pytest_configure() -> None:
    original = asyncio.Runner.get_loop

    def get_loop(self: asyncio.Runner) -> asyncio.AbstractEventLoop:
        loop = original(self)
        _loops.add(type(loop).__module__.partition(".")[0])
        return loop

    asyncio.Runner.get_loop = get_loop  # type: ignore[method-assign]


def pytest_runtest_logreport(report: Any) -> None:
    before = _outcomes.get(report.nodeid)
    if report.failed:
        _outcomes[report.nodeid] = "failed"
    elif report.skipped and before is None:
        _outcomes[report.nodeid] = "skipped"
    elif report.when == "call" and before is None:
        _outcomes[report.nodeid] = "passed"


def pytest_sessionfinish() -> None:
    with open(os.environ["ECOSYSTEM_RESULTS"], "w", encoding="utf-8") as file:
        for name, outcome in _outcomes.items():
            file.write(json.dumps({"test": name, "outcome": outcome}) + "\n")
        file.write(json.dumps({"loops": sorted(_loops)}) + "\n")
