"""Runs one of the programs in programs/ twice, by ``python`` and by ``plait run``, for a comparison of what came out.

A tool sees the user's code and what lies under it. Of the latter the two differ, and they may: asyncio's loop consists of
Python functions, plait's does not, and ``plait run`` has frames of its own. So `own_frames` cuts a report down to
the program's files, and what is left must be the same.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"

# What would steer Python or plait from outside.
_STEERING = (
    "PLAIT_DISABLE",
    "PYTHONDEVMODE",
    "PYTHONASYNCIODEBUG",
    "PYTHONTRACEMALLOC",
    "PYTHONSAFEPATH",
    "PYTHONWARNINGS",
)


@dataclass(frozen=True)
class Ran:
    status: int
    stdout: str
    stderr: str


def run_on_both(
    program: str,
    *arguments: str,
    options: tuple[str, ...] = (),
    tool: tuple[str, ...] = (),
    stdin: str = "",
    **environment: str,
) -> tuple[Ran, Ran]:
    """How `program` ends on stock and on plait.

    `options` are the interpreter's; `tool` stands before the program (``-m cProfile -o file``). ``{loop}`` in it becomes
    asyncio or plait, for files that the two must not share.
    """

    def run(loop: str, by: tuple[str, ...]) -> Ran:
        filled = [word.replace("{loop}", loop) for word in tool]
        command = [sys.executable, *options, *filled, *by, str(PROGRAMS / program), *arguments]
        return _run(command, stdin, environment, f"ran on {loop}\n")

    return run("asyncio", ()), run("plait", ("-m", "plait", "run"))


def _run(command: list[str], stdin: str, changes: dict[str, str], expected: str) -> Ran:
    environment = {name: value for name, value in os.environ.items() if name not in _STEERING}
    # The watchdog speaks on stderr when something holds the loop, as a breakpoint does; asyncio's does not.
    environment |= {"PLAIT_WATCHDOG": "off", "PYTHON_COLORS": "0", "PYTHONDONTWRITEBYTECODE": "1", **changes}
    done = subprocess.run(
        command, input=stdin, capture_output=True, env=environment, timeout=60, text=True, check=False
    )
    assert expected in done.stdout, f"{command}\n{done.stdout}\n{done.stderr}"
    return Ran(done.returncode, done.stdout.replace(expected, ""), done.stderr)


_FRAME = re.compile(r'[ |+-]*File "(?P<file>[^"]*)", line \d+')
_SOURCE_LINE = re.compile(r"[ |]* {4}")


def own_frames(report: str) -> str:
    """The report without the frames (and their source lines) of files outside programs/."""
    kept, keep = [], True
    for line in report.splitlines():
        frame = _FRAME.match(line)
        if frame is not None:
            keep = Path(frame["file"]).parent == PROGRAMS
        elif not _SOURCE_LINE.match(line):
            keep = True
        if keep:
            kept.append(line)
    return "\n".join(kept)
