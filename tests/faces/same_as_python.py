"""Runs one command line twice, by ``python`` and by ``plait run``, and compares what came out byte by byte."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Says on stdout, from inside a program, whether its loops are plait's.
WHICH_LOOP = """
import asyncio
async def which_loop():
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]
"""


@dataclass(frozen=True)
class Outcome:
    status: int
    stdout: bytes
    stderr: bytes


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without what steers plait or Python, and with `changes`."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PLAIT_DISABLE", "PYTHONSAFEPATH")}
    # On a machine that does other work something may hold a loop for too long, and the watchdog would say so on stderr.
    return {**kept, "PLAIT_WATCHDOG": "off", **changes}


def outcome(command: list[str], cwd: Path, stdin: bytes = b"", **changes: str) -> Outcome:
    done = subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, env=environment(**changes), timeout=60)
    return Outcome(done.returncode, done.stdout, done.stderr)


def python(*arguments: str, cwd: Path, stdin: bytes = b"", options: tuple[str, ...] = (), **changes: str) -> Outcome:
    return outcome([sys.executable, *options, *arguments], cwd, stdin, **changes)


def plait(*arguments: str, cwd: Path, stdin: bytes = b"", options: tuple[str, ...] = (), **changes: str) -> Outcome:
    return outcome([sys.executable, *options, "-m", "plait", "run", *arguments], cwd, stdin, **changes)


def assert_same(*arguments: str, cwd: Path, stdin: bytes = b"", options: tuple[str, ...] = (), **changes: str) -> Outcome:
    """Both ways end alike; returns how."""
    expected = python(*arguments, cwd=cwd, stdin=stdin, options=options, **changes)
    assert plait(*arguments, cwd=cwd, stdin=stdin, options=options, **changes) == expected
    return expected
