"""Calls that the tests have workers make, on whatever engine. They meet by files, since the workers may be threads, children or somebody else's."""

import contextvars
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

# Against hangs only.
LIMIT = 60

request: "contextvars.ContextVar[str]" = contextvars.ContextVar("request", default="none")
user: "contextvars.ContextVar[str]" = contextvars.ContextVar("user", default="nobody")


def add(a: Any, b: Any = 1) -> Any:
    return a + b


def place() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def raise_it(error: BaseException) -> None:
    raise error


def fail_deeply() -> None:
    try:
        raise_it(KeyError("inner"))
    except KeyError as inner:
        raise ValueError("outer") from inner


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_first(path: str) -> str:
    """Die, unless somebody has before."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "second"
    die()
    return "never"


def note_and_wait(path: str, until_there: str) -> str:
    """Say that it has begun, and end when the other file is there, or never."""
    Path(path).touch()
    until(lambda: os.path.exists(until_there), 3600)
    return "over"


def tell_process_and_wait(path: str) -> None:
    """Write which process this is, and never end."""
    Path(path + ".part").write_text(str(os.getpid()))
    os.rename(path + ".part", path)
    until(lambda: False, 3600)


def append(path: str, text: str) -> str:
    with open(path, "a") as file:
        file.write(text + "\n")
    return text


def variables() -> tuple[str, str]:
    return request.get(), user.get()


def until(condition: Any, limit: float = LIMIT) -> None:
    """Wait for something that another process does."""
    end_of_time = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end_of_time, "it has not come"
        time.sleep(0.002)


def make_unpicklable() -> Any:
    return threading.Lock()


class NotLoadable:
    """Goes, but does not arrive."""

    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise RuntimeError("not here")
