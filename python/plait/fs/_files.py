"""Binary files: coroutines over the native `File`.

Each method makes an attempt, which mostly succeeds, and nothing is awaited. Otherwise it waits its turn, has the engine bring what
is lacking, and tries again. Operations of several tasks on one file are served one after the other, in order.

Cancelled while it waits, a read takes nothing: the position is where it was, and what the kernel has read stays with the file. A
write that is cancelled was taken over as a whole: it is written, or tried again by ``flush`` and ``close``; of one without a buffer
(``buffering=0``) the kernel does what it has begun.
"""

import asyncio
import errno
import io
import operator
import os
import warnings
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from plait._native import AsyncioLock, File

from ._closed import ClosedFile


class AsyncFile:
    """What all kinds of files have in common."""

    _buffering = -1

    def __init__(self, file: File, mode: str) -> None:
        self._file = file
        self._mode = mode
        self._turns = 0
        self._order: Any = None
        self._detached = False
        self._after_close: Callable[[], Any] | None = None

    # --- what has ended

    def _check_open(self, doing: str) -> None:
        if self._file.closed:
            ClosedFile(self.name, self._closed_kind(), self._buffering).refuse(doing)

    # --- taking turns

    def _turn(self) -> Any:
        """The lock under which whoever has to wait for the file waits."""
        if self._order is None:
            self._order = AsyncioLock()
        return self._order

    async def _slowly(self, attempt: Callable[..., Any], *args: Any) -> Any:
        """An attempt that has to wait: in its turn, again and again until it succeeds."""
        self._turns += 1
        try:
            async with self._turn():
                return await self._tried(attempt, *args)
        finally:
            self._turns -= 1

    async def _tried(self, attempt: Callable[..., Any], *args: Any) -> Any:
        while (result := attempt(*args)) is None:
            await self._proceed()
        return result

    async def _proceed(self) -> None:
        file = self._file
        wanted = file.proceed()
        try:
            await wanted
        except asyncio.CancelledError:
            file.give_up(wanted)
            raise

    async def _peace(self) -> None:
        while self._file.busy:
            await self._proceed()

    # --- what waits for nothing

    @property
    def closed(self) -> bool:
        return self._file.closed

    @property
    def name(self) -> Any:
        return self._file.name

    @property
    def mode(self) -> str:
        return self._mode

    def fileno(self) -> int:
        return self._file.fileno()

    def readable(self) -> bool:
        return self._file.readable()

    async def writable(self) -> bool:
        return self._file.writable()

    async def seekable(self) -> bool:
        return self._file.seekable()

    async def isatty(self) -> bool:
        return self._file.isatty()

    def detach(self) -> Any:
        """Give the file away: a standard object, without a buffer for a binary file, that goes on with it.

        Raises:
            ValueError: it was given away before. OSError: what was in the buffer could not be written.
            BlockingIOError: an operation is at the file.

        What is in the buffer is written first, which may wait. Counterpart: ``io.BufferedIOBase.detach``.
        """
        self._check_attached()
        self._flush_now()
        given = self._file.detach()
        if given is None:
            raise BlockingIOError(errno.EAGAIN, "an operation is under way on the file")
        self._detached = True
        number, owned = given
        if isinstance(self, AsyncFileIO):
            return io.FileIO(number, self._mode, closefd=owned)
        return io.open(number, self._mode.replace("t", "") + "b", closefd=owned)

    def _flush_now(self) -> None:
        self._file.set_blocking(True)
        try:
            self._file.flush()
        finally:
            self._file.set_blocking(False)

    def _check_attached(self) -> None:
        if self._detached:
            raise ValueError("raw stream has been detached")

    # --- bringing what was written to the file, and to the disk

    async def flush(self) -> None:
        """Write what is still in the buffer; it is in the kernel's hands then, not on the disk.

        Raises:
            OSError: it could not be written; what is left stays in the buffer. Its ``written`` tells how many bytes were.
            ValueError: the file is closed.

        For the loop's own thread. Cancelled, it goes on being written. Counterpart: ``io.IOBase.flush``.
        """
        if self._turns or not self._file.drained():
            await self._slowly(self._file.drained)

    async def fsync(self) -> None:
        """Wait until all that was written is on the disk, with the file's attributes: ``flush`` and ``os.fsync``.

        Raises:
            OSError: it could not be written. Linux tells so once; the data may be lost.
            ValueError: the file is closed.

        For the loop's own thread. Cancelled, the kernel goes on. Counterpart: ``os.fsync``.
        """
        await self._sync(False)

    async def fdatasync(self) -> None:
        """The same without those attributes that reading does not need, such as times. Counterpart: ``os.fdatasync``."""
        await self._sync(True)

    async def _sync(self, data_only: bool) -> None:
        await self.flush()
        self._turns += 1
        try:
            async with self._turn():
                await self._tried(self._file.drained)
                await self._file.sync(data_only)
        finally:
            self._turns -= 1

    # --- the end

    async def close(self) -> None:
        """Write what is still in the buffer and close the file; a second time it does nothing.

        Raises:
            OSError: something could not be written. The file is closed all the same.

        For the loop's own thread. Cancelled, the file is closed, after an operation that is still at it. Counterpart: ``io.IOBase.close``.
        """
        self._check_attached()
        if self._file.closed:
            return
        try:
            # A read that was given up may wait for ever, and has nothing to be written behind it: only a write is waited for.
            if not self._file.busy or self._turns or self._file.writing or self._file.aside:
                await self._flush_all()
        finally:
            await self._close_file()

    async def _flush_all(self) -> None:
        if self._turns or not self._file.drained():
            await self._slowly(self._file.drained)

    async def _close_file(self) -> None:
        closing = self._file.close_now()
        self._leave()
        try:
            if closing is not None:
                await closing
        finally:
            if self._after_close is not None:
                after, self._after_close = self._after_close, None
                await after()

    def _leave(self) -> None:
        file: Any = ClosedFile(self._file.name, self._closed_kind(), self._buffering)
        self._file = file

    def _closed_kind(self) -> str:
        # What would be made where it is missing need not be made to be closed.
        return self._mode.replace("x", "w")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        line = await self.readline()
        if line:
            return line
        raise StopAsyncIteration

    async def readline(self, size: int | None = -1, /) -> Any:
        raise NotImplementedError

    def __repr__(self) -> str:
        state = "closed " if self.closed else ""
        return f"<{state}plait.fs.{type(self).__name__} name={self.name!r} mode={self.mode!r}>"

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None and not file.closed:
            warnings.warn(f"unclosed file {self!r}", ResourceWarning, stacklevel=2, source=self)
            self._let_go()

    def _let_go(self) -> None:
        """Nobody can await anything for this file any more: what is to be written is written now, as the standard files do."""
        file = self._file
        try:
            if not file.busy:
                file.set_blocking(True)
                file.flush()
        finally:
            file.close()


