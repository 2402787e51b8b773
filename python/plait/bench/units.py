"""Figures as people read them: three digits that matter, and one unit for all the figures of a workload.

One unit per workload, since figures that stand side by side are compared by their digits, not by their units.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .processes.workloads import Load, Workload


@dataclass(frozen=True)
class Unit:
    """`name` as in "µs"; a figure in it is the measured one divided by `divisor`."""

    name: str
    divisor: float

    def number(self, value: float) -> str:
        return number(value / self.divisor)

    def figure(self, value: float) -> str:
        return f"{self.number(value)} {self.name}"


NANOSECONDS, MICROSECONDS, MILLISECONDS = Unit("ns", 1), Unit("µs", 1e3), Unit("ms", 1e6)
BYTES, KIBIBYTES = Unit("bytes", 1), Unit("KiB", 1024)


def unit_for(workload: Workload, values: Iterable[float]) -> Unit:
    """The largest unit in which the largest of the values is not less than ten, and the smallest not next to nothing."""
    if isinstance(workload, Load):
        # One unit for all of them, so that the servers can be compared across workloads.
        return MICROSECONDS
    known = sorted(values) or [0.0]
    units = (KIBIBYTES, BYTES) if workload.judged == "bytes_each" else (MILLISECONDS, MICROSECONDS, NANOSECONDS)
    fit = (unit for unit in units if known[-1] >= 10 * unit.divisor and known[0] >= unit.divisor / 10)
    return next(fit, units[-1])


def time(nanoseconds: float) -> str:
    """A time that stands by itself: `4.62 ms`."""
    fit = (unit for unit in (MILLISECONDS, MICROSECONDS) if nanoseconds >= unit.divisor)
    return next(fit, NANOSECONDS).figure(nanoseconds)


def measure_of(workload: Workload, unit: Unit) -> str:
    """`µs of CPU per request`."""
    of = " of CPU" if workload.judged == "cpu_ns" else ""
    return f"{unit.name}{of} per {workload.per}"


def number(value: float) -> str:
    """Three digits that matter; whole numbers keep all of theirs."""
    size = abs(value)
    decimals = 0 if size >= 100 or not size else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{decimals}f}"


def rate(per_second: float) -> str:
    """`52.3k/s`."""
    return f"{number(per_second / 1000)}k/s" if per_second >= 1000 else f"{number(per_second)}/s"


def percent(part: float) -> str:
    return f"{part:.1%}" if part < 0.01 else f"{part:.0%}"


def share(value: float | None, limit: float | None = None) -> str:
    """Two digits; a third where two would look like the limit that was missed."""
    if value is None:
        return "-"
    hidden = limit is not None and value > limit and f"{value:.2f}" == f"{limit:.2f}"
    return f"{value:.3f}" if hidden else f"{value:.2f}"
