"""The calls of one executor that an engine has, from ``submit`` to the future's end.

The engine says what became of a call (`answered`, `lost`, `failed`); a future that is done, for whatever reason, leaves here by its own callback. The lock is for bookkeeping, and for the
one step in which a future either begins to be settled or is found cancelled: reentrant, since a signal handler may cancel in the midst of it.
"""

import os
import threading
import time
import weakref
from collections.abc import Iterable
from typing import Any

from plait import _native
from plait._executor import _context, _parcels, _worker
from plait._executor._context import Carrier
from plait._executor._engine import Call, Engine
from plait._executor._stored import flat, take_out
from plait._process_pool import _messages, _pickling
from plait._process_pool._errors import NotLoaded, TaskKilled, WorkerDied
from plait._process_pool._stats import PoolStats, WorkerStats

# Those of this process, for its end.
everywhere: "weakref.WeakSet[Calls]" = weakref.WeakSet()
_exiting = False


class Calls:
    """See above; also the ``_core`` that ``options()`` and ``map`` submit to. Safe to use from all threads."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._lock = threading.RLock()
        self._none_left = threading.Condition(self._lock)
        self._calls: dict[Any, Call] = {}
        self._workers: dict[tuple[int, int], list[int]] = {}  # calls, nanoseconds, memory
        self._done = 0
        self._answers = 0
        self._deaths = 0
        self._owner = os.getpid()
        self.engine: Engine
        self.closing = False
        self._closed = threading.Event()
        self._closer: threading.Thread | None = None
        everywhere.add(self)

    # ---- what comes in

    def submit(self, function: Any, calls: Iterable[tuple[tuple[Any, ...], dict[str, Any]]], retries: int, timeout: float | None) -> list[Any]:
        """Futures of these calls. What cannot be pickled is a future that has failed."""
        self._check()
        function, calls = flat(function, calls)
        name = getattr(function, "__name__", type(function).__name__)
        carried = self._carrier.for_process() if self._carrier.carries else None
        futures: list[Any] = []
        made: list[Call] = []
        for args, kwargs in calls:
            future = _native.process_future(self)
            futures.append(future)
            try:
                args, kwargs, stored = take_out(self, args, kwargs)
                if carried is None:
                    parcel = _parcels.pack(function, args, kwargs)
                else:
                    parcel = _parcels.pack(_context.call, (carried, function, *args), kwargs)
                made.append(Call(future, parcel, stored, retries, timeout, name))
            except Exception as error:
                future.set_running_or_notify_cancel()
                future.set_exception(error)
        self._start(made)
        return futures

    def _start(self, made: list[Call]) -> None:
        with self._lock:
            self._check()
            for call in made:
                self._calls[call.future] = call
        try:
            self.engine.start(made)
        except BaseException:
            with self._lock:
                for call in made:
                    self._calls.pop(call.future, None)
                self._left()
            raise
        for call in made:
            call.future.add_done_callback(self._is_over)

    def _check(self) -> None:
        if self._owner != os.getpid():
            raise RuntimeError("the executor belongs to the process that made it, which this one was forked from")
        if _exiting:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        if self.closing:
            raise RuntimeError("cannot schedule new futures after shutdown")

    # ---- what the engine says

    def answered(self, call: Call, answer: Any) -> None:
        """The worker has answered."""
        try:
            (kind, pid, number, nanoseconds, memory), parts = _worker.unpack(answer)
            self._note(pid, number, nanoseconds, memory)
            outcome = _pickling.load(parts)
        except BaseException as error:
            kind, outcome = _messages.RAISED, _not_loaded("what came back from the worker could not be unpickled", error)
        if kind == _messages.RETURNED:
            if self._settles(call):
                call.future.set_result(outcome)
        elif kind == _messages.NOT_LOADED:
            self.failed(call, _not_loaded("the call could not be unpickled by the worker", outcome))
        else:
            self.failed(call, outcome)

    def _note(self, pid: int, number: int, nanoseconds: int, memory: int) -> None:
        with self._lock:
            self._answers += 1
            seen = self._workers.setdefault((pid, number), [0, 0, 0])
            seen[0] += 1
            seen[1] += nanoseconds
            seen[2] = memory

    def note_death(self) -> None:
        """For engines that try again by themselves: a worker died that made a call."""
        with self._lock:
            self._deaths += 1

    def lost(self, call: Call, error: WorkerDied) -> None:
        """The worker died that made the call."""
        with self._lock:
            self._deaths += 1
            again = call.ending is None and call.retries > 0 and not call.future.done()
            call.retries -= again
        if not again:
            self.failed(call, call.ending or error)
            return
        try:
            self.engine.start([call])
        except BaseException as refusal:
            self.failed(call, refusal)

    def failed(self, call: Call, error: BaseException) -> None:
        """It is over."""
        if self._settles(call):
            call.future.set_exception(error)

    def _settles(self, call: Call) -> bool:
        """Whether the caller is to settle the future: once for each call, and not if it was cancelled. (Then those who wait for several futures hear of it here.)"""
        with self._lock:
            if call.is_settled:
                return False
            call.is_settled = True
            begins: bool = call.future.set_running_or_notify_cancel()
            return begins

    def _is_over(self, future: Any) -> None:
        """The future's own callback, whoever has settled it."""
        was_cancelled = future.cancelled()
        with self._lock:
            call = self._calls.get(future)
        if call is None:
            return  # it is in a forked child, or was never handed over
        if was_cancelled:
            self._settles(call)
            self.engine.forget(call)
        call.parcel = None
        call.stored = []
        with self._lock:
            del self._calls[future]
            self._done += 1
            self._left()

    def _left(self) -> None:
        """With the lock: there are fewer calls than there were."""
        if not self._calls:
            self._none_left.notify_all()
            if self.closing:
                self._close_soon()

    # ---- how calls end

    def _read_for(self, future: Any, seconds: float | None) -> None:
        """Called by a thread that begins to wait for a future. The engine's own threads read."""

    def _kill(self, future: Any) -> bool:
        """``future.kill()``."""
        with self._lock:
            call = self._calls.get(future)
        if call is None:
            return False
        self.engine.refuse_to_end()
        self.engine.end(call, TaskKilled("the call was ended by kill()"))
        return True

    def all(self) -> list[Call]:
        """Those that are not over."""
        with self._lock:
            return list(self._calls.values())

    # ---- how all ends

    def close(self, cancels: bool) -> None:
        """Nothing comes in any more; the engine is let go of when all is done."""
        with self._lock:
            self.closing = True
        if cancels:
            self.engine.cancel_waiting(self.all())
        with self._lock:
            if not self._calls:
                self._close_soon()

    def _close_soon(self) -> None:
        """With the lock. By another thread, since this may be one of the engine's."""
        if self._closer is None and self._owner == os.getpid():
            self._closer = threading.Thread(target=self._close, name="plait-executor-close", daemon=True)
            self._closer.start()

    def _close(self) -> None:
        try:
            self.engine.close()
        finally:
            self._closed.set()

    def wait(self, timeout: float | None) -> bool:
        """Until the calls are over. False: the time is up.

        Raises:
            RuntimeError: as a thread that joins itself does: called back by the thread that would settle them.
        """
        if self._calls and self.engine.is_here():
            raise RuntimeError("cannot join current thread")
        end = None if timeout is None else time.monotonic() + timeout
        with self._none_left:
            while self._calls and self._owner == os.getpid():
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._none_left.wait(left)
        return True

    def wait_closed(self) -> None:
        """Until the engine was let go of."""
        if self._owner != os.getpid() or threading.current_thread() is self._closer:
            return
        if self.engine.is_here() and not self._closed.is_set():
            raise RuntimeError("cannot join current thread")
        self._closed.wait()

    def end_all(self) -> None:
        """The deadline of a shutdown is over."""
        if self.engine.tells_what_runs:
            self.engine.cancel_waiting(self.all())
        for call in self.all():
            error = TaskKilled("the call was not over when the executor's shutdown had to be")
            try:
                self.engine.refuse_to_end()
            except Exception as reason:  # it cannot, or nobody is there to ask
                error.add_note(f"it may go on in the cluster: {reason}")
                self.failed(call, error)
                self.engine.forget(call)
            else:
                self.engine.end(call, error)

    # ---- what users see

    def stats(self) -> PoolStats:
        """See `Executor.stats`."""
        with self._lock:
            seen = [WorkerStats(pid, calls, nanoseconds / 1e9, memory, 0) for (pid, _), (calls, nanoseconds, memory) in self._workers.items()]
            running, done, deaths, answers = len(self._calls), self._done, self._deaths, self._answers
        pids = {worker.pid for worker in seen}
        seen += [worker for worker in self.engine.describe() or () if worker.pid not in pids]
        return PoolStats(seen, 0, running, done, deaths, self.engine.name, answers)


def _not_loaded(text: str, cause: BaseException) -> NotLoaded:
    error = NotLoaded(text)
    error.__cause__ = cause
    return error


def _at_exit() -> None:
    """What was submitted is done before the interpreter exits, as by the standard executors."""
    global _exiting
    _exiting = True
    mine = [calls for calls in everywhere if calls._owner == os.getpid()]
    for calls in mine:
        calls.close(False)
    for calls in mine:
        calls.wait(None)
        calls.wait_closed()


threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