class AsyncFileIO(AsyncFile):
    """A binary file without a buffer: each operation is one system call. Counterpart: ``io.FileIO``, and ``AsyncFileIO`` of aiofiles."""

    _buffering = 0
    # Those who write take turns of their own where there are no positions.
    _writers: Any = None

    def _check_readable(self) -> None:
        if not self._file.closed and not self._file.readable():
            raise io.UnsupportedOperation("File not open for reading")

    def _check_writable(self) -> None:
        if not self._file.closed and not self._file.writable():
            raise io.UnsupportedOperation("File not open for writing")

    async def read(self, size: int | None = -1, /) -> bytes:
        """Read at most size bytes with one system call; all that follows with a negative size.

        Raises:
            OSError: what the kernel says.
            ValueError: the file is closed. io.UnsupportedOperation: it is not open for reading.

        For the loop's own thread. Cancelled, it takes nothing. Counterpart: ``io.FileIO.read``.
        """
        self._check_readable()
        if not self._turns:
            data = self._file.take(size)
            if data is not None:
                return data
        return await self._slowly(self._file.take, size)  # type: ignore[no-any-return]

    async def readall(self) -> bytes:
        """Read all that follows."""
        return await self.read(-1)

    async def readinto(self, buffer: Any, /) -> int:
        """Read into writable memory, at most as much as it has room for; say how much. Counterpart: ``io.FileIO.readinto``."""
        self._check_readable()
        if not self._turns:
            count = self._file.take_into(buffer, False)
            if count is not None:
                return count
        return await self._slowly(self._file.take_into, buffer, False)  # type: ignore[no-any-return]

    async def readline(self, size: int | None = -1, /) -> bytes:
        """Read up to and including the next newline, at most size bytes. Counterpart: ``io.IOBase.readline``."""
        self._check_readable()
        if not self._turns:
            line = self._file.take_line(size)
            if line is not None:
                return line
        return await self._slowly(self._file.take_line, size)  # type: ignore[no-any-return]

    async def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Read lines until they have hint bytes together, or all. Counterpart: ``io.IOBase.readlines``."""
        self._check_open("readlines")
        lines: list[bytes] = []
        total = 0
        while line := await self.readline():
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint < total:
                break
        return lines

    async def write(self, data: Any, /) -> int:
        """Write with one system call.

        Returns:
            How many bytes were written, which may be fewer than there are.

        Raises:
            OSError: nothing was written.
            ValueError: the file is closed. io.UnsupportedOperation: it is not open for writing.

        For the loop's own thread. Cancelled, the kernel goes on with it, and the position moves by what it writes. Counterpart: ``io.FileIO.write``.
        """
        self._check_writable()
        if not self._file.seekable():
            return await self._write_aside(data)
        self._turns += 1
        try:
            async with self._turn():
                await self._peace()
                return await self._file.write_once(data)
        finally:
            self._turns -= 1

    async def _write_aside(self, data: Any) -> int:
        """Of a socket, a terminal, a pipe: reading and writing have nothing to do with each other, and a read may wait for long."""
        if self._writers is None:
            self._writers = AsyncioLock()
        async with self._writers:
            while self._file.aside:
                await self._file.wait_aside()
            return await self._file.write_aside(data)

    async def _flush_all(self) -> None:
        if self._writers is not None:
            async with self._writers:
                while self._file.aside:
                    await self._file.wait_aside()
        # A read that was given up may go on.
        if not self._file.busy or self._turns or self._file.writing:
            await super()._flush_all()

    async def writelines(self, lines: Iterable[Any], /) -> None:
        """Write one after the other. Counterpart: ``io.IOBase.writelines``."""
        self._check_open("writelines")
        for line in lines:
            await self.write(line)

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position, in bytes, and tell it. Counterpart: ``io.IOBase.seek``."""
        offset, whence = operator.index(offset), operator.index(whence)
        if not self._turns:
            found = self._file.move_to(offset, whence)
            if found is not None:
                return found
        return await self._slowly(self._file.move_to, offset, whence)  # type: ignore[no-any-return]

    async def tell(self) -> int:
        """The position in bytes. Counterpart: ``io.IOBase.tell``."""
        if self._turns or self._file.busy:
            await self._slowly(self._file.drained)
        return self._file.tell()

    async def truncate(self, size: int | None = None, /) -> int:
        """Make the file size bytes long, by default as far as the position; tell the size. Counterpart: ``io.IOBase.truncate``."""
        self._check_open("truncate")
        self._check_writable()
        self._turns += 1
        try:
            async with self._turn():
                await self._tried(self._file.drained)
                length = self._file.tell() if size is None else operator.index(size)
                if length < 0:
                    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
                return await self._file.truncate_to(length)
        finally:
            self._turns -= 1


