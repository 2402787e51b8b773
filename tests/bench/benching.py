"""What the tests of the bench share: made-up results, a peer that is not what it says, small runs."""

import json
from pathlib import Path

import pytest

from plait import bench
from plait.bench import machine
from plait.bench.cores import Cores
from plait.bench.plan import Plan
from plait.bench.processes.columns import COLUMNS
from plait.bench.processes.workloads import WORKLOADS, Echo, Load
from plait.bench.results import Results, Run

__all__ = ["ANYWHERE", "COLUMNS", "everything", "fake_uvloop", "measured", "results"]

ANYWHERE = Cores(None, None)


def measured(directory: Path, *argv: str, expect: int = 0) -> dict:
    """Run the bench at a tiny scale, expect this exit status, and return what it wrote."""
    file = directory / "results.json"
    assert bench.main(["--rounds", "1", "--scale", "0.01", "--json", str(file), *argv]) == expect
    return json.loads(file.read_text(encoding="utf-8"))


def fake_uvloop(monkeypatch: pytest.MonkeyPatch, directory: Path, source: str) -> None:
    """Put a package of that name in front of a real one, here and in the processes that are started."""
    (directory / "uvloop.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(directory)
    monkeypatch.setenv("PYTHONPATH", str(directory), prepend=":")


def results(workload: str = "call_soon", **values: list[float]) -> Results:
    """One workload as if each column had been measured with these figures; `loop_only` is that column."""
    values = {column.replace("loop_only", "loop-only"): figures for column, figures in values.items()}
    judged = WORKLOADS[workload].judged
    made = Results(machine.environment(tuple(values), "plait bench"), {"rounds": 1, "scale": 1.0}, tuple(values))
    made.runs = {
        workload: {column: [Run(n=1, **{judged: value}) for value in figures] for column, figures in values.items()}
    }
    return made


def everything() -> Results:
    """Every workload in every column that it has, three rounds, no two figures alike."""
    plan = Plan(tuple(WORKLOADS), COLUMNS, 3, 1.0, 1_000_000)
    made = Results(machine.environment(COLUMNS, "plait bench --html page.html"), vars(plan), COLUMNS)
    made.runs = {name: {column: [] for column in plan.columns_of(name)} for name in plan.workloads}
    for i, (name, round_, column) in enumerate(plan.steps()):
        value = 100.0 + 7 * i
        fields = {WORKLOADS[name].judged: value}
        if isinstance(WORKLOADS[name], Load):
            fields |= {"requests_per_s": 1e9 / value}
        if isinstance(WORKLOADS[name], Echo):
            fields |= {"p50_ns": value, "p99_ns": 3 * value}
        made.runs[name][column].append(Run(n=1, **fields))
    return made
