"""TLS: how connections end. In order from either side, cut off, corrupted, by a time-out, at once; and what is told to whom."""

import asyncio
import gc
import logging
import ssl
import warnings

import plait
import pytest
from peers import Recorder, reset, until
from tls_stage import Buffered, TlsPeer, accepted, check_native, client_context, server_context, tls_pair, tls_server

BIG = 2_000_000


def test_close_sends_what_was_written_and_says_goodbye(loop, run, reports):
    async def main():
        async with tls_pair() as (protocol, peer):
            protocol.transport.write(b"x" * BIG)
            protocol.transport.close()
            assert protocol.transport.is_closing()
            protocol.transport.write(b"too late")
            assert await peer.receive(BIG + 8) == b"x" * BIG
            assert await peer.received_close()
            assert not protocol.lost.done()  # until the peer has answered
            await loop.sock_sendall(peer.sock, peer.close_notify())
            assert await protocol.lost is None
            assert [call for call in protocol.calls if call not in ("pause", "resume")] == ["made", "eof", "lost"]

    run(main())
    assert reports == []


def test_what_arrives_with_the_peers_goodbye(loop, run, reports):
    async def main():
        async with tls_pair() as (protocol, peer):
            last = peer.encrypted(b"y" * 40_000) + peer.close_notify()
            await loop.sock_sendall(peer.sock, last)
            assert await protocol.lost is None
            assert protocol.data == b"y" * 40_000
            assert protocol.calls == ["made", "data", "eof", "lost"]

    run(main())
    assert reports == []


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_an_end_without_goodbye(loop, run, reports, size):
    """All records that came whole are received; the end itself counts as one, as in asyncio."""

    async def main():
        async with tls_pair() as (protocol, peer):
            await peer.send(b"y" * size)
            peer.sock.close()
            assert await protocol.lost is None
            assert protocol.data == b"y" * size
            assert protocol.calls == ["made", *(["data"] if size else []), "eof", "lost"]

    run(main())
    assert reports == []


def test_an_end_within_a_record(loop, run, reports):
    async def main():
        async with tls_pair() as (protocol, peer):
            whole, cut = peer.encrypted(b"whole"), peer.encrypted(b"cut")
            await loop.sock_sendall(peer.sock, whole + cut[:-1])
            peer.sock.close()
            assert await protocol.lost is None
            assert protocol.data == b"whole"

    run(main())
    assert reports == []


def test_a_reset(loop, run, reports):
    async def main():
        async with tls_pair() as (protocol, peer):
            reset(peer.sock)
            assert isinstance(await protocol.lost, ConnectionResetError)
            assert protocol.calls == ["made", "lost"]

    run(main())
    assert reports == []


@pytest.mark.parametrize("place", [0, 7, -1])
def test_a_corrupted_record(loop, run, reports, place):
    async def main():
        async with tls_pair() as (protocol, peer):
            record = bytearray(peer.encrypted(b"to be corrupted"))
            record[place] ^= 0x55
            await loop.sock_sendall(peer.sock, record)
            error = await protocol.lost
            assert isinstance(error, ssl.SSLError)
            assert protocol.calls == ["made", "lost"]

    run(main())
    assert reports == []


def test_abort(loop, run, reports):
    async def main():
        async with tls_pair() as (protocol, peer):
            protocol.transport.abort()
            assert protocol.transport.is_closing() and protocol.calls == ["made"]
            assert await protocol.lost is None
            assert protocol.calls == ["made", "lost"]
            assert not await peer.received_close()
            for _ in range(2):
                protocol.transport.abort()
                protocol.transport.close()

    run(main())
    assert reports == []


def test_abort_while_the_peer_does_not_answer(loop, run):
    async def main():
        async with tls_pair() as (protocol, peer):
            protocol.transport.close()
            assert await peer.received_close()
            assert not protocol.lost.done()
            protocol.transport.abort()
            assert await protocol.lost is None

    run(main())


