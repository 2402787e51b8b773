"""How calls are ended, and the pool itself."""

import os
import signal
import threading
import time
from typing import Any

from plait._process_pool import _messages
from plait._process_pool._burial import Burial
from plait._process_pool._errors import TaskKilled
from plait._process_pool._workers import Worker


class Ending(Burial):
    """A part of `Core`."""

    _helper: Any
    _owner: int
    _abandoned: bool

    def _let_go(self, worker: Worker) -> None:
        """It has nothing more to do, ever. It is idle, and reads."""
        worker.link.send(_messages.STOP, 0, [b""], True)

    def _kill(self, future: Any) -> bool:
        """End the call of this future."""
        if self._owner != os.getpid():
            return False
        if future.cancel():
            return True
        error = TaskKilled("the call was ended by kill()")
        with self._lock:
            workers = [worker for worker in self._workers.values() for task in list(worker.sent.values()) if task is not None and task.future is future]
            task = next((task for task in self._queue if task.future is future), None)
            if task is not None:  # it was sent once, and taken back
                self._queue.remove(task)
        if task is not None:
            self._settle(task, error)
            return True
        return bool(workers) and self._end(workers[0], future, error)

    def _end(self, worker: Worker, future: Any, why: BaseException) -> bool:
        """Kill the worker that makes the call; its death does the rest. First all is taken back that it has not begun, so that it dies of this call and of no other."""
        while worker.sending:
            time.sleep(0.0005)
        with self._lock:
            task = next((task for task in worker.sent.values() if task is not None and task.future is future), None)
            if task is None:
                return False
            worker.stopping = True
            self._take_back(worker, 1)
            waits = task in self._queue
            if waits:
                self._queue.remove(task)
                worker.stopping = False
            else:
                task.ending = why
        if waits:
            self._settle(task, why)
        else:
            worker.link.kill(signal.SIGKILL)
        self._pump()
        return True

    def abandon(self) -> None:
        """Nobody has the pool any more. The collector says so, in the midst of anything, under the pool's lock even: so the helper does the rest."""
        self._abandoned = True
        if self._owner != os.getpid():
            return
        if self._helper is not None:
            self._board.tell()
        else:  # there has never been a worker
            self._board.close()

    def _end_if_abandoned(self) -> None:
        if self._abandoned and not self.closing:
            self.close(False)

    def close(self, cancels: bool) -> None:
        """Nothing comes in any more; the helper ends the workers when all is done. In a forked child there is nothing to end, and the lock may be held by a thread that is not there."""
        if self._owner != os.getpid():
            return
        with self._lock:
            self.closing = True
            cancelled = list(self._queue) if cancels else []
            kept = [task for task in cancelled if task.future.running()]
            if cancels:
                self._queue.clear()
                self._queue.extend(kept)
        for task in cancelled:
            if task.future.cancel():
                self._begin(task)
        if self._helper is not None:
            self._board.tell()
        else:  # there has never been a worker
            self._board.close()

    def wait(self, timeout: float | None) -> bool:
        """Until the workers have ended. False: the time is up."""
        helper = self._helper
        if self._owner != os.getpid() or helper is None or helper is threading.current_thread():
            return True
        helper.join(timeout)
        if helper.is_alive():
            return False
        self._helper = None  # nobody is to find a thread that has ended
        return True

    def end_all(self) -> None:
        """The deadline of a shutdown is over: what runs is ended, what has not begun is cancelled."""
        if self._owner != os.getpid():
            return
        self.close(True)
        with self._lock:
            tasks = list(self._queue)
            self._queue.clear()
            workers = list(self._workers.values())
        error = TaskKilled("the call was not over when the pool's shutdown had to be")
        for task in tasks:
            self._settle(task, error)
        for worker in workers:
            for task in list(worker.sent.values()):
                if task is not None:
                    task.ending = error
            worker.link.kill(signal.SIGKILL)

    def end_workers(self) -> None:
        """For the helper, when all is done."""
        workers = list(self._workers.values())
        for worker in workers:
            worker.stopping = True
            if self.broken:
                worker.link.kill(signal.SIGTERM)
            else:
                self._let_go(worker)
        for worker in workers:
            worker.reap()
            with self._lock:
                self._workers.pop(worker.key, None)
            self._board.disconnect(worker.key)
            worker.link.close()
            self.processes.pop(worker.pid, None)
        self._board.close()
