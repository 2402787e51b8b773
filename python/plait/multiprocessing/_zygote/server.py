"""The zygote itself: a process with one thread that imports what it was told, then forks when it is asked.

While it imports, its program's end kills it by SIGIO, which the hang-up of the socket sends: an import cannot be made to look at a descriptor. Later it waits for all that matters to
it in one place: requests, the program's pidfd, and the pidfds of the processes that it has forked.
"""

import contextlib
import errno
import gc
import os
import pickle
import select
import selectors
import signal
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from fcntl import F_GETFL, F_SETFL, F_SETOWN, fcntl
from importlib import import_module
from multiprocessing import process, spawn, util
from typing import Any

import plait.multiprocessing.context  # has the standard library know of the start method
from plait.multiprocessing._zygote import worker
from plait.multiprocessing._zygote.messages import END, MOST_DESCRIPTORS, NUMBER, Ready

assert plait.multiprocessing.context

_util: Any = util

# What a process may take to end by itself when its program is gone.
_GRACE = 5.0

# So many descriptors are kept for a request that comes when there are no others: that where its process would read, and that where the refusal is told.
_SPARE = 2

_MAIN = ("init_main_from_name", "init_main_from_path")


@dataclass(frozen=True)
class Forked:
    """A process that the zygote has forked and not reaped."""

    pid: int
    pidfd: int
    report: socket.socket

    def tell(self, what: bytes, *fds: int) -> None:
        try:
            socket.send_fds(self.report, [what], fds)
        except (BrokenPipeError, ConnectionResetError):
            pass  # nobody wants to know any more

    def reap(self) -> None:
        """Of one that has ended."""
        _, status, usage = os.wait4(self.pid, 0)
        self.tell(END.pack(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024))
        self.forget()

    def forget(self) -> None:
        self.report.close()
        os.close(self.pidfd)


class Zygote:
    """Forks on request. `control` is the socket by which requests come, `program` the pidfd of who sends them."""

    def __init__(self, control: socket.socket, program: int) -> None:
        self._control = control
        self._program = program
        self._forked: dict[int, Forked] = {}
        self._spare: list[int] = []
        self._keep_spare()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._selector.register(program, selectors.EVENT_READ)

    def serve(self) -> None:
        """Until the program has ended, or has left the zygote and no process of it runs any more."""
        left = False
        while not left or self._forked:
            ready = {key.fileobj for key, _ in self._selector.select()}
            if self._program in ready:
                self._end_all()
                return
            for pidfd in [pidfd for pidfd in self._forked if pidfd in ready]:
                self._selector.unregister(pidfd)
                self._forked.pop(pidfd).reap()
            if self._control in ready and not self._answer():
                self._selector.unregister(self._control)
                left = True

    def _answer(self) -> bool:
        """Answer a request, unless the program has none any more."""
        fds: list[int] = []
        while self._spare:
            os.close(self._spare.pop())
        try:
            message, fds, flags, _ = socket.recv_fds(self._control, 16, MOST_DESCRIPTORS)
            if not message:
                return False
            try:
                if flags & socket.MSG_CTRUNC:  # the others were closed
                    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                self._fork(fds)
            except OSError as error:
                _refuse(fds, error)
        except ConnectionResetError:
            return False
        finally:
            for fd in fds:
                os.close(fd)
            self._keep_spare()
        return True

    def _keep_spare(self) -> None:
        with contextlib.suppress(OSError):  # of the whole system: there may be some again when the next request has come
            while len(self._spare) < _SPARE:
                self._spare.append(os.dup(self._program))

    def _fork(self, fds: list[int]) -> None:
        """Raises OSError if there is no process then."""
        with contextlib.ExitStack() as undo:
            report = undo.enter_context(socket.socket(fileno=os.dup(fds[1])))
            place = os.dup(self._program)  # for the pidfd: better to have none for it before there is a process
            try:
                pid = os.fork()
            finally:
                os.close(place)
            if pid == 0:
                report.close()
                worker.live(fds, self._forget)
            undo.callback(_end, pid)  # it waits for its orders still
            forked = Forked(pid, os.pidfd_open(pid), report)
            undo.callback(os.close, forked.pidfd)
            self._selector.register(forked.pidfd, selectors.EVENT_READ)
            undo.callback(self._selector.unregister, forked.pidfd)
            forked.tell(NUMBER.pack(pid), forked.pidfd)
            self._forked[forked.pidfd] = forked
            undo.pop_all()

    def _forget(self) -> None:
        """In a fork: what was the zygote's."""
        self._selector.close()
        self._control.close()
        os.close(self._program)
        for forked in self._forked.values():
            forked.forget()

    def _end_all(self) -> None:
        """The program is gone, and its processes with it: first they are asked, as daemonic ones are at a program's end."""
        for ending, limit in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, None)):
            for forked in self._forked.values():
                signal.pidfd_send_signal(forked.pidfd, ending)
            self._reap_until(limit)

    def _reap_until(self, limit: float | None) -> None:
        poll = select.poll()
        for pidfd in self._forked:
            poll.register(pidfd, select.POLLIN)
        while self._forked:
            ended = poll.poll(None if limit is None else limit * 1000)
            if not ended:
                return
            for pidfd, _ in ended:
                poll.unregister(pidfd)
                self._forked.pop(pidfd).reap()


def _refuse(fds: list[int], error: OSError) -> None:
    """Tell the one whose request came with these descriptors why there is no process, if he can be told: otherwise he hears the socket close."""
    if len(fds) > 1:
        with socket.socket(fileno=fds.pop(1)) as report:
            Forked(0, -1, report).tell(NUMBER.pack(-(error.errno or errno.EAGAIN)))


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def main(control_fd: int, orders: int, program: int) -> None:
    """What the zygote's command line calls."""
    control = socket.socket(fileno=control_fd)
    # Ctrl-C goes to all processes of a terminal, and the zygote ends when its program does. Blocked, not ignored: a process that it reaches before it runs is to hear of it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    flags = fcntl(control, F_GETFL)
    fcntl(control, F_SETOWN, os.getpid())
    fcntl(control, F_SETFL, flags | os.O_ASYNC)
    pidfd = os.pidfd_open(program)
    if os.getppid() != program:
        return  # the program has ended, and its number may be another's
    with open(orders, "rb") as file:
        data, preload = pickle.load(file), pickle.load(file)
    ready = _prepare(data, preload)
    fcntl(control, F_SETFL, flags)
    gc.collect()
    gc.freeze()  # or each process copies the pages of all objects when it first collects
    control.send(pickle.dumps(ready))
    if not ready.refusal:
        Zygote(control, pidfd).serve()
    _util._flush_std_streams()
    os._exit(0)


def _prepare(data: dict[str, Any], preload: Iterable[str]) -> Ready:
    """Import what is to be imported, as a spawned child would, and see what that has done."""
    _util._close_stdin()
    spawn.prepare({key: value for key, value in data.items() if key not in _MAIN})
    problems = []
    for name in preload:
        try:
            if name == "__main__":
                _import_main({key: data[key] for key in _MAIN if key in data})
            else:
                import_module(name)
        except (Exception, SystemExit) as error:
            problems.append(f"{name}: {type(error).__name__}: {error}")
        threads = len(os.listdir("/proc/self/task"))
        if threads > 1:
            return Ready(problems, f"after it had imported {name} it had {threads} threads, and what has threads cannot be forked safely")
    return Ready(problems, "")


def _import_main(data: dict[str, Any]) -> None:
    current: Any = process.current_process()
    current._inheriting = True  # a main module that starts processes when it is imported is told so
    try:
        spawn.prepare(data)
    finally:
        del current._inheriting
