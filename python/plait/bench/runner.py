"""Carrying out a plan: each step in processes of its own, a failed one noted and passed over."""

import importlib.util
from collections.abc import Callable, Sequence

from . import machine, network
from .cores import Cores
from .plan import Plan
from .process import ChildFailed, Lacking, run_child
from .processes.columns import BARE_SERVERS, EXTRAS, PACKAGES, label
from .processes.workloads import WORKLOADS, Echo, Http, InProcess, OnLoop, OnServer
from .results import Failure, Results, Run

NOT_INSTALLED = "not installed: pip install 'plait[bench]'"


def _not_installed(package: str) -> str:
    return NOT_INSTALLED.replace("bench", EXTRAS.get(package, "bench"))


def split_installed(workloads: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The workloads whose packages are installed, and what is to be said of the others."""
    remarks = [
        f"{name}: left out, {package} is {_not_installed(package)}"
        for name in workloads
        for package in WORKLOADS[name].packages
        if importlib.util.find_spec(package) is None
    ]
    kept = (name for name in workloads if not any(remark.startswith(f"{name}: ") for remark in remarks))
    return tuple(kept), remarks


def split_available(
    columns: Sequence[str], workloads: Sequence[str], cores: Cores
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The columns that can be measured here, and why not for each of the others that a workload would have."""
    wanted = {column for name in workloads for column in WORKLOADS[name].columns}
    here = tuple(column for column in columns if column in wanted)
    missing: dict[str, str] = {}
    for column in here:
        absent = [package for package in PACKAGES.get(column, ()) if importlib.util.find_spec(package) is None]
        if absent:
            missing[column] = _not_installed(absent[0])
        elif column in BARE_SERVERS:
            reason = network.why_not(column, _probe(), cores)
            if reason is not None:
                missing[column] = reason
    return tuple(column for column in here if column not in missing), missing


def _probe() -> Echo:
    probe = WORKLOADS["echo_protocol_64b_8"]
    assert isinstance(probe, Echo)
    return probe


def measure(
    plan: Plan,
    missing: dict[str, str],
    absent: list[str],
    cores: Cores,
    command: str,
    on_step: Callable[[str], None],
) -> Results:
    """Run the plan; `on_step` is told what is about to run."""
    environment = machine.environment(plan.columns, command)
    results = Results(environment, vars(plan), plan.columns, missing, plan.remarks() + absent)
    if not all(isinstance(WORKLOADS[name], OnLoop) for name in plan.workloads):
        results.environment["cores"] = str(cores)
    if any(isinstance(WORKLOADS[name], Http) for name in plan.workloads):
        load = "wrk" if network.wrk() else "the bench's own client, since wrk is not installed"
        results.remarks.append(f"HTTP servers are loaded by {load}.")
    results.runs = {workload: {column: [] for column in plan.columns_of(workload)} for workload in plan.workloads}
    for workload, round_, column in plan.steps():
        on_step(f"{workload}, round {round_ + 1} of {plan.rounds}, {label(column)}")
        if column in results.lacking.get(workload, {}):
            continue
        try:
            results.runs[workload][column].append(run_one(workload, column, plan.count(workload), cores))
        except Lacking as lacking:
            results.lacking.setdefault(workload, {})[column] = str(lacking)
        except ChildFailed as failed:
            results.failures.append(Failure(workload, column, round_, str(failed)))
    return results


def run_one(workload: str, column: str, n: int, cores: Cores) -> Run:
    known = WORKLOADS[workload]
    if isinstance(known, InProcess):
        if isinstance(known, OnServer):
            return network.run_client(known, column, n, cores)
        return run_child(workload, column, n, cores)
    return network.run(known, column, n, cores)
