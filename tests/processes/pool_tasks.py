"""Calls that the tests have workers make, and how the tests wait."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

# Against hangs only.
LIMIT = 60


def add(a: Any, b: Any = 1) -> Any:
    return a + b


def pid() -> int:
    return os.getpid()


def raise_it(error: BaseException) -> None:
    raise error


def fail_deeply() -> None:
    try:
        raise_it(KeyError("inner"))
    except KeyError as inner:
        raise ValueError("outer") from inner


def end(how: str) -> None:
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), signal.SIGKILL)


def note_and_wait(path: str) -> None:
    """Say that it has begun, and never end."""
    Path(path).write_text(str(os.getpid()))
    while True:
        time.sleep(3600)


def append(path: str, text: str) -> str:
    with open(path, "a") as file:
        file.write(text + "\n")
    return text


def die_at_first(path: str) -> str:
    """Die, unless somebody has before."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "second"
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def wait_for_file(path: str) -> bool:
    until(lambda: os.path.exists(path))
    return True


def until(condition: Any) -> None:
    """Wait for something that another process does."""
    end_of_time = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end_of_time, "it has not come"
        time.sleep(0.002)


def set_variable(value: str) -> None:
    os.environ["PLAIT_TEST_POOL"] = value


def surroundings() -> dict[str, Any]:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "cwd": os.getcwd(),
        "umask": mask,
        "variable": os.environ.get("PLAIT_TEST_POOL"),
        "path": sys.path,
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, []),
    }


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("not me")


class NotLoadable:
    """Goes, but does not arrive."""

    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise RuntimeError("not here")


class DiesOnArrival:
    def __reduce__(self) -> Any:
        return os._exit, (5,)


def make(kind: str) -> Any:
    return {"unpicklable": Unpicklable, "not loadable": NotLoadable}[kind]()


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    try:  # ended, and not waited for yet
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def forbid_memfd() -> None:
    """From now on memfd_create fails with EPERM in this process and its children: a seccomp filter."""

    class Filter(ctypes.Structure):
        _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]

    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(Filter))]

    number = {"x86_64": 319, "aarch64": 279}[os.uname().machine]
    steps = (Filter * 4)(
        Filter(0x20, 0, 0, 0),  # load the system call's number
        Filter(0x15, 0, 1, number),  # is it that one
        Filter(0x06, 0, 0, 0x00050000 | 1),  # EPERM
        Filter(0x06, 0, 0, 0x7FFF0000),  # else: allowed
    )
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(Program(4, steps)), 0, 0) == 0, os.strerror(ctypes.get_errno())
