"""Children: what of them is written in Python, around the native transport.

What starts them is in ``_spawn.py``. The end of a child is seen
natively, through a pidfd; where there are none, or where a program has installed a child watcher of another kind, that watcher is
asked, as asyncio asks it.
"""

import asyncio.subprocess
import os
import signal
import sys
from asyncio import events, unix_events
from types import ModuleType, SimpleNamespace
from typing import Any

from plait._borrowed import with_names
from plait._spawn import start as start  # called by the native transport

_native: Any = None

# The watchers that do what the native one does: there is no need to ask them.
_EQUIVALENT = {
    watcher
    for name in ("ThreadedChildWatcher", "PidfdChildWatcher", "_ThreadedChildWatcher", "_PidfdChildWatcher")
    if (watcher := getattr(unix_events, name, None)) is not None
}
_ThreadedChildWatcher: Any = getattr(unix_events, "_ThreadedChildWatcher", None) or unix_events.ThreadedChildWatcher
_threads: Any = None

# Kept, because `plait.install` puts another class under the name. The second is the same with native streams.
_standard_connection_made: Any = asyncio.subprocess.SubprocessStreamProtocol.connection_made
_make_streams: Any = None


def connect(native: ModuleType) -> None:
    """Complete the native types. Called once, when the native module is initialised."""
    global _native, _make_streams
    _native = native
    streams = SimpleNamespace(StreamReader=native.StreamReader, StreamWriter=native.StreamWriter)
    _make_streams = with_names(_standard_connection_made, streams=streams)
    native.EventLoop._make_subprocess_transport = _make_subprocess_transport
    native.EventLoop._child_watcher_callback = unix_events._UnixSelectorEventLoop._child_watcher_callback  # type: ignore[attr-defined]
    native.SubprocessTransport._wait = _wait


# ---- starting


async def _make_subprocess_transport(
    self: Any,
    protocol: Any,
    args: Any,
    shell: bool,
    stdin: Any,
    stdout: Any,
    stderr: Any,
    bufsize: int,
    extra: Any = None,
    **kwargs: Any,
) -> Any:
    watcher = installed_watcher()
    if watcher is None:
        return await _start(self, protocol, args, shell, stdin, stdout, stderr, extra, kwargs)
    with watcher as entered:
        # Up to 3.11 asyncio asks what entering gave; that is the watcher, or whatever a test has put there.
        if not (watcher if sys.version_info >= (3, 12) else entered).is_active():
            raise RuntimeError(
                "asyncio.get_child_watcher() is not activated, subprocess support is not installed."
            )
        return await _start(self, protocol, args, shell, stdin, stdout, stderr, extra, kwargs)


async def _start(
    loop: Any, protocol: Any, args: Any, shell: bool, stdin: Any, stdout: Any, stderr: Any, extra: Any, options: Any
) -> Any:
    waiter = loop.create_future()
    transport = _native.start_process(
        loop, protocol, args, shell, stdin, stdout, stderr, waiter, extra, options
    )
    try:
        await waiter
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException:
        transport.close()
        await transport._wait()
        raise
    return transport


async def connect_pipes(transport: Any, child: Any, waiter: Any) -> None:
    """Connect a child's pipes by the loop's methods, which somebody has replaced."""
    loop = transport._loop
    try:
        for fd, file, method in (
            (0, child.stdin, loop.connect_write_pipe),
            (1, child.stdout, loop.connect_read_pipe),
            (2, child.stderr, loop.connect_read_pipe),
        ):
            if file is not None:
                pipe = _native.ChildPipe(transport, fd)
                await method(lambda pipe=pipe: pipe, file)
                transport._set_pipe(fd, pipe)
        transport._pipes_connected(waiter)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        transport._pipes_not_connected(waiter, error)


# ---- the end


async def _wait(self: Any) -> int | None:
    """Wait until the child has exited and its pipes are closed; its return code."""
    waiter = self._exit_waiter()
    if waiter is None:
        return self._returncode  # type: ignore[no-any-return]
    try:
        return await waiter  # type: ignore[no-any-return]
    except BaseException:
        self._forget_exit_waiter(waiter)
        raise


def installed_watcher() -> Any:
    """The child watcher that the program has set, if it is of a kind that has to be asked."""
    watcher = getattr(getattr(events, "_event_loop_policy", None), "_watcher", None)
    return None if type(watcher) in _EQUIVALENT else watcher


def watches_by_itself() -> bool:
    """Whether a watcher is to see the end of the next child, not a pidfd."""
    return installed_watcher() is not None or not _can_use_pidfd()


_pidfd_works: bool | None = None


def _can_use_pidfd() -> bool:
    global _pidfd_works
    if _pidfd_works is None:
        _pidfd_works = unix_events.can_use_pidfd() if hasattr(unix_events, "can_use_pidfd") else _opens_pidfd()
    return _pidfd_works


def _opens_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def watch(loop: Any, transport: Any, pid: int) -> None:
    """Have a watcher see the end of a child: the program's, or a thread that waits."""
    global _threads
    watcher = installed_watcher()
    if watcher is None:
        if _threads is None:
            _threads = _ThreadedChildWatcher()
        watcher = _threads
    watcher.add_child_handler(pid, loop._child_watcher_callback, transport)


def send_signal(pidfd: int | None, pid: int, number: int) -> None:
    """Signal a child that is not reaped yet, by its pidfd if there is one. One that has exited is left alone."""
    try:
        if pidfd is None:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass


# ---- streams: asyncio.subprocess with the native ones


class SubprocessStreamProtocol(asyncio.subprocess.SubprocessStreamProtocol):
    """Between a child's transport and the native streams of ``asyncio.subprocess.Process``. Works on any loop.

    Made by ``create_subprocess_exec`` and ``create_subprocess_shell``; takes their ``limit``, in bytes, and the loop. Counterpart:
    ``asyncio.subprocess.SubprocessStreamProtocol``, whose every method it has.
    """

    def connection_made(self, transport: Any) -> None:
        """Make the streams of those of the child's three files that are pipes."""
        _make_streams(self, transport)


create_subprocess_exec = with_names(
    asyncio.subprocess.create_subprocess_exec, SubprocessStreamProtocol=SubprocessStreamProtocol
)
create_subprocess_shell = with_names(
    asyncio.subprocess.create_subprocess_shell, SubprocessStreamProtocol=SubprocessStreamProtocol
)
