"""Ray as an engine: a remote function makes the calls, Ray's scheduler chooses where, its store keeps what was put.

Each object reference tells when it is there by a callback of Ray's, so nothing polls, and no thread waits. How often a call is tried again is Ray's ``max_retries``. A call with a time-out is a
generator of two values: the first says that it has begun, the second is the answer; only those have a thread of plait's, one for all, with a loop that has their clocks. ``ray.cancel`` with force
ends the worker process. Ray does not tell whether a call has begun: one that is cancelled is made all the same, and its answer dropped. Nor does it tell, when the program ends the session, what
becomes of calls in flight: while there are any, it is looked once a second whether the session is there.
"""

import asyncio
import queue
import threading
from collections.abc import Sequence
from typing import Any

from plait._executor import _worker
from plait._executor._calls import Calls
from plait._executor._engine import Call
from plait._executor._errors import ClusterLost, NotSupported
from plait._process_pool._errors import NotLoaded, WorkerDied
from plait._process_pool._stats import WorkerStats


_LOOK = 1.0  # seconds
_OVER = "the Ray session of this executor is over: the program has ended it by ray.shutdown()"


def run(call: Any, *stored: Any) -> Any:
    """In a Ray worker: make the call."""
    return _worker.run(call, *stored)


def run_noting(call: Any, *stored: Any) -> Any:
    """In a Ray worker: say that it begins, then make it."""
    yield b""
    yield _worker.run(call, *stored)


class Ray:
    """See `Engine`. `session` is what is let go of at the end; `is_client` says that this goes by Ray Client."""

    name = "ray"
    tells_what_runs = False

    def __init__(self, calls: Calls, ray: Any, session: Any, is_client: bool, options: dict[str, Any]) -> None:
        self._calls = calls
        self._ray = ray
        self._session = session
        self._is_client = is_client
        self._options = options
        self._functions: dict[tuple[int, bool], Any] = {}
        self._lock = threading.Lock()
        self._keeper: _Keeper | None = None
        self._is_watched = False
        self._is_over = False
        # Ray's thread, which also hands calls to workers, is not to be kept: it puts answers here, and a thread settles futures.
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._settler = threading.Thread(target=self._settle, name="plait-executor-ray", daemon=True)
        self._settler.start()

    # ---- what is submitted

    def is_here(self) -> bool:
        """See `Engine`."""
        keeper = self._keeper
        return threading.current_thread() is self._settler or (keeper is not None and keeper.is_here())

    def start(self, calls: Sequence[Call]) -> None:
        """See `Engine`."""
        if self._is_over or not self._ray.is_initialized():  # Ray would begin a session by itself
            raise ClusterLost(_OVER)
        for call in calls:
            try:
                self._start(call)
            except Exception as error:
                self._calls.failed(call, error)
        if not self._is_watched:
            self._is_watched = True
            self._arrived.put(_Watch)

    def _start(self, call: Call) -> None:
        if call.future.done():
            return
        function = self._function(call.retries, call.timeout is not None)
        if call.timeout is not None:
            call.handle = generator = function.remote(call.parcel, *call.stored)
            self._clocks().follow(call, generator)
            return
        call.handle = reference = function.remote(call.parcel, *call.stored)
        done = reference.future()
        done.plait_call = call
        done.add_done_callback(self._arrived.put)

    def _function(self, retries: int, notes: bool) -> Any:
        function = self._functions.get((retries, notes))
        if function is None:
            options: dict[str, Any] = {**self._options, "max_retries": retries}
            if notes:
                options["num_returns"] = "streaming"
            function = self._ray.remote(run_noting if notes else run).options(**options)
            self._functions[(retries, notes)] = function
        return function

    def _clocks(self) -> "_Keeper":
        with self._lock:
            if self._keeper is None:
                self._keeper = _Keeper(self)
            return self._keeper

    # ---- what comes back

    def _settle(self) -> None:
        while True:
            try:
                done = self._arrived.get(timeout=_LOOK if self._is_watched else None)
            except queue.Empty:
                self._look()
                continue
            if done is None:
                return
            if done is _Watch:
                continue
            call, error = done.plait_call, done.exception()
            if error is None:
                self.answered(call, done.result())
            else:
                self.went_wrong(call, error)
            del done, call, error  # and what they refer to, before the next comes

    def _look(self) -> None:
        if not self._calls.all():
            self._is_watched = False
            # A call that came just before that has told nobody.
            self._is_watched = bool(self._calls.all())
        elif not self._session.is_there():
            self._is_over = True
            for call in self._calls.all():
                self._calls.failed(call, ClusterLost(_OVER))
                call.handle = None

    def answered(self, call: Call, answer: Any) -> None:
        """By Ray's thread, or the keeper."""
        call.handle = None
        self._calls.answered(call, answer)

    def went_wrong(self, call: Call, error: BaseException) -> None:
        """There is no answer, and this is why."""
        call.handle = None
        if call.ending is not None:
            self._calls.failed(call, call.ending)
            return
        self._calls.failed(call, self._in_our_words(error))

    def _in_our_words(self, error: BaseException) -> BaseException:
        known = self._ray.exceptions
        if isinstance(error, (known.WorkerCrashedError, known.NodeDiedError, known.OutOfMemoryError)):
            self._calls.note_death()
            return WorkerDied(f"the worker died while it made the call (Ray: {_first_line(error)})")
        if isinstance(error, known.LocalRayletDiedError):
            return ClusterLost(f"Ray has ended: {_first_line(error)}")
        cause = getattr(error, "cause", None)
        if isinstance(cause, ModuleNotFoundError) or (isinstance(error, known.RaySystemError) and "plait" in str(error) and "No module" in str(error)):
            missing = NotLoaded("plait is not installed where the Ray worker runs")
            missing.__cause__ = error
            return missing
        if isinstance(error, ConnectionError):
            return ClusterLost(f"the connection to Ray broke: {_first_line(error)}")
        return error

    # ---- how calls end

    def forget(self, call: Call) -> None:
        """See `Engine`. Its answer will be dropped. Not by ``ray.cancel``: if the call ends in that moment, Ray may abort the whole program (seen with 2.60)."""

    def end(self, call: Call, why: BaseException) -> None:
        """See `Engine`."""
        if call.ending is None:
            call.ending = why
            self._cancel(call)
            self._calls.failed(call, why)

    def _cancel(self, call: Call) -> None:
        handle = call.handle
        if handle is not None and self._ray.is_initialized():
            try:
                self._ray.cancel(handle, force=True, recursive=False)
            except Exception as error:
                if call.ending is not None:
                    call.ending.add_note(f"its worker may still be at it: {type(error).__name__}: {error}")

    def refuse_to_end(self) -> None:
        """See `Engine`."""

    def refuse_timeouts(self) -> None:
        """See `Engine`."""
        if self._is_client:
            raise NotSupported(
                "Ray Client (ray://) does not tell when a call begins, so its calls have no time-outs: future.kill() ends one; on a machine of the cluster, executor('ray') has them"
            )

    def cancel_waiting(self, calls: Sequence[Call]) -> None:
        """See `Engine`. Ray does not tell which have begun: those that run are given up, too."""
        for call in calls:
            call.future.cancel()

    # ---- the rest

    def put(self, value: Any) -> Any:
        """See `Engine`."""
        return self._ray.put(value)

    def describe(self) -> list[WorkerStats] | None:
        """See `Engine`."""
        return None

    def close(self) -> None:
        """See `Engine`."""
        if self._keeper is not None:
            self._keeper.close()
        self._arrived.put(None)
        self._settler.join()
        self._functions.clear()
        self._session.leave()


