"""What is measured here has a truth only on a machine that lets the program run: a measurement that does not fit is taken again."""

import time
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

TIMES = 4
# Of what disturbs, most is over by then; in seconds.
PAUSE = 1.0
HERE = Path(__file__).parent
again: list[str] = []


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    # pytest asks this of every folder's tests.
    if item.path.parent != HERE:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for left in reversed(range(TIMES)):
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        if not left or not any(report.failed for report in reports):
            break
        again.append(item.nodeid)
        time.sleep(PAUSE)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name in sorted(set(again)):
        terminalreporter.write_line(f"unsteady: {name} was measured {again.count(name) + 1} times")
