"""What runs in a worker of a cluster: a loop, and a thread that reads what is sent.

The thread does nothing but read and hand over, many calls at once where they come at once. Where calls are quick more are sent than may run: they wait for their turn here, and are given back if
others have nothing to do. Each call is claimed when it begins: from then on it is this worker's, whatever becomes of it. What is answered within one turn of the loop is told to the pool by one wake-up,
and what waits for the room that this makes begins together.
"""

import asyncio
import functools
import threading
import time
from collections import deque
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from plait._loop import run
from plait._process_pool import _messages, _pickling
from plait._process_pool._worker_main import dump_error, report_broken_initializer
from plait._process_pool._workers import NUMBERS

# After so many seconds without work, memory of results that nobody has any more is given back.
_IDLE = 5.0


def main(per_worker: int, door: Any, initializer: Callable[..., Any] | None, initargs: tuple[Any, ...]) -> None:
    """The target of a worker's process, which runs so many coroutines at once. `door` opens its end of the link."""
    end = door.open()
    run(_live(end, per_worker, initializer, initargs))


async def _live(end: Any, per_worker: int, initializer: Callable[..., Any] | None, initargs: tuple[Any, ...]) -> None:
    if initializer is not None:
        try:
            awaitable = initializer(*initargs)
            if hasattr(awaitable, "__await__"):
                await awaitable
        except BaseException:
            report_broken_initializer(end)
            return
    worker = Worker(end, per_worker)
    threading.Thread(target=worker.read, name="plait-cluster-reader", daemon=True).start()
    end.send(_messages.READY, 0, 0, [b""], True)
    await worker.stopped.wait()


class Worker:
    """One that works. All but `read` is for the loop."""

    def __init__(self, end: Any, per_worker: int) -> None:
        self.stopped = asyncio.Event()
        self._most = per_worker
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[tuple[int, int, list[Any]]] = deque()
        self._told = False  # the loop was told to look there
        self._known: dict[bytes, Any] = {}
        self._waiting: deque[tuple[int, list[Any] | None]] = deque()  # for their turn; None: cancelled
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._rings = False  # the pool will be told, and what waits begins

    def read(self) -> None:
        """The thread: until there is nothing more to do."""
        end = self._end
        trimmed = True
        while True:
            try:
                message = end.receive(None if trimmed else _IDLE)
            except EOFError:
                message = (_messages.STOP, 0, [])  # the parent is gone
            if message is None:
                if not trimmed:
                    end.trim()
                    trimmed = True
                continue
            trimmed = False
            self._inbox.append(message)
            if not self._told:
                self._told = True
                self._loop.call_soon_threadsafe(self._look)
            if message[0] == _messages.STOP:
                return
            del message

    def _look(self) -> None:
        """Begin what has come."""
        self._told = False
        inbox = self._inbox
        while inbox:
            kind, number, parts = inbox.popleft()
            if kind == _messages.CALL:
                self._waiting.append((number, parts))
            elif kind == _messages.CALLS:
                self._waiting.extend([((number + at) & NUMBERS, [pickled]) for at, pickled in enumerate(parts)])
            elif kind == _messages.CANCEL:
                self._cancel(number)
            elif kind == _messages.GIVE_BACK:
                self._begin_next()  # whose turn it is
                self._give_back()
            elif kind == _messages.STOP:
                self.stopped.set()
        self._begin_next()

    def _begin_next(self) -> None:
        waiting, tasks, claim = self._waiting, self._tasks, self._end.claim
        while waiting and len(tasks) < self._most:
            number, parts = waiting.popleft()
            if not claim(number):
                self._answer(_messages.TAKEN_BACK, number, 0, [b""])
            elif parts is None:
                self._answer(_messages.RAISED, number, 0, dump_error(asyncio.CancelledError()))
            else:
                self._begin(number, parts)

    def _give_back(self) -> None:
        """Others have nothing to do. Calls are claimed in their order, so these are, too."""
        while self._waiting:
            number, parts = self._waiting.popleft()
            self._end.claim(number)
            if parts is None:
                self._answer(_messages.RAISED, number, 0, dump_error(asyncio.CancelledError()))
            else:
                self._answer(_messages.TAKEN_BACK, number, 0, [b""])

    def _cancel(self, number: int) -> None:
        task = self._tasks.get(number)
        if task is not None:
            task.cancel()
            task.add_done_callback(functools.partial(self._see_to_its_answer, number))
            return
        for at, (waiting, _) in enumerate(self._waiting):
            if waiting == number:
                self._waiting[at] = (number, None)

    def _see_to_its_answer(self, number: int, task: "asyncio.Task[None]") -> None:
        """A task that is cancelled before its first step ends without an answer."""
        if self._tasks.get(number) is task:
            del self._tasks[number]
            self._answer(_messages.RAISED, number, 0, dump_error(asyncio.CancelledError()))

    def _begin(self, number: int, parts: list[Any]) -> None:
        try:
            function, args, kwargs = _pickling.load_call(parts, self._known)
        except BaseException as error:
            self._answer(_messages.NOT_LOADED, number, 0, dump_error(error))
            return
        self._tasks[number] = self._loop.create_task(self._call(number, function, args, kwargs))

    async def _call(self, number: int, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Make a call and answer."""
        began = time.perf_counter_ns()
        kind = _messages.RAISED
        try:
            awaitable = function(*args, **kwargs)
            if type(awaitable) is not CoroutineType and not hasattr(awaitable, "__await__"):
                raise TypeError(f"a coroutine function was expected: {function!r} returned {type(awaitable).__name__}")
            answer = _pickling.dump(await awaitable)
            kind = _messages.RETURNED
        except BaseException as error:
            answer = dump_error(error)
        del self._tasks[number]
        nanoseconds = time.perf_counter_ns() - began
        try:
            self._answer(kind, number, nanoseconds, answer)
        except (ValueError, OverflowError) as error:  # it cannot be sent at all: it is too long
            self._answer(_messages.RAISED, number, nanoseconds, dump_error(error))

    def _answer(self, kind: int, number: int, nanoseconds: int, answer: list[Any]) -> None:
        if not self._rings:
            self._rings = True
            self._loop.call_soon(self._go_on)
        self._end.send(kind, number, nanoseconds, answer, False)

    def _go_on(self) -> None:
        """After a turn in which something was answered."""
        self._rings = False
        self._begin_next()
        self._end.ring()
