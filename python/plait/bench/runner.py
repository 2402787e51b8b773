"""Carrying out a plan: each step in processes of its own, a failed one noted and passed over."""

import importlib.util
from collections.abc import Callable, Sequence

from . import machine, network
from .cores import Cores
from .plan import Plan
from .process import ChildFailed, run_child
from .processes.columns import PACKAGES, REFERENCES, label
from .processes.workloads import WORKLOADS, Echo, Idle, OnLoop
from .results import Failure, Results, Run

NOT_INSTALLED = "not installed: pip install 'plait[bench]'"


def split_available(
    columns: Sequence[str], workloads: Sequence[str], cores: Cores
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The columns that can be measured here, and why not for each of the others that a workload would have."""
    wanted = {column for name in workloads for column in WORKLOADS[name].columns}
    here = tuple(column for column in columns if column in wanted)
    missing: dict[str, str] = {}
    echo = next((known for name in workloads if isinstance(known := WORKLOADS[name], Echo)), None)
    for column in here:
        if any(importlib.util.find_spec(package) is None for package in PACKAGES.get(column, ())):
            missing[column] = NOT_INSTALLED
        elif column in REFERENCES and echo is not None:
            reason = network.why_not(column, echo, cores)
            if reason is not None:
                missing[column] = reason
    return tuple(column for column in here if column not in missing), missing


def measure(
    plan: Plan, missing: dict[str, str], cores: Cores, command: str, on_step: Callable[[str], None]
) -> Results:
    """Run the plan; `on_step` is told what is about to run."""
    environment = machine.environment(plan.columns, command)
    results = Results(environment, vars(plan), plan.columns, missing, plan.remarks())
    if not all(isinstance(WORKLOADS[name], OnLoop) for name in plan.workloads):
        results.environment["cores"] = str(cores)
    results.runs = {workload: {column: [] for column in plan.columns_of(workload)} for workload in plan.workloads}
    for workload, round_, column in plan.steps():
        on_step(f"{workload}, round {round_ + 1} of {plan.rounds}, {label(column)}")
        try:
            results.runs[workload][column].append(run_one(workload, column, plan.count(workload), cores))
        except ChildFailed as failed:
            results.failures.append(Failure(workload, column, round_, str(failed)))
    return results


def run_one(workload: str, column: str, n: int, cores: Cores) -> Run:
    known = WORKLOADS[workload]
    if isinstance(known, Echo):
        return network.run_echo(known, column, n, cores)
    if isinstance(known, Idle):
        return network.run_idle(known, column, n, cores)
    return run_child(workload, column, n, cores)
