"""Who gets what, and when: the part of the pool that sends calls to workers.

A worker that has nothing to do gets the next call. Where calls are quick, as measured, a worker gets several, and new ones before it is through with those. That is safe: what it has
not begun can be taken back, and is, as soon as another worker has nothing to do or a call takes longer than expected.
"""

import threading
import time
from itertools import islice
from typing import Any

from plait._process_pool import _messages
from plait._process_pool._task import Task
from plait._process_pool._workers import NUMBERS, Worker

# Calls that take less, in nanoseconds, are sent several at a time: as many as take the second figure.
QUICK = 1_000_000
BATCH_TIME = 4_000_000
MOST_AT_ONCE = 128
_BATCH_BYTES = 64 * 1024
# A worker that has others waiting behind the call it is at loses them after so many seconds.
STALLED = 0.02


class Dispatch:
    """A part of `Core`."""

    _lock: Any
    _queue: Any
    _workers: dict[int, Worker]
    _by_rings: bool
    _board: Any
    _max_tasks: int | None
    _pace: float

    def _pump(self) -> None:
        """Send what can be sent. (A signal handler may raise in here: then what was not sent goes back.)"""
        try:
            while True:
                with self._lock:
                    worker = self._next()
                if worker is None:
                    return
                sent = self._send(worker)
                self._through(worker, sent)
                if not sent:
                    return
        except BaseException:
            self._recover()
            raise

    def _next(self) -> Worker | None:
        """With the lock: a worker that is to be sent something by this thread, which lies in its `outbox`."""
        while self._queue:
            worker = self._choose()
            if worker is None:
                return None
            worker.sender = threading.get_ident()
            worker.sending = True
            worker.sent_before, worker.number_before = worker.link.sent, worker.number
            self._take(worker)
            if worker.outbox:
                return worker
            worker.sending = False
        return None

    def _choose(self) -> Worker | None:
        """One that has nothing to do, or else the one with the least, where calls are quick."""
        best = None
        quick = self._by_rings and self._pace < QUICK and self._queue[0].small
        for worker in self._workers.values():
            if not worker.ready or worker.sending or worker.died or worker.stopping:
                continue
            if not worker.sent:
                return worker
            if quick and not worker.taken_back and len(worker.sent) <= self._batch() // 2 and (best is None or len(worker.sent) < len(best.sent)):
                best = worker
        return best

    def _batch(self) -> int:
        """How many quick calls make a batch."""
        share = len(self._queue) // (2 * max(1, len(self._workers)))
        return int(max(1, min(share, MOST_AT_ONCE, BATCH_TIME / max(self._pace, 1_000))))

    def _most(self, worker: Worker) -> int:
        """How many calls it may be given now."""
        return self._batch() if self._by_rings and self._pace < QUICK else 1

    def _take(self, worker: Worker) -> None:
        """The first in the queue, and, where calls are quick, those after it."""
        most = self._most(worker)
        if self._max_tasks is not None:
            most = min(most, self._max_tasks - worker.given)
        tasks, queue, goes = worker.outbox, self._queue, self._goes
        size = 0
        while queue and len(tasks) < most:
            task = queue[0]
            if tasks and not task.small:
                break
            begins = goes(task)
            if begins:
                tasks.append(task)
                size += len(task.parts[0])
            queue.popleft()
            if begins and (not task.small or size > _BATCH_BYTES):
                break
        worker.given += len(tasks)
        if self._max_tasks is not None and worker.given >= self._max_tasks:
            worker.stopping = True

    def _goes(self, task: Task) -> bool:
        """Whether it is to be sent."""
        return self._begin(task)

    def _begin(self, task: Task) -> bool:
        raise NotImplementedError

    def _send(self, worker: Worker) -> bool:
        """Without the lock: nobody else sends to this worker meanwhile. False: there is no room."""
        tasks = worker.outbox
        alone = not worker.sent
        first = worker.number
        number, key, known, link = first, worker.key, worker.sent, worker.link
        for task in tasks:
            task.worker = key
            known[number] = task
            link.allow(number, alone and task is tasks[0])
            if task.timeout is not None:
                task.deadline = time.monotonic() + task.timeout
                self._board.tell()
            number = (number + 1) & NUMBERS
        worker.number = number
        if alone:
            worker.note_time()
        if len(tasks) > 1:
            kept = link.send(_messages.CALLS, first, [task.parts[0] for task in tasks], alone)
        else:
            kept = link.send(_messages.CALL, first, tasks[0].parts, alone)
        if kept is None:
            for _ in tasks:
                worker.sent.popitem()
            worker.number = first
            return False
        if len(tasks) == 1:
            tasks[0].parts = kept
        return True

    def _through(self, worker: Worker, sent: bool) -> None:
        """Others may send to it again."""
        with self._lock:
            if not sent:
                worker.given -= len(worker.outbox)
                self._put_back(worker.outbox)
            worker.outbox = []
            worker.sending = False

    def _recover(self) -> None:
        """This thread was interrupted. The link knows whether it has sent what it was about to."""
        me = threading.get_ident()
        with self._lock:
            for worker in self._workers.values():
                if worker.sender != me or not worker.sending:
                    continue
                if worker.link.sent == worker.sent_before:
                    unsent = worker.outbox
                    for number in [number for number, task in worker.sent.items() if task in unsent]:
                        del worker.sent[number]
                    worker.number = worker.number_before
                    self._put_back(unsent)
                worker.outbox = []
                worker.sending = False
        self._board.tell()

    def _put_back(self, tasks: list[Task]) -> None:
        """With the lock: they are the first again. None is there twice, wherever a thread was interrupted that was about this: those before it are such that were
        put back, or not taken out, which are no more than the workers can have."""
        first = set(islice(self._queue, len(tasks) + MOST_AT_ONCE * (len(self._workers) + 1)))
        self._queue.extendleft([task for task in reversed(tasks) if task not in first])

    def _take_back(self, worker: Worker, fewest: int = 2) -> bool:
        """With the lock: what it has not begun goes to the front of the queue again, if it has at least so many. Whether there was something."""
        if worker.taken_back or worker.sending or worker.died or len(worker.sent) < fewest:
            return False
        first = worker.link.revoke()
        if first is None:
            return False
        back = [number for number, task in worker.sent.items() if task is not None and not worker.is_before(number, first)]
        if not back:
            return False
        worker.taken_back = True
        for number in back:
            worker.sent[number].worker = None
        self._put_back([worker.sent[number] for number in back])
        for number in back:
            worker.sent[number] = None
        worker.given -= len(back)
        return True

    def _balance(self) -> bool:
        """With the lock: take calls back from workers that are behind. Whether there were any."""
        if not self._by_rings:
            return False
        workers = self._workers.values()
        idle = not self._queue and any(worker.ready and not worker.sent and not worker.stopping and not worker.died for worker in workers)
        now = time.monotonic()
        found = False
        for worker in workers:
            if len(worker.sent) > 1 and (idle and now - worker.answered > 0.001 or now - worker.answered > STALLED):
                found = self._take_back(worker) or found
        return found
