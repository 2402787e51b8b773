"""The program's side of the zygote: it is started with the first process, asked for more, and replaced when it is gone.

A request is one message with descriptors, so any number of threads may ask at once. The lock is only for who starts the zygote. Whether it runs still is not asked beforehand: it
may end at any time, and the request then fails and is made again, of a new one.
"""

import multiprocessing.popen_spawn_posix
import os
import pickle
import select
import signal
import socket
import sys
import threading
import warnings
from dataclasses import dataclass
from multiprocessing import spawn, util
from multiprocessing.popen_fork import Popen as AnyPopen
from multiprocessing.process import BaseProcess
from typing import Any

from plait.multiprocessing._zygote.messages import Ready
from plait.multiprocessing._zygote.popen import Popen

# What the zygote is prepared with, of what a spawned child would be: the rest is the business of single processes.
_PREPARATIONS = ("sys_path", "sys_argv", "dir", "orig_dir", "init_main_from_name", "init_main_from_path", "plait")

# A zygote that was left ends at once unless it has processes. So long is waited for it where nobody would reap it later.
_GRACE = 1.0


class Refused(Exception):
    """Why this program can have no zygote."""


@dataclass(frozen=True)
class Zygote:
    """A zygote that said it was ready."""

    pid: int
    control: socket.socket

    def request(self, fds: list[int]) -> None:
        """Ask for a process. Raises OSError if the zygote is gone."""
        socket.send_fds(self.control, [b"start"], fds)

    def leave(self) -> None:
        """It gets no more requests, and will end."""
        self.control.close()


class Client:
    """There is one for a program, and a fresh one in each of its forks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._preload: list[str] = ["__main__"]
        self._zygote: Zygote | None = None
        self._left: list[int] = []  # zygotes that were left, and have to be reaped when they end
        self._refused = False  # and it was said why
        self._at_exit: util.Finalize | None = None

    def set_preload(self, module_names: Any) -> None:
        if isinstance(module_names, str) or not all(type(name) is str for name in module_names):
            raise TypeError("module_names must be a list of strings")
        with self._lock:
            if list(module_names) != self._preload:
                self._leave()
            self._preload = list(module_names)
            self._refused = False

    def start(self, process: BaseProcess) -> AnyPopen:
        if not self._refused:
            try:
                return Popen(process, self.request)
            except Refused as why:
                self._refused = True
                _warn(f"processes start by spawn, not by zygote: {why}")
        return multiprocessing.popen_spawn_posix.Popen(process)

    def request(self, fds: list[int]) -> None:
        """Ask the zygote, which is started if there is none, for a process with these descriptors.

        Raises:
            Refused: there can be none.
            OSError: no zygote stays alive.
        """
        zygote = self._running()
        try:
            zygote.request(fds)
        except (BrokenPipeError, ConnectionResetError):
            with self._lock:
                if self._zygote is zygote:
                    self._leave()
            self._running().request(fds)

    def stop(self) -> None:
        """Leave the zygote and, since its processes have ended by now, wait for its end: no zombie is left to whoever reaps orphans."""
        with self._lock:
            self._leave()
            for pid in self._left:
                _has_ended(pid, _GRACE)
            self._reap()

    def forget(self) -> None:
        """In a forked child: the zygote is its parent's."""
        self._lock = threading.Lock()  # may have been held by a thread that is not here
        zygote, self._zygote, self._left = self._zygote, None, []
        if zygote is not None:
            zygote.leave()

    def _running(self) -> Zygote:
        with self._lock:
            self._reap()
            if self._zygote is None:
                self._zygote = _start(self._preload)
                if self._at_exit is None or not self._at_exit.still_active():
                    self._at_exit = util.Finalize(None, self.stop, exitpriority=-10)  # after children were joined
            return self._zygote

    def _leave(self) -> None:
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            zygote.leave()
            self._left.append(zygote.pid)

    def _reap(self) -> None:
        self._left = [pid for pid in self._left if not _reaped(pid)]


def _start(preload: list[str]) -> Zygote:
    """Start an interpreter that becomes the zygote, and wait until it has imported what it should."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        raise Refused(f"this system lacks pidfd_open, or forbids it ({error.strerror})") from None
    data = {key: value for key, value in spawn.get_preparation_data("zygote").items() if key in _PREPARATIONS}
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    orders, orders_in = os.pipe()
    try:
        with theirs:
            command = _command(theirs.fileno(), orders, data["sys_path"])
            pid = util.spawnv_passfds(command[0], command, [theirs.fileno(), orders])
    except BaseException:
        ours.close()
        os.close(orders_in)
        raise
    finally:
        os.close(orders)
    try:
        with open(orders_in, "wb") as file:
            pickle.dump(data, file)
            pickle.dump(preload, file)
        ready = _first_word(ours)
    except BaseException as error:
        ours.close()
        status = _end(pid)
        if isinstance(error, EOFError | BrokenPipeError | ConnectionResetError):
            raise Refused(f"it ended while it imported its modules (exit code {status})") from None
        raise
    for problem in ready.problems:
        _warn(f"the zygote goes without a module: {problem}")
    if ready.refusal:
        ours.close()
        _end(pid)
        raise Refused(ready.refusal)
    return Zygote(pid, ours)


def _command(control: int, orders: int, sys_path: list[str]) -> list[Any]:
    # The path first, since it may be by the path alone that plait is found.
    program = f"import sys; sys.path[:] = {sys_path!r}; from plait.multiprocessing._zygote.server import main; main({control}, {orders}, {os.getpid()})"
    return [spawn.get_executable(), *vars(util)["_args_from_interpreter_flags"](), "-c", program]


def _first_word(control: socket.socket) -> Ready:
    word = control.recv(1 << 16)
    if not word:
        raise EOFError
    ready = pickle.loads(word)
    assert isinstance(ready, Ready)
    return ready


def _warn(message: str) -> None:
    """Warn whoever started a process, by whichever way: the first place that is neither plait's nor multiprocessing's."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] in ("plait", "multiprocessing"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, RuntimeWarning, stacklevel=level)


def _end(pid: int) -> int | None:
    """Kill a zygote that is of no use and does not end by itself; its exit code."""
    try:
        if not _has_ended(pid, _GRACE):
            os.kill(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except (ProcessLookupError, ChildProcessError):  # somebody else has reaped it
        return None


def _has_ended(pid: int, seconds: float) -> bool:
    """Whether a child has ended, after so long at most. It is not reaped."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(pidfd)


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


client = Client()
os.register_at_fork(after_in_child=client.forget)