def test_a_goodbye_that_is_never_answered(loop, run, reports):
    async def main():
        async with tls_pair(ssl_shutdown_timeout=0.01) as (protocol, peer):
            protocol.transport.close()
            error = await protocol.lost
            assert isinstance(error, TimeoutError) and str(error) == "SSL shutdown timed out"
            assert await peer.received_close()

    run(main())
    assert reports == []


def test_closing_with_unread_records(loop, run, reports):
    """What the peer still says is received, until it has answered."""

    async def main():
        async with tls_pair() as (protocol, peer):
            protocol.transport.close()
            assert await peer.received_close()
            peer.sock.close()
            assert await protocol.lost is None

    run(main())
    assert reports == []


class KeepsOpen(Recorder):
    def eof_received(self):
        super().eof_received()
        return True


def test_a_half_closed_connection_is_not_kept(loop, run, caplog):
    async def main():
        async with tls_pair(protocol=KeepsOpen) as (protocol, peer):
            await loop.sock_sendall(peer.sock, peer.close_notify())
            assert await protocol.lost is None

    run(main())
    (record,) = [record for record in caplog.records if record.name == "asyncio"]
    assert record.getMessage() == "returning true from eof_received() has no effect when using ssl"
    assert record.levelno == logging.WARNING


class Raises(Recorder):
    def __init__(self, where):
        super().__init__()
        self.where = where

    def data_received(self, data):
        super().data_received(data)
        if self.where == "data":
            raise ArithmeticError(self.where)

    def eof_received(self):
        super().eof_received()
        if self.where == "eof":
            raise ArithmeticError(self.where)


@pytest.mark.parametrize(
    ("where", "message"), [("data", "Fatal error on SSL protocol"), ("eof", "Error calling eof_received()")]
)
def test_a_protocol_that_raises(loop, run, reports, where, message):
    async def main():
        async with tls_pair(protocol=lambda: Raises(where)) as (protocol, peer):
            await loop.sock_sendall(peer.sock, peer.encrypted(b"x") + peer.close_notify())
            assert isinstance(await protocol.lost, ArithmeticError)
            assert protocol.calls[-1] == "lost"

    run(main())
    first = reports[0]
    assert first["message"] == message and str(first["exception"]) == where
    assert type(first["protocol"]).__name__ in ("SSLProtocol", "TlsProtocol")


def test_writes_after_the_end(loop, run, caplog):
    async def main():
        async with tls_pair() as (protocol, peer):
            transport = protocol.transport
            reset(peer.sock)
            await protocol.lost
            for _ in range(8):
                transport.write(b"x")
                transport.writelines([b"y"])
            assert transport.get_write_buffer_size() == 0

    run(main())
    messages = {record.getMessage() for record in caplog.records if record.name == "asyncio"}
    assert messages == {"SSL connection is closed"}


