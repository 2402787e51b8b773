"""The sock_* family takes blocking sockets outside debug mode, and the loop does not block.

Stock asyncio blocks with most of them, so there is nothing to compare with. A socket's own time-out is its owner's: it is
the same after every operation.
"""

import asyncio
import socket

import pytest
from peers import LOCALHOST, drain, fill, listening, refused_address, sockets, tcp_pair
from test_sock_operations import full_backlog

TEN_MIB = 10 << 20


@pytest.fixture(params=[None, 5.0], ids=["blocking", "with a time-out"])
def timeout(request):
    return request.param


def test_recv(loop, run, timeout):
    async def main():
        with sockets(True) as (a, b):
            a.settimeout(timeout)
            receiving = loop.create_task(loop.sock_recv(a, 100))
            await asyncio.sleep(0)
            assert not receiving.done()
            b.send(b"later")
            assert await receiving == b"later"
            buffer = bytearray(5)
            receiving = loop.create_task(loop.sock_recv_into(a, buffer))
            await asyncio.sleep(0)
            b.send(b"into")
            assert await receiving == 4
            assert buffer == b"into\0"
            assert a.gettimeout() == timeout

    run(main())


def test_sendall_to_a_slow_reader(loop, run, timeout):
    async def main():
        with tcp_pair() as (a, b):
            a.settimeout(timeout)
            data = bytes(range(256)) * (TEN_MIB // 256)
            sending = loop.create_task(loop.sock_sendall(a, data))
            got = bytearray()
            while len(got) < TEN_MIB:
                got += await loop.sock_recv(b, 100_000)
            await sending
            assert got == data
            assert a.gettimeout() == timeout

    run(main())


def test_connect_and_accept(loop, run, timeout):
    async def main():
        with listening() as server, socket.socket() as client:
            server.settimeout(timeout)
            client.settimeout(timeout)
            accepting = loop.create_task(loop.sock_accept(server))
            await asyncio.sleep(0)
            await loop.sock_connect(client, server.getsockname())
            peer, _ = await accepting
            with peer:
                assert peer.gettimeout() == 0
            assert client.gettimeout() == server.gettimeout() == timeout

    run(main())


def test_connect_by_name(loop, run, timeout):
    async def main():
        with listening() as server, socket.socket() as client:
            client.settimeout(timeout)
            await loop.sock_connect(client, ("localhost", server.getsockname()[1]))
            assert client.getpeername() == server.getsockname()
            assert client.gettimeout() == timeout

    run(main())


def test_connect_refused_and_timed_out(loop, run, timeout):
    async def main():
        with socket.socket() as client:
            client.settimeout(timeout)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(client, refused_address())
            assert client.gettimeout() == timeout
        server, waiting = full_backlog()
        with socket.socket() as client:
            client.settimeout(timeout)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(loop.sock_connect(client, server.getsockname()), 0.01)
            assert client.gettimeout() == timeout
        for sock in (*waiting, server):
            sock.close()

    run(main())


def test_datagrams(loop, run, timeout):
    async def main():
        with socket.socket(type=socket.SOCK_DGRAM) as a, socket.socket(type=socket.SOCK_DGRAM) as b:
            for sock in (a, b):
                sock.bind((LOCALHOST, 0))
                sock.settimeout(timeout)
            receiving = loop.create_task(loop.sock_recvfrom(b, 100))
            await asyncio.sleep(0)
            assert not receiving.done()
            await loop.sock_sendto(a, b"one", b.getsockname())
            assert await receiving == (b"one", a.getsockname())
            assert a.gettimeout() == b.gettimeout() == timeout

    run(main())


def test_cancelled_in_the_middle(loop, run, timeout):
    async def main():
        with sockets(True) as (a, b):
            a.settimeout(timeout)
            b.setblocking(False)
            receiving = loop.create_task(loop.sock_recv(a, 100))
            await asyncio.sleep(0)
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            b.send(b"x")
            assert await loop.sock_recv(a, 100) == b"x"
            a.setblocking(False)
            fill(a)
            a.settimeout(timeout)
            sending = loop.create_task(loop.sock_sendall(a, b"lost"))
            await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            drain(b)
            await loop.sock_sendall(a, b"next")
            assert b.recv(100) == b"next"

    run(main())


def test_a_scan_with_blocking_sockets(loop, run):
    async def main():
        with listening() as server:
            closed = {refused_address()[1] for _ in range(200)} - {server.getsockname()[1]}

            async def probe(port):
                with socket.socket() as sock:
                    try:
                        await loop.sock_connect(sock, (LOCALHOST, port))
                    except ConnectionRefusedError:
                        return None
                    return port

            found = await asyncio.gather(*(probe(port) for port in {server.getsockname()[1], *closed}))
            assert set(found) - {None} == {server.getsockname()[1]}

    run(main())
