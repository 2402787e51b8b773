"""What the supervisor tells: on stderr, a line each; and to systemd, if that has asked (``Type=notify``)."""

import os
import signal
import socket
import sys


# Where workers write.
STDERR = 2


class WorkersFailed(RuntimeError):
    """No worker can be started.

    Attributes:
        last_words: what the last one has written to stderr.
    """

    def __init__(self, message: str = "", last_words: str = "") -> None:
        super().__init__(f"{message}\n{last_words}".rstrip() if last_words else message)
        self.last_words = last_words


WorkersFailed.__module__ = "plait"


def tell(text: str) -> None:
    """Write a line."""
    stderr = sys.stderr
    if stderr is None:
        return
    try:
        stderr.write(f"plait: {text}\n")
        stderr.flush()
    except (OSError, ValueError):  # a closed pipe is no reason to end
        pass


def write_through(words: bytes) -> None:
    """What a worker has written, as it is."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
        view = memoryview(words)
        while view:
            view = view[os.write(STDERR, view) :]
    except (OSError, ValueError):
        pass


def how_it_ended(status: int) -> str:
    """A return code in words."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def notify(state: str) -> None:
    """Tell systemd (``READY=1``, say)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or address[0] not in "/@":
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.connect("\0" + address[1:] if address[0] == "@" else address)
            sock.sendall(state.encode())
    except OSError:
        pass
