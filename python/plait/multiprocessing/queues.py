"""Queues between processes: drop-ins for those of ``multiprocessing.queues``.

What every item goes through is native (``plait._native``): a ring in shared memory, one call to put and one to get. Here is what happens once in a queue's life: how
it is made and handed to a child, how it ends, and the two ends that programs know as ``_reader`` and ``_writer``.

The types derive from the native ones and from the standard ones, in this order: ``isinstance`` and ``issubclass`` hold, and what is not overridden here would be the
standard's, on attributes that are not there; so all of it is.
"""

import multiprocessing.queues as _standard
import operator
import os
from collections.abc import Callable
from multiprocessing import context, util
from multiprocessing.connection import Pipe
from multiprocessing.context import BaseContext
from multiprocessing.reduction import DupFd
from queue import Empty, Full
from typing import TYPE_CHECKING, Any

from plait import _native
from plait.multiprocessing._fork_only import is_fork, refuse
from plait.multiprocessing._queue_ends import EndLock, ReadEnd, WriteEnd
from plait.multiprocessing._queue_waiting import until_ready

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]

if TYPE_CHECKING:
    _StandardQueue = _standard.Queue[Any]
    _StandardJoinableQueue = _standard.JoinableQueue[Any]
    _StandardSimpleQueue = _standard.SimpleQueue[Any]
else:  # generic for those who check types only, up to Python 3.11
    _StandardQueue, _StandardJoinableQueue, _StandardSimpleQueue = _standard.Queue, _standard.JoinableQueue, _standard.SimpleQueue

_MOST = 2**31 - 1  # SEM_VALUE_MAX, which is what the standard queue's bound is kept in


def _dup(descriptor: int | None) -> Any:
    return None if descriptor is None else DupFd(descriptor)


def _detach(duplicate: Any) -> int | None:
    return None if duplicate is None else duplicate.detach()


# --- what is still to be sent when the process ends

_sending: set[_native.Unsent] = set()
_ends_in: int | None = None


def _send_before_exit(unsent: _native.Unsent) -> None:
    global _ends_in, _sending
    if _ends_in != os.getpid():
        # Another process than the one that began this set.
        _ends_in, _sending = os.getpid(), set()
        util.Finalize(None, _send_all, exitpriority=-5)
    # Not those that are merely empty: while a thread lingers there, what is put next is not told of.
    _sending.difference_update([other for other in list(_sending) if not other.is_fed()])
    _sending.add(unsent)


def _send_all() -> None:
    for unsent in list(_sending):
        # Another thread may have cancelled it meanwhile.
        if unsent in _sending:
            unsent.join()


