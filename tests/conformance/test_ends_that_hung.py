"""Connections that nothing ended: over TLS after the peer's end of file, and under a file that is being sent.

asyncio hangs in most of these, so they run on plait's loop alone.
"""

import asyncio
import io
import socket

import plait
import pytest
from peers import Pair, drain, fill, until
from tls_stage import Buffered, Recorder, check_native, tls_pair

LARGE = 20 << 20


@pytest.fixture
def factory():
    return plait.new_event_loop


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (LARGE // 256))
    with path.open("rb") as opened:
        yield opened


# ---- TLS: the peer has ended, nobody reads


@pytest.mark.parametrize("closes", ["close", "close twice", "abort"])
@pytest.mark.parametrize("buffered", [False, True])
def test_tls_closed_after_the_end_with_reading_paused(loop, run, reports, closes, buffered):
    async def main():
        protocol = (lambda: Buffered(100)) if buffered else Recorder
        async with tls_pair(protocol=protocol, ssl_shutdown_timeout=0.05) as (protocol, peer):
            transport = protocol.transport
            transport.pause_reading()
            await peer.send(b"never read" * 100)
            peer.sock.shutdown(socket.SHUT_WR)
            await until(lambda: transport._ssl_protocol._eof_received)
            assert transport._ssl_protocol._state.name == "FLUSHING" and not protocol.lost.done()
            if closes == "abort":
                transport.abort()
                assert await protocol.lost is None
                return
            for _ in closes.split():
                transport.close()
            error = await protocol.lost
            assert isinstance(error, TimeoutError) and str(error) == "SSL shutdown timed out"
            assert protocol.data == b"" and protocol.calls[-1] == "lost"

    run(main())
    assert reports == []


def test_tls_closed_after_the_end_and_then_read(loop, run, reports):
    """Who reads on in time gets all of it, and an orderly end."""

    async def main():
        async with tls_pair(ssl_shutdown_timeout=30) as (protocol, peer):
            transport = protocol.transport
            transport.pause_reading()
            await peer.send(b"read late")
            peer.sock.shutdown(socket.SHUT_WR)
            await until(lambda: transport._ssl_protocol._eof_received)
            transport.close()
            transport.resume_reading()
            assert await protocol.lost is None
            assert protocol.data == b"read late" and protocol.calls == ["made", "data", "eof", "lost"]

    run(main())
    assert reports == []


class Pauses(Buffered):
    """Pauses in the middle of what it is given."""

    def buffer_updated(self, count):
        super().buffer_updated(count)
        self.transport.pause_reading()


def test_tls_closed_while_the_last_of_many_buffers_waits(loop, run):
    async def main():
        async with tls_pair(protocol=lambda: Pauses(10), ssl_shutdown_timeout=0.05) as (protocol, peer):
            transport = protocol.transport
            transport.pause_reading()
            await peer.send(b"0123456789" * 3)
            peer.sock.shutdown(socket.SHUT_WR)
            await until(lambda: transport._ssl_protocol._eof_received)
            transport.resume_reading()
            await until(lambda: protocol.data)
            transport.close()
            assert isinstance(await protocol.lost, TimeoutError)
            assert protocol.data == b"0123456789"

    run(main())


@pytest.mark.parametrize("end", ["goodbye", "half"])
def test_tls_what_was_written_before_the_peers_end_is_sent(loop, run, reports, end):
    """asyncio closes the transport below without what that had not taken yet."""

    async def main():
        async with tls_pair() as (protocol, peer):
            protocol.transport.write(b"w" * 5_000_000)
            assert protocol.transport.get_write_buffer_size() == 0
            protocol.transport.write(b"x" * 300_000)
            assert protocol.transport.get_write_buffer_size() > 300_000  # with the transport below full
            if end == "goodbye":
                await loop.sock_sendall(peer.sock, peer.close_notify())
            else:
                peer.sock.shutdown(socket.SHUT_WR)
            await protocol.eof
            assert await peer.receive(5_300_000) == b"w" * 5_000_000 + b"x" * 300_000
            assert await protocol.lost is None
            assert protocol.calls.count("eof") == protocol.calls.count("lost") == 1

    run(main())
    assert reports == []


def test_tls_what_nobody_takes_after_the_peers_goodbye_has_a_limit(loop, run):
    async def main():
        async with tls_pair(ssl_shutdown_timeout=0.05) as (protocol, peer):
            for _ in range(3):
                protocol.transport.write(b"w" * 3_000_000)
            await loop.sock_sendall(peer.sock, peer.close_notify())
            assert isinstance(await protocol.lost, TimeoutError)

    run(main())


@pytest.mark.parametrize("mark", ["read", "write"])
def test_tls_marks_of_zero(loop, run, mark):
    """Nothing at all is no more than zero: asyncio pauses there, and nothing resumes."""

    async def main():
        async with tls_pair() as (protocol, peer):
            transport = protocol.transport
            getattr(transport, f"set_{mark}_buffer_limits")(0)
            assert "pause" not in protocol.calls
            for _ in range(3):
                await peer.send(b"read")
                transport.write(b"written")
                assert await peer.receive(7) == b"written"
            await until(lambda: protocol.data == b"read" * 3)
            assert protocol.calls.count("pause") == protocol.calls.count("resume")

    run(main())


# ---- a file on its way


async def sending(loop, transport, file, **keywords):
    """A task that has sent some of the file and waits for room."""
    task = loop.create_task(loop.sendfile(transport, file, **keywords))
    await until(lambda: not transport.is_reading())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    return task


@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("fallback", [False, True])
def test_closed_while_the_socket_is_full(loop, run, reports, file, end, fallback):
    async def main():
        async with Pair() as (protocol, peer):
            task = await sending(loop, protocol.transport, file, fallback=fallback)
            getattr(protocol.transport, end)()
            with pytest.raises(ConnectionError, match="^Connection is closed by peer$"):
                await task
            assert await protocol.lost is None
            got = 0
            while data := await loop.sock_recv(peer, 1 << 20):
                assert data == (bytes(range(256)) * (len(data) // 256 + 2))[got % 256 :][: len(data)]
                got += len(data)
            assert 0 < got < LARGE and file.tell() == got

    run(main())
    assert reports == []


@pytest.mark.parametrize("end", ["close", "abort"])
def test_closed_while_the_buffer_drains(loop, run, reports, file, end):
    async def main():
        async with Pair() as (protocol, peer):
            transport = protocol.transport
            before = fill(transport._sock)
            transport.write(b"y" * 1000)
            task = await sending(loop, transport, file)
            assert transport.get_write_buffer_size() == 1000
            getattr(transport, end)()
            got = 0
            while data := await loop.sock_recv(peer, 1 << 20):
                got += len(data)
            assert got == before + (1000 if end == "close" else 0)
            with pytest.raises(ConnectionError, match="^Connection is closed by peer$"):
                await task
            assert await protocol.lost is None and file.tell() == 0

    run(main())
    assert reports == []


def test_cancelled_while_the_buffer_drains_the_transport_can_be_used(loop, run, reports, file):
    async def main():
        async with Pair() as (protocol, peer):
            transport = protocol.transport
            before = fill(transport._sock)
            transport.write(b"y" * 1000)
            task = await sending(loop, transport, file)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert transport.is_reading()
            transport.write(b"after")
            got = bytearray()
            while len(got) < before + 1005:
                got += await loop.sock_recv(peer, 1 << 20)
            assert got[before:] == b"y" * 1000 + b"after"
            assert await asyncio.gather(loop.sendfile(transport, file, 0, 5), loop.sock_recv(peer, 100)) == [5, bytes(range(5))]
            peer.send(b"still read")
            await until(lambda: protocol.data == b"still read")

    run(main())
    assert reports == []


def test_cancelled_while_the_socket_is_full_the_transport_can_be_used(loop, run, reports, file):
    async def main():
        async with Pair() as (protocol, peer):
            task = await sending(loop, protocol.transport, file)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            there = file.tell()
            assert 0 < there < LARGE and protocol.transport.is_reading()
            protocol.transport.write(b"after")
            got = 0
            while got < there + 5:
                got += len(data := await loop.sock_recv(peer, 1 << 20))
            assert got == there + 5 and data.endswith(b"after")

    run(main())
    assert reports == []


def test_two_files_at_once(loop, run, file, tmp_path):
    """The second is refused and leaves the first alone."""

    async def main():
        async with Pair() as (protocol, peer):
            first = await sending(loop, protocol.transport, file)
            with pytest.raises(RuntimeError, match="^Empty waiter is already set$"):
                await loop.sendfile(protocol.transport, file)
            with pytest.raises(RuntimeError, match="^unable to write; sendfile is in progress$"):
                protocol.transport.write(b"x")
            got = 0
            while got < LARGE:
                got += len(await loop.sock_recv(peer, 1 << 20))
            assert await first == LARGE and drain(peer) == 0
            assert protocol.transport.is_reading()

    run(main())


# ---- a file over TLS, where the loop itself reads and writes it


@pytest.mark.parametrize("end", ["close", "abort", "cut off", "cancel"])
def test_ended_while_a_file_goes_over_tls(loop, run, reports, file, end):
    async def main():
        async with tls_pair(ssl_shutdown_timeout=0.05) as (protocol, peer):
            transport = protocol.transport
            check_native(transport)
            task = loop.create_task(loop.sendfile(transport, file))
            await until(lambda: transport._ssl_protocol._app_writing_paused)
            if end == "cancel":
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert transport.get_protocol() is protocol and transport.is_reading()
                transport.write(b"after")
                # Not as far as the file was read: a thread may be reading it still.
                got = b""
                while not got.endswith(b"after"):
                    got += await peer.until_done(lambda: peer.tls.read(1 << 16))
                return
            if end == "cut off":
                peer.sock.close()
            else:
                getattr(transport, end)()
            # The time-out, where it waits for room when that comes.
            with pytest.raises((ConnectionError, TimeoutError)):
                await task
            error = await protocol.lost
            assert {"close": TimeoutError, "abort": type(None), "cut off": ConnectionError}[end] in type(error).__mro__

    run(main())
    assert reports == []


def test_an_endless_file_ends_with_its_transport(loop, run):
    class Endless(io.RawIOBase):
        def readinto(self, buffer):
            buffer[:] = bytes(len(buffer))
            return len(buffer)

        def seek(self, offset, whence=io.SEEK_SET):
            return offset

    async def main():
        async with tls_pair() as (protocol, peer):
            task = loop.create_task(loop.sendfile(protocol.transport, Endless()))
            await peer.receive(100_000)
            protocol.transport.abort()
            with pytest.raises(ConnectionError):
                await task

    run(main())
