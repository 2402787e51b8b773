"""What a process holds: memory, descriptors, tasks, threads. Counted in the same way on both sides."""

import asyncio
import gc
import os
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Census:
    """`resident` is in bytes; `tasks` are those of the running loop, the asking one among them."""

    resident: int
    descriptors: int
    tasks: int
    threads: int


def take() -> Census:
    """Of this process, from inside its loop, after a garbage collection."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    # One of them is that of the listing itself, each time.
    descriptors = len(os.listdir("/proc/self/fd"))
    # Not threading.active_count(): a thread of native code is one as well.
    threads = max(len(os.listdir("/proc/self/task")), threading.active_count())
    return Census(resident, descriptors, len(asyncio.all_tasks()), threads)


def leaks(side: str, before: Census, after: Census) -> list[str]:
    """What there is more of, in words."""
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in ("descriptors", "tasks", "threads")}
    return [f"{side}: {was} {name} before, {now} after" for name, (was, now) in pairs.items() if now > was]


def growth(side: str, first: Census, last: Census, part: float, slack: int) -> list[str]:
    """Whether the memory has grown by more than `part` of what it was, and `slack` bytes."""
    allowed = first.resident * part + slack
    grown = last.resident - first.resident
    if grown <= allowed:
        return []
    mib = f"{first.resident / 2**20:.1f} MiB after the first tenth, {last.resident / 2**20:.1f} MiB at the end"
    return [f"{side}: memory grew by {grown / first.resident:.1%}: {mib}"]
