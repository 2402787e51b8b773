"""Each scenario deadlocks for good; the program says who waits for whom, once, and waits on as it would without plait."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from told import SCENARIOS, Program, until

Run = Callable[..., Program]

# by scenario: who depends on whom
CIRCLES = {
    "threads": {("ada", "ben"), ("ben", "ada")},
    "reentrant": {("ada", "ben"), ("ben", "ada")},
    "universal": {("ada", "ben"), ("ben", "ada")},
    "universal_reentrant": {("ada", "ben"), ("ben", "ada")},
    "conditions": {("ada", "ben"), ("ben", "ada")},
    "tasks": {("ada", "ben"), ("ben", "ada")},
    "universal_tasks": {("ada", "ben"), ("ben", "ada")},
    "tasks_of_a_stock_loop": {("ada", "ben"), ("ben", "ada")},
    "tasks_of_two_loops": {("anna", "bert"), ("bert", "anna")},
    "thread_and_task": {("ada", "bert"), ("bert", "ada")},
    "blocked_loop": {("blocker", "sleeper"), ("sleeper", "blocker")},
    "blocked_by_a_callback": {("MainThread", "sleeper"), ("sleeper", "MainThread")},
    "around_the_loop": {("inside", "MainThread"), ("MainThread", "inside")},
    "handed_in_vain": {("blocker", "patient"), ("patient", "blocker")},
    "greenlet_and_thread": {("ada", "greenlet"), ("greenlet", "ada")},
    "two_greenlets": {("greenlet", "greenlet")},
    "alone": {("MainThread", "itself")},
    "task_alone": {("alone", "itself")},
    "three": {("cleo", "ada"), ("ada", "ben"), ("ben", "cleo")},
    "unspeakable": {("ada", "ben"), ("ben", "ada")},
}
# lines of the program that have to be seen: where somebody waits, or took what others want
LINES = {
    "threads": ["with left:", "with right:"],
    "tasks": ["async with left:", "await acquire()"],
    "tasks_of_two_loops": ["await takes(left, right)", "async with second:"],
    "blocked_loop": ["await asyncio.sleep(3600)", "lock.acquire()", "cannot run, since its thread is blocked by 1."],
    "handed_in_vain": ["which was handed to 2. task 'patient'", "lock.acquire()"],
    "greenlet_and_thread": ["with left:", "with right:"],
}


def short(name: str) -> str:
    """The name that the scenario gave: a strand is introduced by more."""
    found = re.match(r"(?:\d+\. )?(?:(greenlet)|(?:task|thread) '([^']+)'|(itself))", name)
    assert found, name
    return found[1] or found[2] or found[3]


def circle(report: str) -> set[tuple[str, str]]:
    edges = set()
    for paragraph in re.split(r"^(?=\d+\. )", report, flags=re.M)[1:]:
        on = re.search(r"(?:held by|handed to|blocked by) (.*?)(?:,|$)", paragraph, re.M)
        assert on, paragraph
        assert re.search(r'stack, most recent call last:\n +File ".*", line \d+, in ', paragraph), paragraph
        edges.add((short(paragraph), short(on[1])))
    return edges


def needs_greenlets(name: str) -> None:
    if "greenlet" in name:
        pytest.importorskip("greenlet")


@pytest.mark.parametrize("name", CIRCLES)
def test_who_waits_for_whom(name: str, run: Run) -> None:
    needs_greenlets(name)
    program = run("--debug", str(SCENARIOS), name)
    program.until(program.out, "logged:")
    assert program.process.poll() is None, "it did not wait on"
    program.kill()
    report = program.text(program.err)
    assert report.count("plait: deadlock") == 1, report
    assert circle(report) == CIRCLES[name], report
    for line in LINES.get(name, []):
        assert line in report, report
    (logged,) = program.out
    assert logged == f"logged: plait ERROR {report.rstrip()!r}\n"


def test_the_environment_asks_for_it(run: Run) -> None:
    program = run(str(SCENARIOS), "threads", environment={**os.environ, "PLAIT_DEBUG": "1"})
    program.until(program.out, "logged:")
    assert circle(program.text(program.err)) == CIRCLES["threads"]


def test_one_that_comes_later_is_no_news(run: Run) -> None:
    program = run("--debug", str(SCENARIOS), "crowd")
    program.until(program.out, "joined")
    program.until(program.out, "logged:")
    program.kill()
    assert program.text(program.err).count("plait: deadlock") == 1
    assert len(program.out) == 2


def test_loggings_own_lock_may_be_in_the_circle(run: Run) -> None:
    program = run("--debug", str(SCENARIOS), "within_logging")
    program.until(program.err, "\n2. ")
    # How either stack ends; logging's own lines differ between Pythons.
    until(lambda: re.search(r"self\.lock\b.*\n\n", program.text(program.err)) and "in emit\n       with lock:\n" in program.text(program.err))
    assert program.process.poll() is None
    program.kill()
    assert circle(program.text(program.err)) == {("ada", "ben"), ("ben", "ada")}


def test_ctrl_c_ends_it_as_ever(run: Run) -> None:
    program = run("--debug", str(SCENARIOS), "alone")
    program.until(program.out, "logged:")
    program.process.send_signal(signal.SIGINT)
    assert program.finish() == -signal.SIGINT
    assert "KeyboardInterrupt" in program.text(program.err)


def test_it_is_off_unless_asked_for(run: Run) -> None:
    check = """
import _thread, sys, threading, plait
assert type(threading.Lock()) is _thread.LockType and type(threading.RLock()) is _thread.RLock
assert type(plait.threading.Lock()) is _thread.LockType
with plait.Lock(), plait.RLock(), threading.Condition():
    pass
assert "plait._deadlock" not in sys.modules
from plait import _deadlock
lock = plait.Lock()
lock.acquire()
assert not lock.acquire(timeout=0.001)
assert not _deadlock._holders and not _deadlock._waits
print("off")
"""
    program = run("-c", check)
    assert program.finish() == 0, program.text(program.err)
    assert program.out == ["off\n"] and not program.err


def neutral(report: str) -> set[str]:
    """Its paragraphs, without numbers, addresses, places of files, and the standard library's frames."""
    report = re.sub(r'^ +File "[^"]*threading\.py", .*\n.*\n', "", report, flags=re.M)
    report = re.sub(r'File "[^"]*/', 'File "', report)
    report = re.sub(r"\d+\. |0x[0-9a-f]+|\(\d+\)", "", report)
    return {paragraph.strip() for paragraph in report.strip().split("\n\n")}


def test_as_it_is_documented(run: Run, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "deadlocks.md").read_text()
    program, shown = re.findall(r"^```(?:python)?\n(.*?)^```", page, re.M | re.S)[:2]
    script = tmp_path / "bank.py"
    script.write_text(program)
    running = run("--debug", str(script))
    # The last line of either stack, whoever comes first.
    until(lambda: running.text(running.err).count("with journal:\n") == 2 == running.text(running.err).count(" accounts:\n"))
    running.kill()
    assert neutral(running.text(running.err)) == neutral(shown)
