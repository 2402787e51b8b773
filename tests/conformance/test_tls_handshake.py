"""TLS: how connections are made, what is checked, and every way in which a handshake fails."""

import asyncio
import logging
import ssl

import pytest
from peers import LOCALHOST, Recorder, listening, reset, tcp_pair, until
from tls_stage import (
    Echo,
    TlsPeer,
    accepted,
    certificate,
    check_native,
    client_context,
    server_context,
    tls_pair,
    tls_server,
)


async def ended(protocol):
    protocol.transport.close()
    return await protocol.lost


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_ends_on_one_loop(loop, run, version):
    async def main():
        servers = []

        def serve():
            servers.append(Echo())
            return servers[-1]

        async with tls_server(serve) as (_, port):
            context = client_context(minimum_version=version, maximum_version=version)
            transport, protocol = await loop.create_connection(Recorder, "localhost", port, ssl=context)
            check_native(transport)
            assert isinstance(transport, asyncio.Transport) and transport.get_protocol() is protocol
            transport.write(b"hello")
            await until(lambda: protocol.data == b"hello")
            check_native(servers[0].transport)
            assert await ended(protocol) is None
            assert await servers[0].lost is None
            assert protocol.calls == ["made", "data", "eof", "lost"]
            assert servers[0].calls == ["made", "data", "eof", "lost"]

    run(main())


def test_extra_info(loop, run):
    async def main():
        async with tls_pair() as (protocol, peer):
            info = protocol.transport.get_extra_info
            assert info("ssl_object").version() == peer.tls.version()
            assert isinstance(info("ssl_object"), ssl.SSLObject)
            assert isinstance(info("sslcontext"), ssl.SSLContext)
            assert info("cipher") == peer.tls.cipher()
            assert info("compression", "nothing") is None
            assert ("DNS", "localhost") in info("peercert")["subjectAltName"]
            assert info("peername") == peer.sock.getsockname()
            assert info("sockname") == peer.sock.getpeername()
            assert info("socket").fileno() >= 0
            assert info("unheard of") is None and info("unheard of", 3) == 3

    run(main())


def test_what_is_negotiated(loop, run):
    """ALPN, the name that the client asked for, and a context that an SNI callback puts in the place of the first."""
    other = server_context("other")
    other.set_alpn_protocols(["h2"])
    asked = []

    def choose(connection, name, context):
        asked.append(name)
        connection.context = other

    first = server_context()
    first.sni_callback = choose
    first.set_alpn_protocols(["h2"])
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])

    async def main():
        async with tls_pair(first, ssl=context, server_hostname="other.example") as (protocol, peer):
            assert protocol.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
            assert peer.tls.selected_alpn_protocol() == "h2"
            assert asked == ["other.example"]
            peercert = protocol.transport.get_extra_info("peercert")
            assert peercert["subjectAltName"] == (("DNS", "other.example"),)

    run(main())


def test_an_sni_callback_of_the_servers(loop, run):
    asked = []
    context = server_context()
    context.sni_callback = lambda connection, name, context: asked.append((type(connection), name))

    async def main():
        async with tls_server(Echo, context) as (_, port):
            _, protocol = await loop.create_connection(Recorder, "localhost", port, ssl=client_context())
            await ended(protocol)
            assert asked == [(ssl.SSLObject, "localhost")]

    run(main())


def test_a_certificate_of_the_clients(loop, run):
    async def main():
        made = []

        def serve():
            made.append(Echo())
            return made[-1]

        strict = server_context(verify_mode=ssl.CERT_REQUIRED)
        strict.load_verify_locations(certificate("authority"))
        async with tls_server(serve, strict) as (_, port):
            context = client_context()
            context.load_cert_chain(certificate("client"))
            transport, protocol = await loop.create_connection(Recorder, "localhost", port, ssl=context)
            transport.write(b"x")
            await until(lambda: protocol.data)
            peercert = made[0].transport.get_extra_info("peercert")
            assert peercert["subjectAltName"] == (("email", "client@plait.example"),)
            await ended(protocol)

            # Without one the server refuses, which in TLS 1.3 the client learns after its handshake.
            context = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                await loop.create_connection(Recorder, "localhost", port, ssl=context)

    run(main())


