"""One program on one side, in a process of its own; what comes back is what it wrote down."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from catalogue import PROGRAMS, Program


@dataclass
class Outcome:
    check: str
    outcome: str  # passed, failed, left out
    reason: str = ""
    seconds: float = 0.0


@dataclass
class Run:
    """The checks in the order in which they ran. A program that did not come so far has one check that failed, named ''."""

    side: str
    outcomes: list[Outcome] = field(default_factory=list)

    def named(self, check: str) -> Outcome | None:
        return next((outcome for outcome in self.outcomes if outcome.check == check), None)

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.outcome == "failed"]


def run(program: Program, side: str, environment: dict[str, str], directory: Path, log: Path) -> Run:
    """Run the program up to its end or its time, and kill the processes that it left (they are one session) whichever it was."""
    # A directory of its own: no program finds another's files, and none the tree's.
    place = Path(tempfile.mkdtemp(prefix=f"{program.name}-{side}-", dir=directory))
    results = place.with_suffix(".jsonl")
    command = [sys.executable, *(("-m", "plait", "run") if side == "plait-run" else ()), str(PROGRAMS / program.file)]
    ended = ""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=place, start_new_session=True,
            env=_clean_environment() | environment | {"ECOSYSTEM_SIDE": side, "ECOSYSTEM_RESULTS": str(results)},
        )  # fmt: skip
        try:
            status = process.wait(program.seconds)
            if status < 0:
                ended = f"ended by {signal.Signals(-status).name}"
        except subprocess.TimeoutExpired:
            ended = f"did not end within {program.seconds:g} seconds"
        finally:
            _kill_session(process)
    return Run(side, _outcomes(results, ended, log))


def _clean_environment() -> dict[str, str]:
    """What would change what is compared is taken out: the kill switch, debug modes, another session's addresses."""
    unwanted = ("PLAIT_", "ECOSYSTEM_", "PYTHON", "PYTEST_", "PG", "UVICORN_", "WEB_CONCURRENCY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(unwanted)}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "NO_PROXY": "*"}


def _kill_session(process: "subprocess.Popen[bytes]") -> None:
    """Whatever the program left: its servers have process groups of their own, but its session."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            # pid (name) state parent group session ...: the name may have blanks and brackets.
            session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
            if session == process.pid:
                os.kill(int(entry.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended meanwhile
    process.wait()


def _outcomes(results: Path, ended: str, log: Path) -> list[Outcome]:
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()] if results.exists() else []
    outcomes = [Outcome(**line) for line in lines if line["outcome"] in ("passed", "failed", "left out")]
    if lines and lines[-1]["outcome"] == "ended":
        if ended:  # after its last check: it crashed or hung on its way out
            outcomes.append(Outcome("the interpreter's exit", "failed", ended))
        return outcomes
    under_way = lines[-1]["check"] if lines and lines[-1]["outcome"] == "begun" else ""
    return [*outcomes, Outcome(under_way, "failed", ended or f"ended without a word: {_last_line(log)}")]


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "(no output)"
