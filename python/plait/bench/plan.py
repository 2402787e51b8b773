"""What is measured, how often, and in which order: workload by workload, round by round, every column once in each.

A busy or throttled machine drifts within seconds. All the columns of a round are therefore measured right after each
other, and the order rotates from round to round, so that none of them always runs on the machine that another
has just warmed. Rejected: finishing one column before beginning the next (the drift would look like a
difference between loops), and running children side by side (they would share caches, memory bandwidth and turbo).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .processes.columns import LOOP_ONLY, PEERS, PLAIT
from .processes.workloads import WORKLOADS, Idle, Load

# A quick look: enough to see what is out of line, not enough to judge by.
QUICK_ROUNDS, QUICK_SCALE = 1, 0.1
ROUNDS, SCALE = 5, 1.0


@dataclass(frozen=True)
class Plan:
    """Which workloads in which columns, how often, how much of each, over how many connections at most."""

    workloads: tuple[str, ...]
    columns: tuple[str, ...]
    rounds: int
    scale: float
    most_connections: int

    @property
    def runs(self) -> int:
        return sum(1 for _ in self.steps())

    def columns_of(self, workload: str) -> tuple[str, ...]:
        return tuple(column for column in self.columns if column in WORKLOADS[workload].columns)

    def order(self, workload: str, round_: int) -> tuple[str, ...]:
        columns = self.columns_of(workload)
        turn = round_ % max(1, len(columns))
        return columns[turn:] + columns[:turn]

    def steps(self) -> Iterator[tuple[str, int, str]]:
        for workload in self.workloads:
            for round_ in range(self.rounds):
                for column in self.order(workload, round_):
                    yield workload, round_, column

    def count(self, workload: str) -> int:
        """How many operations (or tasks, or connections) of it."""
        known = WORKLOADS[workload]
        n = max(1, round(known.n * self.scale))
        if isinstance(known, Load):
            return max(n, min(known.n, known.least))
        return min(n, self.most_connections) if isinstance(known, Idle) else n

    def _measures_a_peer(self) -> bool:
        return any(set(self.columns_of(name)) & set(PEERS) for name in self.workloads)

    def remarks(self) -> list[str]:
        """What has to be said of this plan: fewer connections than asked for are another measurement."""
        fewer = [
            f"{name}: {self.count(name):,} connections only, the limit of open files allows no more (ulimit -Hn)"
            for name in self.workloads
            if isinstance(WORKLOADS[name], Idle)
            and self.count(name) < max(1, round(WORKLOADS[name].n * self.scale))
        ]
        return fewer + ([] if self._measures_a_peer() else ["no peer was measured: nothing can be judged"])


def without_installing(columns: tuple[str, ...]) -> tuple[str, ...]:
    """What `--loop-only` leaves: the column `plait` goes, and its loop without it stays or comes in its place."""
    if LOOP_ONLY in columns:
        return tuple(column for column in columns if column != PLAIT)
    return tuple(LOOP_ONLY if column == PLAIT else column for column in columns)