class Acts(Recorder):
    """Does something to its transport from within a callback."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def data_received(self, data):
        super().data_received(data)
        self.act(self)


ACTS = {
    "close": lambda protocol: protocol.transport.close(),
    "close twice": lambda protocol: [protocol.transport.close() for _ in range(2)],
    "abort": lambda protocol: protocol.transport.abort(),
    "write and close": lambda protocol: [protocol.transport.write(b"w" * 100_000), protocol.transport.close()],
    "write and abort": lambda protocol: [protocol.transport.write(b"w" * 100_000), protocol.transport.abort()],
    "pause and close": lambda protocol: [protocol.transport.pause_reading(), protocol.transport.close()],
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("with_end", [False, True])
def test_acts_within_data_received(loop, run, reports, act, with_end):
    async def main():
        async with tls_pair(protocol=lambda: Acts(ACTS[act])) as (protocol, peer):
            await loop.sock_sendall(peer.sock, peer.encrypted(b"x") + (peer.close_notify() if with_end else b""))
            await until(lambda: protocol.data)
            assert protocol.transport.is_closing()
            if act.startswith("write and close"):
                assert await peer.receive(100_000) == b"w" * 100_000
            assert await peer.received_close() is ("abort" not in act) or with_end
            peer.sock.close()
            error = await protocol.lost
            assert error is None or isinstance(error, OSError)
            assert protocol.calls.count("lost") == 1 and protocol.calls[-1] == "lost"

    run(main())
    assert reports == []


def test_an_unclosed_transport_warns(loop):
    """Once, when the loop is closed and nothing refers to the connection any more."""
    transports = []

    async def main():
        async with accepted() as (connecting, sock):
            peer = TlsPeer(sock, server_context())
            await peer.handshake()
            transport, protocol = await connecting
            check_native(transport)
            protocol.transport = None
            transports.append(sock.fileno())

    loop.run_until_complete(main())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop.close()
        gc.collect()
        gc.collect()
    texts = {str(warning.message) for warning in caught if warning.category is ResourceWarning}
    assert "unclosed transport <asyncio._SSLProtocolTransport object>" in texts


def test_nothing_is_left_behind(loop, run):
    """No circle of transport, protocol and context is left to the collector, even where the protocol keeps its transport."""
    import weakref

    kept = []

    class Forgets(Recorder):
        def __init__(self):
            super().__init__()
            kept.append(weakref.ref(self))

    async def main():
        context = client_context()
        kept.append(weakref.ref(context))
        async with accepted(protocol=Forgets, ssl=context) as (connecting, sock):
            peer = TlsPeer(sock, server_context())
            await peer.handshake()
            transport, protocol = await connecting
            kept.append(weakref.ref(transport._ssl_protocol))
            transport.write(b"x")
            assert await peer.receive(1) == b"x"
            transport.close()
            peer.sock.close()
            await protocol.lost
            transport.close()
            protocol.transport = None
            del transport, protocol, connecting, peer
        del context

    gc.collect()
    gc.disable()
    try:
        run(main())
        # The accepting helper's own frames hold the context until they are gone.
        assert kept[-1]() is None
    finally:
        gc.enable()
        gc.collect()
    assert [reference() for reference in kept] == [None] * len(kept)


def test_a_server_is_closed_with_its_connections(loop, run):
    async def main():
        made = []

        def serve():
            made.append(Recorder())
            return made[-1]

        server = await loop.create_server(serve, "127.0.0.1", 0, ssl=server_context())
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(
            Recorder, *address, ssl=client_context(), server_hostname="localhost"
        )
        await until(lambda: made and made[0].made.done())
        server.close()
        waiting = loop.create_task(server.wait_closed())
        transport.close()
        await asyncio.gather(protocol.lost, made[0].lost)
        await waiting

    run(main())


def test_a_buffered_protocol_to_the_end(loop, run, reports):
    async def main():
        async with tls_pair(protocol=lambda: Buffered(1000)) as (protocol, peer):
            sent = bytes(range(256)) * 200
            await loop.sock_sendall(peer.sock, peer.encrypted(sent) + peer.close_notify())
            assert await protocol.lost is None
            assert protocol.data == sent and protocol.calls == ["eof", "lost"]

    run(main())
    assert reports == []


@pytest.mark.parametrize("pauses", [False, True])
def test_a_buffered_protocol_and_an_end_without_goodbye(loop, run, reports, pauses):
    """asyncio fills the buffer once more and drops the rest; plait fills it as often as it takes."""

    class Hesitates(Buffered):
        def buffer_updated(self, count):
            super().buffer_updated(count)
            if pauses:
                self.transport.pause_reading()
                loop.call_soon(self.transport.resume_reading)

    async def main():
        async with tls_pair(protocol=lambda: Hesitates(1000)) as (protocol, peer):
            sent = bytes(range(256)) * 200
            protocol.transport.pause_reading()
            await peer.send(sent)
            peer.sock.close()
            await until(lambda: protocol.transport._ssl_protocol._eof_received)
            protocol.transport.resume_reading()
            assert await protocol.lost is None
            native = isinstance(loop, plait.EventLoop)
            assert protocol.data == (sent if native else sent[: len(protocol.data)])
            assert protocol.calls == ["eof", "lost"]

    run(main())
    assert reports == []


def test_the_end_of_a_server(loop, run):
    async def main():
        async with tls_server(Recorder) as address:
            transport, protocol = await loop.create_connection(
                Recorder, *address, ssl=client_context(), server_hostname="localhost"
            )
            transport.close()
            assert await protocol.lost is None

    run(main())
