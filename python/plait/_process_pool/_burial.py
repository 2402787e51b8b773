"""What a worker's death means: for the call that it made, for those that it had been sent, and for the pool."""

import signal
import threading
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from plait._process_pool._dispatch import Dispatch
from plait._process_pool._errors import WorkerDied, how_it_ended, in_mebibytes
from plait._process_pool._task import Task
from plait._process_pool._workers import Worker

# If so many workers, one after the other, end before they are ready, none ever will be. One that is killed counts less: that may be somebody's mistake, or a moment without memory.
_MOST_FAILED_STARTS = 3
_KILLED_COUNTS = 0.1
# A worker that could not be started is tried again after so many seconds.
UNTIL_TRIED_AGAIN = 0.2
BROKEN = "A child process terminated abruptly, the process pool is not usable anymore"
_BROKEN_WHILE = "A process in the process pool was terminated abruptly while the future was running or pending."


class Burial(Dispatch):
    """A part of `Core`."""

    _failed_starts: float
    _restarts: int
    _lacking: list[int]  # how often workers had been restarted that could not be replaced yet
    processes: dict[int, Any]
    broken: Any
    closing: bool

    def _bury(self, worker: Worker) -> None:
        """It has died: its answers are taken, its other calls are seen to. For the helper, which no signal handler interrupts."""
        with self._lock:
            worker.died = True
            if worker.sending or worker.key not in self._workers:
                return  # this is called again, as long as it is dead
        while self._collect():
            pass
        with self._lock:
            if self._workers.pop(worker.key, None) is None:
                return
            self._board.disconnect(worker.key)
            first = worker.link.first_not_begun()
            its_own = [(number, task) for number, task in worker.sent.items() if task is not None and task.worker == worker.key]
            begun = [task for number, task in its_own if first is None or worker.is_before(number, first)]
            waiting = [task for _, task in its_own if task not in begun]
            worker.sent.clear()
            self._put_back(waiting)
        exitcode, peak = worker.reap()
        self.processes.pop(worker.pid, None)
        worker.link.close()
        expected = worker.stopping and not begun and exitcode == 0
        for task in begun:
            self._lost(task, worker, exitcode, peak)
        self._replace(worker, expected, exitcode)
        self._pump()

    def _lost(self, task: Task, worker: Worker, exitcode: int | None, peak: int | None) -> None:
        """The call that it made."""
        task.deadline = None
        if task.ending is None and task.retries > 0:
            task.retries -= 1
            with self._lock:
                self._queue.appendleft(task)
            return
        error = task.ending
        if error is None:
            text = f"worker {worker.pid} {how_it_ended(exitcode)} while it made the call ({in_mebibytes(peak)})"
            error = WorkerDied(text, worker.pid, exitcode, peak)
        self._settle(task, error)

    def _replace(self, worker: Worker, expected: bool, exitcode: int | None) -> None:
        """Another in its place, if there is use for one."""
        with self._lock:
            if worker.ready:
                self._failed_starts = 0
            else:
                self._failed_starts += _KILLED_COUNTS if exitcode is not None and exitcode < 0 else 1
            hopeless = self._failed_starts >= _MOST_FAILED_STARTS
            over = self.closing and not self._queue
        if hopeless:
            self._break()
        elif not over and not self.broken:
            self._lacking.append(worker.restarts + 1)
            self._restarts += not expected
            self._start_what_is_lacking()

    def _start_what_is_lacking(self) -> None:
        """For the helper. There may be no memory, no descriptor or no process left just now: others work on meanwhile."""
        while self._lacking and not self.broken:
            try:
                self._start_worker(self._lacking[0])
            except OSError:
                with self._lock:
                    self._failed_starts += _KILLED_COUNTS
                    hopeless = self._failed_starts >= _MOST_FAILED_STARTS and not self._workers
                if hopeless:
                    self._break()
                return
            except RuntimeError:
                if threading.main_thread().is_alive():
                    raise
                # From Python 3.12 on nothing is forked once the end of the program has begun.
                if not self._workers:
                    self._break()
                return
            self._lacking.pop(0)

    def _break(self) -> None:
        """The pool is of no use any more. In the standard words."""
        with self._lock:
            if self.broken:
                return
            self.broken = BROKEN
            self.closing = True
            tasks = [*self._queue, *(task for worker in self._workers.values() for task in worker.sent.values() if task is not None)]
            self._queue.clear()
            workers = list(self._workers.values())
            for worker in workers:
                worker.sent.clear()
                worker.stopping = True
        error = BrokenProcessPool(_BROKEN_WHILE)
        for task in tasks:
            self._settle(task, error)
        for worker in workers:
            worker.link.kill(signal.SIGTERM)

    def _collect(self) -> int:
        raise NotImplementedError

    def _settle(self, task: Task, error: BaseException) -> None:
        raise NotImplementedError

    def _start_worker(self, restarts: int) -> None:
        raise NotImplementedError
