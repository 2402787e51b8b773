"""Dask as an engine: its client submits, its scheduler chooses workers, its workers keep what was put.

Calls are handed over on the client's own loop, all that came since its last turn as one graph. Each is followed by a coroutine there; answers
that are there are fetched with one request.
A call with a time-out notes that it begins by an event, which the scheduler sends to the client: the clock starts then. To end a call is to end its worker, which its nanny starts
again: so a worker must make one call at a time.

Rejected: ``add_done_callback`` of Dask's futures (a coroutine and a job for a thread each, and the result is still to be fetched), ``Client.get_executor`` (no time-outs, no end for what runs).
"""

import asyncio
import contextlib
import importlib
import itertools
import secrets
import threading
import time
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any

from plait._executor import _dask_worker
from plait._executor._calls import Calls
from plait._executor._dask_ending import why_calls_cannot_be_ended
from plait._executor._engine import Call
from plait._executor._errors import ClusterLost, NotSupported
from plait._process_pool._errors import NotLoaded, TaskKilled, WorkerDied
from plait._process_pool._stats import WorkerStats

_CLOSED = "the Dask client is closed, by the program or since its scheduler went away"
# In a cluster of one's own a call whose worker died goes to another, if it had not begun. That is known from what the worker noted; should the note be lost, not for ever.
_MOST_MOVES = 20
# What was seen of the workers holds for so many seconds.
_FRESH = 2.0
# Workers are asked what they are at for so many.
_PATIENCE = 10.0
# Answers are fetched when they are a share of the calls that are under way, one of so many, or so many seconds after the first of them.
_SHARE = 8
_TOGETHER = 0.02
# The scheduler hears after so many, at the latest, that an answer is not needed any more.
_FORGOTTEN_AFTER = 0.05


