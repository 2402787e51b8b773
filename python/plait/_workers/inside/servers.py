"""asyncio's servers in a worker: they are counted, made to accept one connection at a time, and made to stop accepting.

The class is asyncio's own, which plait's loop and asyncio's use. uvloop has another; there the program's own end is all that makes it stop accepting.
"""

import asyncio
import asyncio.base_events
import errno
import os
import socket
import sys
import weakref
from typing import Any

from plait._native import EventLoop
from plait._workers.inside import courtesies, sockets
from plait._workers.inside.balance import Balance
from plait._workers.inside.control import Control

_Server: Any = asyncio.base_events.Server
_standard = {name: vars(_Server)[name] for name in ("_start_serving", "_attach", "_detach")}
_attach_standard, _detach_standard = _standard["_attach"], _standard["_detach"]
_servers: "set[weakref.ref[Any]]" = set()
_control: Control | None = None
_balance: Balance | None = None


def put_in_place(control: Control) -> None:
    """Replace the methods, and follow the loops that plait makes, in this process."""
    global _control, _balance
    _control = control
    _balance = Balance(control, accept_again, stop_accepting) if control.sharing == "inherit" else None
    for method in (_start_serving, _attach, _detach):
        setattr(_Server, method.__name__, method)
    _follow_loops()
    for loop_type in (EventLoop, asyncio.SelectorEventLoop):
        _share_unix_servers(loop_type)


def take_away() -> None:
    """Put the standard ones back."""
    global _control, _balance
    _control = _balance = None
    for name, method in _standard.items():
        setattr(_Server, name, method)


def _follow_loops() -> None:
    from plait import _loop

    make = EventLoop

    def new_event_loop() -> Any:
        loop = make()
        if _control is not None:
            loop.call_soon(_control.adopt, loop)
        return loop

    vars(_loop)["EventLoop"] = new_event_loop
    if sys.version_info < (3, 16):
        from plait._policy import EventLoopPolicy

        policy: Any = EventLoopPolicy
        policy._loop_factory = staticmethod(new_event_loop)


def _share_unix_servers(loop_type: Any) -> None:
    """asyncio removes a socket's file before it binds, and when the server is closed. Here that is for the supervisor to do: others listen there."""
    standard = loop_type.create_unix_server

    async def create_unix_server(self: Any, protocol_factory: Any, path: Any = None, *, sock: Any = None, **kwds: Any) -> Any:
        if _control is None or path is None or sock is not None:
            return await standard(self, protocol_factory, path, sock=sock, **kwds)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(os.fspath(path))
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE:
                raise OSError(errno.EADDRINUSE, f"Address {path!r} is already in use") from None
            raise
        if sys.version_info >= (3, 13):
            kwds["cleanup_socket"] = False
        try:
            return await standard(self, protocol_factory, sock=sock, **kwds)
        except BaseException:
            sock.close()
            raise

    loop_type.create_unix_server = create_unix_server


def _start_serving(self: Any) -> None:
    """As the standard one, but a worker accepts one connection at a time from a socket that all have, so that none takes more than it has time for."""
    control = _control
    if control is None or self._serving or not any(map(sockets.is_shared, self._sockets)):
        _standard["_start_serving"](self)
        return
    control.adopt(self._loop)
    self._plait_is_counted = True
    courtesies.note(self._protocol_factory)
    self._serving = True
    _servers.add(weakref.ref(self, _servers.discard))
    for sock in self._sockets:
        sock.listen(self._backlog)
        _accept(self, sock)
    control.note_accepting(True)


def _accept(server: Any, sock: Any) -> None:
    at_once = 1 if _balance is not None else server._backlog
    timeouts = (server._ssl_handshake_timeout, server._ssl_shutdown_timeout)
    server._loop._start_serving(server._protocol_factory, sock, server._ssl_context, server, at_once, *timeouts)


def _attach(self: Any, *transport: Any) -> None:
    _attach_standard(self, *transport)
    if _control is not None and getattr(self, "_plait_is_counted", False):
        connections = _control.note_connection(1)
        if _balance is not None and _control.is_main(self._loop):
            _balance.came(self._loop, connections)


def _detach(self: Any, *transport: Any) -> None:
    _detach_standard(self, *transport)
    if _control is not None and getattr(self, "_plait_is_counted", False):
        connections = _control.note_connection(-1)
        if _balance is not None and _control.is_main(self._loop):
            _balance.gone(connections)


def loops() -> list[Any]:
    """On which there are servers, mostly one."""
    return list({id(server._loop): server._loop for server in _alive()}.values())


def stop_accepting(loop: Any) -> None:
    """Watch the listening sockets no more: others do. On the loop."""
    for server in _of(loop):
        for sock in server._sockets or ():
            loop._remove_reader(sock.fileno())


def accept_again(loop: Any) -> None:
    """Watch them again, unless this worker was told to end. On the loop."""
    if _control is None or _control.leaving:
        return
    for server in _of(loop):
        for sock in server._sockets or ():
            if sock.fileno() >= 0:
                _accept(server, sock)


def _of(loop: Any) -> list[Any]:
    return [server for server in _alive() if server._loop is loop]


def _alive() -> list[Any]:
    """All servers. (A set that another thread adds to cannot be gone through, but it can be copied.)"""
    return [server for server in (reference() for reference in list(_servers)) if server is not None]
