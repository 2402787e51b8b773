"""Who holds the GIL, who waits for it, and where.

::

    with plait.gil.monitor() as report:
        work()
    print(report.text())

or from the shell, with a live table: ``plait gil app.py``. docs/gil.md tells what each number means and how it is known.

A native thread looks every 2 milliseconds on average; it never asks for the GIL. It takes at most one percent of a processor's time, and looks
more rarely where there are many threads. On a Python without the GIL there is none to be watched, and `start` says so.
"""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from plait._native import GilMonitor

__all__ = ["Holder", "Place", "Report", "Thread", "exists", "monitor", "snapshot", "start", "stop"]

#: How often it looks, in seconds, unless something else is asked for.
INTERVAL = 0.002
#: Which share of a processor it may take.
BUDGET = 0.01


@dataclass(frozen=True)
class Place:
    """A line of Python code.

    Attributes:
        file: its file, as the code object names it.
        line: the number of the line.
        function: the qualified name of the function.
    """

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


@dataclass(frozen=True)
class Thread:
    """What one thread was at. The four times add up to the time in which it was seen.

    Attributes:
        name: its name; of one that ended before it could be asked, the function in which it began.
        ident: ``threading.get_ident()``.
        native_id: ``threading.get_native_id()``.
        held: seconds in which it held the GIL.
        held_asleep: seconds of those in which it slept in the kernel all the same.
        waited: seconds in which it waited for the GIL.
        outside: seconds in which it ran, or was ready to, without the GIL.
        idle: seconds in which it slept in the kernel, and wanted no GIL.
        cpu: seconds of processor time, by the kernel's clock; None where the kernel does not tell.
        turns: how often it was seen to have got the GIL; a lower bound.
        longest: seconds of the longest stretch in which it was seen to hold the GIL without anybody else having it.
        longest_at: the line in which that stretch was seen last.
        longest_wanted: the same for a stretch in which some other thread waited for the GIL all the time.
        longest_wanted_at: its line.
        alive: whether it was there to the end.
    """

    name: str
    ident: int
    native_id: int
    held: float
    held_asleep: float
    waited: float
    outside: float
    idle: float
    cpu: float | None
    turns: int
    longest: float
    longest_at: Place | None
    longest_wanted: float
    longest_wanted_at: Place | None
    alive: bool

    @property
    def seen(self) -> float:
        """Seconds in which it was seen."""
        return self.held + self.waited + self.outside + self.idle


@dataclass(frozen=True)
class Holder:
    """A line in which the GIL was held.

    Attributes:
        place: the line; None for what could not be told: C code with no Python above it, or a place too many.
        threads: the names of the threads that held it there.
        seconds: for how long, all threads together.
        share: of the whole time, from 0 to 1.
    """

    place: Place | None
    threads: tuple[str, ...]
    seconds: float
    share: float


@dataclass
class Report:
    """What a monitor saw. One that is still at work fills its report when it stops.

    Attributes:
        seconds: how long it looked, on the wall.
        unseen: seconds in which it could not: the process was stopped, or there was no processor for it.
        samples: how often it looked.
        interval: how often it was to look, in seconds.
        switches: how often the GIL went to another thread; the interpreter's own count.
        free: seconds in which nobody held the GIL.
        monitor_cpu: seconds of processor time that the monitor took.
        threads: a row for each thread, the one that held the GIL longest first.
        holders: the lines in which it was held, the longest first.
    """

    seconds: float = 0.0
    unseen: float = 0.0
    samples: int = 0
    interval: float = INTERVAL
    switches: int = 0
    free: float = 0.0
    monitor_cpu: float = 0.0
    threads: list[Thread] = field(default_factory=list)
    holders: list[Holder] = field(default_factory=list)

    @property
    def held(self) -> float:
        """Seconds in which some thread held the GIL."""
        return sum(thread.held for thread in self.threads)

    @property
    def waited(self) -> float:
        """Seconds that threads spent waiting for the GIL, all together."""
        return sum(thread.waited for thread in self.threads)

    def thread(self, name: str) -> Thread:
        """The row of the thread of that name; of several, the one that held the GIL longest.

        Raises:
            KeyError: there is none.
        """
        for thread in self.threads:
            if thread.name == name:
                return thread
        raise KeyError(name)

    def text(self, *, why: bool = False) -> str:
        """The report as a person reads it. `why` adds the advice of ``plait gil --why``."""
        from plait._gil_report import advice, text

        return text(self) + ("\n" + advice(self) if why else "")

    def advice(self) -> str:
        """What could be done about it, in some sentences that quote the numbers."""
        from plait._gil_report import advice

        return advice(self)

    def as_dict(self) -> dict[str, Any]:
        """All of it in dicts, lists, numbers and strings. Times are in seconds."""
        import dataclasses

        return dataclasses.asdict(self)

    def json(self, **options: Any) -> str:
        """`as_dict` as JSON. `options` are those of ``json.dumps``."""
        return json.dumps(self.as_dict(), **options)

    def _fill(self, raw: str) -> None:
        data = json.loads(raw)
        for name in ("seconds", "unseen", "samples", "interval", "switches", "free", "monitor_cpu"):
            setattr(self, name, data[name])
        rows = [_thread(row) for row in data["threads"]]
        self.threads = sorted(rows, key=lambda row: (row.held, row.waited, row.outside), reverse=True)
        self.holders = _holders(data, [row.name for row in rows])


