"""``plait.fs.tempfile``: the files and directories of the standard ``tempfile``, asynchronous. Counterpart: ``aiofiles.tempfile``.

Their names are chosen, and they are made and deleted, by the standard module, in a thread: a hop each. In between a temporary
file is an ordinary file of `plait.fs`.
"""

import os
import sys
import tempfile
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

from ._engine import current_engine, in_thread
from ._open import Mode, Opening, _check, dress
from ._spooled import AsyncSpooledTemporaryFile

__all__ = ["NamedTemporaryFile", "SpooledTemporaryFile", "TemporaryDirectory", "TemporaryFile"]


def NamedTemporaryFile(
    mode: str = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: str | None = None,
    prefix: str | None = None,
    dir: Any = None,
    delete: bool = True,
    delete_on_close: bool = True,
    *,
    errors: str | None = None,
    loop: Any = None,
    executor: Any = None,
) -> Opening:
    """Open a temporary file that has a name, to be awaited or entered.

    Args:
        All but the last two are as of the standard one; delete_on_close is obeyed on every Python, also before 3.12. loop and executor
        are not used.

    Raises:
        OSError: it cannot be made.

    For tasks of any loop. Counterpart: ``tempfile.NamedTemporaryFile``.
    """
    chosen: dict[str, Any] = {"suffix": suffix, "prefix": prefix, "dir": dir}
    return Opening(_named(mode, buffering, encoding, errors, newline, delete, delete_on_close, chosen))


def TemporaryFile(
    mode: str = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: str | None = None,
    prefix: str | None = None,
    dir: Any = None,
    *,
    errors: str | None = None,
    loop: Any = None,
    executor: Any = None,
) -> Opening:
    """Open a temporary file without a name, which is gone when it is closed; to be awaited or entered. Counterpart: ``tempfile.TemporaryFile``."""
    chosen: dict[str, Any] = {"suffix": suffix, "prefix": prefix, "dir": dir}
    return Opening(_unnamed(mode, buffering, encoding, errors, newline, chosen))


def SpooledTemporaryFile(
    max_size: int = 0,
    mode: str = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: str | None = None,
    prefix: str | None = None,
    dir: Any = None,
    *,
    errors: str | None = None,
    loop: Any = None,
    executor: Any = None,
) -> Opening:
    """Open a temporary file that stays in memory up to max_size bytes; to be awaited or entered. Counterpart: ``tempfile.SpooledTemporaryFile``."""
    made = tempfile.SpooledTemporaryFile(max_size, mode, buffering, encoding, newline, suffix, prefix, dir, errors=errors)
    return Opening(_ready(AsyncSpooledTemporaryFile(made, max_size)))


class TemporaryDirectory(Coroutine[Any, Any, Any]):
    """A temporary directory: ``async with TemporaryDirectory() as name``, or awaited: then its ``cleanup`` is a coroutine. Counterpart: ``tempfile.TemporaryDirectory``."""

    def __init__(
        self, suffix: str | None = None, prefix: str | None = None, dir: Any = None, loop: Any = None, executor: Any = None
    ) -> None:
        self._coroutine = self._make(suffix, prefix, dir)
        self._made: Any = None

    async def _make(self, *args: Any) -> "TemporaryDirectory":
        self._made = await in_thread(tempfile.TemporaryDirectory, *args)
        return self

    @property
    def name(self) -> str:
        return self._made.name  # type: ignore[no-any-return]

    async def cleanup(self) -> None:
        """Delete it with all that is in it."""
        await in_thread(self._made.cleanup)

    async def close(self) -> None:  # type: ignore[override]
        """The same, as aiofiles calls it."""
        await self.cleanup()

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        return self._coroutine.throw(*args)

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    async def __aenter__(self) -> str:
        if self._made is None:
            await self._coroutine
        return self.name

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.cleanup()


async def _ready(value: Any) -> Any:
    return value


async def _named(
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    delete: bool,
    delete_on_close: bool,
    chosen: dict[str, Any],
) -> Any:
    parsed = _check("", mode, buffering, encoding, errors, newline, True)
    options = {"delete_on_close": delete_on_close} if sys.version_info >= (3, 12) else {}
    keeper = await in_thread(tempfile.NamedTemporaryFile, "w+b", 0, delete=delete, **options, **chosen)
    file = await _adopt(keeper, parsed, mode, buffering, encoding, errors, newline)

    async def delete_it() -> None:
        # The standard object closes its own descriptor, and deletes the file if it was told to.
        await in_thread(keeper.close)

    file._after_close = delete_it
    if delete and not delete_on_close:
        # It stays when the file is closed, and goes at the end of the block, as in the standard module.
        file._after_close = None
        return _DeletedAtExit(file, keeper)
    file.delete = delete
    return file


class _DeletedAtExit:
    """A file that is deleted at the end of its ``async with`` block."""

    def __init__(self, file: Any, keeper: Any) -> None:
        self._file = file
        self._keeper = keeper
        self.delete = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *exception: Any) -> None:
        try:
            await self._file.close()
        finally:
            await in_thread(self._delete, *exception)

    def _delete(self, *exception: Any) -> None:
        self._keeper.close()
        try:
            os.unlink(self._keeper.name)
        except FileNotFoundError:
            pass

    def __aiter__(self) -> Any:
        return self._file.__aiter__()


async def _unnamed(
    mode: str, buffering: int, encoding: str | None, errors: str | None, newline: str | None, chosen: dict[str, Any]
) -> Any:
    parsed = _check("", mode, buffering, encoding, errors, newline, True)
    keeper = await in_thread(tempfile.TemporaryFile, "w+b", 0, **chosen)
    try:
        return await _adopt(keeper, parsed, mode, buffering, encoding, errors, newline)
    finally:
        keeper.close()


async def _adopt(
    keeper: Any, parsed: Mode, mode: str, buffering: int, encoding: str | None, errors: str | None, newline: str | None
) -> Any:
    number = os.dup(keeper.fileno())
    engine = current_engine()
    # The standard module opens its files for both, whatever the mode says; the object obeys the mode.
    native = await engine.adopt(number, keeper.name, True, parsed.readable, parsed.writable, -1 if buffering == 1 else buffering)
    return dress(native, mode, parsed, buffering, encoding, errors, newline)
