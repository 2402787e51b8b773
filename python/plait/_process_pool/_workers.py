"""A pool's worker, as the pool sees it: its process, its link, and what it was sent."""

import os
import time
from typing import Any

from plait._process_pool import _worker_main
from plait._process_pool._stats import WorkerStats, resident_memory

NUMBERS = 0xFFFFFFFF


class Worker:
    """One worker. What is in here changes under the pool's lock, but for the link."""

    def __init__(self, key: int, link: Any, restarts: int) -> None:
        self.key = key
        self.link = link
        self.restarts = restarts
        self.process: Any = None
        self.pid = 0
        self.ready = False
        self.sending = False  # a thread sends it what is in the outbox
        self.outbox: list[Any] = []
        self.sender = 0  # that thread
        self.sent_before = 0  # how many messages, before it does
        self.number_before = 0  # of the next call
        self.died = False
        self.stopping = False  # it gets nothing more
        self.sent: dict[int, Any] = {}  # by number, in their order; None: taken back
        self.number = 0  # of the next call
        self.taken_back = False  # of what it was sent, which it has not said yet
        self.given = 0  # calls, since it was started
        self.tasks = 0  # calls that it has answered
        self.nanoseconds = 0
        self.answered = 0.0  # when it last did, or was sent something while it had nothing

    def start(self, main: Any, context: Any, initializer: Any, initargs: tuple[Any, ...], leave: Any) -> None:
        """Start the process, in which `main` runs."""
        door = _worker_main.Door(self.link, leave)
        self.process = context.Process(target=main, args=(door, initializer, initargs))
        self.process.start()
        self.pid = self.process.pid
        self.link.close_descriptor()

    def is_before(self, number: int, first: int) -> bool:
        """Whether a call has a lower number, as they are counted round."""
        return (number - first) & NUMBERS > NUMBERS // 2

    def reap(self) -> tuple[int | None, int | None]:
        """Once it has ended: what it exited with, and the most memory it had, in bytes."""
        popen = getattr(self.process, "_popen", None)
        peak = None
        if popen is not None and popen.returncode is None and type(popen).__name__ in ("Popen",) and popen.method in ("fork", "spawn"):
            try:
                pid, status, usage = os.wait4(self.pid, 0)
            except ChildProcessError:  # somebody else has waited for it
                pass
            else:
                popen.returncode = os.waitstatus_to_exitcode(status)
                peak = usage.ru_maxrss * 1024
        self.process.join()
        return self.process.exitcode, getattr(popen, "peak_memory", peak)

    def stats(self) -> WorkerStats:
        """See `WorkerStats`."""
        return WorkerStats(self.pid, self.tasks, self.nanoseconds / 1e9, resident_memory(self.pid), self.restarts)

    def note_time(self) -> None:
        """It has answered, or begins."""
        self.answered = time.monotonic()
