"""``open``: arguments as of the standard one, and what it returns."""

import functools
import io
import os
import warnings
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, NamedTuple

from plait._native import File

from ._engine import current_engine, in_thread, wanted
from ._files import AsyncBufferedRandom, AsyncBufferedReader, AsyncBufferedWriter, AsyncFileIO
from ._text import AsyncTextIOWrapper


class Opening(Coroutine[Any, Any, Any]):
    """What ``open`` returns: to be awaited, or entered with ``async with``. Like a coroutine, it does nothing before."""

    __slots__ = ("_coroutine", "_obj")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._obj: Any = None

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        return self._coroutine.throw(*args)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    async def __aenter__(self) -> Any:
        self._obj = await self._coroutine
        return await self._obj.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        opened, self._obj = self._obj, None
        return await opened.__aexit__(kind, error, traceback)


class Mode(NamedTuple):
    """A mode, understood."""

    flags: int
    readable: bool
    writable: bool
    binary: bool
    raw: str
    shown: str


_ACTIONS = {
    "r": os.O_RDONLY,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "x": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}


@functools.lru_cache(maxsize=64)
def parse_mode(mode: str) -> Mode | None:
    """What a mode says; None for what is no mode."""
    letters = set(mode)
    actions = letters & _ACTIONS.keys()
    if letters - set("rwxabt+") or len(mode) > len(letters) or len(actions) != 1 or {"b", "t"} <= letters:
        return None
    (action,) = actions
    both = "+" in letters
    flags = _ACTIONS[action] & ~os.O_WRONLY | os.O_RDWR if both else _ACTIONS[action]
    raw = action + "+" * both
    shown = {"w+": "rb+", "r+": "rb+", "x+": "xb+", "a+": "ab+"}.get(raw, action + "b")
    return Mode(flags | os.O_CLOEXEC, action == "r" or both, action != "r" or both, "b" in letters, raw, shown)


def _refuse(*args: Any) -> int:
    raise AssertionError("the standard open was to refuse its arguments")


def _check(file: Any, mode: Any, buffering: Any, encoding: Any, errors: Any, newline: Any, closefd: bool) -> Mode:
    """The mode; for arguments that do not go together, the error of the standard ``open``, from that itself."""
    parsed = parse_mode(mode) if isinstance(mode, str) else None
    wrong = (
        parsed is None
        or not isinstance(buffering, int)
        or (buffering == 0 and not parsed.binary)
        or (parsed.binary and (encoding is not None or errors is not None or newline is not None))
    )
    if parsed is not None and not parsed.binary and type(buffering) is int and buffering == 0:
        raise ValueError("can't have unbuffered text I/O")
    if wrong:
        io.open(file, mode, buffering, encoding, errors, newline, True, opener=_refuse)
    assert parsed is not None
    if not closefd and not isinstance(file, int):
        raise ValueError("Cannot use closefd=False with file name")
    return parsed


def open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Callable[[str, int], int] | None = None,
    *,
    loop: Any = None,
    executor: Any = None,
) -> Opening:
    """Open a file, to be awaited or entered: ``file = await open(…)``, ``async with open(…) as file:``.

    Args:
        file, mode, buffering, encoding, errors, newline, closefd, opener: as of the standard ``open``; buffering in bytes.
        loop, executor: taken for the sake of aiofiles' callers, and not used: the running loop's engine does the work.

    Returns:
        What can be awaited or entered, once. It gives an ``AsyncTextIOWrapper``, ``AsyncBufferedReader``, ``AsyncBufferedWriter``,
        ``AsyncBufferedRandom``, or ``AsyncFileIO`` without a buffer.

    Raises:
        OSError: what the standard ``open`` raises, with errno and filename.
        ValueError, TypeError, LookupError: the arguments; in its words, too.

    For tasks of any loop; each file belongs to the loop on which it was opened. Cancelled, the file is closed again when it is open.
    Counterpart: ``open``, and ``aiofiles.open``.
    """
    return Opening(_open(file, mode, buffering, encoding, errors, newline, closefd, opener))


async def _open(
    file: Any,
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    closefd: bool,
    opener: Callable[[str, int], int] | None,
) -> Any:
    parsed = _check(file, mode, buffering, encoding, errors, newline, closefd)
    if parsed.binary and buffering == 1:
        text = "line buffering (buffering=1) isn't supported in binary mode, the default buffer size will be used"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    size = -1 if buffering == 1 else buffering
    native = await _open_native(file, parsed, size, closefd, opener)
    return dress(native, mode, parsed, buffering, encoding, errors, newline)


async def _open_native(
    file: Any, mode: Mode, size: int, closefd: bool, opener: Callable[[str, int], int] | None
) -> File:
    engine = current_engine()
    if isinstance(file, int):
        number, owned = file, closefd
        if number < 0:
            raise ValueError("negative file descriptor")
    elif opener is not None:
        number, owned = await in_thread(_call_opener, opener, file, mode.flags), True
    else:
        if not isinstance(file, str | bytes):
            file = os.fspath(file)
        opened = engine.open(file, mode.raw, mode.flags, mode.readable, mode.writable, size)
        return _check_both_ways(opened if isinstance(opened, File) else await wanted(engine, opened), mode, size)
    native: File = await engine.adopt(number, file, owned, mode.readable, mode.writable, size)
    if mode.flags & os.O_APPEND and native.seekable():
        while native.move_to(0, os.SEEK_END) is None:
            await native.proceed()
    return _check_both_ways(native, mode, size)


def _check_both_ways(native: File, mode: Mode, size: int) -> File:
    """One buffer for both directions needs positions."""
    if mode.readable and mode.writable and size and not native.seekable():
        native.close()
        raise io.UnsupportedOperation("File or stream is not seekable.")
    return native


def _call_opener(opener: Callable[[str, int], int], file: Any, flags: int) -> int:
    number = opener(file, flags)
    if not isinstance(number, int):
        raise TypeError("expected integer from opener")
    if number < 0:
        raise ValueError(f"opener returned {number}")
    os.set_inheritable(number, False)
    return number


def dress(
    native: File,
    shown_mode: str,
    mode: Mode,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
) -> Any:
    """The object that a user gets for a file."""
    if mode.binary:
        if buffering == 0:
            return AsyncFileIO(native, mode.shown)
        if mode.readable and mode.writable:
            return AsyncBufferedRandom(native, mode.shown)
        return (AsyncBufferedReader if mode.readable else AsyncBufferedWriter)(native, mode.shown)
    try:
        lines = buffering == 1 or (buffering < 0 and not native.is_regular and native.isatty())
        return AsyncTextIOWrapper(native, shown_mode, encoding, errors, newline, lines)
    except BaseException:
        native.close()
        raise
