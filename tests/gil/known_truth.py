"""Programs whose use of the GIL is known, by clocks of their own."""

import hashlib
import os
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import plait.gil


@dataclass
class Truth:
    """What one thread did, by its own clocks.

    Attributes:
        began, ended: on the wall, in seconds.
        inside: seconds spent in calls that release the GIL.
        cpu: seconds of processor time.
    """

    began: float = 0.0
    ended: float = 0.0
    inside: float = 0.0
    cpu: float = 0.0

    @property
    def seconds(self) -> float:
        return self.ended - self.began


Work = Callable[[Truth, float], None]


def computes(truth: Truth, until: float) -> None:
    """Python code, which has the GIL whenever it runs."""
    while time.perf_counter() < until:
        for _ in range(1000):
            pass


def sleeps(truth: Truth, until: float) -> None:
    while (left := until - time.perf_counter()) > 0:
        time.sleep(min(left, 0.05))


def _calls(call: Callable[[], object], truth: Truth, until: float) -> None:
    while (start := time.perf_counter()) < until:
        call()
        truth.inside += time.perf_counter() - start


_LARGE = bytes(range(256)) * (256 << 10)  # 64 MiB


def hashes(truth: Truth, until: float) -> None:
    _calls(lambda: hashlib.sha256(_LARGE).digest(), truth, until)


def compresses(truth: Truth, until: float) -> None:
    part = _LARGE[: 16 << 20]
    _calls(lambda: zlib.compress(part, 6), truth, until)


def stolen() -> float:
    """Seconds of processor time that the machine below this one has kept for others."""
    with open("/proc/stat") as file:
        return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


@dataclass
class Watched:
    report: plait.gil.Report
    truths: dict[str, Truth]
    # By how much shares may differ: five percentage points. While processors stand still, threads neither run nor sleep as they say, and clocks go on.
    points: float

    def share(self, name: str, what: str) -> float:
        """How much of a thread's own time it was at that, by the monitor."""
        seconds: float = getattr(self.report.thread(name), what)
        return seconds / self.truths[name].seconds


def watch(seconds: float, **work: Work) -> Watched:
    """Runs each in a thread of that name, all at once, under the monitor."""
    truths = {name: Truth() for name in work}
    together = threading.Barrier(len(work))

    def live(name: str) -> None:
        truth = truths[name]
        together.wait()
        truth.began, cpu = time.perf_counter(), time.thread_time()
        work[name](truth, truth.began + seconds)
        truth.ended, truth.cpu = time.perf_counter(), time.thread_time() - cpu

    before = stolen()
    with plait.gil.monitor(budget=0.03) as report:
        threads = [threading.Thread(target=live, args=(name,), name=name) for name in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return Watched(report, truths, 0.05 + min(0.2, 2 * (stolen() - before) / seconds))
