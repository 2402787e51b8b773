"""Files to sockets and transports: by the kernel, by reading and writing, and where the file is left."""

import asyncio
import io
import socket

import pytest
from peers import Pair, drain, sockets, until
from tls_stage import tls_pair

DATA = bytes(range(256)) * 4096  # a mebibyte


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with path.open("rb") as opened:
        yield opened


class NoFile(io.BytesIO):
    """Something to read from, without a descriptor."""


async def received(loop, sock, count):
    got = bytearray()
    while len(got) < count:
        got += await loop.sock_recv(sock, 1 << 20)
    return bytes(got)


PIECES = [(0, None), (1000, None), (0, 5000), (777, 70_000), (len(DATA) - 5, 100), (len(DATA), None), (len(DATA) + 9, 5)]


@pytest.mark.parametrize(("offset", "count"), PIECES)
@pytest.mark.parametrize("native", [True, False])
def test_pieces(loop, run, file, offset, count, native):
    source = file if native else NoFile(DATA)
    expected = DATA[offset:] if count is None else DATA[offset : offset + count]

    async def main():
        with sockets() as (a, b):
            receiving = loop.create_task(received(loop, b, len(expected)))
            assert await loop.sock_sendfile(a, source, offset, count, fallback=not native) == len(expected)
            assert await receiving == expected
            assert source.tell() == (offset + len(expected) if expected else 0 if native else offset)
        async with Pair() as (protocol, peer):
            source.seek(0)
            transport = protocol.transport
            transport.write(b"before ")
            receiving = loop.create_task(received(loop, peer, len(expected) + 13))
            assert await loop.sendfile(transport, source, offset, count, fallback=not native) == len(expected)
            transport.write(b" after")
            assert await receiving == b"before " + expected + b" after"
            assert transport.is_reading()
            peer.send(b"still read")
            await until(lambda: protocol.data == b"still read")
            assert source.tell() == (offset + len(expected) if expected else 0 if native else offset)

    run(main())


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ((-1,), ValueError, "offset must be a non-negative integer (got -1)"),
        (("x",), TypeError, "offset must be a non-negative integer (got 'x')"),
        ((0, 0), ValueError, "count must be a positive integer (got 0)"),
        ((0, -5), ValueError, "count must be a positive integer (got -5)"),
        ((0, 1.5), TypeError, "count must be a positive integer (got 1.5)"),
    ],
)
def test_odd_arguments(loop, run, file, arguments, kind, text):
    async def main():
        with sockets() as (a, _):
            with pytest.raises(kind) as caught:
                await loop.sock_sendfile(a, file, *arguments)
            assert str(caught.value) == text

    run(main())


def test_odd_files_and_sockets(loop, run, tmp_path):
    async def main():
        (tmp_path / "text").write_text("text")
        with sockets() as (a, _), (tmp_path / "text").open() as text:
            with pytest.raises(ValueError, match="^file should be opened in binary mode$"):
                await loop.sock_sendfile(a, text)
            with pytest.raises(asyncio.SendfileNotAvailableError, match="^not a regular file$"):
                await loop.sock_sendfile(a, NoFile(b"x"), fallback=False)
            assert await loop.sock_sendfile(a, NoFile(b"")) == 0
        with socket.socket(type=socket.SOCK_DGRAM) as datagrams, sockets() as (a, _):
            datagrams.setblocking(False)
            with pytest.raises(ValueError, match="^only SOCK_STREAM type sockets are supported$"):
                await loop.sock_sendfile(datagrams, NoFile(b"x"))

    run(main())


def test_transports_that_cannot(loop, run, file):
    async def main():
        async with Pair() as (protocol, _):
            with pytest.raises(asyncio.SendfileNotAvailableError):
                await loop.sendfile(protocol.transport, NoFile(b"x"), fallback=False)
            assert protocol.transport.is_reading() and protocol.transport.get_protocol() is protocol
            protocol.transport.close()
            with pytest.raises(RuntimeError, match="^Transport is closing$"):
                await loop.sendfile(protocol.transport, file)
        datagrams, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        with pytest.raises(RuntimeError, match="^sendfile is not supported for transport <"):
            await loop.sendfile(datagrams, file)
        datagrams.close()
        await until(lambda: datagrams._sock is None)

    run(main())


