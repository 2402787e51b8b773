"""What ``Cluster.map`` gives: results as they are asked for, by ``async for``, in the order of the arguments or as they are there.

At most ``buffersize`` calls are submitted whose results nobody has asked for. New ones are submitted when a quarter of these has been taken, so that many travel together.

What programs hold is `Results`, and behind it is a `Flow`: calls that are out, and a task that waits for arguments, lead back to this, and not to that. So it shows when nobody wants results any more.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from itertools import islice
from typing import Any

from plait._offload import wrap_future

Call = tuple[tuple[Any, ...], dict[str, Any]]


class Results:
    """An asynchronous iterator of results. Awaited, it is a list of all that are left.

    Used by one task. When it is closed, or collected, what has no result yet is cancelled.
    """

    def __init__(self, core: Any, function: Any, calls: Any, ordered: bool, sizes: tuple[int, int], retries: int, return_exceptions: bool) -> None:
        self._flow = Flow(core, function, calls, ordered, sizes[0], retries, return_exceptions)
        self._size_together = sizes[1]

    def __aiter__(self) -> "Results":
        """Itself."""
        return self

    def __await__(self) -> Generator[Any, None, list[Any]]:
        """All that are left, in a list."""
        return self._collect().__await__()

    async def _collect(self) -> list[Any]:
        self._flow.set_size(self._size_together)
        return await self._flow.all(self)

    def __anext__(self) -> Coroutine[Any, Any, Any]:
        """The next result.

        Raises:
            Whatever the call has raised, or the source of the arguments; then all others are cancelled.
            StopAsyncIteration: there are no more.
        """
        return self._flow.next(self)

    async def aclose(self) -> None:
        """Cancel what has no result yet. Then there are no more."""
        self._flow.close()

    def __del__(self) -> None:
        """Nobody is going to ask for the rest."""
        flow = getattr(self, "_flow", None)
        if flow is not None:
            flow.leave()


class Flow:
    """Calls that are out, and what came of them. For the loop's thread, but for `leave`."""

    def __init__(self, core: Any, function: Any, calls: Any, ordered: bool, size: int, retries: int, return_exceptions: bool) -> None:
        self._core = core
        self._function = function
        self._source: Iterator[Call] | None = None if hasattr(calls, "__aiter__") else iter(calls)
        self._arriving: AsyncIterator[Any] | None = aiter(calls) if hasattr(calls, "__aiter__") else None
        self._feeding: asyncio.Task[None] | None = None  # of what arrives
        self._room = asyncio.Event()
        self._came = asyncio.Event()
        self._ordered = ordered
        self.set_size(size)
        self._retries = retries
        self._returns = return_exceptions
        self._pending: deque[Any] = deque()  # in order: what was submitted
        self._left: set[Any] = set()  # as completed: the same
        self._done: deque[Any] = deque()  # of that, what is done
        self._waiter: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def set_size(self, size: int) -> None:
        """How many calls may be out."""
        self._size = size
        self._refill_at = size - max(1, size // 4)

    async def all(self, results: Results) -> list[Any]:
        """All that are left, in a list. See `next`."""
        found: list[Any] = []
        pending = self._pending
        while True:
            # What is there already has no coroutine of its own.
            for _ in range(self._spare() if self._ordered else 0):
                if not pending[0].done():
                    break
                found.append(self._result(pending.popleft()))
            try:
                found.append(await self.next(results))
            except StopAsyncIteration:
                return found

    async def next(self, results: Results) -> Any:
        """See `Results`, which is not let go of before there is one."""
        try:
            if self._must_refill():
                await self._refill()
            if not self._pending and not self._left:
                raise StopAsyncIteration
            future = await (self._next_in_order() if self._ordered else self._next_done())
        except BaseException:
            self.close()
            raise
        return self._result(future)

    def _result(self, future: Any) -> Any:
        """Of one that is done. If it is an error, that is raised, and the rest is cancelled."""
        try:
            if future.cancelled():
                raise asyncio.CancelledError
            error = future.exception()
            if error is None:
                return future.result()
            if self._returns and isinstance(error, Exception):
                return error
            raise error
        except BaseException:
            self.close()
            raise

    def leave(self) -> None:
        """Nobody has the results any more. Said by the collector, so in any thread and at any moment, even one in which this thread holds the pool's lock: the loop is to do the rest."""
        if self._loop is None or not (self._pending or self._left or self._feeding):
            return
        try:
            self._loop.call_soon_threadsafe(self.close)
        except RuntimeError:  # it is closed. What is out comes to its end by itself
            pass

    def close(self) -> None:
        """Cancel what has no result yet."""
        self._source = self._arriving = None
        feeding, self._feeding = self._feeding, None
        if feeding is not None:
            feeding.cancel()
        for future in [*self._pending, *self._left]:
            self._core.cancel(future)
        self._pending.clear()
        self._left.clear()
        self._done.clear()

    # ---- arguments

    def _must_refill(self) -> bool:
        return self._spare() <= 0 and (self._source is not None or self._arriving is not None or self._feeding is not None)

    def _spare(self) -> int:
        """How many results can be taken before arguments are."""
        if self._arriving is not None or self._feeding is not None:
            return 0
        return len(self._pending) + len(self._left) - (0 if self._source is None else self._refill_at)

    async def _refill(self) -> None:
        self._loop = asyncio.get_running_loop()
        out = len(self._pending) + len(self._left)
        if self._source is not None and out <= self._refill_at:
            calls = list(islice(self._source, self._size - out))
            if len(calls) < self._size - out:
                self._source = None
            self._submit(calls)
        elif self._feeding is None and self._arriving is not None:
            self._feeding = asyncio.ensure_future(self._feed(self._arriving))
        feeding = self._feeding
        if feeding is not None:
            self._room.set()
            while not (self._pending or self._left or feeding.done()):
                self._came.clear()
                await self._came.wait()
            if feeding.done() and not feeding.cancelled() and (error := feeding.exception()) is not None:
                raise error

    async def _feed(self, arriving: AsyncIterator[Any]) -> None:
        """Submit what comes, as long as there is room."""
        try:
            async for argument in arriving:
                while len(self._pending) + len(self._left) >= self._size:
                    self._room.clear()
                    await self._room.wait()
                self._submit([((argument,), {})])
                self._came.set()
        finally:
            self._came.set()

    def _submit(self, calls: list[Call]) -> None:
        if not calls:
            return
        futures = self._core.submit(self._function, calls, self._retries, None)
        if self._ordered:
            self._pending.extend(futures)
            return
        self._left.update(futures)
        for future in futures:
            future.add_done_callback(self._note)

    # ---- results

    async def _next_in_order(self) -> Any:
        future = self._pending[0]
        if not future.done():
            await _until_done(future)
        return self._pending.popleft()

    async def _next_done(self) -> Any:
        while not self._done:
            self._waiter = asyncio.get_running_loop().create_future()
            if self._done:
                break
            await self._waiter
        future = self._done.popleft()
        self._left.discard(future)
        return future

    def _note(self, future: Any) -> None:
        """It is done. In any thread."""
        self._done.append(future)
        waiter, self._waiter = self._waiter, None
        if waiter is not None and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(_wake, waiter)
            except RuntimeError:  # the loop is closed
                pass


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


async def _until_done(future: Any) -> None:
    """Whatever its outcome. To be cancelled leaves it as it is: what that means is for the caller to say."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(_wake, waiter))
    await waiter


def follow(core: Any, future: Any) -> "asyncio.Future[Any]":
    """A future of the running loop that follows a pool's, and cancels the call when it is cancelled."""
    following: asyncio.Future[Any] = wrap_future(future)

    def cancel(done: "asyncio.Future[Any]") -> None:
        if done.cancelled():
            core.cancel(future)

    following.add_done_callback(cancel)
    return following
