"""The listening sockets, which the supervisor holds for its workers.

A worker that wants to bind sends its own socket, with all that it has set on it. The first that asks for an address has its socket bound here, and the supervisor keeps it; whoever
asks later gets that. So it is the kernel's own words if an address is in use, and connections that wait in a backlog survive every worker.

* ``inherit``: one socket for all workers.
* ``reuseport``: one for each place, in one SO_REUSEPORT group, over which the kernel spreads connections. The next worker in a place gets the very same socket.

A socket is closed when nobody holds it any more. Who holds it: a worker until it has closed it or ended, and, when a worker has died, its place until the next one is ready.
"""

import errno
import os
import socket
import stat
from typing import Any

Address = Any
Key = tuple[int, int, int, Address, int]


class Part:
    """A socket that is held, and by whom."""

    def __init__(self, sock: socket.socket, file: tuple[int, int] | None) -> None:
        self.sock = sock
        self.file = file  # of a Unix socket: its device and inode
        self.holders: set[object] = set()

    def close(self) -> None:
        """Close it, and remove its file."""
        path = self.sock.getsockname() if self.file is not None else None
        self.sock.close()
        if path is None:
            return
        try:
            if _file(path) == self.file:
                os.unlink(path)
        except OSError:
            pass


class Sockets:
    """All that are held. For the supervisor's loop."""

    def __init__(self, sharing: str) -> None:
        self._by_place = sharing == "reuseport"
        self._held: dict[Key, dict[int, Part]] = {}

    def bind(self, sock: socket.socket, address: Address, ordinal: int, place: int, holder: object) -> tuple[Key, socket.socket]:
        """What a worker is to listen with that has asked to bind `sock`; and the name by which it is released. The socket is this object's then.

        Raises:
            OSError: as ``bind`` has it.
        """
        key = (sock.family, sock.type, sock.proto, address, ordinal)
        alone = self._by_place and sock.family != socket.AF_UNIX
        parts = self._held.get(key, {})
        part = parts.get(place if alone else 0)
        if part is None:
            file = None
            if parts:
                _join(sock, next(iter(parts.values())).sock)
            else:
                file = _bind_first(sock, address, alone)
            part = Part(sock, file)
            self._held.setdefault(key, parts)[place if alone else 0] = part
        else:
            if holder in part.holders:
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            sock.close()
        part.holders.add(holder)
        return key, part.sock

    def release(self, holder: object, key: Key) -> None:
        """A worker has closed one."""
        for part in self._held.get(key, {}).values():
            part.holders.discard(holder)
        self._close_what_nobody_holds()

    def keys(self, holder: object) -> frozenset[Key]:
        """The names of what it holds."""
        return frozenset(key for key, parts in self._held.items() if any(holder in part.holders for part in parts.values()))

    def has_file(self, device: int, inode: int) -> bool:
        """Whether this is the file of a Unix socket that is held."""
        return any(part.file == (device, inode) for parts in self._held.values() for part in parts.values())

    def leave_to(self, holder: object, successor: object) -> bool:
        """A worker has died: what it held stays for the one that follows. Whether there was anything."""
        parts = [part for parts in self._held.values() for part in parts.values() if holder in part.holders]
        for part in parts:
            part.holders.discard(holder)
            part.holders.add(successor)
        return bool(parts)

    def forget(self, holder: object) -> None:
        """Who held sockets needs none any more."""
        for parts in self._held.values():
            for part in parts.values():
                part.holders.discard(holder)
        self._close_what_nobody_holds()

    def addresses(self) -> list[Address]:
        """What is listened to."""
        return [part.sock.getsockname() for parts in self._held.values() for part in list(parts.values())[:1]]

    def close(self) -> None:
        """All."""
        for parts in self._held.values():
            for part in parts.values():
                part.close()
        self._held.clear()

    def _close_what_nobody_holds(self) -> None:
        for key, parts in list(self._held.items()):
            for place, part in list(parts.items()):
                if not part.holders:
                    del parts[place]
                    part.close()
            if not parts:
                del self._held[key]


def _bind_first(sock: socket.socket, address: Address, alone: bool) -> tuple[int, int] | None:
    """Bind the first socket of an address. Its file, if it has one."""
    if sock.family == socket.AF_UNIX:
        if not address or address.startswith("\0"):
            sock.bind(address)
            return None
        _remove_stale(address)
        sock.bind(address)
        return _file(address)
    if alone:
        _check_that_it_is_free(sock, address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(address)
    return None


def _check_that_it_is_free(sock: socket.socket, address: Address) -> None:
    """A group of SO_REUSEPORT lets in every process of this user. Nobody is to share a port without having been asked."""
    with socket.socket(sock.family, sock.type, sock.proto) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
        if sock.family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
        probe.bind(address)


def _file(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _join(sock: socket.socket, other: socket.socket) -> None:
    """One more of a group."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(other.getsockname())


def _remove_stale(path: str) -> None:
    """A socket's file that was left over, as asyncio does before it binds."""
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.remove(path)
    except FileNotFoundError:
        pass
