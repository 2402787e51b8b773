"""``socket.socket.bind`` of a worker: an address to listen to is asked for at the supervisor.

All that binds in Python comes here: ``loop.create_server``, ``socket.create_server``, the servers of HTTP. The supervisor's socket takes the place of the program's own, under its
number, so the program need not know.

Whether a socket is going to listen does not show when it is bound. A stream socket with a port, or one that has asked for the reuse of its address (as servers do, and clients do not), is taken
for one that is. With port 0 all workers that ask for their first such socket have the same port. Datagram sockets are shared if they have a port.

Rejected: to wait for ``listen``, by which time the program may have asked for its port; to have each worker bind with SO_REUSEPORT by itself, so that its backlog would go with it.
"""

import asyncio
import os
import socket
import weakref
from typing import Any

from plait._workers.inside.control import Control

_LAST_PORT = 65535
_bind = socket.socket.bind
_listen = socket.socket.listen
_real_close = vars(socket.socket)["_real_close"]
_shared: "weakref.WeakKeyDictionary[socket.socket, Any]" = weakref.WeakKeyDictionary()
_asked: dict[Any, int] = {}  # how many sockets with port 0
_control: Control | None = None


def put_in_place(control: Control) -> None:
    """Replace the methods, in this process."""
    global _control
    _control = control
    methods: Any = socket.socket
    methods.bind = bind
    methods.listen = listen
    methods._real_close = real_close


def take_away() -> None:
    """Put the standard ones back."""
    global _control
    _control = None
    methods: Any = socket.socket
    del methods.bind, methods.listen
    methods._real_close = _real_close


def is_shared(sock: Any) -> bool:
    """Whether it is the supervisor's."""
    return sock in _shared


def bind(self: socket.socket, address: Any, /) -> None:
    """As the standard one."""
    control = _control
    if control is None or not _is_for_all(self, address):
        return _bind(self, address)
    if isinstance(address, (bytes, bytearray)):
        address = os.fsdecode(bytes(address))
    if self.family == socket.AF_UNIX:
        # The supervisor may be elsewhere, if the program has changed its directory.
        address = address if address.startswith("\0") else os.path.abspath(address)
    else:
        address = _resolved(self, address)
    loop = asyncio._get_running_loop()
    if loop is not None:
        control.adopt(loop)  # one that plait has not made
    ordinal = _ordinal(self, address)
    key, descriptor = control.bind(self, address, ordinal)
    try:
        os.dup2(descriptor, self.fileno(), inheritable=os.get_inheritable(self.fileno()))
    finally:
        os.close(descriptor)
    _shared[self] = key
    # Whether it blocks is a property of what all share. It is never set to block here: others may rely on that it does not.
    timeout = self.gettimeout()
    if timeout is not None:
        self.settimeout(timeout)


def listen(self: socket.socket, *backlog: int) -> None:
    """As the standard one. Whoever listens is ready."""
    _listen(self, *backlog)
    if _control is not None and self in _shared:
        _control.ready()


def real_close(self: socket.socket, *args: Any) -> None:
    """As the standard one. A socket that no worker has any more is closed by the supervisor, too."""
    key = _shared.pop(self, None)
    _real_close(self, *args)
    if key is not None and _control is not None:
        _control.release(key)


def _is_for_all(sock: socket.socket, address: Any) -> bool:
    if sock.family == socket.AF_UNIX:
        return sock.type == socket.SOCK_STREAM and isinstance(address, (str, bytes, bytearray)) and len(address) > 0
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple) or len(address) < 2:
        return False
    host, port = address[:2]
    if not isinstance(host, str) or not isinstance(port, int) or not 0 <= port <= _LAST_PORT:
        return False
    if sock.type == socket.SOCK_STREAM:
        return port != 0 or bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
    return sock.type == socket.SOCK_DGRAM and port != 0


def _resolved(sock: socket.socket, address: Any) -> Any:
    """With the number of a host that has a name: the supervisor is not to wait for one that knows names."""
    host = address[0]
    if host in ("", "<broadcast>"):
        return address
    try:
        socket.inet_pton(sock.family, host)
    except OSError:
        return (*socket.getaddrinfo(host, address[1], sock.family, sock.type, sock.proto, socket.AI_PASSIVE)[0][4][:2], *address[2:])
    return address


def _ordinal(sock: socket.socket, address: Any) -> int:
    """Which of several sockets with any port."""
    if sock.family == socket.AF_UNIX or address[1] != 0:
        return 0
    about = (sock.family, sock.type, sock.proto, address)
    _asked[about] = _asked.get(about, 0) + 1
    return _asked[about]
