"""The pool behind a ``ProcessPoolExecutor``: what waits, who works, what comes back.

It outlives the executor, as long as there is something to do. Its lock is held for bookkeeping only: nothing is pickled, sent or called under it. Answers are taken in and
accounted for under it, so that whoever finds a worker dead knows which of its calls were answered.

Who waits for a result reads the answers, of all workers; where nobody waits, the pool's helper does (``_helper``).
"""

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable
from concurrent.futures import InvalidStateError
from typing import Any

from plait import _native
from plait._process_pool import _helper, _messages, _pickling, _worker_main
from plait._process_pool._burial import UNTIL_TRIED_AGAIN
from plait._process_pool._dispatch import STALLED
from plait._process_pool._ending import Ending
from plait._process_pool._errors import NotLoaded
from plait._process_pool._stats import PoolStats
from plait._process_pool._task import Task
from plait._process_pool._workers import Worker

# Pools of this process, for its forked children and for its end.
pools: "weakref.WeakSet[Core]" = weakref.WeakSet()
# How the measured time of a call follows the calls: a twentieth of the newest.
_FOLLOWS = 0.05
_UNKNOWN = 1e12
# So many calls of a map are queued at once.
_TOGETHER = 64
# After so many seconds without an answer, memory that nobody uses is given back.
_IDLE = 5.0
# More than any number of workers that may fail to start.
_HOPELESS = 1_000_000


def _not_loaded(text: str, cause: BaseException) -> NotLoaded:
    error = NotLoaded(text)
    error.__cause__ = cause
    return error