def test_writing_meanwhile_is_refused(loop, run, file):
    async def main():
        async with Pair() as (protocol, peer):
            sending = loop.create_task(loop.sendfile(protocol.transport, file))
            await until(lambda: not protocol.transport.is_reading())
            with pytest.raises(RuntimeError, match="^unable to write; sendfile is in progress$"):
                protocol.transport.write(b"x")
            assert await received(loop, peer, len(DATA)) == DATA
            assert await sending == len(DATA)

    run(main())


def test_the_peer_goes_away_in_the_middle(loop, run, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(20 << 20))

    async def main():
        with sockets() as (a, b), path.open("rb") as file:
            sending = loop.create_task(loop.sock_sendfile(a, file))
            await loop.sock_recv(b, 100_000)
            await until(lambda: not sending.done())
            b.close()
            with pytest.raises(ConnectionError):
                await sending
            assert 0 < file.tell() < 20 << 20

    run(main())


def test_others_have_their_turn(loop, run, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(30 << 20))

    async def main():
        turns = 0
        with sockets() as (a, b), path.open("rb") as file:
            sending = loop.create_task(loop.sock_sendfile(a, file))
            receiving = loop.create_task(received(loop, b, 30 << 20))
            while not sending.done():
                await asyncio.sleep(0)
                turns += 1
            await receiving
        assert turns > 20

    run(main())


def test_cancelled_it_is_over(loop, run, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(20 << 20))

    async def main():
        with sockets() as (a, b), path.open("rb") as file:
            sending = loop.create_task(loop.sock_sendfile(a, file))
            await loop.sock_recv(b, 100_000)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            drain(b)
            for _ in range(5):
                await asyncio.sleep(0)
            assert drain(b) == 0
            a.send(b"the socket is free")
            assert await loop.sock_recv(b, 100) == b"the socket is free"

    run(main())


# ---- over TLS, where the loop itself reads and writes


@pytest.mark.parametrize(("offset", "count"), [*PIECES, (0, 1), (0, 16384), (3, 16385)])
@pytest.mark.parametrize("native", [True, False])
def test_pieces_over_tls(loop, run, reports, file, offset, count, native):
    source = file if native else NoFile(DATA)
    expected = DATA[offset:] if count is None else DATA[offset : offset + count]

    async def main():
        async with tls_pair() as (protocol, peer):
            transport = protocol.transport
            transport.write(b"before ")
            receiving = loop.create_task(peer.receive(len(expected) + 13))
            assert await loop.sendfile(transport, source, offset, count) == len(expected)
            transport.write(b" after")
            assert await receiving == b"before " + expected + b" after"
            assert source.tell() == (offset + len(expected) if expected else offset)
            assert transport.is_reading() and transport.get_protocol() is protocol
            await peer.send(b"still read")
            await until(lambda: protocol.data == b"still read")

    run(main())
    assert reports == []


def test_a_small_file_over_tls(loop, run, tmp_path):
    async def main():
        async with tls_pair() as (protocol, peer):
            for size in (0, 1, 100):
                (tmp_path / "small").write_bytes(b"s" * size)
                with (tmp_path / "small").open("rb") as file:
                    assert await loop.sendfile(protocol.transport, file) == size
            assert await peer.receive(101) == b"s" * 101

    run(main())


def test_refusals_over_tls(loop, run, file):
    async def main():
        async with tls_pair() as (protocol, peer):
            transport = protocol.transport
            with pytest.raises(RuntimeError, match="^fallback is disabled and native sendfile is not supported for transport <"):
                await loop.sendfile(transport, file, fallback=False)
            assert transport.is_reading() and transport.get_protocol() is protocol
            transport.write(b"x")
            assert await peer.receive(1) == b"x"
            transport.close()
            with pytest.raises(RuntimeError, match="^Transport is closing$"):
                await loop.sendfile(transport, file)

    run(main())
