"""create_connection and connect_accepted_socket: addresses, happy eyeballs, local addresses, given sockets, failures."""

import asyncio
import socket

import pytest
from peers import LOCALHOST, Recorder, listening, refused_address, until


def resolving_to(loop, *addresses):
    """Makes the loop resolve any name to these addresses."""

    async def getaddrinfo(host, port, *, family=0, type=0, proto=0, flags=0):
        return [(family_, socket.SOCK_STREAM, 6, "", address) for family_, address in addresses]

    loop.getaddrinfo = getaddrinfo


def v4(address):
    return socket.AF_INET, address


def test_by_address_and_by_name(loop, run):
    async def main():
        with listening() as server:
            port = server.getsockname()[1]
            for host in (LOCALHOST, "localhost"):
                transport, protocol = await loop.create_connection(Recorder, host, port, family=socket.AF_INET)
                assert isinstance(transport, asyncio.Transport)
                assert protocol.calls == ["made"] and protocol.transport is transport
                assert transport.get_extra_info("peername") == server.getsockname()
                sock = transport.get_extra_info("socket")
                assert sock.getpeername() == server.getsockname()
                assert transport.get_extra_info("sockname") == sock.getsockname()
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
                assert sock.gettimeout() == 0
                assert transport.get_extra_info("nothing", "default") == "default"
                assert transport.get_extra_info("nothing") is None
                peer, _ = await loop.sock_accept(server)
                peer.close()
                transport.close()
                assert await protocol.lost is None
                assert transport.get_extra_info("peername") == server.getsockname(), "known after the end too"

    run(main())


def test_refused(loop, run):
    async def main():
        with pytest.raises(ConnectionRefusedError) as caught:
            await loop.create_connection(Recorder, *refused_address())
        assert caught.value.errno == 111
        assert str(caught.value).startswith("[Errno 111] Connect call failed ('127.0.0.1', ")

    run(main())


def test_several_addresses_are_tried_in_turn(loop, run):
    async def main():
        with listening() as server:
            resolving_to(loop, v4(refused_address()), v4(refused_address()), v4(server.getsockname()))
            transport, protocol = await loop.create_connection(Recorder, "name", 1)
            assert transport.get_extra_info("peername") == server.getsockname()
            transport.abort()
            await protocol.lost

    run(main())


def test_all_addresses_refused(loop, run):
    async def main():
        resolving_to(loop, v4(refused_address()), v4(refused_address()))
        with pytest.raises(OSError) as caught:
            await loop.create_connection(Recorder, "name", 1)
        assert str(caught.value).startswith("Multiple exceptions: [Errno 111] Connect call failed ")

    run(main())


def test_all_errors(loop, run):
    import sys

    if sys.version_info < (3, 12):
        pytest.skip("all_errors came with 3.12")

    async def main():
        resolving_to(loop, v4(refused_address()), v4(refused_address()))
        with pytest.raises(ExceptionGroup) as caught:
            await loop.create_connection(Recorder, "name", 1, all_errors=True)
        assert [type(error) for error in caught.value.exceptions] == [ConnectionRefusedError] * 2

    run(main())


def test_no_address_at_all(loop, run):
    async def main():
        resolving_to(loop)
        with pytest.raises(OSError, match="returned empty list"):
            await loop.create_connection(Recorder, "name", 1)

    run(main())


def test_happy_eyeballs_do_not_wait_for_a_hanging_address(loop, run):
    from test_sock_operations import full_backlog

    async def main():
        hanging, waiting = full_backlog()
        with listening() as server:
            resolving_to(loop, v4(hanging.getsockname()), v4(server.getsockname()))
            transport, protocol = await loop.create_connection(Recorder, "name", 1, happy_eyeballs_delay=0.01)
            assert transport.get_extra_info("peername") == server.getsockname()
            transport.abort()
            await protocol.lost
        for sock in (*waiting, hanging):
            sock.close()

    run(main())


