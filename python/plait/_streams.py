"""The coroutines of the native streams, and the functions that make such streams.

An ``async def`` that need not wait is the cheapest thing to await: the interpreter enters it without a call, and its value
comes back without a StopIteration. So each method here asks the native reader for its answer, which it has or has not yet, and
only waits; where a message ends, how long it may be and what stays in the buffer is decided in Rust
(``plait-core/src/net/stream.rs``). Real coroutines are also what users expect: ``create_task(reader.readline())``,
tracebacks with the line, "was never awaited".

What happens once per connection (calling the user's handler, reporting what it raised, ``start_tls``) is asyncio's own code, lent
to the native types, so that it is the host Python's to the word. ``connect`` puts all of it in place.
"""

import asyncio
import asyncio.streams
import types
from asyncio import tasks
from collections.abc import Callable
from types import ModuleType
from typing import Any

from plait._borrowed import with_names

_DEFAULT_LIMIT = 2**16


class _ReaderCoroutines:
    """What ``StreamReader`` gets. The class is never instantiated."""

    async def read(self: Any, n: int = -1) -> bytes:
        """Read up to n bytes.

        Args:
            n: how many bytes at most; -1 reads until the end of the stream.

        Returns:
            What is there, as soon as there is any; ``b""`` at the end of the stream, or when n is 0. Not bound by the limit.

        Raises:
            RuntimeError: another coroutine waits for data of this reader already.
            Exception: whatever ended the connection, e.g. ConnectionResetError.

        For the loop's own thread. Cancelled while it waits, it takes nothing. Counterpart: ``asyncio.StreamReader.read``.
        """
        data = self._take(n)
        if data is not None:
            return data  # type: ignore[no-any-return]
        if n < 0:
            blocks = []
            while block := await self.read(self._limit):
                blocks.append(block)
            return b"".join(blocks)
        waiter = self._arrival("read")
        try:
            await waiter
        except BaseException:
            self._give_up(waiter)
            raise
        return self._take_available(n)  # type: ignore[no-any-return]

    async def readline(self: Any) -> bytes:
        r"""Read up to and including the next ``b"\n"``.

        Returns:
            The line; without its end if the stream ended before; ``b""`` at the end of the stream.

        Raises:
            ValueError: the line is longer than the limit. It is thrown away if its end was there, else all that had arrived.
            RuntimeError: another coroutine waits for data of this reader already.
            Exception: whatever ended the connection.

        For the loop's own thread. Cancelled while it waits, it takes nothing. Counterpart: ``asyncio.StreamReader.readline``.
        """
        line = self._take_line()
        if line is not None:
            return line  # type: ignore[no-any-return]
        try:
            return await self.readuntil(b"\n")  # type: ignore[no-any-return]
        except asyncio.IncompleteReadError as ended:
            return ended.partial
        except asyncio.LimitOverrunError as overrun:
            self._skip_line(overrun.consumed)
            raise ValueError(overrun.args[0])

    async def readuntil(self: Any, separator: Any = b"\n") -> bytes:
        """Read up to and including a separator.

        Args:
            separator: bytes-like, or a tuple of such: then the message ends with the one that ends first. (On every
                Python; the standard one takes tuples from 3.13.)

        Returns:
            The message with its separator.

        Raises:
            asyncio.IncompleteReadError: the stream ended before; ``partial`` has what had arrived, and the buffer is empty.
            asyncio.LimitOverrunError: the message without its separator is longer than the limit. All of it is left in the buffer.
            ValueError: a separator is empty, or there is none.
            RuntimeError: another coroutine waits for data of this reader already.
            Exception: whatever ended the connection.

        For the loop's own thread. Cancelled while it waits, it takes nothing. Counterpart: ``asyncio.StreamReader.readuntil``.
        """
        message = self._take_until(separator)
        while message is None:
            waiter = self._arrival("readuntil")
            try:
                await waiter
            except BaseException:
                self._give_up(waiter)
                raise
            message = self._take_until_again(separator)
        return message  # type: ignore[no-any-return]

    async def readexactly(self: Any, n: int) -> bytes:
        """Read exactly n bytes, however long that takes. Not bound by the limit.

        Args:
            n: how many bytes; 0 gives ``b""`` at once.

        Returns:
            The bytes.

        Raises:
            asyncio.IncompleteReadError: the stream ended before; ``partial`` has what had arrived, and the buffer is empty.
            ValueError: n is negative.
            RuntimeError: another coroutine waits for data of this reader already.
            Exception: whatever ended the connection.

        For the loop's own thread. Cancelled while it waits, it takes nothing. Counterpart: ``asyncio.StreamReader.readexactly``.
        """
        data = self._take_exactly(n)
        while data is None:
            waiter = self._arrival("readexactly")
            try:
                await waiter
            except BaseException:
                self._give_up(waiter)
                raise
            data = self._take_exactly_again(n)
        return data  # type: ignore[no-any-return]

    def __aiter__(self: Any) -> Any:
        return self

    async def __anext__(self: Any) -> bytes:
        line = self._take_line()
        if line is None:
            line = await self.readline()
            if line == b"":
                raise StopAsyncIteration
        return line  # type: ignore[no-any-return]


