"""Text files: the standard `io.TextIOWrapper` over a native file that never makes it wait.

Codecs, newlines, the positions that ``tell`` gives are the standard library's own. A coroutine here first sees that what the wrapper is going
to read has been read ahead, and then calls it. How much that is, is known for the codecs of which a newline is one byte and a
character at most four; others are called in a thread of the loop's executor, one hop for each operation. Text of what has no positions comes as `ArrivingText`
gives it.
"""

import asyncio
import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from plait._native import File

from ._arriving import ArrivingText
from ._engine import in_thread
from ._files import AsyncFile

_PLAIN_CODECS = {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252", "utf-8-sig"}
# Error handlers that make at least one character of each three bytes they are given.
_PLAIN_ERRORS = {"strict", "replace", "surrogateescape", "backslashreplace"}
_MOST_PER_CHARACTER = 4
# A byte-order mark, half a character, and a carriage return that waits for its newline.
_SLACK = 16


class AsyncTextIOWrapper(AsyncFile):
    """A text file. Counterpart: ``io.TextIOWrapper``, and ``AsyncTextIOWrapper`` of aiofiles."""

    def __init__(self, file: File, mode: str, encoding: str | None, errors: str | None, newline: str | None, lines: bool) -> None:
        super().__init__(file, mode)
        self._text = io.TextIOWrapper(file, encoding, errors, newline, lines)  # type: ignore[type-var]
        codec = codecs.lookup(self._text.encoding).name
        self._plain = codec in _PLAIN_CODECS and self._text.errors in _PLAIN_ERRORS
        self._line_ends = newline in (None, "", "\n")
        self._reads = file.readable()
        self._writes = file.writable()
        self._arriving: ArrivingText | None = None
        if self._reads and not file.is_regular and not file.seekable():
            self._arriving = ArrivingText(self._text.encoding, self._text.errors, newline)

    # --- attempts: what they lack is asked of the file

    def _ready(self, ready: Callable[..., bool | None], *args: Any) -> bool | None:
        if self._file.busy:
            return self._file.drained()
        if self._writes and not self._file.closed:
            self._text.flush()
        return ready(*args)

    def _read_all(self) -> str | None:
        return self._text.read() if self._ready(self._file.all_ready) else None

    def _read_some(self, size: int) -> str | None:
        bytes_needed = _MOST_PER_CHARACTER * size + _SLACK
        if bytes_needed > sys.maxsize:
            ready = self._ready(self._file.all_ready)
        else:
            ready = self._ready(self._file.bytes_ready, bytes_needed)
        return self._up_to_the_end(self._text.read, size) if ready else None

    def _read_line(self, size: int) -> str | None:
        return self._up_to_the_end(self._text.readline, size) if self._ready(self._file.line_ready) else None

    def _read_lines(self) -> list[str] | None:
        return self._up_to_the_end(self._text.readlines) if self._ready(self._file.all_ready) else None

    def _up_to_the_end(self, read: Callable[..., Any], *args: Any) -> Any:
        """The wrapper may meet the end twice: what its decoder held back until then is text, after which it tries once more."""
        self._file.hold_end(True)
        try:
            return read(*args)
        finally:
            self._file.hold_end(False)

    def _put(self, text: str) -> int | None:
        if self._file.busy:
            return self._file.drained()
        return self._text.write(text)

    def _arrived(self, attempt: Callable[..., Any], *args: Any) -> Any:
        self._check_open("read")
        return attempt(self._arriving, self._file, *args)

    async def _when_arrived(self, attempt: Callable[..., Any], *args: Any) -> Any:
        result = None if self._turns else attempt(self._arriving, self._file, *args)
        return await self._slowly(self._arrived, attempt, *args) if result is None else result

    # --- in a thread, where nobody knows how much will be read

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """A call that may wait. The turn is held until the thread is done with the file, whoever waits for it."""
        self._turns += 1
        try:
            await self._turn().acquire()
        except BaseException:
            self._turns -= 1
            raise
        work = asyncio.ensure_future(self._begin_in_thread(function, args))
        try:
            result, _ = await asyncio.shield(work)
        except asyncio.CancelledError:
            self._behind = asyncio.ensure_future(self._put_back(work))
            raise
        except BaseException:
            self._leave_thread()
            raise
        self._leave_thread()
        return result

    async def _begin_in_thread(self, function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, int | None]:
        await self._peace()
        self._file.set_blocking(True)
        return await in_thread(self._noting_place, function, args)  # type: ignore[no-any-return]

    def _noting_place(self, function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, int | None]:
        place = None
        if function != self._text.seek:
            # Codecs of which no place in the midst can be told there are.
            with contextlib.suppress(OSError, ValueError):
                place = self._text.tell()
        return function(*args), place

    async def _put_back(self, work: "asyncio.Future[tuple[Any, int | None]]") -> None:
        """Nobody waits for what is read: it is there for the next one."""
        try:
            with contextlib.suppress(Exception):
                _, place = await work
                if place is not None:
                    await in_thread(self._text.seek, place)
        finally:
            self._leave_thread()

    def _leave_thread(self) -> None:
        self._file.set_blocking(False)
        self._turns -= 1
        self._turn().release()

    def _check_readable(self) -> None:
        if not self._reads:
            self._check_open("read")
            self._text.read(0)
            raise io.UnsupportedOperation("not readable")

    # --- reading

    async def read(self, size: int | None = -1, /) -> str:
        """Read size characters, fewer only at the end; all that follows with a negative size or None.

        Raises:
            OSError: what the kernel says. UnicodeDecodeError: the bytes are no text of that encoding.
            ValueError: the file is closed. io.UnsupportedOperation: it is not open for reading.

        For the loop's own thread. Cancelled, it takes nothing. Counterpart: ``io.TextIOWrapper.read``.
        """
        self._check_readable()
        if self._arriving and not self._file.closed:
            if size is None or size < 0:
                return await self._when_arrived(ArrivingText.read_all)  # type: ignore[no-any-return]
            return await self._when_arrived(ArrivingText.read, size)  # type: ignore[no-any-return]
        if size is None or size < 0:
            if not self._turns:
                text = self._read_all()
                if text is not None:
                    return text
            return await self._slowly(self._read_all)  # type: ignore[no-any-return]
        if not self._plain:
            return await self._in_thread(self._text.read, size)  # type: ignore[no-any-return]
        if not self._turns:
            text = self._read_some(size)
            if text is not None:
                return text
        return await self._slowly(self._read_some, size)  # type: ignore[no-any-return]

    async def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        """Read up to and including the next end of a line, at most size characters. Counterpart: ``io.TextIOWrapper.readline``."""
        self._check_readable()
        if self._arriving and not self._file.closed:
            return await self._when_arrived(ArrivingText.read_line, size)  # type: ignore[no-any-return]
        if not (self._plain and self._line_ends):
            return await self._in_thread(self._text.readline, size)  # type: ignore[no-any-return]
        if not self._turns:
            line = self._read_line(size)
            if line is not None:
                return line
        return await self._slowly(self._read_line, size)  # type: ignore[no-any-return]

    async def readlines(self, hint: int | None = -1, /) -> list[str]:
        """Read lines until they have hint characters together, or all. Counterpart: ``io.IOBase.readlines``."""
        self._check_open("readlines")
        if not self._reads:
            return self._text.readlines()
        if hint is None or hint <= 0:
            if self._arriving:
                return await self._when_arrived(ArrivingText.read_lines)  # type: ignore[no-any-return]
            return await self._slowly(self._read_lines)  # type: ignore[no-any-return]
        lines: list[str] = []
        total = 0
        while total <= hint and (line := await self.readline()):
            lines.append(line)
            total += len(line)
        return lines

    # --- writing

    async def write(self, text: str, /) -> int:
        """Take text over to be written; wait only where the buffer is full, or at the end of a line where buffering is 1.

        Returns:
            How many characters there are.

        Raises:
            OSError: what is in the buffer was not all written; ``written`` tells how many bytes were. The rest stays there.
            UnicodeEncodeError: the encoding has no such character.
            ValueError: the file is closed. io.UnsupportedOperation: it is not open for writing.

        For the loop's own thread. Cancelled, all is written all the same. Counterpart: ``io.TextIOWrapper.write``.
        """
        count = None if self._turns else self._put(text)
        if count is None:
            count = await self._slowly(self._put, text)
        wrapper = self._text
        if self._file.crowded or (wrapper.line_buffering and ("\n" in text or "\r" in text)):
            await self._slowly(self._file.drained)
        return count

    async def writelines(self, lines: Iterable[str], /) -> None:
        """Write one after the other. Counterpart: ``io.IOBase.writelines``."""
        self._check_open("writelines")
        for line in lines:
            await self.write(line)

    async def flush(self) -> None:
        if self._turns or self._file.busy:
            await self._slowly(self._file.drained)
        self._text.flush()
        await super().flush()

    async def _flush_all(self) -> None:
        if self._turns or self._file.busy:
            await self._slowly(self._file.drained)
        self._text.flush()
        await super()._flush_all()

    async def _close_file(self) -> None:
        try:
            await super()._close_file()
        finally:
            self._text.close()

    def _let_go(self) -> None:
        file = self._file
        try:
            if not file.busy:
                file.set_blocking(True)
                self._text.flush()
        finally:
            file.close()

    def _closed_kind(self) -> str:
        return self._mode.replace("x", "w").replace("a", "w") if "+" not in self._mode else "r+"

    # --- positions

    async def seek(self, cookie: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position that ``tell`` gave, or to the beginning or the end. Counterpart: ``io.TextIOWrapper.seek``."""
        self._check_open("seek")
        await self.flush()
        if not self._plain or (whence == os.SEEK_END and not self._file.is_local):
            return await self._in_thread(self._text.seek, cookie, whence)  # type: ignore[no-any-return]
        if whence == os.SEEK_SET and isinstance(cookie, int) and cookie >> 64:
            # A place in the midst of what is decoded together: the wrapper reads some bytes again to come there.
            await self._slowly(self._file.move_to, cookie & (2**64 - 1), os.SEEK_SET)
            await self._slowly(self._file.bytes_ready, (cookie >> 96) & (2**32 - 1))
        return self._text.seek(cookie, whence)

    async def tell(self) -> int:
        """The position, as an opaque number for ``seek``. Counterpart: ``io.TextIOWrapper.tell``."""
        self._check_open("tell")
        if self._turns or self._file.busy:
            await self._slowly(self._file.drained)
        told = self._text.tell()
        if self._file.drained():
            return told
        # What is appended is written at the file's end: only then there is a position to tell.
        await self._slowly(self._file.drained)
        return self._text.tell()

    async def truncate(self, size: int | None = None, /) -> int:
        """Make the file size bytes long, by default as far as the position; tell the size. Counterpart: ``io.TextIOWrapper.truncate``."""
        self._check_open("truncate")
        await self.flush()
        if not self._writes:
            raise io.UnsupportedOperation("truncate")
        self._turns += 1
        try:
            async with self._turn():
                await self._tried(self._file.drained)
                length = self._file.tell() if size is None else size
                if length < 0:
                    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
                return await self._file.truncate_to(length)
        finally:
            self._turns -= 1

    # --- properties

    @property
    def buffer(self) -> File:
        """The bytes under the text: the native file, which is not for use beside this object."""
        return self._file

    @property
    def encoding(self) -> str:
        return self._text.encoding

    @property
    def errors(self) -> str | None:
        return self._text.errors

    @property
    def line_buffering(self) -> bool:
        return self._text.line_buffering

    @property
    def write_through(self) -> bool:
        return self._text.write_through

    @property
    def newlines(self) -> Any:
        return (self._arriving or self._text).newlines

    def _flush_now(self) -> None:
        self._file.set_blocking(True)
        try:
            self._text.flush()
        finally:
            self._file.set_blocking(False)