def test_the_name_is_the_host_unless_it_is_given(loop, run):
    async def main():
        async with tls_server(Echo) as (host, port):
            for keywords in ({"host": "localhost"}, {"host": host}, {"host": host, "server_hostname": "localhost"}):
                transport, protocol = await loop.create_connection(Recorder, port=port, ssl=client_context(), **keywords)
                expected = keywords.get("server_hostname") or keywords["host"]
                assert transport.get_extra_info("ssl_object").server_hostname == expected
                await ended(protocol)
            with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
                await loop.create_connection(Recorder, host, port, ssl=client_context(), server_hostname="other.example")

    run(main())


REFUSED = {
    "an unknown authority": (lambda: (server_context(), ssl.create_default_context()), "unable to get local issuer"),
    "another host's": (lambda: (server_context("other"), client_context()), "Hostname mismatch"),
    "expired": (lambda: (server_context("expired"), client_context()), "certificate has expired"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_certificates_that_are_refused(loop, run, reports, name):
    contexts, text = REFUSED[name]
    of_server, of_client = contexts()

    async def main():
        made = []

        def protocol():
            made.append(Recorder())
            return made[-1]

        async with tls_server(Echo, of_server) as (_, port):
            with pytest.raises(ssl.SSLCertVerificationError, match=text):
                await loop.create_connection(protocol, "localhost", port, ssl=of_client)
            assert [one.calls for one in made] == [[]]

    run(main())
    assert reports == []


def test_refused_arguments(loop, run):
    async def main():
        connect = loop.create_connection
        with pytest.raises(ValueError, match="server_hostname is only meaningful with ssl"):
            await connect(Recorder, LOCALHOST, 1, server_hostname="x")
        with pytest.raises(ValueError, match="ssl_handshake_timeout is only meaningful with ssl"):
            await connect(Recorder, LOCALHOST, 1, ssl_handshake_timeout=1)
        with pytest.raises(ValueError, match="ssl_shutdown_timeout is only meaningful with ssl"):
            await connect(Recorder, LOCALHOST, 1, ssl_shutdown_timeout=1)
        with pytest.raises(TypeError, match="ssl argument must be an SSLContext or None"):
            await loop.create_server(Recorder, LOCALHOST, 0, ssl=True)
        with tcp_pair() as (a, _), pytest.raises(ValueError, match="You must set server_hostname"):
            await connect(Recorder, sock=a, ssl=client_context())
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            async with accepted(**{name: -1}) as (connecting, _):
                with pytest.raises(ValueError, match=f"{name} should be a positive number, got -1"):
                    await connecting

    run(main())


def test_the_default_context_of_a_client(loop, run):
    """``ssl=True``, and no name to check: the peer is still verified."""

    async def main():
        async with tls_server(Echo) as (_, port):
            with pytest.raises(ssl.SSLCertVerificationError):
                await loop.create_connection(Recorder, "localhost", port, ssl=True)

    run(main())


def test_an_accepted_socket(loop, run):
    async def main():
        with listening() as server:
            connecting = loop.create_task(
                loop.create_connection(Recorder, *server.getsockname(), ssl=client_context(), server_hostname="localhost")
            )
            sock, _ = await loop.sock_accept(server)
        transport, echo = await loop.connect_accepted_socket(Echo, sock, ssl=server_context())
        check_native(transport)
        _, protocol = await connecting
        protocol.transport.write(b"x" * 100_000)
        await until(lambda: len(protocol.data) == 100_000)
        assert await ended(protocol) is None
        assert await echo.lost is None

    run(main())


# --- peers that are no good


def test_a_peer_that_speaks_plain_text(loop, run, reports):
    async def main():
        async with accepted() as (connecting, sock):
            await loop.sock_sendall(sock, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
                await connecting

    run(main())
    assert reports == []


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("after", [0, 1, 100])
def test_a_peer_that_leaves_during_the_handshake(loop, run, reports, how, after):
    async def main():
        async with accepted() as (connecting, sock):
            peer = TlsPeer(sock, server_context())
            peer.incoming.write(await loop.sock_recv(sock, 1 << 16))
            with pytest.raises(ssl.SSLWantReadError):
                peer.tls.do_handshake()
            await loop.sock_sendall(sock, peer.outgoing.read()[:after])
            reset(sock) if how == "reset" else sock.close()
            with pytest.raises(ConnectionError):
                await connecting

    run(main())
    assert reports == []


def test_a_client_that_leaves_before_its_handshake(loop, run, reports):
    """The server goes on, and does not report what is nobody's fault."""

    async def main():
        made = []

        def serve():
            made.append(Echo())
            return made[-1]

        async with tls_server(serve) as address:
            with tcp_pair():
                pass
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await until(lambda: made)
            writer.close()
            _, protocol = await loop.create_connection(Recorder, "localhost", address[1], ssl=client_context())
            protocol.transport.write(b"still there")
            await until(lambda: protocol.data == b"still there")
            await ended(protocol)
            assert made[0].calls == []

    run(main())
    assert reports == []


def test_debug_mode_reports_what_a_server_could_not_accept(loop, run, reports):
    loop.set_debug(True)

    async def main():
        async with tls_server(Echo) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await until(lambda: reports)
            writer.close()

    run(main())
    (report,) = reports
    assert report["message"] == "Error on transport creation for incoming connection"
    assert isinstance(report["exception"], ssl.SSLError) and isinstance(report["protocol"], Echo)
    assert report["transport"].is_closing()


def test_a_handshake_that_takes_too_long(loop, run, reports):
    async def main():
        async with accepted(ssl_handshake_timeout=0.01) as (connecting, _):
            with pytest.raises(ConnectionAbortedError) as caught:
                await connecting
            text = "SSL handshake is taking longer than 0.01 seconds: aborting the connection"
            assert str(caught.value) == text

    run(main())
    assert reports == []


def test_a_server_that_gets_no_handshake_in_time(loop, run, reports):
    async def main():
        async with tls_server(Echo, ssl_handshake_timeout=0.01) as address:
            reader, writer = await asyncio.open_connection(*address)
            with pytest.raises(ConnectionError):
                assert await reader.read() == b""
                raise ConnectionResetError  # closed in order, or by a reset: both are an end
            writer.close()

    run(main())
    assert reports == []


def test_the_handshake_is_cancelled(loop, run):
    async def main():
        async with accepted() as (connecting, sock):
            assert await loop.sock_recv(sock, 1 << 16)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            assert await loop.sock_recv(sock, 1 << 16) == b""

    run(main())


class ClosesItself(Recorder):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def connection_made(self, transport):
        super().connection_made(transport)
        getattr(transport, self.how)()


@pytest.mark.parametrize("how", ["close", "abort"])
def test_closing_when_the_connection_is_made(loop, run, reports, how):
    async def main():
        async with accepted(protocol=lambda: ClosesItself(how)) as (connecting, sock):
            # Where the server is done first: in TLS 1.3 an abort comes before the client's last words.
            peer = TlsPeer(sock, server_context(maximum_version=ssl.TLSVersion.TLSv1_2))
            await peer.handshake()
            transport, protocol = await connecting
            assert transport.is_closing()
            assert await peer.received_close() is (how == "close")
            sock.close()
            await protocol.lost
            assert [call for call in protocol.calls if call != "eof"] == ["made", "lost"]

    run(main())
    assert reports == []


def test_what_connection_made_raises_is_reported(loop, run, reports):
    """It is the handler's, and the connection ends, as after any other failure of a read."""

    class Raises(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            raise ArithmeticError("made")

    async def main():
        async with accepted(protocol=Raises) as (connecting, sock):
            peer = TlsPeer(sock, server_context(maximum_version=ssl.TLSVersion.TLSv1_2))
            await peer.handshake()
            with pytest.raises(ArithmeticError, match="made"):
                await connecting

    run(main())
    assert [type(report["exception"]) for report in reports] == [ArithmeticError]


def test_the_words_of_debug_mode(loop, run, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 60
    caplog.set_level(logging.DEBUG, logger="asyncio")

    async def main():
        async with tls_pair() as (protocol, peer):
            peer.sock.close()
            await protocol.lost
        async with accepted() as (connecting, sock):
            await loop.sock_sendall(sock, b"no TLS at all\r\n\r\n")
            with pytest.raises(ssl.SSLError):
                await connecting

    run(main())
    said = "\n".join(record.getMessage() for record in caplog.records)
    for words in ("starts SSL handshake", "SSL handshake took ", "received EOF", "SSL handshake failed"):
        assert words in said, words
