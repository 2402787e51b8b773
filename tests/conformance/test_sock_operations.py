"""The sock_* family: every operation, cancellation, closed and reset peers.

Blocking sockets are in tests/loop: stock asyncio blocks with them.
"""

import array
import asyncio
import socket

import pytest
from peers import (
    LOCALHOST,
    drain,
    fill,
    listening,
    refused_address,
    reset,
    sockets,
    tcp_pair,
)

TEN_MIB = 10 << 20


def test_recv_what_is_there_and_what_comes(loop, run):
    async def main():
        with sockets() as (a, b):
            b.send(b"now")
            assert await loop.sock_recv(a, 100) == b"now"
            receiving = loop.create_task(loop.sock_recv(a, 100))
            await asyncio.sleep(0)
            assert not receiving.done()
            b.send(b"later")
            assert await receiving == b"later"
            b.send(b"ab")
            assert [await loop.sock_recv(a, 1), await loop.sock_recv(a, 1)] == [b"a", b"b"]
            b.close()
            assert await loop.sock_recv(a, 1) == b""

    run(main())


def test_recv_of_nothing(loop, run):
    async def main():
        with sockets() as (a, b):
            b.send(b"x")
            assert await loop.sock_recv(a, 0) == b""
            assert await loop.sock_recv(a, 10) == b"x"

    run(main())


def test_recv_into(loop, run):
    async def main():
        with sockets() as (a, b):
            buffer = bytearray(8)
            b.send(b"abc")
            assert await loop.sock_recv_into(a, buffer) == 3
            assert buffer[:3] == b"abc"
            receiving = loop.create_task(loop.sock_recv_into(a, memoryview(buffer)[4:6]))
            await asyncio.sleep(0)
            b.send(b"xyz")
            assert await receiving == 2
            assert bytes(buffer) == b"abc\0xy\0\0"
            words = array.array("i", [0, 0])
            b.send(b"\1\0\0\0\2")
            assert await loop.sock_recv_into(a, words) == 6
            b.close()
            assert await loop.sock_recv_into(a, buffer) == 0

    run(main())


def test_datagrams(loop, run):
    async def main():
        with socket.socket(type=socket.SOCK_DGRAM) as a, socket.socket(type=socket.SOCK_DGRAM) as b:
            for sock in (a, b):
                sock.bind((LOCALHOST, 0))
                sock.setblocking(False)
            assert await loop.sock_sendto(a, b"one", b.getsockname()) == 3
            assert await loop.sock_recvfrom(b, 100) == (b"one", a.getsockname())
            receiving = loop.create_task(loop.sock_recvfrom(b, 100))
            await asyncio.sleep(0)
            await loop.sock_sendto(a, b"", b.getsockname())
            assert await receiving == (b"", a.getsockname())
            buffer = bytearray(10)
            await loop.sock_sendto(a, b"three", b.getsockname())
            assert await loop.sock_recvfrom_into(b, buffer) == (5, a.getsockname())
            await loop.sock_sendto(a, b"four", b.getsockname())
            assert await loop.sock_recvfrom_into(b, buffer, 2) == (2, a.getsockname())
            assert bytes(buffer[:5]) == b"foree"

    run(main())


def test_sendall_of_ten_mebibytes_to_a_slow_reader(loop, run):
    async def main():
        with tcp_pair() as (a, b):
            data = bytes(range(256)) * (TEN_MIB // 256)
            sending = loop.create_task(loop.sock_sendall(a, data))
            got = bytearray()
            while len(got) < TEN_MIB:
                got += await loop.sock_recv(b, 100_000)
                await asyncio.sleep(0)
            assert await sending is None
            assert got == data

    run(main())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: array.array("B", data)])
def test_sendall_takes_any_buffer(loop, run, kind):
    async def main():
        with sockets() as (a, b):
            await loop.sock_sendall(a, kind(b"abcdef"))
            assert b.recv(100) == b"abcdef"

    run(main())


def test_both_directions_at_once(loop, run):
    async def main():
        with sockets() as (a, b):
            fill(a)
            sending = loop.create_task(loop.sock_sendall(a, b"end"))
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asyncio.sleep(0)
            b.send(b"hello")
            assert await receiving == b"hello"
            assert not sending.done()
            while not sending.done():
                drain(b)
                await asyncio.sleep(0)
            assert await sending is None

    run(main())


def test_connect_and_accept(loop, run):
    async def main():
        with listening() as server, socket.socket() as client:
            server.setblocking(False)
            client.setblocking(False)
            accepting = loop.create_task(loop.sock_accept(server))
            await asyncio.sleep(0)
            assert await loop.sock_connect(client, server.getsockname()) is None
            peer, address = await accepting
            with peer:
                assert address == client.getsockname()
                assert peer.gettimeout() == 0
                await loop.sock_sendall(client, b"hi")
                assert await loop.sock_recv(peer, 10) == b"hi"

    run(main())


