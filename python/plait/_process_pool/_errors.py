"""What becomes of calls that were not answered.

All are a ``BrokenProcessPool``, which programs catch that know the standard pool. Here the pool goes on.
"""

import signal
from concurrent.futures.process import BrokenProcessPool


class WorkerDied(BrokenProcessPool):
    """The worker process ended while it made the call.

    Attributes:
        pid: its process id.
        exitcode: what it exited with; negative: the number of the signal that ended it; None: not known.
        peak_memory: the most memory it had, in bytes; None: not known.
    """

    def __init__(self, message: str = "", pid: int | None = None, exitcode: int | None = None, peak_memory: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid
        self.exitcode = exitcode
        self.peak_memory = peak_memory


class TaskKilled(WorkerDied):
    """The call was ended by ``future.kill()``, or by a shutdown with a deadline."""


class NotLoaded(BrokenProcessPool):
    """What was sent could not be unpickled on the other side. Its cause says why; both processes go on."""


for _error in (WorkerDied, TaskKilled, NotLoaded):
    _error.__module__ = "plait.concurrent.futures"


def how_it_ended(exitcode: int | None) -> str:
    """An exit code in words."""
    if exitcode is None:
        return "ended"
    if exitcode >= 0:
        return f"exited with code {exitcode}"
    try:
        return f"was ended by {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"was ended by signal {-exitcode}"


def in_mebibytes(memory: int | None) -> str:
    return "peak memory not known" if memory is None else f"peak memory {memory / 2**20:.0f} MiB"