class _WriterCoroutines:
    """What ``StreamWriter`` gets."""

    async def drain(self: Any) -> None:
        """Wait until the transport has room for more, if it has not.

        Raises:
            ConnectionResetError: the connection is lost.
            Exception: whatever ended the connection.

        For the loop's own thread; any number of coroutines may wait. Cancelled, it just stops waiting. Counterpart:
        ``asyncio.StreamWriter.drain``.
        """
        if self._flows():
            return
        if self._transport.is_closing():
            # One turn for `connection_lost`: a loop of writes and drains would otherwise never hear of it.
            await tasks.sleep(0)
        await self._protocol._drain_helper()

    async def wait_closed(self: Any) -> None:
        """Wait until the connection is closed; raises what ended it. Counterpart: ``asyncio.StreamWriter.wait_closed``."""
        await self._protocol._get_close_waiter(self)


class _ProtocolCoroutines:
    """What ``StreamReaderProtocol`` gets."""

    async def _drain_helper(self: Any) -> None:
        waiter = self._drain_waiter()
        if waiter is None:
            return
        try:
            await waiter
        finally:
            self._drained(waiter)


LENT_TO_WRITERS = ("__repr__", "start_tls")
LENT_TO_PROTOCOLS = ("connection_made", "_replace_writer", "_replace_transport")

# The native classes, for the functions below.
_native: Any = None


def connect(native: ModuleType) -> None:
    """Complete the native types. Called once, when the native module is initialised."""
    global _native
    _native = native
    _give(native.StreamReader, _ReaderCoroutines)
    _give(native.StreamWriter, _WriterCoroutines)
    _give(native.StreamReaderProtocol, _ProtocolCoroutines)
    standard = asyncio.streams
    _lend(native.StreamWriter, standard.StreamWriter, LENT_TO_WRITERS)
    _lend(native.StreamReaderProtocol, standard.StreamReaderProtocol, LENT_TO_PROTOCOLS)


def _give(native: type, coroutines: type) -> None:
    for name, function in vars(coroutines).items():
        if isinstance(function, types.FunctionType):
            function.__qualname__ = f"{native.__name__}.{name}"
            setattr(native, name, function)


def _lend(native: type, standard: type, names: tuple[str, ...]) -> None:
    for name in names:
        function = vars(standard).get(name)
        if function is not None:  # they differ between Pythons
            setattr(native, name, _with_native_streams(function))


def _with_native_streams(function: Any) -> Any:
    """The same function, to which the names of asyncio's streams mean the native ones."""
    return with_names(function, StreamReader=_native.StreamReader, StreamWriter=_native.StreamWriter)


# ---- making streams: asyncio's functions of these names


async def open_connection(host: Any = None, port: Any = None, *, limit: int = _DEFAULT_LIMIT, **kwds: Any) -> Any:
    """Connect by TCP: ``(reader, writer)``.

    Args:
        host, port, **kwds: as of ``loop.create_connection``.
        limit: the longest message of ``readline`` and ``readuntil``, in bytes; reading from the socket pauses when twice as
            much waits.

    Raises what ``loop.create_connection`` raises. Cancelled, it gives the connection up. Counterpart:
    ``asyncio.open_connection``.
    """
    loop = asyncio.get_running_loop()
    reader = _native.StreamReader(limit=limit, loop=loop)
    protocol = _native.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_connection(lambda: protocol, host, port, **kwds)
    return reader, _native.StreamWriter(transport, protocol, reader, loop)


async def start_server(
    client_connected_cb: Any, host: Any = None, port: Any = None, *, limit: int = _DEFAULT_LIMIT, **kwds: Any
) -> Any:
    """Listen on TCP, and call ``client_connected_cb(reader, writer)`` for each connection.

    Args:
        client_connected_cb: a function or a coroutine function; a coroutine becomes a task.
        host, port, **kwds: as of ``loop.create_server``.
        limit: of each connection's reader, in bytes.

    Returns the ``asyncio.Server``. Raises what ``loop.create_server`` raises. Counterpart: ``asyncio.start_server``.
    """
    loop = asyncio.get_running_loop()
    return await loop.create_server(_server_factory(client_connected_cb, limit, loop), host, port, **kwds)


async def open_unix_connection(path: Any = None, *, limit: int = _DEFAULT_LIMIT, **kwds: Any) -> Any:
    """Connect to a Unix socket: ``(reader, writer)``. Counterpart: ``asyncio.open_unix_connection``."""
    loop = asyncio.get_running_loop()
    reader = _native.StreamReader(limit=limit, loop=loop)
    protocol = _native.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_unix_connection(lambda: protocol, path, **kwds)  # type: ignore[attr-defined, unused-ignore]
    return reader, _native.StreamWriter(transport, protocol, reader, loop)


async def start_unix_server(client_connected_cb: Any, path: Any = None, *, limit: int = _DEFAULT_LIMIT, **kwds: Any) -> Any:
    """Listen on a Unix socket, as `start_server` does on TCP. Counterpart: ``asyncio.start_unix_server``."""
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(_server_factory(client_connected_cb, limit, loop), path, **kwds)  # type: ignore[attr-defined, unused-ignore]


def _server_factory(client_connected_cb: Any, limit: int, loop: Any) -> Callable[[], Any]:
    def factory() -> Any:
        reader = _native.StreamReader(limit=limit, loop=loop)
        return _native.StreamReaderProtocol(reader, client_connected_cb, loop=loop)

    return factory