class _Watch:
    """Stands in the queue for the first of several calls."""


class _Keeper:
    """A thread with a loop, for the clocks of calls that have a time-out."""

    def __init__(self, engine: Ray) -> None:
        self._engine = engine
        self._loop = asyncio.new_event_loop()
        self._following: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="plait-executor-clocks", daemon=True)
        self._thread.start()

    def is_here(self) -> bool:
        """Whether this is the keeper's thread."""
        return threading.current_thread() is self._thread

    def follow(self, call: Call, generator: Any) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._spawn, call, generator)

    def _spawn(self, call: Call, generator: Any) -> None:
        task = self._loop.create_task(self._follow(call, generator))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _follow(self, call: Call, generator: Any) -> None:
        clock = None
        try:
            answers = aiter(generator)
            await (await anext(answers))
            assert call.timeout is not None
            why = TimeoutError(f"the call took longer than {call.timeout:g} seconds")
            clock = self._loop.call_later(call.timeout, self._engine.end, call, why)
            answer = await (await anext(answers))
        except (Exception, asyncio.CancelledError) as error:
            self._engine.went_wrong(call, error)
        else:
            self._engine.answered(call, answer)
        finally:
            if clock is not None:
                clock.cancel()

    def close(self) -> None:
        """No call is left; but of a session that is over there may be those who wait for it."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


    async def _end(self) -> None:
        for task in self._following:
            task.cancel()
        if self._following:
            await asyncio.wait(self._following, timeout=_LOOK)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
