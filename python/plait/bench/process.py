"""Starting the processes of a bench, hearing what they say, and refusing what they measured on something else.

They are started by code rather than as `-m plait.bench...`, which would import plait; see `processes`.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .cores import Cores
from .processes.columns import BARE_SERVERS, INSTALLED, LOOP_OF, OURS, PLAIN_OPEN, PLAIT
from .results import Run

HERE = str(Path(__file__).absolute().parent)
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from processes.{0} import main; del sys.path[0]; main()"
# Far beyond any honest run: it only keeps a loop that hangs from hanging the whole bench.
TIMEOUT = 600.0
# Processes would inherit these and measure something else: asyncio checking and logging more, or plait switched off.
NOT_INHERITED = ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PLAIT_DISABLE")
LAST_WORDS = 3

Report = dict[str, Any]


class ChildFailed(Exception):
    """A process gave no measurement that can be used; the message says why."""


class Lacking(ChildFailed):
    """The loop has not what the workload needs, and says so."""


class Process:
    """A child that answers in lines of JSON; what it writes to stderr is kept for when it fails."""

    def __init__(self, role: str, *arguments: str) -> None:
        self._role = role
        # A file, since a pipe that nobody reads would stop a child that complains at length.
        self._stderr: BinaryIO = tempfile.TemporaryFile()
        # -P: no module that happens to lie in the current directory.
        command = [sys.executable, "-P", "-c", START.format(role), HERE, *arguments]
        env = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=self._stderr)
        self._unread = b""

    @property
    def pid(self) -> int:
        return self._child.pid

    def ask(self, word: str) -> Report:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(word.encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # The answer that does not come says more.
        return self.answer()

    def answer(self) -> Report:
        """The next line that is a JSON object; a package may greet on stdout when it is imported."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            line = self._line(deadline)
            with contextlib.suppress(ValueError):
                report = json.loads(line)
                if isinstance(report, dict):
                    return report

    def _line(self, deadline: float) -> bytes:
        assert self._child.stdout is not None
        descriptor = self._child.stdout.fileno()
        while b"\n" not in self._unread:
            if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise ChildFailed(f"no answer within {TIMEOUT:.0f} s{self.last_words()}")
            piece = os.read(descriptor, 65536)
            if not piece:
                raise ChildFailed(self._ended())
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _ended(self) -> str:
        status = self._child.wait()
        how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        return how + (self.last_words() or ": (it said nothing)")

    def died(self, within: float = 0.0) -> str | None:
        """How it ended, if it did or does so soon; for a child that should still be there."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=within)
            return self._ended()
        return None

    def last_words(self) -> str:
        """The last lines on stderr; of a traceback only what was raised, which is not indented."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        said = [line for line in lines if line and not line[0].isspace() and not line.startswith("Traceback (")]
        return ": " + " | ".join(said[-LAST_WORDS:]) if said else ""

    def end(self) -> None:
        """Let it go: its standard input ends, and if it does not heed that, it is killed."""
        assert self._child.stdin is not None and self._child.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        try:
            self._child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()
        self._stderr.close()


@contextlib.contextmanager
def started(role: str, *arguments: str) -> Iterator[Process]:
    process = Process(role, *arguments)
    try:
        yield process
    finally:
        process.end()


def run_child(workload: str, column: str, n: int, cores: Cores, port: int | None = None) -> Run:
    pinned = [] if cores.server is None else ["--pins", str(cores.server), str(cores.client)]
    server = [] if port is None else ["--port", str(port)]
    with started("child", "--column", column, "--workload", workload, "--n", str(n), *pinned, *server) as child:
        report = child.answer()
    check(report, column)
    return as_run(report)


def as_run(report: Mapping[str, Any]) -> Run:
    return Run(**{name: value for name, value in report.items() if name in Run.__dataclass_fields__})


def check(report: Report, column: str) -> None:
    """A figure from the wrong loop is worse than none: a name that fell back to asyncio would look like a result."""
    if report.get("lacks") is not None:
        raise Lacking(report["lacks"])
    if column in (*BARE_SERVERS, PLAIN_OPEN):
        return
    ours = column in OURS
    if not ours and report["plait_imported"]:
        raise ChildFailed("plait was imported in a peer's process")
    if report["loop_module"] is not None:
        _check_loop(report, PLAIT if ours else LOOP_OF.get(column, column))
    for name, module in report["used"].items():
        check_class(name, module, report["expected"].get(name) if column in INSTALLED else None)


def _check_loop(report: Report, package: str) -> None:
    if report["loop_module"].partition(".")[0] != package:
        raise ChildFailed(f"ran on {report['loop_module']}.{report['loop_type']} instead of {package}'s loop")
    if is_plaits(report["task_module"]) != (package == PLAIT):
        raise ChildFailed(f"its tasks are of {report['task_module']}")


def check_class(name: str, module: str, expected: str | None) -> None:
    """Whether what was used under a name of asyncio comes from where it should; None is anywhere but plait."""
    if expected is None and is_plaits(module):
        raise ChildFailed(f"used plait's {name} ({module}), where the standard modules should be untouched")
    if expected is not None and module != expected:
        raise ChildFailed(f"used the {name} of {module} instead of that of {expected}")


def is_plaits(module: str) -> bool:
    return module.partition(".")[0] == PLAIT
