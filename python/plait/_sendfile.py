# mypy: disable-error-code="attr-defined"
"""``sendfile`` and ``sock_sendfile``: asyncio's checks and its fall-back, around the native operation.

``connect`` puts them in place.
"""

import io
import os
from asyncio import base_events, constants, exceptions
from typing import Any

# From BaseEventLoop: which way a file goes, what is refused in which words, and reading and writing where the kernel cannot help.
LENT = ("sendfile", "sock_sendfile", "_sendfile_fallback", "_sock_sendfile_fallback", "_check_sendfile_params")

# asyncio's words for a connection that ends while a file waits to be sent.
CLOSED = "Connection is closed by peer"


def connect(loop_type: Any, transport_type: Any) -> None:
    """Give the loop these methods, and have transports of sockets take the native way."""
    for name in LENT:
        setattr(loop_type, name, getattr(base_events.BaseEventLoop, name))
    for function in (_sendfile_native, _sock_sendfile_native):
        setattr(loop_type, function.__name__, function)
    transport_type._sendfile_compatible = constants._SendfileMode.TRY_NATIVE


async def _sendfile_native(self: Any, transp: Any, file: Any, offset: int, count: int | None) -> int:
    """Send a file past a transport, whose own buffer is emptied first.

    ConnectionError when the transport is closed before all is sent, by whomever; the file is left behind what went out.
    """
    emptied = transp._make_empty_waiter()  # refused while another file is being sent
    resume_reading = transp.is_reading()
    transp.pause_reading()
    sock = None
    try:
        await emptied
        if transp.is_closing():
            raise ConnectionError(CLOSED)
        sock = transp._sock
        sent: int = await self.sock_sendfile(sock, file, offset, count, fallback=False)
        return sent
    except OSError as error:
        if sock is not None and sock.fileno() < 0:
            raise ConnectionError(CLOSED) from error
        raise
    finally:
        transp._reset_empty_waiter()
        if resume_reading:
            transp.resume_reading()


async def _sock_sendfile_native(self: Any, sock: Any, file: Any, offset: int, count: int | None) -> int:
    """Send a regular file by the system call; SendfileNotAvailableError if it is none."""
    try:
        fileno = file.fileno()
    except (AttributeError, io.UnsupportedOperation):
        raise exceptions.SendfileNotAvailableError("not a regular file")  # noqa: B904
    try:
        size = os.fstat(fileno).st_size
    except OSError:
        raise exceptions.SendfileNotAvailableError("not a regular file")  # noqa: B904
    if not (count or size):
        return 0  # an empty file
    sent: int = await self._send_file(sock, file, fileno, offset, count)
    return sent
