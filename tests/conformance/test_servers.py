"""Server: starting, serving for ever, closing, closing its clients, waiting for them."""

import asyncio
import errno
import os
import socket
import sys

import pytest
from peers import LOCALHOST, Recorder, until

since_3_12 = pytest.mark.skipif(sys.version_info < (3, 12), reason="wait_closed waits from 3.12 on")
since_3_13 = pytest.mark.skipif(sys.version_info < (3, 13), reason="came with 3.13")


class Serving:
    """A server on the running loop with the protocols that it made, and a plain client socket for each call of `client`."""

    def __init__(self, **options):
        self.options = options
        self.protocols = []
        self.clients = []

    def factory(self):
        self.protocols.append(Recorder())
        return self.protocols[-1]

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(self.factory, LOCALHOST, 0, **self.options)
        self.address = self.server.sockets[0].getsockname()
        return self

    async def client(self):
        sock = socket.socket()
        self.clients.append(sock)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self.address)
        count = len(self.clients)
        await until(lambda: len(self.protocols) == count)
        await self.protocols[-1].made
        return sock, self.protocols[-1]

    async def __aexit__(self, *_):
        self.server.close()
        for sock in self.clients:
            sock.close()
        for protocol in self.protocols:
            protocol.transport.abort()
            await protocol.lost
        await self.server.wait_closed()


def test_is_a_server(run):
    async def main():
        async with Serving() as serving:
            server = serving.server
            assert isinstance(server, asyncio.AbstractServer)
            assert server.is_serving() and server.get_loop() is asyncio.get_running_loop()
            assert len(server.sockets) == 1 and server.sockets[0].gettimeout() == 0
            server.close()
            assert not server.is_serving() and server.sockets == ()
            server.close()

    run(main())


def test_serves_many(loop, run):
    async def main():
        async with Serving() as serving:
            for i in range(20):
                client, protocol = await serving.client()
                client.send(b"%d" % i)
                await until(lambda p=protocol, i=i: p.data == b"%d" % i)
                assert protocol.transport.get_extra_info("peername") == client.getsockname()
                assert protocol.transport.get_extra_info("sockname") == serving.address

    run(main())


def test_several_hosts_and_families(loop, run):
    async def main():
        server = await loop.create_server(Recorder, [LOCALHOST, "127.0.0.2"], 0)
        assert {sock.getsockname()[0] for sock in server.sockets} == {LOCALHOST, "127.0.0.2"}
        server.close()
        await server.wait_closed()

    run(main())


def test_a_given_socket(loop, run):
    async def main():
        sock = socket.create_server((LOCALHOST, 0))
        server = await loop.create_server(Recorder, sock=sock)
        assert server.sockets[0].getsockname() == sock.getsockname()
        server.close()
        await server.wait_closed()
        assert sock.fileno() == -1

    run(main())


def test_reuse_of_the_address(loop, run):
    async def main():
        async with Serving() as serving:
            address = serving.address
            await serving.client()
        again = await loop.create_server(Recorder, *address)
        again.close()
        await again.wait_closed()

    run(main())


def test_start_serving_later(loop, run):
    async def main():
        async with Serving(start_serving=False) as serving:
            assert not serving.server.is_serving()
            with socket.socket() as early:
                early.setblocking(False)
                with pytest.raises(ConnectionRefusedError):
                    await loop.sock_connect(early, serving.address)
            await serving.server.start_serving()
            await serving.server.start_serving()
            assert serving.server.is_serving()
            await serving.client()

    run(main())


def test_serve_forever_until_cancelled(loop, run):
    async def main():
        async with Serving(start_serving=False) as serving:
            task = loop.create_task(serving.server.serve_forever())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await serving.client()
            with pytest.raises(RuntimeError, match="is already being awaited on serve_forever"):
                await serving.server.serve_forever()
            for client in serving.clients:
                client.close()
            await serving.protocols[0].lost
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not serving.server.is_serving()
            with pytest.raises(RuntimeError, match="is closed"):
                await serving.server.serve_forever()

    run(main())


def test_async_with(loop, run):
    async def main():
        async with await loop.create_server(Recorder, LOCALHOST, 0) as server:
            assert server.is_serving()
        assert not server.is_serving()

    run(main())


def test_closing_refuses_new_clients_and_keeps_the_old(loop, run):
    async def main():
        async with Serving() as serving:
            client, protocol = await serving.client()
            serving.server.close()
            with socket.socket() as late:
                late.setblocking(False)
                with pytest.raises(ConnectionRefusedError):
                    await loop.sock_connect(late, serving.address)
            client.send(b"still here")
            await until(lambda: protocol.data == b"still here")

    run(main())


@since_3_12
def test_wait_closed_waits_for_clients(loop, run):
    async def main():
        async with Serving() as serving:
            client, protocol = await serving.client()
            waiting = loop.create_task(serving.server.wait_closed())
            await asyncio.sleep(0)
            serving.server.close()
            for _ in range(5):
                await asyncio.sleep(0)
            assert not waiting.done()
            client.close()
            await protocol.lost
            await waiting

    run(main())


@since_3_13
def test_close_clients(loop, run):
    async def main():
        async with Serving() as serving:
            pairs = [await serving.client() for _ in range(3)]
            pairs[0][1].transport.write(b"x" * 3_000_000)
            serving.server.close()
            serving.server.close_clients()
            got = 0
            while got < 3_000_000:
                got += len(await loop.sock_recv(pairs[0][0], 1 << 20))
            for client, protocol in pairs:
                assert await protocol.lost is None
                assert await loop.sock_recv(client, 1) == b""
            await serving.server.wait_closed()

    run(main())


@since_3_13
def test_abort_clients(loop, run):
    async def main():
        async with Serving() as serving:
            pairs = [await serving.client() for _ in range(3)]
            pairs[0][1].transport.write(b"x" * 20_000_000)
            serving.server.close()
            serving.server.abort_clients()
            for _, protocol in pairs:
                assert await protocol.lost is None
            await serving.server.wait_closed()

    run(main())


def test_closed_while_connections_wait_in_the_backlog(loop, run):
    async def main():
        serving = Serving()
        async with serving:
            clients = [socket.create_connection(serving.address) for _ in range(5)]
            serving.server.close()
            for client in clients:
                client.close()

    run(main())


def test_a_client_that_is_gone_before_it_is_accepted(loop, run):
    from peers import reset

    async def main():
        async with Serving() as serving:
            for _ in range(5):
                reset(socket.create_connection(serving.address))
            with socket.create_connection(serving.address) as client:
                client.send(b"served")
                await until(lambda: any(protocol.data == b"served" for protocol in serving.protocols))

    run(main())


def exhausted():
    """Takes every descriptor number that is left; close what it returns."""
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EMFILE
    return taken


def test_no_descriptors_left_while_accepting(loop, run):
    """Accepting pauses (for a second, asyncio's ACCEPT_RETRY_DELAY), says so, goes on, and serves the client that waited."""
    import resource

    reports = []
    loop.set_exception_handler(lambda _, context: reports.append((context["message"], context["exception"].errno)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def main():
        async with Serving() as serving:
            client = socket.socket()
            serving.clients.append(client)
            client.setblocking(False)
            taken = exhausted()
            try:
                await loop.sock_connect(client, serving.address)
                await until(lambda: reports)
            finally:
                for fd in taken:
                    os.close(fd)
            client.send(b"patient")
            await until(lambda: serving.protocols and serving.protocols[0].data == b"patient")

    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert set(reports) == {("socket.accept() out of system resource", errno.EMFILE)}
