"""Sockets that a program gives to a transport and then closes, or whose number it leaves watched: the number is the next socket's.

Bytes went to another connection, or another connection waited for ever.
"""

import asyncio
import itertools
import socket
from contextlib import nullcontext

import plait
import pytest


@pytest.fixture
def run():
    loop = plait.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    yield loop.run_until_complete
    loop.close()


def another_with(number):
    """A pair of sockets of which the first has that number."""
    pairs = []
    while True:
        pairs.append(socket.socketpair())
        for one, other in (pairs[-1], pairs[-1][::-1]):
            if one.fileno() == number:
                for sock in (one, other):
                    sock.setblocking(False)
                return one, other, pairs


def close(*sockets):
    for sock in sockets:
        sock.close()


def read_all(sock):
    received = b""
    while True:
        try:
            piece = sock.recv(1 << 20)
        except BlockingIOError:
            return received
        assert piece, "end of file"
        received += piece


class Noting(asyncio.Protocol):
    def __init__(self):
        self.received, self.ends = [], []

    def data_received(self, data):
        self.received.append(data)

    def connection_lost(self, error):
        self.ends.append(error)


async def connected():
    """A transport over a socket that is closed under it."""
    loop = asyncio.get_running_loop()
    mine, peer = socket.socketpair()
    transport, protocol = await loop.create_connection(Noting, sock=mine)
    number = mine.fileno()
    return transport, protocol, mine, peer, number


def test_what_is_written_does_not_go_to_another(run):
    async def main():
        transport, protocol, mine, peer, number = await connected()
        mine.close()
        _, other, pairs = another_with(number)
        transport.write(b"secret")
        await asyncio.sleep(0.01)
        assert read_all(other) == b"" and [error.errno for error in protocol.ends] == [9]
        close(peer, *itertools.chain(*pairs))

    run(main())


def test_what_another_receives_is_not_read(run):
    async def main():
        transport, protocol, mine, peer, number = await connected()
        transport.pause_reading()
        mine.close()
        _, other, pairs = another_with(number)
        other.send(b"for the other")
        transport.resume_reading()
        await asyncio.sleep(0.01)
        assert protocol.received == [] and [error.errno for error in protocol.ends] == [9]
        close(peer, *itertools.chain(*pairs))

    run(main())


def test_a_datagram_does_not_leave_from_another(run):
    async def main():
        loop = asyncio.get_running_loop()
        mine, peer = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        for sock in (mine, peer):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        errors = []

        class Protocol(asyncio.DatagramProtocol):
            def error_received(self, error):
                errors.append(error.errno)

        transport, _ = await loop.create_datagram_endpoint(Protocol, sock=mine)
        number = mine.fileno()
        mine.close()
        others = []
        while not others or others[-1].fileno() != number:
            others.append(socket.socket(type=socket.SOCK_DGRAM))
        transport.sendto(b"secret", peer.getsockname())
        assert errors == [9]
        with pytest.raises(BlockingIOError):
            peer.recv(100)
        transport.abort()
        await asyncio.sleep(0)
        close(peer, *others)

    run(main())


@pytest.mark.parametrize("way", ["abort", "close", "write", "write_eof"])
def test_another_goes_on_reading(run, way):
    async def main():
        transport, protocol, mine, peer, number = await connected()
        transport.pause_reading()
        mine.close()
        one, other, pairs = another_with(number)
        later, later_protocol = await asyncio.get_running_loop().create_connection(Noting, sock=one)
        with pytest.raises(OSError, match="Bad file descriptor") if way == "write_eof" else nullcontext():
            getattr(transport, way)(*[b"secret"] * (way == "write"))
        for _ in range(3):
            await asyncio.sleep(0)
        other.send(b"for the later one")
        for _ in range(100):
            await asyncio.sleep(0)
        assert later_protocol.received == [b"for the later one"]
        assert protocol.received == [] and read_all(other) == b""
        later.abort()
        transport.abort()
        await asyncio.sleep(0)
        close(peer, *itertools.chain(*pairs))

    run(main())


async def all_arrives_over(number):
    one, other, pairs = another_with(number)
    _, writer = await asyncio.open_connection(sock=one)
    writer.write(b"y" * 1_000_000)
    received = 0
    for _ in range(10_000):
        received += len(read_all(other))
        if received == 1_000_000:
            break
        await asyncio.sleep(0)
    assert received == 1_000_000
    writer.close()
    await writer.wait_closed()
    close(*itertools.chain(*pairs))


def test_a_writer_that_was_left_behind_does_not_stall_the_next(run):
    async def main():
        mine, peer = socket.socketpair()
        mine.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                mine.send(b"x" * 65536)
        asyncio.get_running_loop().add_writer(mine, lambda: None)
        number = mine.fileno()
        mine.close()
        await all_arrives_over(number)
        peer.close()

    run(main())


def test_lines_whose_iterator_ends_the_connection(run):
    async def main():
        transport, _, _, peer, number = await connected()

        def lines():
            yield b"1"
            transport.abort()
            yield b"2"

        transport.writelines(lines())
        await asyncio.sleep(0.01)
        await all_arrives_over(number)
        peer.close()

    run(main())


def test_what_comes_for_another_in_the_same_turn_is_not_read(run):
    """Both are readable; the callback of the first closes the socket of the second, and opens one of its number."""

    async def main():
        first, first_peer = socket.socketpair()
        first.setblocking(False)
        transport, protocol, mine, peer, number = await connected()
        taken = []

        def close_and_reopen():
            asyncio.get_running_loop().remove_reader(first)
            mine.close()
            taken.append(another_with(number))
            taken[0][1].send(b"for the other")

        asyncio.get_running_loop().add_reader(first, close_and_reopen)
        await asyncio.sleep(0)
        first_peer.send(b"x")
        peer.send(b"y")
        for _ in range(5):
            await asyncio.sleep(0)
        (one, _, pairs), = taken
        assert b"for the other" not in protocol.received
        assert read_all(one) == b"for the other"
        transport.abort()
        await asyncio.sleep(0)
        close(first, first_peer, peer, *itertools.chain(*pairs))

    run(main())
