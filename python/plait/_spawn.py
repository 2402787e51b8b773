"""Starting a child for less: what ``subprocess.Popen`` does, for the calls that nearly everybody makes.

Half of what a short-lived child costs its parent is Popen's Python: two dozen options that are not used, and, where Popen chooses
``posix_spawn`` (3.13), the whole environment decoded and encoded again. Here the standard module's own C function is called at
once, with the same arguments, and a Popen object is made around the child. The environment is the process's own, as Popen
leaves it wherever it forks. vfork stays in use.

Everything out of the ordinary goes to Popen itself: other options, files other than pipes and the null device, a program
that cannot be started (Popen then says why), a Popen that somebody has replaced, or one that keeps other attributes than those
known here. The first child of all goes there too, and shows which those are.

Rejected: ``posix_spawn`` from Rust, which has no word for a new session or a directory on all C libraries; a subclass of Popen,
which still runs most of that Python.
"""

import os
import subprocess
import sys
import threading
from typing import Any

_fork_exec: Any
try:
    from _posixsubprocess import fork_exec as _fork_exec
except ImportError:
    _fork_exec = None

_Popen = subprocess.Popen
_PIPE, _STDOUT, _DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL
_ORDINARY_OPTIONS = frozenset({"cwd", "start_new_session"})
# What differs from child to child. The rest of a Popen object's attributes is the same for all that are started here.
_OWN_ATTRIBUTES = frozenset({"args", "pid", "stdin", "stdout", "stderr", "returncode", "_waitpid_lock"})
_SHARED_ATTRIBUTES = {
    "_child_created": True,
    "_closed_child_pipe_fds": True,
    "_communication_started": False,
    "_input": None,
    "_sigint_wait_secs": 0.25,
    "encoding": None,
    "errors": None,
    "pipesize": -1,
    "text_mode": False,
}
_TEXTS = frozenset({str, bytes})
# Whether Popen keeps what stands above; None until it has been looked at.
_known: bool | None = None


class _Unusual(Exception):
    """To be done by Popen."""


def start(args: Any, shell: bool, stdin: Any, stdout: Any, stderr: Any, options: dict[str, Any]) -> Any:
    """Start a child, in the calling thread: a ``subprocess.Popen``.

    Args:
        args, shell, stdin, stdout, stderr, options: as of Popen; unbuffered bytes go through the pipes.

    Raises what Popen raises. It does not wait for the child. Safe to call from any thread. Counterpart: ``subprocess.Popen``.
    """
    if _known and subprocess.Popen is _Popen and options.keys() <= _ORDINARY_OPTIONS:
        try:
            return _start_ordinary(args, shell, (stdin, stdout, stderr), **options)
        except _Unusual:
            pass
    child = subprocess.Popen(
        args, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr, universal_newlines=False, bufsize=0, **options
    )
    if _known is None:
        _look_at(child)
    return child


def _look_at(child: Any) -> None:
    """Learn from Popen's own work whether its objects are those that are made here."""
    global _known
    if type(child) is _Popen:
        attributes = {name: value for name, value in vars(child).items() if name not in _OWN_ATTRIBUTES}
        lock = type(vars(child).get("_waitpid_lock")) is type(threading.Lock())
        _known = _fork_exec is not None and lock and {**_SHARED_ATTRIBUTES, **attributes} == _SHARED_ATTRIBUTES


def _start_ordinary(
    args: Any, shell: bool, files: tuple[Any, Any, Any], cwd: Any = None, start_new_session: Any = False
) -> Any:
    command = ["/bin/sh", "-c", args] if shell else list(args)
    if not ({*map(type, command)} <= _TEXTS and (cwd is None or type(cwd) in _TEXTS)):
        raise _Unusual
    program = command[0]
    if subprocess._active:  # type: ignore[attr-defined]
        subprocess._cleanup()  # type: ignore[attr-defined]
    opened: list[int] = []
    try:
        ours, theirs = _open(files, opened)
        reports, reporter = os.pipe()
        opened += [reports, reporter]
        if min(opened) <= 2:
            raise _Unusual  # one of the first three is closed here: their numbers need care
        sys.audit("subprocess.Popen", program, command, cwd, None)
        # From here on the object answers for the child: interrupted, it leaves it to the next Popen to be waited for.
        popen = _make_popen(args, _fork(command, program, cwd, theirs, ours, (reports, reporter), start_new_session))
        os.close(opened.pop())
        if os.read(reports, 1):
            _reap(popen)
            raise _Unusual  # it could not be started
        if len(opened) > 1:
            popen.stdin, popen.stdout, popen.stderr = _files(ours, opened)
    finally:
        for fd in opened:
            os.close(fd)
    return popen


def _files(ours: list[int], opened: list[int]) -> list[Any]:
    """File objects over our ends, which own them from now on."""
    streams: list[Any] = [None, None, None]
    for number, mode in enumerate(("wb", "rb", "rb")):
        if ours[number] != -1:
            streams[number] = open(ours[number], mode, 0)
            opened.remove(ours[number])
    return streams


def _open(files: tuple[Any, Any, Any], opened: list[int]) -> tuple[list[int], list[int]]:
    """Our ends and the child's of its three files. What was opened for them is noted."""
    ours, theirs = [-1, -1, -1], [-1, -1, -1]
    for number, file in enumerate(files):
        if file is None:
            continue
        if type(file) is not int or not _DEVNULL <= file <= _PIPE:
            raise _Unusual
        if file == _PIPE:
            read, write = os.pipe()
            opened += [read, write]
            ours[number], theirs[number] = (write, read) if number == 0 else (read, write)
        elif file == _DEVNULL:
            theirs[number] = os.open(os.devnull, os.O_RDWR)
            opened.append(theirs[number])
        elif number == 2:
            theirs[2] = theirs[1] if theirs[1] != -1 else sys.__stdout__.fileno()  # type: ignore[union-attr]
        else:
            raise _Unusual
    return ours, theirs


def _fork(
    command: list[Any],
    program: Any,
    cwd: Any,
    theirs: list[int],
    ours: list[int],
    reports: tuple[int, int],
    start_new_session: Any,
) -> int:
    program = os.fsencode(program)
    if os.path.dirname(program):
        programs = [program]
    else:
        programs = [os.path.join(os.fsencode(place), program) for place in os.get_exec_path()]
    return _fork_exec(  # type: ignore[no-any-return]
        command,
        programs,
        True,  # close_fds
        (reports[1],),
        cwd,
        None,  # env
        theirs[0],
        ours[0],
        ours[1],
        theirs[1],
        ours[2],
        theirs[2],
        *reports,
        True,  # restore_signals
        start_new_session,
        -1,  # process_group
        None,
        None,
        None,
        -1,  # umask
        None,  # preexec_fn
        subprocess._USE_VFORK,
    )


def _reap(popen: Any) -> None:
    try:
        _, status = os.waitpid(popen.pid, 0)
    except ChildProcessError:  # somebody waits for any child
        status = 0
    popen.returncode = os.waitstatus_to_exitcode(status)


def _make_popen(args: Any, pid: int) -> Any:
    popen = _Popen.__new__(_Popen)
    vars(popen).update(
        _SHARED_ATTRIBUTES,
        args=args,
        pid=pid,
        stdin=None,
        stdout=None,
        stderr=None,
        returncode=None,
        _waitpid_lock=threading.Lock(),
    )
    return popen