def _place(data: dict[str, Any] | None) -> Place | None:
    return None if data is None else Place(**data)


def _thread(row: dict[str, Any]) -> Thread:
    entry, name = _place(row.pop("entry")), row.pop("name")
    if name is None:
        name = f"thread {row['native_id']}" if entry is None else f"{entry.function} ({row['native_id']})"
    row |= {key: _place(row[key]) for key in ("longest_at", "longest_wanted_at")}
    return Thread(name=name, **row)


def _holders(data: dict[str, Any], names: list[str]) -> list[Holder]:
    seconds: dict[Place | None, float] = {}
    threads: dict[Place | None, dict[str, None]] = {}
    for entry in sorted(data["places"], key=lambda entry: -entry["seconds"]):
        place = _place(entry["place"])
        seconds[place] = seconds.get(place, 0.0) + entry["seconds"]
        threads.setdefault(place, {})[names[entry["thread"]]] = None
    whole = data["seconds"] or 1.0
    found = [Holder(place, tuple(threads[place]), total, total / whole) for place, total in seconds.items()]
    return sorted(found, key=lambda holder: -holder.seconds)


_lock = threading.Lock()
_running: GilMonitor | None = None


def exists() -> bool:
    """Whether this interpreter has a GIL that is switched on.

    Safe to call from any thread.
    """
    switched = getattr(sys, "_is_gil_enabled", None)  # from 3.13 on
    return True if switched is None else bool(switched())


def start(*, interval: float = INTERVAL, budget: float = BUDGET) -> None:
    """Begin to watch the GIL, in all threads of the process.

    Args:
        interval: how often to look, in seconds, on average: from 0.0001 to 60.
        budget: which share of one processor's time it may take, up to 1. Where that is not enough it looks more rarely.

    Raises:
        RuntimeError: a monitor is at work already; there is no GIL; or this interpreter cannot be looked into: before it starts, the
            monitor has to tell a holder and a waiter of which the truth is known.
        ValueError: `interval` or `budget` is out of range.

    Safe to call from any thread. There is one monitor in a process; a forked child begins without. The standard library has no counterpart.
    """
    global _running
    if not exists():
        raise RuntimeError("there is no GIL in this interpreter, so nothing can wait for it")
    with _lock:
        if _running is not None:
            raise RuntimeError("the GIL is being watched already")
        _running = GilMonitor(interval, budget)


def snapshot() -> Report:
    """What was seen so far, while the monitor goes on.

    Raises:
        RuntimeError: none is at work.

    Safe to call from any thread.
    """
    monitor = _running
    if monitor is None:
        raise RuntimeError("the GIL is not being watched")
    report = Report()
    report._fill(monitor.snapshot())
    return report


def stop() -> Report:
    """End the monitor, and return what it saw.

    Raises:
        RuntimeError: none is at work.

    Safe to call from any thread.
    """
    report = Report()
    _stop_into(report)
    return report


def _stop_into(report: Report) -> None:
    global _running
    with _lock:
        monitor, _running = _running, None
    if monitor is None:
        raise RuntimeError("the GIL is not being watched")
    report._fill(monitor.stop())


@contextmanager
def monitor(*, interval: float = INTERVAL, budget: float = BUDGET) -> Iterator[Report]:
    """Watch the GIL while the block runs; the report is filled when it is left.

    Args:
        interval, budget: as for `start`.

    Raises:
        RuntimeError, ValueError: as `start`.

    Safe to use in any thread; it watches them all.
    """
    report = Report()
    start(interval=interval, budget=budget)
    try:
        yield report
    finally:
        _stop_into(report)


def _stop_at_exit() -> None:
    if _running is not None:
        stop()


def _after_fork_in_child() -> None:
    """The threads of the parent's monitor are not here, nor who may have held the lock."""
    global _running, _lock
    _running, _lock = None, threading.Lock()


def _register() -> None:
    import atexit
    import os

    # A thread that asks for the GIL must not be at it when the interpreter goes.
    atexit.register(_stop_at_exit)
    os.register_at_fork(after_in_child=_after_fork_in_child)


_register()
