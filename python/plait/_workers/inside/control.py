"""The thread of a worker that speaks with the supervisor: it asks for sockets, says when the worker is ready, has the loop beat, and hears when it is to end.

It is a thread so that all this works before the program has a loop, after it, and whatever loop it has. It sleeps for most of its time.
"""

import asyncio
import contextlib
import errno
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
from typing import Any, ClassVar

from plait._workers._cells import Cells
from plait._workers._channel import Channel
from plait._workers.inside import courtesies

# A loop that has run for so many seconds, and listens to nothing, is ready.
_READY_AFTER = 1.0
# The same, of one that has asked for a socket in a way that does not show when it listens.
_READY_AFTER_BIND = 0.3
_STARTING_BEAT = 0.1
_GONE = "the supervisor of this worker is gone"
_ORPHANED = 75  # what a worker exits with that outlives its supervisor and does not end when told


class Control:
    """What a worker has of its supervisor. Safe to use from all threads."""

    current: ClassVar["Control | None"] = None

    def __init__(self, channel: Channel, cells: Cells, stderr: int, payload: dict[str, Any]) -> None:
        self.place: int = payload["place"]
        self.leaving = False
        self.sharing: str = payload["sharing"]
        self._channel = channel
        self._cells = cells
        self._stderr = stderr
        self._words: os.stat_result | None = None
        self._cell: int = payload["cell"]
        self._beat_every: float = payload["beat"]
        self._expected: bool = payload["expected"]
        self._linger: float = payload["linger"]
        self._deadline: float = payload["deadline"]
        self._answers: queue.SimpleQueue[tuple[dict[str, Any], int | None]] = queue.SimpleQueue()
        self._asking = threading.Lock()
        self._serial = 0  # of what was asked
        self._counting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[Any] | None = None
        self._beats = 0
        self._beat_is_due = False
        self._ready = False
        self._running_since: float | None = None
        self._bound_at: float | None = None
        self._connections = 0
        self._accepted = 0
        self._pid = os.getpid()
        with contextlib.suppress(OSError):
            self._words = os.fstat(2)  # where stderr leads until the worker is ready

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._listen, name="plait-worker", daemon=True).start()

    # ---- what the program does

    def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """This is the loop that is to beat. Called on it."""
        if self._loop is loop or threading.current_thread() is not threading.main_thread():
            return
        self._loop = loop
        self._beat_is_due = False  # the one before may not come to it any more
        tasks = asyncio.all_tasks(loop)
        self._main = next(iter(tasks)) if len(tasks) == 1 else None

    def bind(self, sock: socket.socket, address: Any, ordinal: int) -> tuple[Any, int]:
        """Ask for a socket that is bound to this address. Its name, for `release`, and its descriptor.

        Raises:
            OSError: as ``bind`` has it, or the supervisor is gone.
        """
        answer, descriptor = self._ask({"say": "bind", "address": address, "ordinal": ordinal}, sock.fileno())
        if descriptor is None:
            number, text = answer.get("errno", errno.EPIPE), answer.get("text", _GONE)
            raise OSError(text) if number is None else OSError(number, text)
        self._bound_at = time.monotonic()
        return answer["key"], descriptor

    def is_shared_file(self, device: int, inode: int) -> bool:
        """Whether this file belongs to a Unix socket of the supervisor's."""
        return bool(self._ask({"say": "whose", "device": device, "inode": inode}, None)[0].get("ours"))

    def _ask(self, question: dict[str, Any], descriptor: int | None) -> tuple[dict[str, Any], int | None]:
        """The supervisor's answer, and a descriptor with it. An empty one: it is gone."""
        with self._asking:
            self._serial += 1
            if not self._channel.send({**question, "serial": self._serial}, descriptor):
                return {}, None
            while True:
                answer, received = self._answers.get()
                if answer.get("serial") in (None, self._serial):
                    return answer, received
                if received is not None:  # who asked for that was interrupted meanwhile, by a signal's handler
                    os.close(received)

    def release(self, key: Any) -> None:
        """Such a socket was closed."""
        self._channel.send({"say": "release", "key": key})

    def ready(self) -> None:
        """The worker is ready. From now on it writes to stderr itself."""
        if self._ready or os.getpid() != self._pid:
            return
        with self._asking:
            if self._ready:
                return
            self._ready = True
        if sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()
        self._channel.send({"say": "ready"})
        if _is_same_file(2, self._words):  # a program may have gone elsewhere with it
            os.dup2(self._stderr, 2)
        os.close(self._stderr)

    def note_connection(self, change: int) -> int:
        """There is one more, or one less. How many there are."""
        with self._counting:  # there may be loops in other threads
            self._connections += change
            self._accepted += change > 0
            self._cells.set_connections(self._cell, self._connections)
            return self._connections

    def note_staying(self, connections: int) -> None:
        """So many connections live longer."""
        self._cells.set_staying(self._cell, connections)

    def note_accepting(self, accepting: bool) -> None:
        """Whether others may count on this worker."""
        self._cells.set_accepting(self._cell, accepting)

    def fewest_elsewhere(self) -> tuple[int, int] | None:
        """See `Cells.fewest_elsewhere`."""
        return self._cells.fewest_elsewhere(self._cell)

    def is_main(self, loop: Any) -> bool:
        """Whether this is the loop of the main thread."""
        return loop is self._loop

    @property
    def connections(self) -> int:
        """How many there are."""
        return self._connections

    # ---- the thread

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        while True:
            came = poll.poll((self._beat_every if self._ready else _STARTING_BEAT) * 1000)
            self._beat()
            if not came:
                continue
            received = self._channel.receive()
            if received is None:
                self._be_orphaned()
                return
            message, descriptor = received
            if message["say"] == "answer":
                self._answers.put((message, descriptor))
            elif message["say"] == "leave" and not self.leaving:
                self.leaving = True
                threading.Thread(target=self._leave, args=(message["linger"],), name="plait-worker-leaving", daemon=True).start()

    def _leave(self, linger: bool) -> None:
        from plait._workers.inside import leaving

        leaving.leave(self, self._loop, self._main, self._linger if linger else 0.0, self._deadline)

    def _beat(self) -> None:
        """Say that the loop is alive, once it is. Where none runs, this thread is all that can be alive."""
        self._cells.set_requests(self._cell, max(courtesies.requests(), 0) or self._accepted)
        loop = self._loop
        if loop is None or loop.is_closed() or not loop.is_running():
            self._running_since = None
            self._has_beaten()
        elif not self._beat_is_due:
            self._beat_is_due = True
            try:
                loop.call_soon_threadsafe(self._has_beaten_on_the_loop)
            except RuntimeError:  # it was closed in this moment
                self._has_beaten()
        if not self._ready:
            self._look_whether_ready()

    def _has_beaten_on_the_loop(self) -> None:
        if self._running_since is None:
            self._running_since = time.monotonic()
        self._has_beaten()

    def _has_beaten(self) -> None:
        self._beat_is_due = False
        self._beats += 1
        self._cells.set_beats(self._cell, self._beats)

    def _look_whether_ready(self) -> None:
        now = time.monotonic()
        if self._bound_at is not None:
            if now - self._bound_at > _READY_AFTER_BIND and self._running_since is not None:
                self.ready()
        elif not self._expected and self._running_since is not None and now - self._running_since > _READY_AFTER:
            self.ready()

    def _be_orphaned(self) -> None:
        """The supervisor is gone: nobody is to find a worker that nobody looks after."""
        self._answers.put(({}, None))
        if not self.leaving:
            self.leaving = True
            self._leave(False)
        time.sleep(self._deadline)
        if sys.stderr is not None:
            print("plait: the supervisor is gone, and this worker has not ended in time", file=sys.stderr, flush=True)
        os._exit(_ORPHANED)


def _is_same_file(descriptor: int, status: os.stat_result | None) -> bool:
    try:
        return status is not None and os.path.samestat(os.fstat(descriptor), status)
    except OSError:  # closed
        return False


def ends_by_itself() -> bool:
    """Whether the program has something of its own for SIGTERM."""
    return signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, None)
