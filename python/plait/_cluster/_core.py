"""The pool behind a ``Cluster``: as the one of processes, but a worker has many calls at once, and one of them can be cancelled.

Where calls are quick, as measured, a worker is sent more than it may run at once, so that it need not wait for the next ones. If calls then take longer than expected, and another worker has room,
it is asked to give back what waits. Of a worker that dies, what it had begun is lost, or tried again, and what it had not goes to others.
"""

import asyncio
import functools
import time
from typing import Any

from plait._cluster import _worker_main
from plait._process_pool import _messages, _pickling
from plait._process_pool._core import Core
from plait._process_pool._dispatch import BATCH_TIME, MOST_AT_ONCE, QUICK, STALLED
from plait._process_pool._task import Task
from plait._process_pool._workers import Worker


class ClusterCore(Core):
    """See above. Safe to use from all threads."""

    def __init__(self, workers: int, per_worker: int, context: Any, initializer: Any, initargs: tuple[Any, ...], max_tasks: int | None) -> None:
        super().__init__(workers, context, initializer, initargs, max_tasks)
        self._worker_main = functools.partial(_worker_main.main, per_worker)
        self._per_worker = per_worker
        self._asked: set[int] = set()  # the keys of workers that are to give back
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
        room = self._room()
        # What is sent ahead goes many at a time.
        most = self._per_worker - 1 if room == self._per_worker else (self._per_worker + room) // 2
        for worker in self._workers.values():
            if not worker.ready or worker.sending or worker.died or worker.stopping or len(worker.sent) > most or worker.key in self._asked:
                continue
            if best is None or len(worker.sent) < len(best.sent):
                best = worker
        return best

    def _most(self, worker: Worker) -> int:
        """Its room, but no more than its share of what waits."""
        share = -(-len(self._queue) // max(1, len(self._workers)))
        return max(1, min(self._room() - len(worker.sent), share, MOST_AT_ONCE))

    def _room(self) -> int:
        """How many calls a worker may be sent, with those that wait for their turn."""
        if not self._by_rings or self._pace >= QUICK or not self._queue or not self._queue[0].small:
            return self._per_worker
        return self._per_worker + int(min(MOST_AT_ONCE, BATCH_TIME / max(self._pace, 1_000)))

    def _balance(self) -> bool:
        """With the lock: have workers that are behind give back what waits there, if others have room. (Nothing is in the queue for that; it comes with their answers.)"""
        workers = list(self._workers.values())
        self._asked &= {worker.key for worker in workers if len(worker.sent) > self._per_worker}
        if self._queue or not any(worker.ready and not worker.stopping and not worker.died and len(worker.sent) < self._per_worker for worker in workers):
            return False
        now = time.monotonic()
        for worker in workers:
            behind = len(worker.sent) > self._per_worker and now - worker.answered > STALLED
            if behind and not worker.sending and not worker.died and worker.key not in self._asked:
                # Nobody else sends to it now, and this does not wait: if there is no room, it is tried again.
                if worker.link.send(_messages.GIVE_BACK, 0, [b""], False) is not None:
                    self._asked.add(worker.key)
        return False

    def _nap(self) -> float | None:
        if self._cancellations:
            return 0.05
        for worker in list(self._workers.values()):
            if len(worker.sent) > self._per_worker and worker.key not in self._asked:
                return STALLED / 2
        return None

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
        super()._tend_batches()

    def cancel_all(self) -> None:
        """What runs, and what waits. For the end."""
        with self._lock:
            futures = [task.future for task in self._queue]
            futures += [task.future for worker in self._workers.values() for task in worker.sent.values()]
        for future in futures:
            self.cancel(future)
