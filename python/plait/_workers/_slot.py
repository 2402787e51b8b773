"""A place that is to have a worker: it is filled, filled again when the worker dies, and given a new one while the old one finishes.

Who dies at start is tried again, later and later; after five times it is given up. A new worker that does not get ready leaves the old one where it is.
"""

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

from plait._workers import _words
from plait._workers._process import Process

if TYPE_CHECKING:
    from plait._workers._supervisor import Supervisor

MOST_DEATHS = 5
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
# A worker that dies before that, in seconds, makes the next one wait.
_YOUNG = 10.0


class Slot:
    """One place. For the supervisor's loop."""

    def __init__(self, supervisor: "Supervisor", place: int) -> None:
        self.place = place
        self.current: Process | None = None
        self.finished = False  # its program has ended by itself
        self.restarts = 0
        self.last_words = ""  # of the last one that died at start
        self._supervisor = supervisor
        self._one_at_a_time = asyncio.Lock()
        self._in_a_row = 0  # deaths of young workers
        self._deaths = 0  # of those, at start
        self._has_listened = False

    async def fill(self) -> bool:
        """Give it a worker, unless it has one. False: it cannot be done."""
        async with self._one_at_a_time:
            return self._is_filled() or await self._next()

    async def replace(self, why: str, process: Process | None = None) -> bool:
        """A new worker, and only then is the old one told to end, of which nobody waits. `process`: not if that was replaced meanwhile. False: the old one stays."""
        async with self._one_at_a_time:
            old = self.current
            if self.finished or process not in (None, old):
                return True
            if old is None or old.ended.done():
                return await self._next()
            _words.tell(f"worker {self.place + 1} (pid {old.pid}) is replaced: {why}")
            if not await self._next():
                return False
            self._supervisor.spawn(self._retire(old))
            return True

    def _is_filled(self) -> bool:
        """A worker may have died while the one that is to take its place was started already."""
        return self.finished or (self.current is not None and not self.current.ended.done())

    async def _retire(self, old: Process) -> None:
        await old.finish(linger=True)
        self._supervisor.sockets.forget(old)

    async def _next(self) -> bool:
        deaths = 0
        while deaths < MOST_DEATHS and not self._supervisor.is_hopeless:
            if deaths:
                await asyncio.sleep(self._pause(deaths - 1))
            process = await self._supervisor.new_process(self.place)
            sockets = self._supervisor.sockets
            process.awaited = sockets.keys(self) | sockets.keys(self.current)
            with contextlib.suppress(OSError):  # that may pass
                process.start(self._supervisor.work, self._has_listened)
            if await self._gets_ready(process):
                self._settle(process)
                return True
            if process.ended.result() == 0 and not process.listens:
                self._finish(process)
                return True
            deaths += 1
            self._supervisor.sockets.leave_to(process, self)
            self.last_words = self._supervisor.note_death(process)
        self._supervisor.sockets.forget(self)
        return False

    async def _gets_ready(self, process: Process) -> bool:
        timeout = self._supervisor.settings.start_timeout
        await asyncio.wait([process.ready], timeout=timeout)
        if process.is_ready:
            return True
        if not process.ended.done():
            if not process.ready.done():
                process.words += f"plait: not ready after {timeout:g} s, and killed\n".encode()
                await process.end_stuck()
            await asyncio.wait([process.ended])
        return False

    def _settle(self, process: Process) -> None:
        """It is ready."""
        self.current = process
        self._has_listened = process.listens
        self._supervisor.sockets.forget(self)
        settings = self._supervisor.settings
        process.requests_limit = _with_jitter(settings.max_requests, settings.jitter)
        process.memory_limit = _with_jitter(settings.max_memory, settings.jitter)
        process.ended.add_done_callback(lambda ended: self._on_end(process, ended.result()))

    def _on_end(self, process: Process, status: int) -> None:
        """A worker that was ready has ended. If it was not told to, it is replaced, unless its program is through."""
        supervisor = self._supervisor
        if process.leaving or supervisor.stopping:
            return
        if process is not self.current:
            supervisor.sockets.forget(process)
            return
        if status == 0 and not process.listens:
            self._finish(process)
            return
        supervisor.sockets.leave_to(process, self)
        self.restarts += 1
        self._in_a_row = self._in_a_row + 1 if process.age < _YOUNG else 0
        # One that was not seen to serve, and dies young, has died at start, though its loop ran.
        self._deaths = self._deaths + 1 if process.age < _YOUNG and not process.listens else 0
        _words.tell(f"worker {self.place + 1} (pid {process.pid}) {_words.how_it_ended(status)}, and is replaced")
        supervisor.spawn(self._refill())

    def _finish(self, process: Process) -> None:
        """Its program has ended by itself."""
        self.finished = True
        process.show_words()
        self._supervisor.sockets.forget(process)
        self._supervisor.look_whether_all_is_done()

    async def _refill(self) -> None:
        if self._deaths >= MOST_DEATHS:
            self._supervisor.give_up(self, "")
            return
        if self._in_a_row > 1:
            await asyncio.sleep(self._pause(self._in_a_row - 2))
        if not await self.fill():
            self._supervisor.give_up(self, self.last_words)

    def _pause(self, times: int) -> float:
        """How long to wait, in seconds, with some chance in it, so that not all workers try again at once."""
        pause: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**times)
        return pause * random.uniform(0.75, 1.25)


def _with_jitter(limit: int | None, jitter: float) -> float | None:
    """The limit, more or less, so that not all workers reach it at once."""
    return None if limit is None else limit * random.uniform(1 - jitter, 1 + jitter)


