"""TLS below streams, and connections that become TLS later: `open_connection(ssl=)`, `start_server(ssl=)`, `start_tls`."""

import asyncio
import ssl

import plait
import pytest
from peers import LOCALHOST, Recorder, sockets, tcp_pair, until
from tls_stage import Echo, TlsPeer, check_native, client_context, server_context, tls_pair


@pytest.fixture
def streams(loop):
    """The module whose streams go with the loop."""
    return plait.asyncio if isinstance(loop, plait.EventLoop) else asyncio


async def echo(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_streams(run, streams):
    async def main():
        server = await streams.start_server(echo, LOCALHOST, 0, ssl=server_context())
        address = server.sockets[0].getsockname()
        reader, writer = await streams.open_connection(*address, ssl=client_context())
        check_native(writer.transport)
        for size in (1, 1000, 16384, 50_000, 1_000_000):
            writer.write(b"x" * size)
            reading = asyncio.ensure_future(reader.readexactly(size))
            await writer.drain()
            assert await reading == b"x" * size
        writer.writelines([b"a line\n", b"and ", b"another\n"])
        assert [await reader.readline(), await reader.readline()] == [b"a line\n", b"and another\n"]
        assert writer.can_write_eof() is False
        writer.close()
        assert await reader.read() == b""
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run(main())


def test_a_slow_reader_holds_the_writer_up(loop, run, streams):
    async def main():
        arrived = loop.create_future()
        server = await streams.start_server(
            lambda *pair: arrived.set_result(pair), LOCALHOST, 0, ssl=server_context(), limit=1000
        )
        address = server.sockets[0].getsockname()
        reader, writer = await streams.open_connection(*address, ssl=client_context())
        slow, back = await arrived

        async def write():
            for number in range(100):
                writer.write(bytes([number]) * 100_000)
                await writer.drain()

        writing = loop.create_task(write())
        await until(lambda: writer.transport._protocol_paused)
        assert not writing.done()
        got = await slow.readexactly(100 * 100_000)
        assert got == b"".join(bytes([number]) * 100_000 for number in range(100))
        await writing
        for one in (writer, back):
            one.close()
        await writer.wait_closed()
        server.close()

    run(main())


def test_a_stream_whose_peer_is_cut_off(loop, run, streams):
    async def main():
        with tcp_pair() as (a, b):
            opening = loop.create_task(streams.open_connection(sock=a, ssl=client_context(), server_hostname="localhost"))
            peer = TlsPeer(b, server_context())
            await peer.handshake()
            reader, writer = await opening
            await peer.send(b"half of it")
            b.close()
            with pytest.raises(asyncio.IncompleteReadError) as caught:
                await reader.readexactly(20)
            assert caught.value.partial == b"half of it"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_drain_after_close(loop, run, streams):
    async def main():
        server = await streams.start_server(echo, LOCALHOST, 0, ssl=server_context())
        reader, writer = await streams.open_connection(*server.sockets[0].getsockname(), ssl=client_context())
        writer.write(b"x")
        writer.close()
        await writer.drain()
        await writer.wait_closed()
        with pytest.raises(ConnectionResetError, match="Connection lost"):
            await writer.drain()
        server.close()

    run(main())


@pytest.mark.parametrize("bytes_before", [b"", b"a greeting\n"])
def test_start_tls_of_streams(loop, run, streams, bytes_before):
    """Both ends, one after the other, as in SMTP: a line in plain text first, if any."""

    async def serve(reader, writer):
        if bytes_before:
            assert await reader.readline() == bytes_before
            writer.write(b"go ahead\n")
        await writer.start_tls(server_context())
        check_native(writer.transport)
        await echo(reader, writer)

    async def main():
        server = await streams.start_server(serve, LOCALHOST, 0)
        reader, writer = await streams.open_connection(*server.sockets[0].getsockname())
        if bytes_before:
            writer.write(bytes_before)
            assert await reader.readline() == b"go ahead\n"
        await writer.start_tls(client_context(), server_hostname="localhost")
        check_native(writer.transport)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        writer.write(b"x" * 300_000)
        await writer.drain()
        assert await reader.readexactly(300_000) == b"x" * 300_000
        writer.close()
        await writer.wait_closed()
        server.close()

    run(main())


async def plain_pair(loop, client=Recorder, server=Recorder):
    """Two protocols of the loop, connected without TLS."""
    with tcp_pair() as (a, b):
        one = await loop.create_connection(client, sock=a.dup())
        two = await loop.connect_accepted_socket(server, sock=b.dup())
    return one, two


async def upgraded(loop, one, two, **keywords):
    (a, first), (b, second) = one, two
    return await asyncio.gather(
        loop.start_tls(a, first, client_context(), server_hostname="localhost", **keywords),
        loop.start_tls(b, second, server_context(), server_side=True, **keywords),
    )


def test_start_tls(loop, run):
    async def main():
        one, two = await plain_pair(loop)
        old, protocol = one
        a, b = await upgraded(loop, one, two)
        check_native(a)
        check_native(b)
        assert a.get_protocol() is protocol and protocol.calls == ["made"]
        assert old.get_protocol() is a._ssl_protocol
        a.write(b"x" * 200_000)
        await until(lambda: len(two[1].data) == 200_000)
        a.close()
        assert await protocol.lost is None and await two[1].lost is None

    run(main())


def test_tls_within_tls(loop, run):
    """As through an HTTPS proxy: the second pair of engines talks through the first."""

    async def main():
        one, two = await plain_pair(loop, server=Echo)
        outer = await upgraded(loop, one, two)
        a, b = await upgraded(loop, (outer[0], one[1]), (outer[1], two[1]))
        two[1].transport = b
        assert type(a) is type(outer[0])
        a.write(b"y" * 500_000)
        await until(lambda: len(one[1].data) == 500_000)
        assert one[1].data == b"y" * 500_000
        a.close()
        assert await one[1].lost is None and await two[1].lost is None

    run(main())


def test_refused_upgrades(loop, run):
    async def main():
        (transport, protocol), (other, _) = await plain_pair(loop)
        with pytest.raises(TypeError, match="sslcontext is expected to be an instance of ssl.SSLContext, got None"):
            await loop.start_tls(transport, protocol, None)
        with pytest.raises(TypeError, match=r"transport None is not supported by start_tls\(\)"):
            await loop.start_tls(None, protocol, client_context())
        # It has changed nothing.
        other.write(b"plain")
        await until(lambda: protocol.data == b"plain")
        transport.abort()
        other.abort()
        await protocol.lost

    run(main())


def test_an_upgrade_that_fails(loop, run, reports):
    async def main():
        one, (other, _) = await plain_pair(loop)
        upgrading = loop.create_task(loop.start_tls(*one, client_context(), server_hostname="localhost"))
        other.write(b"no TLS here\r\n\r\n")
        with pytest.raises(ssl.SSLError):
            await upgrading
        await one[1].lost
        other.abort()

    run(main())
    assert reports == []


def test_an_upgrade_that_is_cancelled(loop, run):
    async def main():
        one, two = await plain_pair(loop)
        upgrading = loop.create_task(loop.start_tls(*one, client_context(), server_hostname="localhost"))
        await until(lambda: two[1].data)  # the first words of the handshake
        upgrading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upgrading
        assert one[0].is_closing()
        two[0].abort()

    run(main())


def test_messages_after_the_handshake(loop, run):
    """TLS 1.2 may negotiate anew, TLS 1.3 sends tickets after the handshake: reading goes on behind them."""

    async def main():
        context = server_context()
        context.num_tickets = 5
        async with tls_pair(context) as (protocol, peer):
            await peer.send(b"behind five tickets")
            await until(lambda: protocol.data == b"behind five tickets")
            assert protocol.transport.get_extra_info("ssl_object").session.has_ticket

    run(main())


def test_start_tls_of_a_transport_that_was_closed(loop, run):
    async def main():
        with sockets() as (a, _b):
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=a)
            transport.close()
            tls = await loop.start_tls(transport, asyncio.Protocol(), client_context(), server_hostname="localhost")
            assert tls is None

    run(main())