class AsyncBufferedReader(AsyncFileIO):
    """A binary file that is read through a buffer. Counterpart: ``io.BufferedReader``, and ``AsyncBufferedReader`` of aiofiles."""

    _buffering = -1

    def _check_readable(self) -> None:
        pass

    def _check_writable(self) -> None:
        raise io.UnsupportedOperation("write")

    @property
    def raw(self) -> io.FileIO:
        """The file without its buffer, as a standard one that does not close it. What it does, waits."""
        return io.FileIO(self.fileno(), "rb" if self._file.readable() else "wb", closefd=False)

    async def read(self, size: int | None = -1, /) -> bytes:
        """Read size bytes, fewer only at the end; all that follows with -1 or None. Counterpart: ``io.BufferedReader.read``."""
        if not self._turns:
            data = self._file.take(size)
            if data is not None:
                return data
        return await self._slowly(self._file.take, size)  # type: ignore[no-any-return]

    async def read1(self, size: int = -1, /) -> bytes:
        """Read what is in the buffer, else what one system call gives, at most size bytes. Counterpart: ``io.BufferedReader.read1``."""
        if not self._turns:
            data = self._file.take_once(size)
            if data is not None:
                return data
        return await self._slowly(self._file.take_once, size)  # type: ignore[no-any-return]

    async def readinto1(self, buffer: Any, /) -> int:
        """The same into writable memory. Counterpart: ``io.BufferedReader.readinto1``."""
        if not self._turns:
            count = self._file.take_into(buffer, True)
            if count is not None:
                return count
        return await self._slowly(self._file.take_into, buffer, True)  # type: ignore[no-any-return]

    async def peek(self, size: int = 0, /) -> bytes:
        """What comes next, without taking it: what is in the buffer, which is filled if it is empty. Counterpart: ``io.BufferedReader.peek``."""
        if not self._turns:
            data = self._file.look()
            if data is not None:
                return data
        return await self._slowly(self._file.look)  # type: ignore[no-any-return]

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position, in bytes, and tell it. Counterpart: ``io.BufferedReader.seek``."""
        if whence not in _WHENCES:
            raise ValueError(f"whence value {whence} unsupported")
        if not self._file.closed and not self._file.seekable():
            raise io.UnsupportedOperation("File or stream is not seekable.")
        return await super().seek(offset, whence)

    async def truncate(self, size: int | None = None, /) -> int:
        if not self._file.closed and not self._file.writable():
            raise io.UnsupportedOperation("truncate")
        return await super().truncate(size)


_WHENCES = {os.SEEK_SET, os.SEEK_CUR, os.SEEK_END, os.SEEK_DATA, os.SEEK_HOLE}


class AsyncBufferedWriter(AsyncBufferedReader):
    """A binary file that is written through a buffer. Counterpart: ``io.BufferedWriter``, and ``AsyncBufferedIOBase`` of aiofiles."""

    def _unreadable(self, method: str, said: str) -> Any:
        self._check_open(method)
        raise io.UnsupportedOperation(said)

    async def read(self, size: int | None = -1, /) -> bytes:
        return self._unreadable("read", "read")  # type: ignore[no-any-return]

    async def read1(self, size: int = -1, /) -> bytes:
        return self._unreadable("read1", "read1")  # type: ignore[no-any-return]

    async def readinto(self, buffer: Any, /) -> int:
        return self._unreadable("readinto", "read")  # type: ignore[no-any-return]

    async def readinto1(self, buffer: Any, /) -> int:
        return self._unreadable("readinto1", "read1")  # type: ignore[no-any-return]

    async def readline(self, size: int | None = -1, /) -> bytes:
        return self._unreadable("readline", "read")  # type: ignore[no-any-return]

    async def peek(self, size: int = 0, /) -> bytes:
        return self._unreadable("peek", "peek")  # type: ignore[no-any-return]

    async def write(self, data: Any, /) -> int:
        return await write_buffered(self, data)

    def _check_writable(self) -> None:
        pass


class AsyncBufferedRandom(AsyncBufferedReader):
    """A binary file that is read and written through a buffer. Counterpart: ``io.BufferedRandom``, and ``AsyncBufferedReader`` of aiofiles."""

    async def write(self, data: Any, /) -> int:
        return await write_buffered(self, data)

    def _check_writable(self) -> None:
        pass


async def write_buffered(self: AsyncFile, data: Any) -> int:
    """Take bytes over to be written; wait only where the buffer is full.

    Returns:
        How many bytes there are.

    Raises:
        OSError: they were not all written; ``written`` tells how many were. What earlier calls left stays in the buffer.
        ValueError: the file is closed.

    For the loop's own thread. Cancelled, all is written all the same. Counterpart: ``io.BufferedWriter.write``.
    """
    if not self._turns:
        count = self._file.put(data)
        if count is not None:
            return count
    self._turns += 1
    try:
        async with self._turn():
            await self._peace()
            count, written = self._file.put_and_drain(data)
            if written is not None:
                await written
            return count
    finally:
        self._turns -= 1
