"""A pytest plugin for the packages' own suites: it writes down each test's outcome, and which loops were made.

The name of the file is in ECOSYSTEM_RESULTS. A line is written when a test begins and when it ended, so that a suite which is cut off
has what it ran until then, and the test that held it has a name. A loop is counted when an asyncio.Runner hands it out or
``asyncio.new_event_loop`` makes it, which is what the frameworks and the programs under test use.
"""

import asyncio
import gc
import json
import os
from collections.abc import Iterator
from typing import Any, TextIO

import pytest


class _Record:
    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._process = os.getpid()
        self._test = "(before the first test)"
        self._loops: set[tuple[str, str]] = set()
        self._outcomes: dict[str, str] = {}

    def _write(self, **entry: str) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def saw(self, loop: asyncio.AbstractEventLoop) -> None:
        entry = (self._test, type(loop).__module__.partition(".")[0])
        # A child that was forked would write between the parent's lines.
        if entry not in self._loops and os.getpid() == self._process:
            self._loops.add(entry)
            self._write(loop=entry[1], made_by=entry[0])

    def pytest_collection_finish(self) -> None:
        # aiohttp's fixture collects after each test; without this it walks over all of the collected modules 4,000 times.
        # Not for every suite: gc.get_referrers, which hypothesis asks, does not see what is frozen.
        if "ECOSYSTEM_FREEZES" in os.environ:
            gc.collect()
            gc.freeze()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._test = item.nodeid
        self._write(begun=item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: Any) -> None:
        before = self._outcomes.get(report.nodeid)
        if report.failed:
            self._outcomes[report.nodeid] = "failed"
        elif report.skipped and before is None:
            self._outcomes[report.nodeid] = "skipped"
        elif report.when == "call" and before is None:
            self._outcomes[report.nodeid] = "passed"
        if report.when == "teardown":
            self._write(test=report.nodeid, outcome=self._outcomes.get(report.nodeid, "failed"))


def pytest_configure(config: pytest.Config) -> None:
    # Not a `with`: pytest, which the record lives as long as, has no better place to close it than the process's end.
    record = _Record(open(os.environ["ECOSYSTEM_RESULTS"], "a", encoding="utf-8"))  # noqa: SIM115
    config.pluginmanager.register(record, "plait-ecosystem-record")
    _watch_loops(record)


def _watch_loops(record: _Record) -> None:
    of_runner, made = asyncio.Runner.get_loop, asyncio.new_event_loop

    def get_loop(self: asyncio.Runner) -> asyncio.AbstractEventLoop:
        loop = of_runner(self)
        record.saw(loop)
        return loop

    def new_event_loop() -> asyncio.AbstractEventLoop:
        loop = made()
        record.saw(loop)
        return loop

    asyncio.Runner.get_loop = get_loop  # type: ignore[method-assign]
    asyncio.new_event_loop = asyncio.events.new_event_loop = new_event_loop  # type: ignore[attr-defined]
