"""A process out of the zygote, as the program sees it.

Its sentinel is a pidfd, so it is ready when the process has ended whatever became of the zygote, and signals reach this process or nobody. The exit code comes from the zygote, the
process's parent, by a socket of its own; if that is gone it is 255, as with the standard fork server.
"""

import io
import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable
from multiprocessing import context, popen_fork, resource_tracker, spawn, util
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from plait.multiprocessing._zygote.messages import END, FIXED, MOST_DESCRIPTORS, NUMBER, Surroundings
from plait.multiprocessing._zygote.worker import Inherited

_context: Any = context  # whose `reduction` a program may have replaced
_UNKNOWN = 255


class Popen(popen_fork.Popen):
    """See ``multiprocessing.popen_forkserver.Popen``, the counterpart. `request` takes a request's descriptors to the zygote."""

    method = "zygote"
    DupFd = Inherited
    # When it has ended: the most memory it had, in bytes.
    peak_memory: int | None = None

    def __init__(self, process_obj: BaseProcess, request: Callable[[list[int]], None]) -> None:
        self._fds: list[int] = []
        self._request = request
        self._reading = threading.RLock()  # a signal's handler may ask while its thread does
        super().__init__(process_obj)

    def duplicate_for_child(self, fd: int) -> int:
        """A descriptor that the process is to have; its place among those."""
        self._fds.append(fd)
        return len(self._fds) - 1

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """The exit code, or None if the process runs; without WNOHANG, when it has ended."""
        if self.returncode is None:
            if not wait([self.sentinel], 0 if flag == os.WNOHANG else None):
                return None
            with self._reading:
                if self.returncode is None:
                    code = self._told()
                    self.returncode = code if self.returncode is None else self.returncode
        return self.returncode

    def _told(self) -> int:
        try:
            message = self._report.recv(END.size)
        except ConnectionResetError:
            message = b""
        if not message:
            return _UNKNOWN
        code, self.peak_memory = END.unpack(message)
        return int(code)

    def _send_signal(self, sig: int) -> None:
        if self.returncode is None:
            try:
                signal.pidfd_send_signal(self.sentinel, sig)
            except ProcessLookupError:
                pass

    def _launch(self, process_obj: BaseProcess) -> None:
        surroundings = Surroundings.here()
        what = self._written(surroundings, process_obj)
        if FIXED + len(surroundings.streams) + len(self._fds) > MOST_DESCRIPTORS:
            raise ValueError("too many fds")
        tracker: Any = resource_tracker.getfd()
        inherited = [tracker, *surroundings.streams, *self._fds]
        try:
            orders_in = self._begin(inherited)
        except ConnectionError:
            orders_in = self._begin(inherited)  # of the next zygote: this one was killed in the midst of it
        # The open end is the process's sentinel of its parent.
        self.finalizer = util.Finalize(self, _close, (self._report, orders_in, self.sentinel))
        _write(orders_in, what)

    def _begin(self, inherited: list[int]) -> int:
        """Have the process forked, and return where its orders go: only then, so that one of which a dying zygote told nobody has nothing to run, and ends."""
        orders, orders_in = os.pipe()
        self._report, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._request([orders, theirs.fileno(), *inherited])
            self.pid, self.sentinel = self._begun()
        except BaseException:
            self._report.close()
            os.close(orders_in)
            raise
        finally:
            os.close(orders)
        return orders_in

    def _written(self, surroundings: Surroundings, process_obj: BaseProcess) -> memoryview:
        head = pickle.dumps(surroundings)
        buffer = io.BytesIO(NUMBER.pack(len(head)) + head)
        buffer.seek(0, io.SEEK_END)
        preparations = spawn.get_preparation_data(process_obj.name)
        _context.set_spawning_popen(self)
        try:
            _context.reduction.dump(preparations, buffer)
            _context.reduction.dump(process_obj, buffer)
        finally:
            _context.set_spawning_popen(None)
        return buffer.getbuffer()

    def _begun(self) -> tuple[int, int]:
        """The new process's pid and pidfd."""
        message, fds, _, _ = socket.recv_fds(self._report, NUMBER.size, 1)
        if not message:
            raise ConnectionError("the zygote ended before it had started the process")
        pid: int = NUMBER.unpack(message)[0]
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid, fds[0]


def _write(fd: int, what: memoryview) -> None:
    try:
        while what:
            what = what[os.write(fd, what) :]
    except BrokenPipeError:
        pass  # it was killed before it had read everything, which its exit code tells


def _close(report: socket.socket, *fds: int) -> None:
    report.close()
    for fd in fds:
        os.close(fd)
