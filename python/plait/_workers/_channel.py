"""What the supervisor and a worker say to each other: short messages, each with a descriptor if need be.

A socket of type SEQPACKET keeps messages apart, and tells each side of the other's end. JSON, so that a worker that has gone wrong can say nothing that does harm.
"""

import json
import os
import socket
from typing import Any

_LONGEST = 65536


class Channel:
    """One end. One thread may read while others write."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def fileno(self) -> int:
        """Its descriptor, which is readable when there is a message, or the other side has gone."""
        return self._socket.fileno()

    def send(self, message: dict[str, Any], descriptor: int | None = None) -> bool:
        """Send a message; the descriptor is duplicated. False: nobody is there any more, or (of a socket that does not wait) nobody reads."""
        data = json.dumps(message).encode()
        try:
            socket.send_fds(self._socket, [data], [] if descriptor is None else [descriptor], socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[dict[str, Any], int | None] | None:
        """The next message, and the descriptor that came with it, which is the caller's then. None: the other side has gone.

        Raises:
            BlockingIOError: there is none, of a socket that does not wait.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, _LONGEST, 4, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            return None
        if not data:
            return None
        for surplus in descriptors[1:]:
            os.close(surplus)
        return json.loads(data), descriptors[0] if descriptors else None

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()
