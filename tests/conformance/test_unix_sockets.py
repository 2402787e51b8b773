"""Unix sockets: connections, servers, streams, addresses, files that are left or in the way."""

import asyncio
import contextlib
import os
import socket
import sys

import pytest
from peers import Recorder, until

CLEANS_UP = sys.version_info >= (3, 13)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "sockét")


def names(path):
    return [path, path.encode(), f"\0plait-test-{os.getpid()}", b"\0plait-test-b-%d" % os.getpid()]


@contextlib.asynccontextmanager
async def server_at(path, factory, **kwargs):
    server = await asyncio.get_running_loop().create_unix_server(factory, path, **kwargs)
    try:
        yield server
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("which", range(4))
def test_there_and_back_with_addresses(loop, run, path, which):
    name = names(path)[which]

    async def main():
        made = []

        def factory():
            made.append(Recorder())
            return made[-1]

        async with server_at(name, factory) as server:
            shown = server.sockets[0].getsockname()
            assert shown == (os.fsdecode(name) if which < 2 else os.fsencode(name))
            transport, near = await loop.create_unix_connection(Recorder, name)
            assert transport.get_extra_info("peername") == shown
            assert transport.get_extra_info("sockname") == ""
            transport.write(b"hello")
            await until(lambda: made and made[0].data == b"hello")
            (far,) = made
            assert far.transport.get_extra_info("sockname") == shown
            assert far.transport.get_extra_info("peername") == ""
            assert far.transport.get_extra_info("socket").family == socket.AF_UNIX
            far.transport.write(b"answer")
            await until(lambda: near.data == b"answer")
            transport.write_eof()
            await until(lambda: far.transport._sock is None)
            await until(lambda: transport._sock is None)
            assert far.transport.get_extra_info("sockname") == shown

    run(main())


def test_addresses_that_nobody_asked_for_outlive_the_connection(loop, run, path):
    async def main():
        made = []

        def factory():
            made.append(Recorder())
            return made[-1]

        async with server_at(path, factory):
            transport, _ = await loop.create_unix_connection(Recorder, path)
            await until(lambda: made and made[0].transport)
            transport.close()
            await until(lambda: made[0].transport._sock is None)
            assert made[0].transport.get_extra_info("sockname") == path
            assert made[0].transport.get_extra_info("peername") == ""

    run(main())


def test_streams(run, path):
    async def main():
        async def echo(reader, writer):
            while line := await reader.readline():
                writer.write(line.upper())
                await writer.drain()
            writer.close()

        server = await asyncio.start_unix_server(echo, path)
        async with server:
            reader, writer = await asyncio.open_unix_connection(path)
            large = b"x" * 50_000 + b"\n"
            writer.write(b"one\n" + large)
            assert await reader.readline() == b"ONE\n"
            assert await reader.readline() == large.upper()
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(main())


def test_large_data_both_ways_with_flow_control(loop, run, path):
    async def main():
        class Echo(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                self.transport.write(data)

            def pause_writing(self):
                self.transport.pause_reading()

            def resume_writing(self):
                self.transport.resume_reading()

        async with server_at(path, Echo):
            transport, protocol = await loop.create_unix_connection(Recorder, path)
            data = bytes(range(256)) * 20_000
            transport.write(data)
            await until(lambda: len(protocol.data) == len(data))
            assert protocol.data == data
            transport.close()

    run(main())


def test_nobody_listens(loop, run, path):
    async def main():
        with pytest.raises(FileNotFoundError):
            await loop.create_unix_connection(Recorder, path)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)
        with pytest.raises(ConnectionRefusedError):
            await loop.create_unix_connection(Recorder, path)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(sock, path)

    run(main())


def test_a_stale_socket_file_is_replaced_and_another_file_is_not(loop, run, path):
    async def main():
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(path)
        async with server_at(path, Recorder):
            pass
        other = path + ".txt"
        with open(other, "w"):
            pass
        with pytest.raises(OSError) as caught:
            await loop.create_unix_server(Recorder, other)
        assert str(caught.value) == f"[Errno 98] Address {other!r} is already in use"

    run(main())


def test_the_file_goes_with_the_server_where_the_host_does_that(run, path):
    async def main():
        async with server_at(path, Recorder):
            assert os.path.exists(path)
        assert os.path.exists(path) is not CLEANS_UP
        if CLEANS_UP:
            async with server_at(path, Recorder, cleanup_socket=False):
                pass
            assert os.path.exists(path)
            async with server_at(path, Recorder):
                os.unlink(path)
                with open(path, "w"):
                    pass
            assert os.path.exists(path), "that is another file"

    run(main())


@pytest.mark.parametrize(
    ("method", "args", "kwargs", "text"),
    [
        ("create_unix_connection", (), {}, "no path and sock were specified"),
        ("create_unix_connection", ("p",), {"server_hostname": "h"}, "server_hostname is only meaningful with ssl"),
        ("create_unix_server", (), {}, "path was not specified, and no sock specified"),
    ],
)
def test_refusals(loop, run, method, args, kwargs, text):
    async def main():
        with pytest.raises(ValueError) as caught:
            await getattr(loop, method)(Recorder, *args, **kwargs)
        assert str(caught.value) == text
        with socket.socket() as sock:
            with pytest.raises(ValueError, match="^A UNIX Domain Stream Socket was expected, got <socket"):
                await getattr(loop, method)(Recorder, sock=sock)
            with pytest.raises(ValueError, match="^path and sock can not be specified at the same time$"):
                await getattr(loop, method)(Recorder, "path", sock=sock)

    run(main())


def test_sockets_that_are_there_already(loop, run):
    async def main():
        a, b = socket.socketpair()
        with b:
            transport, protocol = await loop.create_unix_connection(Recorder, sock=a)
            b.send(b"x")
            await until(lambda: protocol.data == b"x")
            assert transport.get_extra_info("peername") == ""
            transport.close()
            await until(lambda: transport._sock is None)

    run(main())
