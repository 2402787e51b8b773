"""One worker process, as the supervisor sees it.

Until it is ready, what it writes to stderr comes here: it is shown when it is ready, or kept as its last words when it dies. After that it writes to the supervisor's stderr itself.

It leads a process group of its own, so that Ctrl-C at a terminal reaches the supervisor alone, which then ends the workers in order.
"""

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from plait._workers import _words
from plait._workers._cells import Cells
from plait._workers._channel import Channel
from plait._workers._settings import Settings
from plait._workers._sockets import Key, Sockets

# The working directory is none of the places where python would look for modules, if it ran the program; it is for plait, if that lies there.
_BOOT = """\
import sys
here = [] if sys.flags.safe_path else [sys.path.pop(0)]
try:
    from plait._workers.inside.boot import main
except ModuleNotFoundError:
    sys.path[:0], here = here, []
    from plait._workers.inside.boot import main
main(here)
"""
# So many bytes of what a worker writes before it is ready are kept.
_LONGEST_WORDS = 64 * 1024
# A stuck worker has so many seconds to say where it is stuck.
_DYING = 2.0
# One that says that it is ready has so many seconds to ask for all sockets that the one before it has.
_FOR_THE_REST = 5.0
# In the place of what it exits with.
_NOT_STARTED = 1


