"""The workers behind a ``Pool``: those of plait's executor, which end with the program instead of keeping it.

An executor that is left at the program's exit has its calls made first; a pool is terminated, as the standard one is, and not before the program's last thread has ended. So its helper
is a daemon thread, and the end comes from multiprocessing's own exit function.
"""

import os
import signal
import threading
import weakref
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from plait._process_pool import TaskKilled, _helper
from plait._process_pool._core import Core
from plait.multiprocessing import _pool_worker

# What a worker may take to end by SIGTERM, in seconds.
_GRACE = 5.0


class PoolCore(Core):
    """See ``plait._process_pool._core``."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._rooms: weakref.WeakSet[Any] = weakref.WeakSet()  # of those who feed it
        self._hurries = False
        self.ends_with: Any = None  # what terminates it at the program's end

    def feed(self, room: Any) -> None:
        """Somebody feeds it, as far ahead as there is room."""
        with self._lock:
            self._rooms.add(room)
            hurries = self._hurries
        if hurries:
            room.hurry()

    def hurry(self) -> None:
        """Nothing more will be asked of it: who feeds it does not wait for takers any more."""
        with self._lock:
            self._hurries = True
            rooms = list(self._rooms)
        for room in rooms:
            room.hurry()

    def fill(self) -> None:
        """Start the workers that are lacking."""
        for _ in range(self._max_workers - len(self._workers)):
            self._start_worker(0)
        self._start_helper()

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A future of an answer, for `_pool_worker.read`."""
        return self.submit(_pool_worker.make, (((function, args, kwargs), {}),), 0, None)[0]

    def terminate(self, sig: int) -> None:
        """End the workers by this signal; what they had to do fails."""
        with self._lock:
            self.closing = True
            tasks = list(self._queue)
            self._queue.clear()
            workers = list(self._workers.values())
        error = TaskKilled("the pool was terminated")
        for worker in workers:
            for task in list(worker.sent.values()):
                if task is not None:
                    task.ending = error
            worker.link.kill(sig)
        for task in tasks:
            self._settle(task, error)
        self.hurry()
        if self._helper is not None:
            self._board.tell()

    def _end_if_abandoned(self) -> None:
        if self._abandoned and not self.closing:
            self.terminate(signal.SIGTERM)

    def end_workers(self) -> None:
        """It has ended, and nothing is left to do at the program's end."""
        super().end_workers()
        if self._abandoned:
            self.ends_with.cancel()

    def _check(self) -> None:
        if self.broken:
            raise BrokenProcessPool(self.broken)
        if self._owner != os.getpid():
            raise RuntimeError("the process pool belongs to the process that made it, which this one was forked from")

    def _calls_back(self, task: Any) -> bool:
        """What is called is the pool's own, mostly: it tells the result."""
        return False

    def _grow(self) -> None:
        """Its workers are there from the beginning."""

    def _start_helper(self) -> None:
        with self._lock:
            if self._helper is None:
                self._helper = threading.Thread(target=_helper._help, args=(self,), name="plait-pool", daemon=True)
                self._helper.start()


def terminate(core: PoolCore) -> None:
    """End a pool, by force if need be, and wait until it has ended."""
    core.terminate(signal.SIGTERM)
    if not core.wait(_GRACE):
        core.terminate(signal.SIGKILL)
        core.wait(None)
