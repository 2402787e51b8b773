"""What came out of a run, and what it amounts to: medians, spreads, shares, verdicts.

The judged figure is the median of the rounds, of wall time, CPU time or bytes as the workload says: a mean is pulled
about by one busy moment of the machine, and the minimum flatters loops whose cost varies. CPU time is kept beside wall
time, since a loop can be quick by burning a second core.
"""

from dataclasses import dataclass, field
from statistics import median

from .processes.columns import LOOP_ONLY, PEERS, PLAIT, REFERENCES, label
from .processes.workloads import WORKLOADS, Load
from .targets import TARGETS


@dataclass(frozen=True, kw_only=True)
class Run:
    """One process's report: one round of one workload in one column. Times and bytes are per operation.

    A reference server has no loop to tell of. Only a load on a server has requests per second, and an echo latencies; only a server's memory
    has no times.
    """

    n: int
    wall_ns: float | None = None
    cpu_ns: float | None = None
    bytes_each: float | None = None
    requests_per_s: float | None = None
    client_cpu_ns: float | None = None
    p50_ns: float | None = None
    p90_ns: float | None = None
    p99_ns: float | None = None
    max_ns: float | None = None
    # Where it is not a client of the bench's own.
    loaded_by: str | None = None
    loop_module: str | None = None
    loop_type: str | None = None
    task_module: str | None = None
    plait_imported: bool | None = None
    plait_installed: bool | None = None
    used: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A process that did not report: it crashed, hung, or ran on something else than it was told to."""

    workload: str
    column: str
    round: int
    reason: str


@dataclass(frozen=True)
class Spread:
    """The rounds of one workload in one column."""

    median: float
    min: float
    max: float

    @property
    def deviation(self) -> float:
        """How far the farthest round is from the median, as a part of it."""
        return max(self.max - self.median, self.median - self.min) / self.median if self.median else 0.0


@dataclass
class Results:
    """Everything one `plait bench` measured: `runs[workload][column]` has one entry per round that succeeded."""

    environment: dict[str, object]
    options: dict[str, object]
    columns: tuple[str, ...]
    missing: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    runs: dict[str, dict[str, list[Run]]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    # `lacking[workload][column]`: what a loop said that has not what the workload needs. Not a failure.
    lacking: dict[str, dict[str, str]] = field(default_factory=dict)

    def not_measured(self, workload: str, column: str) -> str:
        """What stands in the place of a figure."""
        if column not in self.lacking.get(workload, {}):
            return "failed"
        return "not yet" if column in (PLAIT, LOOP_ONLY) else "lacks it"

    def lacks(self) -> list[str]:
        """`sendfile: lacks it on uvloop: NotImplementedError`, with the columns that say the same together."""
        lines = []
        for name, columns in self.lacking.items():
            for words in dict.fromkeys((self.not_measured(name, column), said) for column, said in columns.items()):
                state, said = words
                who = [c for c, why in columns.items() if (self.not_measured(name, c), why) == words]
                lines.append(f"{name}: {state} on {', '.join(map(label, who))}: {said}")
        return lines

    def spread(self, workload: str, column: str, what: str | None = None) -> Spread | None:
        """Of the judged figure, or of another field of the runs; None where there is nothing measured."""
        name = what or WORKLOADS[workload].judged
        values = [getattr(run, name) for run in self.runs[workload].get(column, [])]
        values = [value for value in values if value is not None]
        return Spread(median(values), min(values), max(values)) if values else None

    def value(self, workload: str, column: str, what: str | None = None) -> float | None:
        spread = self.spread(workload, column, what)
        return None if spread is None else spread.median

    def best_peer(self, workload: str) -> str | None:
        values = {peer: self.value(workload, peer) for peer in PEERS}
        measured = {peer: value for peer, value in values.items() if value is not None}
        return min(measured, key=measured.__getitem__) if measured else None

    def share(self, workload: str, column: str = PLAIT) -> float | None:
        ours, peer = self.value(workload, column), self.best_peer(workload)
        theirs = self.value(workload, peer) if peer is not None else None
        return ours / theirs if ours is not None and theirs else None

    def met(self, workload: str) -> bool | None:
        """Whether the target is met; None where the workload has no target or nothing to be judged by."""
        target, share = TARGETS.get(workload), self.share(workload)
        return share <= target.share if target is not None and share is not None else None

    def all_targets_met(self) -> bool:
        """A workload that has a target and could not be judged counts as missed: silence is no success."""
        return all(self.met(workload) for workload in self.runs if workload in TARGETS)

    def as_json(self) -> dict[str, object]:
        return {
            "environment": self.environment,
            "options": self.options,
            "columns": {column: label(column) for column in self.columns},
            "references": [column for column in self.columns if column in REFERENCES],
            "missing": self.missing,
            "remarks": self.remarks,
            "workloads": {workload: self._workload_as_json(workload) for workload in self.runs},
            "lacking": self.lacking,
            "failures": [vars(failure) for failure in self.failures],
        }

    def _workload_as_json(self, name: str) -> dict[str, object]:
        workload, target = WORKLOADS[name], TARGETS.get(name)
        return {
            "group": workload.group,
            "about": workload.about,
            "judged": workload.judged,
            "per": workload.per,
            "columns": {column: self._column_as_json(name, column) for column, runs in self.runs[name].items() if runs},
            "best_peer": self.best_peer(name),
            "share": self.share(name),
            "share_loop_only": self.share(name, LOOP_ONLY),
            "target": None if target is None else target.share,
            "aim": None if target is None else target.aim,
            "met": self.met(name),
        }

    def _column_as_json(self, workload: str, column: str) -> dict[str, object]:
        spread = self.spread(workload, column)
        figures: dict[str, object] = {} if spread is None else vars(spread) | {"deviation": spread.deviation}
        beside = ["wall_ns", "cpu_ns"]
        if isinstance(WORKLOADS[workload], Load):
            beside += ["requests_per_s", "p50_ns", "p99_ns"]
        figures |= {f"{what}_median": self.value(workload, column, what) for what in beside}
        return figures | {"runs": [vars(run) for run in self.runs[workload][column]]}
