"""What ``ProcessPoolExecutor.stats`` tells."""

from typing import NamedTuple


class WorkerStats(NamedTuple):
    """One worker, since it was started."""

    pid: int
    tasks: int  # calls that it has answered
    seconds: float  # that it took for them
    memory: int  # resident, in bytes; 0 if it has just ended
    restarts: int  # how many workers there were in its place before


class PoolStats(NamedTuple):
    """A pool, at one moment."""

    workers: list[WorkerStats]
    queued: int  # calls that no worker has
    running: int  # calls that a worker has
    done: int  # calls that were answered
    restarts: int  # workers that were replaced
    transport: str  # "rings", or "sockets" where shared memory is forbidden
    messages: int  # that came from the workers by that


def resident_memory(pid: int) -> int:
    """Of a process, in bytes; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


_PAGE = 4096
try:
    import resource

    _PAGE = resource.getpagesize()
except ImportError:  # a Python without it
    pass