class Core(Ending):
    """See above. Safe to use from all threads."""

    _worker_main: Any = staticmethod(_worker_main.main)

    def __init__(self, max_workers: int, context: Any, initializer: Any, initargs: tuple[Any, ...], max_tasks: int | None) -> None:
        self._lock = threading.Lock()
        self._queue: deque[Task] = deque()
        self._workers: dict[int, Worker] = {}
        self._board = _native.Switchboard()
        self._by_rings = self._board.by_rings
        self._max_workers = max_workers
        self._max_tasks = max_tasks
        self._context = context
        self._initializer = initializer
        self._initargs = initargs
        self._forks = context.get_start_method(allow_none=False) == "fork"
        self._pace = _UNKNOWN  # nanoseconds that a call takes, as measured
        self._started = 0
        self._starting = 0
        self._failed_starts: float = 0
        self._restarts = 0
        self._lacking: list[int] = []
        self._answered = 0
        self._messages = 0
        self._trimmed = 0  # so many messages had come when memory was given back
        self._found_dead: list[int] = []  # when they were to be watched
        self._arrived: list[Any] = []
        self._settling: list[Any] = []
        self._for_helper: list[Any] = []  # what the helper alone is to settle
        self._helper: Any = None
        self._owner = os.getpid()
        self.processes: dict[int, Any] = {}
        self._abandoned = False
        self.broken: Any = False
        self.closing = False
        pools.add(self)

    # ---- what comes in

    def submit(self, function: Any, calls: Iterable[tuple[tuple[Any, ...], dict[str, Any]]], retries: int, timeout: float | None) -> list[Any]:
        """Futures of these calls. What cannot be pickled is a future that has failed."""
        futures: list[Any] = []
        tasks: list[Task] = []
        process_future, dump_call = _native.process_future, _pickling.dump_call
        for args, kwargs in calls:
            if not tasks:
                self._check()
            future = process_future(self)
            futures.append(future)
            try:
                tasks.append(Task(future, dump_call(function, args, kwargs), retries, timeout))
            except Exception as error:
                future.set_running_or_notify_cancel()
                future.set_exception(error)
                continue
            # The first is sent at once, and others before all are pickled.
            if len(futures) == 1 or len(tasks) == _TOGETHER:
                self._enqueue(tasks)
                tasks.clear()
        if tasks:
            self._enqueue(tasks)
        return futures

    def _enqueue(self, tasks: list[Task]) -> None:
        with self._lock:
            self._check()
            self._queue.extend(tasks)
        # After that: a call that was taken fails with the pool whose workers cannot start, and `submit` does not.
        self._grow()
        self._pump()

    def _check(self) -> None:
        if self.closing or self.broken or _helper.exiting or self._owner != os.getpid():
            _helper.refuse(self.broken, self.closing, self._owner != os.getpid())

    def _grow(self) -> None:
        """Start workers, if there may be more and none is idle. A process with threads should not fork, so all that are to be forked are started at first."""
        if len(self._workers) + self._starting >= self._max_workers:
            return
        if self._forks:
            if self._helper is None:
                for _ in range(self._max_workers):
                    self._start_worker(0)
        elif not any(worker.ready and not worker.sent and not worker.stopping for worker in list(self._workers.values())):
            self._start_worker(0)
        self._start_helper()

    def _start_helper(self) -> None:
        with self._lock:
            if self._helper is not None:
                return
            self._helper = _helper.start(self)

    def _start_worker(self, restarts: int) -> None:
        with self._lock:
            if len(self._workers) + self._starting >= self._max_workers:
                return
            self._starting += 1
            self._started += 1
            key = self._started
        worker = None
        try:
            link = self._board.connect(key)
            worker = Worker(key, link, restarts)
            with self._lock:
                self._workers[key] = worker
                self._starting -= 1
            worker.start(self._worker_main, self._context, self._initializer, self._initargs, self._leave_in_child)
        except BaseException:
            with self._lock:
                if worker is None:
                    self._starting -= 1
                else:
                    del self._workers[key]
                    self._board.disconnect(key)
                    worker.link.close()
            raise
        self.processes[worker.pid] = worker.process
        if not self._board.watch(key, worker.pid):
            self._found_dead.append(key)
            self._board.tell()

    def _leave_in_child(self) -> None:
        """In a worker that was forked: pools are its parent's. Their descriptors are put out of use, though not closed, since objects have their numbers."""
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for pool in list(pools):
            for descriptor in pool._board.descriptors():
                os.dup2(nowhere, descriptor, inheritable=False)
        os.close(nowhere)

    # ---- what comes back

    def _collect(self) -> int:
        """Take in what has come; send what can be sent now; settle futures. Returns how many messages there were.

        A thread that waits for a result runs signal handlers in here, and they may raise (Ctrl-C). So what was taken lies in `_arrived` until it is accounted for, and what is
        to be settled in `_settling` or, after an exception, again there; both may be done twice without harm.
        """
        batch: list[tuple[Task, int, list[Any]]] = []
        helps = False
        try:
            with self._lock:
                count: int = self._board.take(self._arrived)
                self._account_for_all()
                if count and not self._queue:
                    self._balance()
                waiting = bool(self._queue)
                self._messages += count
                batch.extend(self._settling)
                self._settling.clear()
                helps = threading.current_thread() is self._helper
                if helps:
                    batch.extend(self._for_helper)
                    self._for_helper.clear()
            if waiting and count:
                self._pump()
            for task, kind, parts in batch:
                if not helps and self._calls_back(task):
                    self._settle_by_helper(task, kind, parts)
                else:
                    self._answer(task, kind, parts)
        except BaseException:
            with self._lock:
                self._settling.extend(batch)
            self._board.tell()
            raise
        if self.closing and batch:
            self._board.tell()  # the helper looks whether that was all
        return count

    def _account_for_all(self) -> None:
        """With the lock."""
        arrived, workers, settling = self._arrived, self._workers, self._settling
        now = time.monotonic()
        for key, kind, number, nanoseconds, parts in arrived:
            worker = workers.get(key)
            if worker is None:
                continue
            task = worker.sent.get(number)
            if task is not None:
                if kind == _messages.TAKEN_BACK:
                    if task.worker == key:
                        self._put_back([task])  # who took it back was interrupted
                elif kind >= _messages.RETURNED:
                    settling.append((task, kind, parts))
            self._account(worker, kind, number, nanoseconds, now)
        arrived.clear()

    def _account(self, worker: Worker, kind: int, number: int, nanoseconds: int, now: float) -> None:
        """With the lock: what a message that came now (of the clock `time.monotonic`) means for the worker."""
        if kind == _messages.READY:
            worker.ready = True
            self._failed_starts = 0
            return
        if kind == _messages.NOT_STARTED:
            self._failed_starts = _HOPELESS  # seen when it has ended, which it does now
            return
        was_known = number in worker.sent
        worker.sent.pop(number, None)
        if not worker.sent:
            worker.taken_back = False
            if worker.stopping and not worker.died:
                self._let_go(worker)
        if kind == _messages.TAKEN_BACK or not was_known:
            return
        worker.answered = now
        worker.tasks += 1
        worker.nanoseconds += nanoseconds
        self._answered += 1
        self._pace = nanoseconds if self._pace > _UNKNOWN / 2 else self._pace + (nanoseconds - self._pace) * _FOLLOWS

    def _answer(self, task: Task, kind: int, parts: list[Any]) -> None:
        """Settle the future of a call that was answered."""
        if task.future.done():
            return
        try:
            answer = _pickling.load(parts)
        except BaseException as error:
            if threading.current_thread() is not self._helper:
                self._leave_to_helper(task, kind, parts, error)
                return
            kind, answer = _messages.RAISED, _not_loaded("what came back from the worker could not be unpickled", error)
        task.parts = []
        if kind == _messages.RETURNED:
            try:
                task.future.set_result(answer)
            except InvalidStateError:
                pass  # a thread was interrupted when it took this, so another had it too, and was quicker
        elif kind == _messages.NOT_LOADED:
            self._settle(task, _not_loaded("the call could not be unpickled by the worker", answer))
        else:
            self._settle(task, answer)

    def _calls_back(self, task: Task) -> bool:
        """Whether somebody's code is called with the answer. It may take long, and who waits for another answer has no time for that."""
        calls: bool = task.future._has_callbacks()
        return calls

    def _settle_by_helper(self, task: Task, kind: int, parts: list[Any]) -> None:
        with self._lock:
            self._for_helper.append((task, kind, parts))
        self._board.tell()

    def _leave_to_helper(self, task: Task, kind: int, parts: list[Any], error: BaseException) -> None:
        """An answer could not be unpickled, or a signal handler raised in the midst of that: which of them it was shows when it is tried again. The last word is the helper's, whom nothing
        interrupts."""
        self._settle_by_helper(task, kind, parts)
        try:
            _pickling.load(parts)
        except BaseException:
            return
        raise error

    def _settle(self, task: Task, error: BaseException) -> None:
        task.parts = []
        if self._begin(task):
            try:
                task.future.set_exception(error)
            except InvalidStateError:
                pass  # see `_answer`

    def _begin(self, task: Task) -> bool:
        """It is sent, or tried again. False: it was cancelled."""
        future = task.future
        state = future._state
        if state != "PENDING" and (state == "RUNNING" or state == "FINISHED" or state == "CANCELLED_AND_NOTIFIED"):
            return bool(state == "RUNNING")
        begins: bool = future.set_running_or_notify_cancel()
        return begins

    # ---- who waits, reads

    def _read_for(self, future: Any, seconds: float | None) -> None:
        """Called by a thread that waits for a future of this pool: read answers until it is done, unless another thread does so."""
        if self._owner != os.getpid():
            raise RuntimeError("the process pool belongs to the process that made it, which this one was forked from")
        self._board.read_for(self, future, seconds)

    def _nap(self) -> float | None:
        """How long to sleep at most: not long, while workers have several calls, of which they do not tell at once."""
        for worker in list(self._workers.values()):
            if len(worker.sent) > 1:
                return STALLED / 4
        return None

    def _tend_batches(self) -> None:
        with self._lock:
            found = self._balance()
        if found:
            self._pump()

    # ---- for the helper

    def help_once(self) -> bool:
        """Sleep until something is to be done, and do it. False: there is nothing left to do."""
        self._end_if_abandoned()
        before = self._messages
        longest = self._longest_sleep()
        died = self._board.sleep(longest) + self._found_dead
        self._end_if_abandoned()
        while self._collect():
            pass
        for key in died:
            worker = self._workers.get(key)
            if worker is not None:
                self._bury(worker)
        self._found_dead = [key for key in self._found_dead if key in self._workers]
        self._tend_batches()
        self._end_what_is_late()
        self._start_what_is_lacking()
        self._pump()
        if longest == _IDLE and before == self._messages:
            self._trim()
        self._board.poke()
        return not (self.closing and self._is_done())

    def _longest_sleep(self) -> float | None:
        """Until a call is late, or batches are to be looked at, or nothing has happened for so long that memory is given back."""
        sent = [task for worker in list(self._workers.values()) for task in list(worker.sent.values()) if task is not None]
        sleeps: list[float] = [max(0.0, task.deadline - time.monotonic()) for task in sent if task.deadline is not None and task.ending is None]
        nap = self._nap()
        if nap is not None:
            sleeps.append(nap)
        if self._lacking:
            sleeps.append(UNTIL_TRIED_AGAIN)
        if sleeps:
            return min(sleeps)
        return None if self._trimmed == self._messages else _IDLE

    def _trim(self) -> None:
        self._trimmed = self._messages
        for worker in list(self._workers.values()):
            worker.link.trim()

    def _end_what_is_late(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers.values()):
            for task in list(worker.sent.values()):
                if task is not None and task.deadline is not None and task.deadline <= now and task.ending is None:
                    self._end(worker, task.future, TimeoutError(f"the call took longer than {task.timeout:g} seconds"))

    def _is_done(self) -> bool:
        with self._lock:
            return not self._queue and not any(worker.sent for worker in self._workers.values())

    # ---- what users see

    def stats(self) -> PoolStats:
        """See `PoolStats`."""
        with self._lock:
            workers = [worker for worker in self._workers.values() if worker.pid]
            running = sum(task is not None for worker in workers for task in worker.sent.values())
            queued, done, messages = len(self._queue), self._answered, self._messages
        shown = [worker.stats() for worker in workers]
        return PoolStats(shown, queued, running, done, self._restarts, "rings" if self._by_rings else "sockets", messages)