def test_happy_eyeballs_interleave_families(loop, run):
    tried = []

    async def main():
        addresses = [(socket.AF_INET6, ("::1", 1, 0, 0))] * 2 + [v4((LOCALHOST, 1))] * 2
        resolving_to(loop, *addresses)

        async def connect(sock, address):
            tried.append(sock.family)
            raise ConnectionRefusedError(111, "refused")

        loop.sock_connect = connect
        with pytest.raises(OSError):
            await loop.create_connection(Recorder, "name", 1, happy_eyeballs_delay=0.001, interleave=1)

    try:
        run(main())
    finally:
        del loop.sock_connect
    assert tried[:2] == [socket.AF_INET6, socket.AF_INET]


def test_local_address(loop, run):
    async def main():
        with listening() as server, socket.socket() as probe:
            probe.bind((LOCALHOST, 0))
            local = probe.getsockname()
            probe.close()
            transport, protocol = await loop.create_connection(Recorder, *server.getsockname(), local_addr=local)
            assert transport.get_extra_info("sockname") == local
            transport.abort()
            await protocol.lost

    run(main())


def test_local_address_that_is_taken(loop, run):
    async def main():
        with listening() as server, listening() as taken:
            with pytest.raises(OSError, match="error while attempting to bind on address"):
                await loop.create_connection(Recorder, *server.getsockname(), local_addr=taken.getsockname())

    run(main())


def test_over_a_given_socket(loop, run):
    async def main():
        with listening() as server:
            sock = socket.create_connection(server.getsockname())
            transport, protocol = await loop.create_connection(Recorder, sock=sock)
            peer, _ = await loop.sock_accept(server)
            with peer:
                transport.write(b"hi")
                assert await loop.sock_recv(peer, 10) == b"hi"
                transport.close()
                await protocol.lost
        assert sock.fileno() == -1

    run(main())


def test_connect_accepted_socket(loop, run):
    async def main():
        with listening() as server:
            client = socket.create_connection(server.getsockname())
            peer, address = await loop.sock_accept(server)
            with client:
                transport, protocol = await loop.connect_accepted_socket(Recorder, peer)
                assert transport.get_extra_info("peername") == address == client.getsockname()
                client.send(b"data")
                await until(lambda: protocol.data == b"data")
                client.shutdown(socket.SHUT_WR)
                assert await protocol.lost is None
                assert protocol.calls == ["made", "data", "eof", "lost"]

    run(main())


def test_a_unix_socket_pair_is_a_stream_too(loop, run):
    async def main():
        a, b = socket.socketpair()
        b.setblocking(False)
        transport, protocol = await loop.connect_accepted_socket(Recorder, a)
        transport.write(b"over AF_UNIX")
        assert b.recv(100) == b"over AF_UNIX"
        b.close()
        assert await protocol.lost is None

    run(main())


def test_cancelled_while_connecting(loop, run):
    from test_sock_operations import full_backlog

    async def main():
        hanging, waiting = full_backlog()
        task = loop.create_task(loop.create_connection(Recorder, *hanging.getsockname()))
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for sock in (*waiting, hanging):
            sock.close()

    run(main())


def test_cancelled_at_every_turn_of_connecting(loop, run):
    """Nothing leaks, and nobody is told of a connection that was not asked for any more and left open."""

    async def main():
        with listening() as server:
            for turns in range(12):
                made = []

                def factory(made=made):
                    made.append(Recorder())
                    return made[-1]

                task = loop.create_task(loop.create_connection(factory, *server.getsockname()))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                if not task.cancelled():
                    task.result()[0].abort()
                for protocol in made:
                    if protocol.transport is not None:
                        await protocol.lost
                    else:
                        await until(lambda p=protocol: p.lost.done() or p.transport is None)

    run(main())


def test_a_thousand_connections(loop, run):
    async def main():
        async def echo(reader, writer):
            while data := await reader.read(100):
                writer.write(data)
            writer.close()

        server = await asyncio.start_server(echo, LOCALHOST, 0, backlog=1000)

        async def client(i):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            message = b"%d" % i
            writer.write(message)
            assert await reader.readexactly(len(message)) == message
            writer.close()
            await writer.wait_closed()

        for batch in range(5):
            await asyncio.gather(*(client(batch * 200 + i) for i in range(200)))
        server.close()
        await server.wait_closed()

    run(main())