class Dask:
    """See `Engine`. `cluster` is one of its own, or None."""

    name = "dask"
    tells_what_runs = True

    def __init__(self, calls: Calls, client: Any, cluster: Any, is_own_client: bool) -> None:
        self._calls = calls
        self._client = client
        self._cluster = cluster
        self._is_own_client = is_own_client
        self._killed_worker: Any = importlib.import_module("distributed").KilledWorker
        self._loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop
        self._lock = threading.Lock()
        self._waiting: list[Call] = []
        self._unwanted: list[Call] = []
        self._is_coming = False  # the loop has been told that there is something
        self._numbers = itertools.count(secrets.randbits(62))  # others have calls in the same workers
        self._numbered: dict[int, Call] = {}  # calls with a time-out
        self._clocks: dict[int, asyncio.TimerHandle] = {}
        self._moves: dict[Call, int] = {}
        self._answered: list[Call] = []  # the answers are to be fetched
        self._under_way = 0  # calls that are followed
        self._is_fetching = False
        self._fetch_later: asyncio.TimerHandle | None = None
        self._finished: list[Any] = []  # handles that nobody needs
        self._following: set[asyncio.Task[None]] = set()
        self._topic = f"plait-{uuid.uuid4().hex}"
        self._listens = False
        self._refusal: tuple[float, str | None] | None = None
        self._has_ended = False
        self._watching: asyncio.Task[None] | None = None
        self._loop.call_soon_threadsafe(self._spawn, self._watch)

    # ---- from any thread

    def start(self, calls: Sequence[Call]) -> None:
        """See `Engine`."""
        with self._lock:
            if self._has_ended:
                raise ClusterLost(_CLOSED)
            self._waiting.extend(calls)
        self._tell_loop()

    def forget(self, call: Call) -> None:
        """See `Engine`."""
        with self._lock:
            self._unwanted.append(call)
        with contextlib.suppress(ClusterLost):  # then it is forgotten already
            self._tell_loop()

    def _tell_loop(self) -> None:
        with self._lock:
            if self._is_coming:
                return
            self._is_coming = True
        try:
            self._loop.call_soon_threadsafe(self._turn)
        except RuntimeError as error:
            with self._lock:
                self._is_coming = False
            raise ClusterLost(_CLOSED) from error

    def end(self, call: Call, why: BaseException) -> None:
        """See `Engine`."""
        try:
            self._loop.call_soon_threadsafe(self._spawn, self._end, call, why)
        except RuntimeError:  # there is no loop any more, and nobody else would tell
            self._calls.failed(call, why)

    def refuse_to_end(self) -> None:
        """See `Engine`."""
        self._check_connection()
        if self._refusal is None or (time.monotonic() - self._refusal[0] > _FRESH and not self.is_here()):
            self._refusal = (time.monotonic(), why_calls_cannot_be_ended(self._workers()))
        if self._refusal[1] is not None:
            raise NotSupported(self._refusal[1])

    def refuse_timeouts(self) -> None:
        """See `Engine`."""
        self.refuse_to_end()

    def is_here(self) -> bool:
        """See `Engine`."""
        return asyncio._get_running_loop() is self._loop

    def _workers(self) -> dict[str, Any]:
        try:
            info = self._client.scheduler_info(n_workers=-1)
        except TypeError:  # older: it tells of all without being asked
            info = self._client.scheduler_info()
        workers: dict[str, Any] = info.get("workers", {})
        return workers

    def _check_connection(self) -> None:
        """Raises ClusterLost, if it is known that there is none, and that there will be none."""
        if self._client.status in ("closing", "closed"):
            raise ClusterLost(_CLOSED)

    def cancel_waiting(self, calls: Sequence[Call]) -> None:
        """See `Engine`. The workers say what they are at."""
        if self.is_here():
            self._spawn(self._cancel_waiting, calls)
            return
        try:
            asyncio.run_coroutine_threadsafe(self._cancel_waiting(calls), self._loop).result(_PATIENCE)
        except Exception:  # nobody says what is running
            for call in calls:
                call.future.cancel()

    def put(self, value: Any) -> Any:
        """See `Engine`."""
        return self._client.scatter(value, hash=False)

    def describe(self) -> list[WorkerStats] | None:
        """See `Engine`."""
        return None

    def close(self) -> None:
        """See `Engine`."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end_watch)
        if self._is_own_client:
            self._client.close()
        elif self._listens:
            self._client.unsubscribe_topic(self._topic)
        if self._cluster is not None:
            self._cluster.close()

    # ---- on the client's loop

    async def _watch(self) -> None:
        """A loop that ends cancels its tasks, and its timers and callbacks are not called: then nobody else would settle what there is."""
        self._watching = asyncio.current_task()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            with self._lock:
                self._has_ended = True
            for call in self._calls.all():
                self._calls.failed(call, ClusterLost(_CLOSED))
            raise

    def _end_watch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    def _turn(self) -> None:
        with self._lock:
            self._is_coming = False
            calls, self._waiting = self._waiting, []
            unwanted, self._unwanted = self._unwanted, []
        for call in calls:
            if call.future.done():
                self._moves.pop(call, None)
        calls = [call for call in calls if not call.future.done()]
        together = [call for call in calls if not call.stored]
        for some in ([together] if together else []) + [[call] for call in calls if call.stored]:
            try:
                self._check_connection()
                self._submit(some)
            except Exception as error:
                for call in some:
                    self._calls.failed(call, error)
        self._finished.clear()
        handles = [call.handle for call in unwanted if call.handle is not None]
        if handles:
            self._spawn(self._cancel, handles)

    def _submit(self, calls: list[Call]) -> None:
        """Hand these over as one graph; several have no arguments in the store."""
        numbers = [next(self._numbers) for _ in calls]
        topics = [self._topic if call.timeout is not None else None for call in calls]
        keys = [f"{call.name}-{uuid.uuid4().hex}" for call in calls]
        if any(topics) and not self._listens:
            self._client.subscribe_topic(self._topic, self._has_begun)
            self._listens = True
        run = _dask_worker.run
        if len(calls) == 1:
            call = calls[0]
            handles = [self._client.submit(run, numbers[0], topics[0], call.parcel, *call.stored, key=keys[0], pure=False)]
        else:
            handles = self._client.map(run, numbers, topics, [call.parcel for call in calls], key=keys, pure=False)
        for call, number, handle in zip(calls, numbers, handles, strict=True):
            call.handle, call.number = handle, number
            if call.timeout is not None:
                self._numbered[number] = call
            self._spawn(self._follow, call)

    def _spawn(self, function: Any, *args: Any) -> None:
        coroutine: Coroutine[Any, Any, None] = function(*args)
        task = self._loop.create_task(coroutine)
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _follow(self, call: Call) -> None:
        """Until there is an answer, which is fetched with others, or a reason why there is none."""
        handle = call.handle
        self._under_way += 1
        try:
            error = await handle.exception()  # which is None, if there is none
        except (Exception, asyncio.CancelledError) as raised:
            error = raised
        self._under_way -= 1
        if error is None and not handle.cancelled():
            self._answered.append(call)
            self._fetch_soon()
            return
        if not call.ending and not call.future.done():
            self._went_wrong(call, error or asyncio.CancelledError())
        self._let_go(call)

    def _fetch_soon(self) -> None:
        """One request at a time; and when many calls are still to come, for some answers together, which costs the scheduler and the workers far less than a request for each."""
        if self._is_fetching or not self._answered:
            return
        if len(self._answered) * _SHARE >= self._under_way:
            self._fetch_now()
        elif self._fetch_later is None:
            self._fetch_later = self._loop.call_later(_TOGETHER, self._fetch_now)

    def _fetch_now(self) -> None:
        if self._fetch_later is not None:
            self._fetch_later.cancel()
            self._fetch_later = None
        if not self._is_fetching and self._answered:
            self._is_fetching = True
            self._spawn(self._fetch)

    async def _fetch(self) -> None:
        """The answers that are there, with one request."""
        calls, self._answered = self._answered, []
        for call in calls:
            if call.future.done():  # nobody wants it any more
                self._let_go(call)
        calls = [call for call in calls if call.handle is not None]
        answers: dict[str, Any] = {}
        with contextlib.suppress(Exception):  # then each is asked for by itself, and says what is wrong
            try:
                found = await self._client.scheduler.gather(keys=[call.handle.key for call in calls])
                answers = found.get("data") or {}
            finally:
                self._is_fetching = False
        for call in calls:
            answer = answers.get(call.handle.key)
            if answer is None:
                self._spawn(self._fetch_one, call)
            else:
                self._calls.answered(call, answer)
                self._let_go(call)
        self._fetch_soon()

    async def _fetch_one(self, call: Call) -> None:
        """It is not where it was: its worker died meanwhile, or somebody cancelled it. Dask's own way makes it again."""
        try:
            answer = await self._client.gather(call.handle)
        except (Exception, asyncio.CancelledError) as error:
            if not call.ending and not call.future.done():
                self._went_wrong(call, error)
        else:
            self._calls.answered(call, answer)
        self._let_go(call)

    def _let_go(self, call: Call) -> None:
        """Of what was kept for it; the scheduler may forget it, but is told so with the next calls: the client sends at most every two milliseconds, and those are not to wait for that."""
        if call.timeout is not None and call.future.cancelled():
            # It may run nevertheless, and keeps its worker from others, so it is ended in time. Word that it has begun may be on its way.
            self._loop.call_later(_PATIENCE, self._numbered.pop, call.number, None)
        else:
            self._numbered.pop(call.number, None)
            clock = self._clocks.pop(call.number, None)
            if clock is not None:
                clock.cancel()
        if call.future.done():
            if not self._finished:
                self._loop.call_later(_FORGOTTEN_AFTER, self._finished.clear)
            self._finished.append(call.handle)
            call.handle = None
            self._moves.pop(call, None)

    def _went_wrong(self, call: Call, error: BaseException) -> None:
        if not isinstance(error, self._killed_worker):
            if isinstance(error, ModuleNotFoundError) and "plait" in str(error):
                raised: BaseException = NotLoaded("plait is not installed where the Dask worker runs")
                raised.__cause__ = error
            elif isinstance(error, asyncio.CancelledError) or type(error).__name__ == "FutureCancelledError":
                raised = ClusterLost(
                    "Dask gave the call up: its scheduler went away or was restarted, its client was closed, or somebody cancelled the call by its key" + (f" ({error})" if str(error) else "")
                )
            else:
                raised = error
            self._calls.failed(call, raised)
            return
        self._heal_later()
        worker: Any = error.last_worker
        moves = self._moves.get(call, 0)
        if self._cluster is not None and self._cluster.was_making(worker.address) != call.number and moves < _MOST_MOVES:
            # It waited behind the one that died.
            self._moves[call] = moves + 1
            self.start([call])
            return
        self._calls.lost(call, WorkerDied(f"worker {worker.address} died while it made the call (Dask: {error})"))

    async def _cancel(self, handles: list[Any]) -> None:
        await self._client.cancel(handles, force=True)

    async def _cancel_waiting(self, calls: Sequence[Call]) -> None:
        running = await self._running()
        for call in calls:
            if call.handle is None or call.number not in running:
                call.future.cancel()

    # ---- calls that are ended

    def _has_begun(self, event: Any) -> None:
        """A worker's note about a call with a time-out, which may come again, if that worker died."""
        number = event[1] if isinstance(event, (list, tuple)) else event
        call = self._numbered.get(number)
        if call is None or call.timeout is None:
            return
        before = self._clocks.pop(number, None)
        if before is not None:
            before.cancel()
        why = TimeoutError(f"the call took longer than {call.timeout:g} seconds")
        self._clocks[number] = self._loop.call_later(call.timeout, self._spawn, self._end, call, why)

    async def _end(self, call: Call, why: BaseException) -> None:
        self._clocks.pop(call.number, None)
        if call.ending is not None or (call.future.done() and not call.future.cancelled()):
            return
        call.ending = why
        was_running = True  # unless the workers say that it was not
        try:
            async with asyncio.timeout(_PATIENCE):
                if call.handle is not None:
                    await self._cancel([call.handle])
                answers = await self._client.run(_dask_worker.die_if_making, call.number, on_error="ignore")
                was_running = any(answers.values())
                self._heal_later()
        except Exception as error:
            why.add_note(f"its worker may still be at it: {type(error).__name__}: {error}")
        if not was_running and isinstance(why, TaskKilled):
            call.future.cancel()  # it had not begun
        self._calls.failed(call, why)

    def _heal_later(self) -> None:
        """A worker died, in a cluster of one's own maybe."""
        if self._cluster is not None:
            self._loop.call_later(self._cluster.given_up_after, self._cluster.restore)

    async def _running(self) -> set[int]:
        """Which calls are being made. A worker that is just dying does not say."""
        answers = await self._client.run(_dask_worker.making, on_error="ignore")
        return {number for numbers in answers.values() for number in numbers}
