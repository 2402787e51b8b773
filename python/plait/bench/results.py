"""What came out of a run, and what it amounts to: medians, spreads, shares, verdicts.

The judged figure is the median of the rounds, wall time (or bytes): a mean is pulled about by one busy moment of
the machine, and the minimum flatters loops whose cost varies. CPU time is kept beside it, since a loop
can be quick by burning a second core.
"""

from dataclasses import dataclass, field
from statistics import median

from .targets import TARGET_SHARES
from .workloads import WORKLOADS

PLAIT = "plait"
PEERS = ("asyncio", "uvloop", "rloop")
LOOPS = (PLAIT, *PEERS)


@dataclass(frozen=True)
class Run:
    """One child's report: one round of one workload on one loop."""

    loop_module: str
    loop_type: str
    plait_imported: bool
    plait_installed: bool
    n: int
    wall_ns: float
    cpu_ns: float
    bytes_each: float | None

    @property
    def value(self) -> float:
        return self.wall_ns if self.bytes_each is None else self.bytes_each


@dataclass(frozen=True)
class Failure:
    """A child that did not report: it crashed, hung, or ran on another loop than it was told to."""

    workload: str
    loop: str
    round: int
    reason: str


@dataclass
class Results:
    """Everything one `plait bench` measured: `runs[workload][loop]` has one entry per round that succeeded."""

    environment: dict[str, object]
    options: dict[str, object]
    loops: tuple[str, ...]
    missing: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, list[Run]]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def value(self, workload: str, loop: str) -> float | None:
        runs = self.runs[workload].get(loop)
        return median(run.value for run in runs) if runs else None

    def best_peer(self, workload: str) -> str | None:
        values = {peer: self.value(workload, peer) for peer in PEERS}
        measured = {peer: value for peer, value in values.items() if value is not None}
        return min(measured, key=measured.__getitem__) if measured else None

    def share(self, workload: str) -> float | None:
        ours, peer = self.value(workload, PLAIT), self.best_peer(workload)
        theirs = self.value(workload, peer) if peer is not None else None
        return ours / theirs if ours is not None and theirs else None

    def met(self, workload: str) -> bool | None:
        """Whether the target is met; None where the workload has no target or nothing to be judged by."""
        target, share = TARGET_SHARES.get(workload), self.share(workload)
        return share <= target if target is not None and share is not None else None

    def all_targets_met(self) -> bool:
        """A workload that has a target and could not be judged counts as missed: silence is no success."""
        return all(self.met(workload) for workload in self.runs if workload in TARGET_SHARES)

    def as_json(self) -> dict[str, object]:
        return {
            "environment": self.environment,
            "options": self.options,
            "loops": list(self.loops),
            "missing": self.missing,
            "workloads": {workload: self._workload_as_json(workload) for workload in self.runs},
            "failures": [vars(failure) for failure in self.failures],
        }

    def _workload_as_json(self, workload: str) -> dict[str, object]:
        return {
            "unit": WORKLOADS[workload].unit,
            "loops": {loop: _loop_as_json(runs) for loop, runs in self.runs[workload].items() if runs},
            "best_peer": self.best_peer(workload),
            "share": self.share(workload),
            "target": TARGET_SHARES.get(workload),
            "met": self.met(workload),
        }


def _loop_as_json(runs: list[Run]) -> dict[str, object]:
    values = [run.value for run in runs]
    return {
        "median": median(values),
        "min": min(values),
        "max": max(values),
        "cpu_median_ns": median(run.cpu_ns for run in runs),
        "runs": [vars(run) for run in runs],
    }
