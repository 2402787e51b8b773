"""The other end of a test: sockets, protocols that write down what they are told, and ways to wait for a condition."""

import asyncio
import math
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

LOCALHOST = "127.0.0.1"


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def sockets(blocking: bool = False) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected stream sockets."""
    a, b = socket.socketpair()
    with a, b:
        a.setblocking(blocking)
        b.setblocking(blocking)
        yield a, b


@contextmanager
def listening(backlog: int = 100) -> Iterator[socket.socket]:
    with socket.socket() as sock:
        sock.bind((LOCALHOST, 0))
        sock.listen(backlog)
        sock.setblocking(False)
        yield sock


@contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected TCP sockets, non-blocking."""
    with listening() as server, socket.create_connection(server.getsockname()) as a:
        server.setblocking(True)
        b, _ = server.accept()
        with b:
            a.setblocking(False)
            b.setblocking(False)
            yield a, b


def reset(sock: socket.socket) -> None:
    """Close so that the peer gets RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def fill(sock: socket.socket) -> int:
    """Write until the socket takes no more; how much that was."""
    total = 0
    try:
        while True:
            total += sock.send(b"x" * 65536)
    except BlockingIOError:
        return total


def hold_little(receiver: Any, sender: Any) -> None:
    """Let the kernel hold little between the two. Left to itself it grows both buffers to megabytes, to how many differs by
    machine, and the sender of a test about a slow reader is done before its time."""
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)


def drain(sock: socket.socket) -> int:
    """Read all there is now."""
    total = 0
    try:
        while data := sock.recv(1 << 20):
            total += len(data)
    except BlockingIOError:
        pass
    return total


def refused_address() -> tuple[str, int]:
    """An address where nobody listens. The port is free now; nothing else here binds a given number."""
    with socket.socket() as sock:
        sock.bind((LOCALHOST, 0))
        return sock.getsockname()


async def until(condition: Callable[[], Any]) -> None:
    """Turn the loop until something holds. The test's own alarm ends a wait that never does."""
    while not condition():
        await asyncio.sleep(0)


class Recorder(asyncio.Protocol):
    """Writes down the calls it gets; futures for the two ends of a connection."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.calls: list[str] = []
        self.data = bytearray()
        self.transport: Any = None
        self.made: asyncio.Future[None] = loop.create_future()
        self.eof: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[BaseException | None] = loop.create_future()
        self.keep_open = False

    def connection_made(self, transport: Any) -> None:
        self.calls.append("made")
        self.transport = transport
        self.made.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self.calls[-1] != "data":
            self.calls.append("data")
        self.data += data

    def eof_received(self) -> bool:
        self.calls.append("eof")
        self.eof.set_result(None)
        return self.keep_open

    def connection_lost(self, error: BaseException | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(error)

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


async def connected(protocol: Callable[[], Any] = Recorder) -> tuple[Any, socket.socket]:
    """A protocol on the running loop, connected over TCP to a plain non-blocking socket, which the caller closes."""
    loop = asyncio.get_running_loop()
    with listening() as server:
        connecting = loop.create_task(loop.create_connection(protocol, *server.getsockname()))
        peer, _ = await loop.sock_accept(server)
        _, made = await connecting
    return made, peer


class Pair:
    """``async with Pair() as (protocol, peer)``: the same, and both ends are closed afterwards."""

    def __init__(self, protocol: Callable[[], Any] = Recorder) -> None:
        self._factory = protocol

    async def __aenter__(self) -> tuple[Any, socket.socket]:
        self.protocol, self.peer = await connected(self._factory)
        self.transport = self.protocol.transport
        return self.protocol, self.peer

    async def __aexit__(self, *_: object) -> None:
        if not self.protocol.lost.done():
            self.transport.abort()
        self.peer.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def check_unusual_limits(transport: Any) -> None:
    """Any numbers will do for marks, as long as they are in order: one that no buffer reaches, and a fraction."""
    for high, low in ((2**64, None), (2**200, 2**70), (None, 2**64), (math.inf, 0), (2**63, 5)):
        transport.set_write_buffer_limits(high=high, low=low)
        set_low, set_high = transport.get_write_buffer_limits()
        assert set_high > 2**62 and (set_low == low or set_low > 2**60)
    transport.set_write_buffer_limits(high=1000.5, low=True)
    assert [int(mark) for mark in transport.get_write_buffer_limits()] == [1, 1000]
    before = transport.get_write_buffer_limits()
    for high, low, words in (
        (2**64, 2**65, f"high ({2**64}) must be >= low ({2**65}) must be >= 0"),
        (None, -(2**64), f"high ({-(2**66)}) must be >= low ({-(2**64)}) must be >= 0"),
        (1.5, 2.5, "high (1.5) must be >= low (2.5) must be >= 0"),
        (math.nan, None, "high (nan) must be >= low (nan) must be >= 0"),
    ):
        with pytest.raises(ValueError) as refused:
            transport.set_write_buffer_limits(high=high, low=low)
        assert str(refused.value) == words
    with pytest.raises(TypeError):
        transport.set_write_buffer_limits(high="1")
    assert transport.get_write_buffer_limits() == before
    transport.set_write_buffer_limits()
