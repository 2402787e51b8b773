"""Which core the server of a network workload runs on, and which the client; or which cores two threads of a pair run on.

Two different ones, so that the client's work is not taken out of the server's time, and if there is a choice not two
threads of one core, whose speed depends on each other. The highest number for the server: interrupts and whatever else
the machine does tend to be on the lowest. Threads that wait for each other are pinned too: on one core they take half the
time that they take on two, and where the scheduler puts them is another matter in each run.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cores:
    """None is anywhere: this process has one CPU only."""

    server: int | None
    client: int | None

    def __str__(self) -> str:
        if self.server is None:
            return "nothing is pinned: only one CPU is usable, and servers and clients, or two threads, share it"
        return f"server or first thread on CPU {self.server}, client or second thread on CPU {self.client}"


def choose() -> Cores:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        return Cores(None, None)
    server = usable[-1]
    others = [cpu for cpu in usable if cpu not in _threads_of_core(server)]
    return Cores(server, (others or usable)[0])


def _threads_of_core(cpu: int) -> set[int]:
    """The CPUs that are threads of the same core, itself among them; only itself where the kernel does not tell."""
    try:
        listed = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii")
        return {cpu, *_parsed(listed)}
    except (OSError, ValueError):
        return {cpu}


def _parsed(listed: str) -> set[int]:
    """`0-1,4` as the kernel writes sets of CPUs."""
    ranges = (part.partition("-") for part in listed.strip().split(","))
    return {cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)}