class Queue(_native.ProcessQueue, _StandardQueue):
    """A queue of objects between processes.

    Args:
        maxsize: how many objects it may hold; zero or less: any number.
        ctx: the context that starts those who are to have it.

    ``put`` pickles the object at once and never waits for room, but for a place where there is a bound: what does not fit into the queue's
    memory (256 KiB) is sent later, by a thread that this process joins at its exit. A process that is killed takes what it had not sent
    yet with it, and an object that it was just getting; nobody else is harmed.

    Safe to use from all threads and processes. It can be handed to a child only as it is started. Counterpart: multiprocessing.Queue.
    """

    _ignore_epipe = False

    def __init__(self, maxsize: int = 0, *, ctx: BaseContext) -> None:
        self._is_fork_ctx = is_fork(ctx)
        self._set_up(maxsize if maxsize > 0 else _MOST)
        self._create(maxsize if maxsize > 0 else 0)

    def _set_up(self, maxsize: int) -> None:
        if operator.index(maxsize) > _MOST:
            raise OverflowError("signed integer is greater than maximum")
        self._maxsize = maxsize
        self._opid = os.getpid()
        self._cancelled: set[int] = set()

    def __getstate__(self) -> Any:
        context.assert_spawning(self)
        if self._is_fork_ctx:
            refuse()
        return (self._ignore_epipe, self._maxsize, self._opid, *map(_dup, self._descriptors()))

    def __setstate__(self, state: Any) -> None:
        self._is_fork_ctx = False
        self._set_up(state[1])
        self._ignore_epipe, self._maxsize, self._opid = state[:3]
        memory, items, slots = map(_detach, state[3:])
        assert memory is not None and items is not None
        self._open(memory, items, slots)

    def empty(self) -> bool:
        """Whether there is nothing to get; others may change that at any time. Counterpart: multiprocessing.Queue.empty."""
        if self._closed and self._has_put and self._unsent().is_empty():
            raise OSError("handle is closed")
        return self._is_empty()

    def get_nowait(self) -> Any:
        """The same as get(block=False). Counterpart: multiprocessing.Queue.get_nowait."""
        return self.get(False)

    def put_nowait(self, obj: Any) -> None:
        """The same as put(obj, block=False).

        Args:
            obj: what to put.

        Counterpart: multiprocessing.Queue.put_nowait.
        """
        self.put(obj, False)

    async def aget(self) -> Any:
        """Take an object out of the queue; waits until there is one, and holds up no loop.

        Raises ValueError when the queue was closed by this process. A wait that is cancelled has taken nothing. For the tasks of any asyncio loop.
        """
        while True:
            try:
                return self.get(False)
            except Empty:
                await until_ready(self._watch_items)

    async def aput(self, obj: Any) -> None:
        """Put an object into the queue; waits until there is a place, and holds up no loop.

        Args:
            obj: what to put.

        Raises ValueError when the queue was closed by this process. A wait that is cancelled has put nothing. For the tasks of any asyncio loop.
        """
        while True:
            try:
                return self.put(obj, False)
            except Full:
                await until_ready(self._watch_slots)

    def close(self) -> None:
        """Neither put nor get any more in this process. What was put is still sent. Counterpart: multiprocessing.Queue.close."""
        self._refuse()

    def join_thread(self) -> None:
        """Wait until all that this process has put is sent. To be called after close(). Counterpart: multiprocessing.Queue.join_thread."""
        assert self._closed, f"Queue {self!r} not closed"
        if os.getpid() not in self._cancelled:
            self._unsent().join()

    def cancel_join_thread(self) -> None:
        """Let this process end without sending what it has put. Counterpart: multiprocessing.Queue.cancel_join_thread."""
        self._cancelled = {os.getpid()}
        _sending.discard(self._unsent())

    def _feeding(self) -> None:
        """The native put has started a thread."""
        if os.getpid() not in self._cancelled:
            _send_before_exit(self._unsent())

    def _not_pickled(self, error: Exception, obj: Any) -> None:
        """The native put could not pickle an object. The standard queue notices that in a thread, where nobody could catch it."""
        if util.is_exiting():
            util.info("error in queue thread: %s", error)
            return
        hooked: Any = self
        try:
            raise error
        except Exception:
            hooked._on_queue_feeder_error(error, obj)

    def _terminate_broken(self) -> None:
        """Close a queue that nobody reads any more. (concurrent.futures calls it.)"""
        self._unsent().give_up()
        self.close()
        self.join_thread()

    # What programs know by its private name.

    @property
    def _reader(self) -> ReadEnd:
        return ReadEnd(self)

    @property
    def _writer(self) -> WriteEnd:
        return WriteEnd(self)

    @property
    def _rlock(self) -> EndLock:
        return EndLock(self, reading=True)

    @property
    def _wlock(self) -> EndLock:
        return EndLock(self, reading=False)


class JoinableQueue(Queue, _StandardJoinableQueue):
    """A queue between processes that knows which of its objects are done.

    Args:
        maxsize: how many objects it may hold; zero or less: any number.
        ctx: the context that starts those who are to have it.

    ``task_done`` raises ValueError when it is called more often than objects were put; ``join`` blocks until it was called for each. An object that could
    not be pickled does not count. Safe to use from all threads and processes. Counterpart: multiprocessing.JoinableQueue.
    """

    task_done = _native.ProcessQueue._task_done
    join = _native.ProcessQueue._join


class SimpleQueue(_native.ProcessSimpleQueue, _StandardSimpleQueue):
    """A queue of objects between processes, without bound, time-outs or thread: ``put`` waits while there is no room in its memory (256 KiB).

    Args:
        ctx: the context that starts those who are to have it.

    Safe to use from all threads and processes. It can be handed to a child only as it is started. Counterpart: multiprocessing.SimpleQueue.
    """

    def __init__(self, *, ctx: BaseContext) -> None:
        self._is_fork_ctx = is_fork(ctx)
        self._create(0)
        # Nothing is written to it: see `_end_writing`.
        self._lives, self._life = Pipe(duplex=False)

    def __getstate__(self) -> Any:
        context.assert_spawning(self)
        if self._is_fork_ctx:
            refuse()
        return (self._lives, self._life, *map(_dup, self._descriptors()))

    def __setstate__(self, state: Any) -> None:
        self._is_fork_ctx = False
        self._lives, self._life = state[:2]
        memory, items, slots = map(_detach, state[2:])
        assert memory is not None and items is not None
        self._open(memory, items, slots)

    def _end_writing(self) -> None:
        """This process closes `_writer`: from now on it gets EOFError where all who have not done so are gone, as from a pipe."""
        if not self._life.closed:
            self._life.close()
            self._ends_with(os.dup(self._lives.fileno()))

    def close(self) -> None:
        """All other methods raise OSError from now on, in this process. Counterpart: multiprocessing.SimpleQueue.close."""
        self._refuse()
        self._lives.close()
        self._life.close()

    # What programs know by its private name.

    @property
    def _poll(self) -> Callable[..., bool]:
        return self._reader.poll

    @property
    def _reader(self) -> ReadEnd:
        return ReadEnd(self)

    @property
    def _writer(self) -> WriteEnd:
        return WriteEnd(self)

    @property
    def _rlock(self) -> EndLock:
        return EndLock(self, reading=True)

    @property
    def _wlock(self) -> EndLock:
        return EndLock(self, reading=False)
