"""The two ends and the two locks of a queue, for programs that know them by their private names.

The standard queue is a pipe with a lock at each end, and programs reach for them: ``multiprocessing.connection.wait([queue._reader])``, ``queue._reader.fileno()`` in a
selector, ``_rlock`` to keep others from reading. There is no pipe here. What is asked of these objects is asked of the queue; ends of one queue are
equal, whenever they were made.
"""

from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Any


class _End:
    """One end of a queue. ``readable`` and ``writable`` are as those of a connection."""

    readable = writable = False

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._queue is self._queue

    def __hash__(self) -> int:
        return hash((type(self), id(self._queue)))

    @property
    def closed(self) -> bool:
        """Whether it was closed in this process, or the queue."""
        return self._mark in self._queue.__dict__ or (self._queue._closed and not hasattr(self._queue, "qsize"))

    @property
    def _mark(self) -> str:
        return f"_closed_{type(self).__name__}"

    def close(self) -> None:
        """This end is not used any more, by this process."""
        self._queue.__dict__[self._mark] = True

    def fileno(self) -> int:
        """A descriptor that is readable while there is something to get. It belongs to the queue: not to be read, nor closed."""
        self._check_open()
        descriptor: int = self._queue._watch_items()
        return descriptor

    def _check_open(self) -> None:
        if self.closed:
            raise OSError("handle is closed")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._queue!r}>"


class ReadEnd(_End):
    """Where a queue's objects come out. Counterpart: the reading Connection of its pipe."""

    readable = True

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to get, now or within `timeout` seconds; None: whenever it may be. OSError: it is closed."""
        self._check_open()
        there: bool = self._queue._wait_for_item(timeout)
        return there

    def recv(self) -> Any:
        """The next object; waits until there is one. OSError: it is closed."""
        self._check_open()
        return self._queue._receive()

    def recv_bytes(self) -> bytes:
        """The next object's pickle."""
        return bytes(ForkingPickler.dumps(self.recv()))


class WriteEnd(_End):
    """Where objects are put in. Counterpart: the writing Connection of the queue's pipe."""

    writable = True

    def close(self) -> None:
        """This process does not put any more. A reader of a SimpleQueue gets EOFError when all others are gone who might."""
        super().close()
        end_writing = getattr(self._queue, "_end_writing", None)
        if end_writing is not None and not self._queue._closed:
            end_writing()

    def send(self, obj: Any) -> None:
        """Put an object in. OSError: it is closed. ValueError: the queue is."""
        self._check_open()
        self._queue.put(obj)

    def send_bytes(self, buf: Any, offset: int = 0, size: int | None = None) -> None:
        """Put in the object whose pickle this is.

        Args:
            buf: bytes, or what has them.
            offset, size: which of them; None: all from there on.
        """
        view = memoryview(buf).cast("B")[offset:]
        self.send(ForkingPickler.loads(view if size is None else view[:size]))


class EndLock:
    """Keeps all others from one end of the queue. Counterpart: the multiprocessing.Lock there.

    Its holder is the process: any of its threads may release it. If the process dies, it is free. With it held, put() of a queue without time-outs
    waits, and get() finds nothing.
    """

    def __init__(self, queue: Any, *, reading: bool) -> None:
        self._queue, self._reading = queue, reading

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take it. False: not at once, if not `block`, or not within `timeout` seconds (None: for ever)."""
        taken: bool = self._queue._hold(self._reading, block, timeout)
        return taken

    def release(self) -> None:
        """Give it back. ValueError: this process does not have it."""
        if not self._queue._release(self._reading):
            raise ValueError("semaphore or lock released too many times")

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
