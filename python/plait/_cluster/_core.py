"""The pool behind a ``Cluster``: as the one of processes, but a worker has many calls at once, and one of them can be cancelled.

All that a worker was sent has begun, or begins as soon as its message is read, so nothing is taken back from it. Of one that dies, what it had begun is lost, or tried again, and what it had
not goes to others.
"""

import asyncio
from typing import Any

from plait._cluster import _worker_main
from plait._process_pool import _messages, _pickling
from plait._process_pool._core import Core
from plait._process_pool._dispatch import MOST_AT_ONCE
from plait._process_pool._task import Task
from plait._process_pool._workers import Worker


class ClusterCore(Core):
    """See above. Safe to use from all threads."""

    _worker_main: Any = staticmethod(_worker_main.main)

    def __init__(self, workers: int, per_worker: int, context: Any, initializer: Any, initargs: tuple[Any, ...], max_tasks: int | None) -> None:
        super().__init__(workers, context, initializer, initargs, max_tasks)
        self._per_worker = per_worker
        self._cancellations: list[tuple[Worker, int]] = []  # that could not be sent yet

    def start(self) -> None:
        """Start all workers."""
        for _ in range(self._max_workers):
            self._start_worker(0)
        self._start_helper()

    # ---- who gets what

    def _choose(self) -> Worker | None:
        """The one with the least to do, if there is room."""
        best = None
        for worker in self._workers.values():
            if not worker.ready or worker.sending or worker.died or worker.stopping or len(worker.sent) >= self._per_worker:
                continue
            if best is None or len(worker.sent) < len(best.sent):
                best = worker
        return best

    def _most(self, worker: Worker) -> int:
        """Its room, but no more than its share of what waits."""
        share = -(-len(self._queue) // max(1, len(self._workers)))
        return max(1, min(self._per_worker - len(worker.sent), share, MOST_AT_ONCE))

    def _balance(self) -> bool:
        return False

    def _nap(self) -> float | None:
        return 0.05 if self._cancellations else None

    # ---- cancellation

    def cancel(self, future: Any) -> None:
        """Cancel a call: it is not made, or its coroutine is cancelled by the worker."""
        if future.cancel() or future.done():
            return
        with self._lock:
            found = self._find(future)
            if found is None:
                return
            worker, number, task = found
            task.ending = asyncio.CancelledError()  # should its worker die meanwhile
            if worker is not None:
                self._cancellations.append((worker, number))
            else:  # its worker has died, and it was to be tried again
                self._queue.remove(task)
        if worker is None:
            self._settle(task, asyncio.CancelledError())
        else:
            self._send_cancellations()

    def _goes(self, task: Task) -> bool:
        """With the lock: whether it is to be sent. One that was cancelled, and came back from a worker that died, is not sent again."""
        if task.ending is not None and not task.future.done():
            self._settling.append((task, _messages.RAISED, _pickling.dump(task.ending)))
            self._board.tell()
            return False
        return self._begin(task)

    def _find(self, future: Any) -> "tuple[Worker | None, int, Task] | None":
        """With the lock."""
        for worker in self._workers.values():
            for number, task in worker.sent.items():
                if task.future is future:
                    return worker, number, task
        return next(((None, 0, task) for task in self._queue if task.future is future), None)

    def _send_cancellations(self) -> None:
        """Those that can be sent now. A worker is sent one thing at a time, so what is sent is known if this thread is interrupted."""
        with self._lock:
            waiting, self._cancellations = self._cancellations, []
        for worker, number in waiting:
            with self._lock:
                if number not in worker.sent or worker.died:
                    continue
                is_free = not worker.sending
                if not is_free:
                    self._cancellations.append((worker, number))
                    continue
                worker.sending = True
                worker.sender = 0
            try:
                sent = worker.link.send(_messages.CANCEL, number, [b""], False)
            finally:
                with self._lock:
                    worker.sending = False
            if sent is None:
                with self._lock:
                    self._cancellations.append((worker, number))
        if waiting:
            self._pump()
            if self._cancellations:
                self._board.tell()

    def _tend_batches(self) -> None:
        if self._cancellations:
            self._send_cancellations()

    def cancel_all(self) -> None:
        """What runs, and what waits. For the end."""
        with self._lock:
            futures = [task.future for task in self._queue]
            futures += [task.future for worker in self._workers.values() for task in worker.sent.values()]
        for future in futures:
            self.cancel(future)