def test_connect_to_ipv6(loop, run):
    async def main():
        try:
            server = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError:
            pytest.skip("no IPv6 here")
        with server, socket.socket(socket.AF_INET6) as client:
            client.setblocking(False)
            await loop.sock_connect(client, server.getsockname())
            assert client.getpeername()[:2] == server.getsockname()[:2]

    run(main())


def test_connect_over_a_unix_socket(loop, run, tmp_path):
    async def main():
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(str(tmp_path / "socket"))
            server.listen()
            client.setblocking(False)
            server.setblocking(False)
            await loop.sock_connect(client, str(tmp_path / "socket"))
            peer, _ = await loop.sock_accept(server)
            with peer:
                await loop.sock_sendall(peer, b"x")
                assert await loop.sock_recv(client, 1) == b"x"

    run(main())


def test_connect_by_name(loop, run):
    async def main():
        with listening() as server, socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("localhost", server.getsockname()[1]))
            assert client.getpeername() == server.getsockname()

    run(main())


def test_connect_to_a_name_that_is_none(loop, run):
    async def main():
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(OSError):
                await loop.sock_connect(client, ("no-such-host.invalid", 80))

    run(main())


def test_connect_refused(loop, run):
    async def main():
        with socket.socket() as client:
            client.setblocking(False)
            address = refused_address()
            with pytest.raises(ConnectionRefusedError) as caught:
                await loop.sock_connect(client, address)
            assert caught.value.errno == 111

    run(main())


def test_connect_refused_when_it_is_not_known_at_once(loop, run):
    """Over loopback a refusal comes from connect(2) itself or a moment later; the words are asyncio's for the latter."""

    async def main():
        with socket.socket() as client:
            client.setblocking(False)
            address = refused_address()
            assert client.connect_ex(address) in (111, 115)
            with pytest.raises(OSError):
                await loop.sock_connect(client, address)

    run(main())


def full_backlog():
    """A listener whose queue is full: further connects to it hang."""
    server = socket.create_server((LOCALHOST, 0), backlog=0)
    waiting = []
    for _ in range(4):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        waiting.append(client)
    return server, waiting


def test_reset_by_the_peer(loop, run):
    async def main():
        with tcp_pair() as (a, b):
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asyncio.sleep(0)
            reset(b)
            with pytest.raises(ConnectionResetError) as caught:
                await receiving
            assert caught.value.errno == 104
        with tcp_pair() as (a, b):
            fill(a)
            sending = loop.create_task(loop.sock_sendall(a, b"x"))
            await asyncio.sleep(0)
            reset(b)
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await sending

    run(main())


def test_broken_pipe(loop, run):
    async def main():
        with sockets() as (a, b):
            b.close()
            with pytest.raises(BrokenPipeError) as caught:
                await loop.sock_sendall(a, b"x")
            assert caught.value.errno == 32

    run(main())


def test_operations_are_coroutines(loop, run):
    async def main():
        with sockets() as (a, b):
            operation = loop.sock_recv(a, 1)
            assert asyncio.iscoroutine(operation)
            operation.close()
            b.send(b"123")
            assert await asyncio.gather(loop.sock_recv(a, 1), asyncio.wait_for(loop.sock_recv(a, 1), 5)) == [b"1", b"2"]
            operation = loop.sock_recv(a, 1)
            assert await operation == b"3"
            with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                await operation

    run(main())
    with sockets() as (a, b):
        b.send(b"x")
        assert run(loop.sock_recv(a, 1)) == b"x"


def test_thousands_of_operations_on_one_socket(loop, run):
    async def echo(sock):
        while data := await loop.sock_recv(sock, 1024):
            await loop.sock_sendall(sock, data)

    async def main():
        with sockets() as (a, b):
            serving = loop.create_task(echo(b))
            for i in range(2000):
                message = b"%d" % i
                await loop.sock_sendall(a, message)
                assert await loop.sock_recv(a, 1024) == message
            a.close()
            await serving

    run(main())


def test_a_scan_finds_exactly_the_open_ports(loop, run):
    """Hundreds of connects at once."""

    async def main():
        with listening() as one, listening() as two:
            open_ports = {one.getsockname()[1], two.getsockname()[1]}
            closed_ports = {refused_address()[1] for _ in range(200)} - open_ports

            async def probe(port):
                with socket.socket() as sock:
                    sock.setblocking(False)
                    try:
                        await loop.sock_connect(sock, (LOCALHOST, port))
                    except ConnectionRefusedError:
                        return None
                    return port

            found = await asyncio.gather(*(probe(port) for port in open_ports | closed_ports))
            assert set(found) - {None} == open_ports

    run(main())
