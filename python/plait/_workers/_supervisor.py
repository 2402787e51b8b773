"""The supervisor: it starts the workers, hears signals, reloads, and ends all.

SIGHUP: every worker is replaced, one place after the other. SIGTERM and SIGINT: all are told to end, and killed after the deadline; a second one kills at once.

It runs on a loop of its own, in a process that never loads the program.
"""

import asyncio
import os
import signal
import time
from collections.abc import Coroutine
from typing import Any

from plait._workers import _words
from plait._workers._cells import Cells
from plait._workers._process import Process
from plait._workers._settings import Settings
from plait._workers._slot import MOST_DEATHS, Slot
from plait._workers._sockets import Sockets
from plait._workers._watch import watch

# If more workers than that are about to finish, a new one waits for one of them.
_MOST_FINISHING = 16
# After so many seconds of waiting for workers to end, that is told.
_PATIENCE = 2.0
_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


class Supervisor:
    """One run of a program by workers. `work`: what they are told to run."""

    def __init__(self, settings: Settings, work: dict[str, Any]) -> None:
        self.settings = settings
        self.work = work
        self.sockets = Sockets(settings.sharing)
        self.stopping = False
        self._death_was_told = False  # of one at start; until one is ready
        # Each place may have one that starts and one that works, and some finish.
        self._cells = Cells(settings.workers * 2 + _MOST_FINISHING)
        self._slots = [Slot(self, place) for place in range(settings.workers)]
        self._processes: set[Process] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over = asyncio.Event()
        self._failure: _words.WorkersFailed | None = None
        self._has_been_ready = False
        self._early_deaths = 0
        self._reload_wanted = False
        self._reloading = False

    # ---- the whole

    async def run(self) -> None:
        """Until all is over.

        Raises:
            WorkersFailed: workers died at start, again and again.
        """
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            self.spawn(self._begin())
            self.spawn(watch(self))
            await self._over.wait()
        finally:
            await self._end()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
        if self._failure is not None:
            raise self._failure

    async def _begin(self) -> None:
        ready = await asyncio.gather(*(slot.fill() for slot in self._slots))
        for slot in self._slots:
            if not ready[slot.place]:
                self.give_up(slot, slot.last_words)
                return
        working = sum(not slot.finished for slot in self._slots)
        if not working:
            return
        addresses = ", ".join(_in_words(address) for address in self.sockets.addresses())
        where = f" at {addresses}" if addresses else ""
        _words.tell(f"{_count(working)} ready{where}")
        _words.notify("READY=1")
        await self._reload_if_wanted()

    async def _end(self) -> None:
        self.stopping = True
        _words.notify("STOPPING=1")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        finishing = asyncio.gather(*(process.finish(linger=False) for process in self.processes()))
        if not (await asyncio.wait([asyncio.ensure_future(finishing)], timeout=_PATIENCE))[0]:
            self._tell_who_is_waited_for()
        await finishing
        self.sockets.close()
        self._cells.close()

    def _tell_who_is_waited_for(self) -> None:
        """So that nobody takes it for stuck."""
        processes = self.processes()
        connections = sum(self.read(process)[1] for process in processes)
        what = f", with {connections} connection{'s' * (connections > 1)}" if connections else ""
        _words.tell(f"{_count(len(processes))} not through yet{what}; a second SIGTERM or Ctrl-C ends them at once")

    # ---- signals

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._reload_wanted = True
            if self._has_been_ready and not self._reloading and not self._over.is_set():
                self.spawn(self._reload_if_wanted())
        elif self._over.is_set():
            for process in self.processes():
                process.kill(signal.SIGKILL)
        else:
            self._over.set()

    async def _reload_if_wanted(self) -> None:
        """New workers, one place after the other; and again, if that was asked for meanwhile."""
        if self._reloading:
            return
        self._reloading = True
        try:
            while self._reload_wanted:
                self._reload_wanted = False
                _words.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
                for slot in self._slots:
                    if not await slot.replace("reload"):
                        self.tell_of_no_successor(slot, "the reload is given up")
                        break
                else:
                    _words.tell(f"{_count(sum(not slot.finished for slot in self._slots))} reloaded")
                _words.notify("READY=1")
        finally:
            self._reloading = False

    # ---- for the places

    @property
    def is_hopeless(self) -> bool:
        """None has ever been ready, and enough have died."""
        return not self._has_been_ready and self._early_deaths >= MOST_DEATHS

    async def new_process(self, place: int) -> Process:
        """One that is to be started."""
        while len(self._processes) >= self._cells.count:
            await asyncio.wait([process.ended for process in self._processes], return_when=asyncio.FIRST_COMPLETED)
        used = {process.cell for process in self._processes}
        cell = next(number for number in range(self._cells.count) if number not in used)
        self._cells.clear(cell)
        process = Process(place, cell, self._cells, self.sockets, self.settings)
        self._processes.add(process)
        process.ready.add_done_callback(self._on_ready)
        process.ended.add_done_callback(lambda _: self._processes.discard(process))
        return process

    def _on_ready(self, ready: "asyncio.Future[None]") -> None:
        if not ready.cancelled():
            self._has_been_ready = True
            self._death_was_told = False

    def note_death(self, process: Process) -> str:
        """One died before it was ready, which is told of the first one. Returns its last words."""
        self._early_deaths += not self._has_been_ready
        how = _words.how_it_ended(process.ended.result())
        if not self._death_was_told:
            self._death_was_told = True
            who = f"worker {process.place + 1}" + (f" (pid {process.pid})" if process.pid else "")
            _words.tell(f"{who} {how} before it was ready; it is tried again")
        return process.last_words or how

    def tell_of_no_successor(self, slot: Slot, what: str) -> None:
        """A worker could not be replaced, and goes on."""
        self._death_was_told = False
        _words.tell(f"{what}: a new worker {slot.place + 1} died {MOST_DEATHS} times at start; those that there are go on. The last words:")
        _words.write_through(f"{slot.last_words}\n".encode(errors="replace"))

    def give_up(self, slot: Slot, words: str) -> None:
        """All is over: no worker can be had for this place."""
        if self._failure is None and not self.stopping:
            who = f"worker {slot.place + 1}" if self._has_been_ready else "workers"
            self._failure = _words.WorkersFailed(f"{who} died {MOST_DEATHS} times at start; the last words:", words or "(they are above)")
        self._over.set()

    def look_whether_all_is_done(self) -> None:
        """A program has ended by itself."""
        if all(slot.finished for slot in self._slots):
            self._over.set()

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Have something done meanwhile."""
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._fail_if_it_did)

    def _fail_if_it_did(self, task: "asyncio.Task[Any]") -> None:
        """What is done here must not fail; if it does, it is not to go unseen."""
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler({"message": "plait: the supervisor has failed", "exception": error})
            self._failure = self._failure or _words.WorkersFailed(f"the supervisor has failed: {error!r}")
            self._over.set()

    # ---- for those who look

    def processes(self) -> list[Process]:
        """All that there are."""
        return [process for process in self._processes if process.pid and not process.ended.done()]

    def slots(self) -> list[Slot]:
        """All places."""
        return self._slots

    def read(self, process: Process) -> tuple[int, int, int]:
        """What it tells: see `Cells.read`."""
        return self._cells.read(process.cell)


def _count(workers: int) -> str:
    return "1 worker is" if workers == 1 else f"{workers} workers are"


def _in_words(address: Any) -> str:
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(address, bytes):  # an abstract Unix socket
        return "@" + os.fsdecode(address[1:])
    return str(address)
