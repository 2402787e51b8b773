"""The rounds: workload by workload, round by round, every loop once in each round.

A busy or throttled machine drifts within seconds. All the loops of a round are therefore measured right after each
other, and the order rotates from round to round, so that none of them always runs on the machine that another
has just warmed. Rejected: finishing one loop before beginning the next (the drift would look like a
difference between loops), and running children side by side (they would share caches, memory bandwidth and turbo).
"""

import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import plait

from .results import PLAIT, Failure, Results, Run
from .workloads import WORKLOADS

CHILD = Path(__file__).with_name("child.py")
NOT_INSTALLED = "not installed: pip install 'plait[bench]'"
# Far beyond any honest run: it only keeps a loop that hangs from hanging the whole bench.
TIMEOUT = 600.0
# Children would inherit these and measure something else: asyncio checking and logging more, or plait switched off.
NOT_INHERITED = ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PLAIT_DISABLE")


class ChildFailed(Exception):
    """A child gave no measurement that can be used; the message says why."""


@dataclass(frozen=True)
class Plan:
    """What to measure: which workloads on which loops, how often, how much."""

    workloads: tuple[str, ...]
    loops: tuple[str, ...]
    rounds: int
    scale: float
    loop_only: bool

    @property
    def runs(self) -> int:
        return len(self.workloads) * len(self.loops) * self.rounds

    def order(self, round_: int) -> tuple[str, ...]:
        turn = round_ % max(1, len(self.loops))
        return self.loops[turn:] + self.loops[:turn]

    def steps(self) -> Iterator[tuple[str, int, str]]:
        for workload in self.workloads:
            for round_ in range(self.rounds):
                for loop in self.order(round_):
                    yield workload, round_, loop


def split_installed(loops: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The loops that can be measured here, and for each of the others what to do about it."""
    # asyncio is always there; asking whether plait can be found is pointless from inside of it.
    missing = {
        loop: NOT_INSTALLED
        for loop in loops
        if loop not in ("asyncio", PLAIT) and importlib.util.find_spec(loop) is None
    }
    return tuple(loop for loop in loops if loop not in missing), missing


def measure(plan: Plan, missing: dict[str, str], on_step: Callable[[str], None]) -> Results:
    """Run the plan; `on_step` is told what is about to run."""
    results = Results(environment(plan.loops), vars(plan), plan.loops, missing)
    results.runs = {workload: {loop: [] for loop in plan.loops} for workload in plan.workloads}
    for workload, round_, loop in plan.steps():
        on_step(f"{workload}, round {round_ + 1} of {plan.rounds}, {loop}")
        n = max(1, round(WORKLOADS[workload].n * plan.scale))
        try:
            results.runs[workload][loop].append(run_child(workload, loop, n, plan.loop_only))
        except ChildFailed as failed:
            results.failures.append(Failure(workload, loop, round_, str(failed)))
    return results


def run_child(workload: str, loop: str, n: int, loop_only: bool = False) -> Run:
    command = [sys.executable, *(["-m", "plait.bench.child"] if loop == PLAIT else [str(CHILD)])]
    command += ["--loop", loop, "--workload", workload, "--n", str(n)]
    if loop == PLAIT and loop_only:
        command.append("--loop-only")
    env = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"no answer within {TIMEOUT:.0f} s") from None
    if done.returncode != 0:
        last_words = done.stderr.strip().splitlines()[-1:] or ["(it said nothing)"]
        raise ChildFailed(f"exit status {done.returncode}: {last_words[0]}")
    return _checked(done.stdout, loop)


def _checked(output: str, loop: str) -> Run:
    """A figure from the wrong loop is worse than none: a name that fell back to asyncio would look like a result."""
    try:
        # The last line: a package may greet on stdout when it is imported.
        report = json.loads(output.splitlines()[-1])
        run = Run(**{name: report[name] for name in Run.__dataclass_fields__})
    except (IndexError, ValueError, KeyError):
        raise ChildFailed(f"no report, but {output!r}") from None
    if run.loop_module.partition(".")[0] != loop:
        raise ChildFailed(f"ran on {run.loop_module}.{run.loop_type} instead of {loop}'s loop")
    if loop != PLAIT and run.plait_imported:
        raise ChildFailed("plait was imported in a peer's process")
    return run


def environment(loops: Sequence[str]) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)),
        "packages": {loop: _version(loop) for loop in loops if loop != "asyncio"},
    }


def _version(package: str) -> str:
    if package == PLAIT:
        # What is running: a source tree need not be an installed distribution.
        return plait.__version__
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown version"
