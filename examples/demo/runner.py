"""Run one scenario in a child process, on the standard library or on plait, and read what it says.

A child process each time, so that neither loop inherits the other's imports, caches or descriptors,
and so that the very same file runs in both columns. The child's word is not taken for what it
ran on: the class name it reports has to belong to the column. Rejected: both loops in one process with
`loop_factory`, which would not show that `plait run` needs no change to the program.
"""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
STOCK = "standard library"
PLAIT = "plait"
# How each column starts a program, and the packages its loop or pool has to come from.
LAUNCH = {STOCK: [sys.executable], PLAIT: [sys.executable, "-m", "plait", "run"]}
PACKAGES = {STOCK: ("asyncio.", "concurrent."), PLAIT: ("plait.",)}
# Far beyond any honest run: a scenario that hangs must not hang the demo.
GIVE_UP_AFTER = 120.0


@dataclass(frozen=True)
class Outcome:
    """What one run of a scenario came to."""

    seconds: float | None
    verified: str
    problems: list[str]


def run(script: str, arguments: list[str], column: str, on_progress: Callable[[float], None]) -> Outcome:
    """Run the scenario to its end, reporting fractions of the work done."""
    command = [*LAUNCH[column], str(HERE / script), *arguments, "--progress", "lines"]
    # A file, because a full pipe that nobody reads would stop the child.
    with tempfile.TemporaryFile("w+") as complaints:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as child:
            watchdog = threading.Timer(GIVE_UP_AFTER, child.kill)
            watchdog.start()
            try:
                last = follow(child.stdout, on_progress)
            except BaseException:
                child.kill()
                raise
            finally:
                watchdog.cancel()
        complaints.seek(0)
        return read_outcome(last, child.returncode, complaints.read(), column)


def follow(lines, on_progress: Callable[[float], None]) -> dict | None:
    """Pass progress on as it comes; return the last line that is a JSON object of another kind."""
    last = None
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and "progress" in said:
            on_progress(said["progress"])
        elif isinstance(said, dict):
            last = said
    return last


def read_outcome(said: dict | None, status: int, complaints: str, column: str) -> Outcome:
    """Judge a finished child: crashed, on the wrong loop, wrong in its result, or fine."""
    if said is None:
        reason = complaints.strip().splitlines()[-1:] or ["it said nothing"]
        return Outcome(None, "", [f"no result, exit status {status}: {reason[0]}"])
    problems = list(said["problems"])
    if not belongs_to(said["ran_on"], column):
        problems.append(f"ran on {said['ran_on']}, which is not {column}")
    if status != 0 and not problems:
        problems.append(f"exit status {status}")
    return Outcome(said["seconds"], said["verified"], problems)


def belongs_to(class_name: str, column: str) -> bool:
    return class_name.startswith(PACKAGES[column])


def plait_complaint() -> str | None:
    """Why plait cannot run here, or None when it can."""
    check = subprocess.run([*LAUNCH[PLAIT][:-1], "version"], capture_output=True, text=True)
    if check.returncode == 0:
        return None
    return (check.stderr.strip().splitlines() or [f"exit status {check.returncode}"])[-1]