class Process:
    """See above. For the supervisor's loop."""

    def __init__(self, place: int, cell: int, cells: Cells, sockets: Sockets, settings: Settings) -> None:
        self.place = place
        self.cell = cell
        self.pid = 0
        self.words = bytearray()
        self.began = time.monotonic()
        self.listens = False  # it has asked for a socket
        self.awaited: frozenset[Key] = frozenset()  # what the one before it listens to
        self.is_ready = False
        self.leaving = False  # it was told to end
        self.requests_limit: float | None = None
        self.memory_limit: float | None = None
        self.beats = 0
        self.silent = 0.0  # for so many seconds it has not beaten
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self._loop = loop
        self._cells = cells
        self._sockets = sockets
        self._settings = settings
        self._descriptors: set[int] = set()  # that the loop watches
        self._late: asyncio.TimerHandle | None = None  # it says that it is ready, and more is awaited

    # ---- its beginning

    def start(self, work: dict[str, Any], expected: bool) -> None:
        """Start it. `work`: what it is to run; `expected`: those before it have listened.

        Raises:
            OSError: there are no descriptors, or no memory. Then it has ended before it began.
        """
        settings = self._settings
        payload = {"work": work, "place": self.place, "expected": expected, "cell": self.cell, "cells": self._cells.count, "beat": settings.beat}
        payload |= {"sharing": settings.sharing, "linger": settings.linger, "deadline": settings.deadline}
        try:
            work_pipe = self._spawn()
        except OSError as error:
            self.words += f"plait: a worker could not be started: {error}\n".encode()
            self.ready.cancel()
            self.ended.set_result(_NOT_STARTED)
            raise
        for descriptor, callback in ((self._pidfd, self._on_end), (self._channel.fileno(), self._on_message), (self._stderr, self._on_words)):
            self._loop.add_reader(descriptor, callback)
            self._descriptors.add(descriptor)
        self._hand_over(work_pipe, pickle.dumps(payload))

    def _spawn(self) -> int:
        """The process, and what leads to it. Returns the end of a pipe by which it is told what to run."""
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            channel, its_channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(channel.close)
            theirs.callback(its_channel.close)
            words, its_words = _pipe(ours, theirs)
            its_work, work = _pipe(theirs, ours)
            its_stderr = _stderr_of_its_own()
            theirs.callback(os.close, its_stderr)
            given = [its_channel.fileno(), self._cells.descriptor, its_work, its_stderr]
            options: list[str] = vars(subprocess)["_args_from_interpreter_flags"]()
            self._popen = subprocess.Popen(
                [sys.executable, *options, "-c", _BOOT, *map(str, given)],
                stdin=subprocess.DEVNULL,
                stderr=its_words,
                pass_fds=given,
                env={**os.environ, "PLAIT_WORKER": str(self.place + 1)},
                process_group=0,
            )
            try:
                self._pidfd = os.pidfd_open(self._popen.pid)
            except OSError:
                self._popen.kill()
                self._popen.wait()
                raise
            self.pid = self._popen.pid
            channel.setblocking(False)
            os.set_blocking(words, False)
            os.set_blocking(work, False)
            self._channel = Channel(channel)
            self._stderr = words
            ours.pop_all()
            return work

    def _hand_over(self, descriptor: int, payload: bytes) -> None:
        """By a pipe, which need not take it all at once."""
        left = memoryview(payload)

        def write() -> None:
            nonlocal left
            try:
                while left:
                    left = left[os.write(descriptor, left) :]
            except BlockingIOError:
                return
            except OSError:  # it is dead already, of which there is word elsewhere
                pass
            self._loop.remove_writer(descriptor)
            os.close(descriptor)

        # It is closed by `write` and by nothing else: whoever reads it may die, and then writing fails.
        self._loop.add_writer(descriptor, write)

    # ---- what it says

    def _on_message(self) -> None:
        try:
            while True:
                received = self._channel.receive()
                if received is None:
                    self._stop_watching(self._channel.fileno())
                    return
                self._heed(*received)
        except BlockingIOError:
            pass
        except ValueError:  # no message of ours: the worker has gone wrong
            self.kill(signal.SIGKILL)

    def _heed(self, message: dict[str, Any], descriptor: int | None) -> None:
        said = message.get("say")
        if said == "bind" and descriptor is not None:
            self._bind(message, socket.socket(fileno=descriptor))
        elif said == "release":
            family, kind, proto, address, ordinal = message["key"]
            self._sockets.release(self, (family, kind, proto, _address(address), ordinal))
        elif said == "whose":
            self._channel.send({"say": "answer", "serial": message["serial"], "ours": self._sockets.has_file(message["device"], message["inode"])})
        elif said == "ready":
            # It writes to stderr itself from now on.
            self._on_words()
            self.show_words()
            self._late = self._loop.call_later(_FOR_THE_REST, self._become_ready)
            self._look_whether_ready()

    def _bind(self, message: dict[str, Any], sock: socket.socket) -> None:
        serial = message["serial"]
        try:
            key, shared = self._sockets.bind(sock, _address(message["address"]), message["ordinal"], self.place, self)
        except (OSError, ValueError, TypeError) as error:
            sock.close()
            number = error.errno if isinstance(error, OSError) else None
            self._channel.send({"say": "answer", "serial": serial, "errno": number, "text": getattr(error, "strerror", None) or str(error)})
            return
        self.listens = True
        self._channel.send({"say": "answer", "serial": serial, "key": key}, shared.fileno())
        self._look_whether_ready()

    def _look_whether_ready(self) -> None:
        """Whoever follows another is ready when it has all sockets that that had: until then nobody else is to let go of them."""
        if self._late is not None and self.awaited <= self._sockets.keys(self):
            self._become_ready()

    def _become_ready(self) -> None:
        if self._late is not None:
            self._late.cancel()
        if self.is_ready or self.ended.done():
            return
        self.is_ready = True
        self._on_words()
        self.show_words()
        if not self.ready.done():
            self.ready.set_result(None)

    def show_words(self) -> None:
        """What it has written so far."""
        _words.write_through(bytes(self.words))
        self.words.clear()

    def _on_words(self) -> None:
        """It has written to stderr, before it was ready or in the moment after that."""
        try:
            while words := os.read(self._stderr, 65536):
                if self.is_ready:
                    _words.write_through(words)
                else:
                    self.words += words
                    del self.words[:-_LONGEST_WORDS]
            self._stop_watching(self._stderr)
        except BlockingIOError:
            pass

    # ---- its end

    def tell_to_end(self, linger: bool) -> None:
        """Have it stop accepting, finish what is in flight, and end. `linger`: there is another that accepts meanwhile, so it may take its time."""
        if self.leaving or self.ended.done():
            return
        self.leaving = True
        if not self._channel.send({"say": "leave", "linger": linger, "deadline": self._settings.deadline}):
            self.kill(signal.SIGTERM)

    async def finish(self, linger: bool) -> None:
        """The same, and see that it does. (With `linger` it has that time besides.)"""
        self.tell_to_end(linger)
        longest = self._settings.deadline + (self._settings.linger if linger else 0) + _DYING
        if await self._has_ended(longest):
            return
        _words.tell(f"worker {self.place + 1} (pid {self.pid}) was not through after {self._settings.deadline:g} s and is killed")
        self.kill(signal.SIGKILL)
        await asyncio.wait([self.ended])

    async def end_stuck(self) -> None:
        """Its loop is stuck: kill it, but have it say first where it is."""
        self.kill(signal.SIGABRT)
        if not await self._has_ended(_DYING):
            self.kill(signal.SIGKILL)

    async def _has_ended(self, seconds: float) -> bool:
        await asyncio.wait([self.ended], timeout=seconds)
        return self.ended.done()

    def kill(self, number: int) -> None:
        """Send a signal."""
        with contextlib.suppress(ProcessLookupError, OSError):
            signal.pidfd_send_signal(self._pidfd, number)

    def _on_end(self) -> None:
        status = self._popen.wait()
        with contextlib.suppress(OSError):
            self._on_words()
        for descriptor in list(self._descriptors):
            self._stop_watching(descriptor)
        if self._late is not None:
            self._late.cancel()
        self._channel.close()
        os.close(self._stderr)
        os.close(self._pidfd)
        self._cells.clear(self.cell)
        if not self.ready.done():
            self.ready.cancel()
        self.ended.set_result(status)

    def _stop_watching(self, descriptor: int) -> None:
        if descriptor in self._descriptors:
            self._descriptors.discard(descriptor)
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)

    # ---- what became of it

    @property
    def last_words(self) -> str:
        """What it has written, of one that died before it was ready."""
        return self.words.decode(errors="replace").strip()

    @property
    def age(self) -> float:
        """In seconds."""
        return time.monotonic() - self.began


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe, whose ends are closed with these."""
    reading, writing = os.pipe()
    reader.callback(os.close, reading)
    writer.callback(os.close, writing)
    return reading, writing


def _stderr_of_its_own() -> int:
    """For when a worker is ready."""
    try:
        return os.dup(_words.STDERR)
    except OSError:  # there is none
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def _address(address: Any) -> Any:
    """As the socket module wants it: JSON knows no tuples."""
    return tuple(address) if isinstance(address, list) else address
