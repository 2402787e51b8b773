"""The stream transport: writing, flow control, half-closing, closing, aborting, pausing, changing the protocol."""

import asyncio
import gc
import socket
import weakref

import pytest
from peers import Pair, Recorder, drain, reset, until


def test_data_in_order_and_whole(loop, run):
    async def main():
        async with Pair() as (protocol, peer):
            data = bytes(range(256)) * 40_000
            sending = loop.create_task(loop.sock_sendall(peer, data))
            await until(lambda: len(protocol.data) == len(data))
            await sending
            assert protocol.data == data

    run(main())


def test_writes_of_all_kinds_keep_their_order(loop, run):
    async def main():
        async with Pair() as (protocol, peer):
            transport = protocol.transport
            changing = bytearray(b"c" * 300_000)
            pieces = [b"a", bytearray(b"b"), memoryview(b"xyz")[1:2], b"", b"d" * 3_000_000, b"e"]
            for piece in pieces:
                transport.write(piece)
            transport.write(changing)
            changing[:] = b"?" * len(changing)
            transport.writelines([b"f", bytearray(b"g"), memoryview(b"h"), b"i" * 500_000])
            transport.write(b"!")
            expected = b"".join(bytes(piece) for piece in pieces) + b"c" * 300_000 + b"fgh" + b"i" * 500_000 + b"!"
            got = bytearray()
            while len(got) < len(expected):
                got += await loop.sock_recv(peer, 1 << 20)
            assert got == expected

    run(main())


@pytest.mark.parametrize("data", ["text", None, 5, [1, 2]])
def test_writing_what_is_no_bytes(run, data):
    async def main():
        async with Pair() as (protocol, _):
            with pytest.raises(TypeError, match="data argument must be a bytes-like object, not "):
                protocol.transport.write(data)

    run(main())


def test_write_eof_after_all_is_written(loop, run):
    async def main():
        async with Pair() as (protocol, peer):
            transport = protocol.transport
            assert transport.can_write_eof() is True
            transport.write(b"x" * 5_000_000)
            transport.write_eof()
            transport.write_eof()
            for method, argument in (("write", b"more"), ("writelines", [b"more"])):
                with pytest.raises(RuntimeError, match=rf"^Cannot call (write|{method})\(\) after write_eof\(\)$"):
                    getattr(transport, method)(argument)
            got = 0
            while data := await loop.sock_recv(peer, 1 << 20):
                got += len(data)
            assert got == 5_000_000
            peer.send(b"the other half is open")
            await until(lambda: protocol.data == b"the other half is open")

    run(main())


def test_eof_received_true_keeps_the_writing_half_open(loop, run):
    async def main():
        async with Pair() as (protocol, peer):
            protocol.keep_open = True
            peer.shutdown(socket.SHUT_WR)
            await protocol.eof
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.calls == ["made", "eof"], "told once, and not closed"
            protocol.transport.write(b"answer")
            assert await loop.sock_recv(peer, 100) == b"answer"
            protocol.transport.close()
            assert await protocol.lost is None
            assert await loop.sock_recv(peer, 100) == b""

    run(main())


def test_eof_received_false_closes_after_the_buffer_is_sent(loop, run):
    async def main():
        async with Pair() as (protocol, peer):
            protocol.transport.write(b"x" * 5_000_000)
            peer.shutdown(socket.SHUT_WR)
            got = 0
            while data := await loop.sock_recv(peer, 1 << 20):
                got += len(data)
            assert got == 5_000_000
            assert await protocol.lost is None

    run(main())


def test_close_sends_what_is_buffered(loop, run):
    async def main():
        async with Pair() as (protocol, peer):
            transport = protocol.transport
            transport.write(b"x" * 5_000_000)
            transport.close()
            transport.close()
            assert transport.is_closing() and not transport.is_reading()
            peer.send(b"nobody reads this")
            got = 0
            while got < 5_000_000:
                got += len(await loop.sock_recv(peer, 1 << 20))
            assert await protocol.lost is None
            assert protocol.calls.count("lost") == 1 and protocol.data == b""

    run(main())


def test_connection_lost_comes_later_not_within_close(run):
    async def main():
        for method in ("close", "abort"):
            async with Pair() as (protocol, _):
                getattr(protocol.transport, method)()
                assert "lost" not in protocol.calls
                await protocol.lost

    run(main())


def test_writing_after_close(run, caplog):
    async def main():
        async with Pair() as (protocol, peer):
            transport = protocol.transport
            transport.close()
            for _ in range(10):
                transport.write(b"into the void")
            assert transport.get_write_buffer_size() == 0
            await protocol.lost
            transport.write(b"x")
            assert protocol.calls == ["made", "lost"]

    run(main())
    assert {record.message for record in caplog.records} == {"socket.send() raised exception."}


def test_abort_drops_what_is_buffered(run):
    async def main():
        async with Pair() as (protocol, peer):
            transport = protocol.transport
            transport.write(b"x" * 20_000_000)
            transport.abort()
            transport.abort()
            assert transport.get_write_buffer_size() == 0
            assert await protocol.lost is None
            assert drain(peer) < 20_000_000
            assert protocol.calls.count("lost") == 1

    run(main())


def test_reset_while_reading_and_writing(run):
    async def main():
        for writes in (False, True):
            async with Pair() as (protocol, peer):
                if writes:
                    protocol.transport.write(b"x" * 20_000_000)
                reset(peer)
                assert isinstance(await protocol.lost, ConnectionResetError)

    run(main())


def test_broken_pipe_on_write(run):
    async def main():
        async with Pair() as (protocol, peer):
            protocol.transport.pause_reading()
            peer.close()
            while not protocol.lost.done():
                protocol.transport.write(b"x")
                await asyncio.sleep(0)
            assert isinstance(protocol.lost.result(), (BrokenPipeError, ConnectionResetError))

    run(main())


def test_closed_in_connection_made(run):
    class Closes(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(b"bye")
            transport.close()

    async def main():
        async with Pair(Closes) as (protocol, peer):
            assert await protocol.lost is None
            assert peer.recv(10) == b"bye"
            assert protocol.calls == ["made", "lost"]

    run(main())


def test_closed_in_data_received(run):
    class Closes(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.write(b"bye")
            self.transport.close()

    async def main():
        async with Pair(Closes) as (protocol, peer):
            peer.send(b"1")
            peer.shutdown(socket.SHUT_WR)
            assert await protocol.lost is None
            assert protocol.calls == ["made", "data", "lost"]

    run(main())


def test_changing_the_protocol(run):
    async def main():
        async with Pair() as (protocol, peer):
            transport = protocol.transport
            assert transport.get_protocol() is protocol
            other = Recorder()
            other.calls.append("set")
            transport.set_protocol(other)
            assert transport.get_protocol() is other
            peer.send(b"for the other")
            await until(lambda: other.data == b"for the other")
            assert protocol.data == b""
            buffered = Buffered()
            transport.set_protocol(buffered)
            peer.send(b"buffered")
            await until(lambda: buffered.got == b"buffered")
            transport.set_protocol(protocol)
            peer.send(b"back")
            await until(lambda: protocol.data == b"back")
            transport.abort()
            await protocol.lost
            assert other.calls == ["set", "data"]

    run(main())


class Buffered(asyncio.BufferedProtocol):
    def __init__(self, size=3):
        self.buffer = bytearray(size)
        self.got = bytearray()
        self.calls = []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, sizehint):
        self.calls.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes):
        self.got += self.buffer[:nbytes]

    def eof_received(self):
        self.calls.append("eof")

    def connection_lost(self, error):
        self.lost.set_result(error)


def test_buffered_protocol(run):
    async def main():
        async with Pair(Buffered) as (protocol, peer):
            peer.send(b"more than the buffer holds")
            await until(lambda: protocol.got == b"more than the buffer holds")
            peer.shutdown(socket.SHUT_WR)
            assert await protocol.lost is None
            assert protocol.calls[-1] == "eof"
            assert set(protocol.calls[:-1]) == {-1}

    run(main())


def test_buffered_protocol_that_resizes_its_buffer(run):
    """The transport holds no view of the buffer when it calls buffer_updated."""

    class Resizes(Buffered):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.buffer.extend(b"\0" * 10)

    async def main():
        async with Pair(Resizes) as (protocol, peer):
            peer.send(b"x" * 1000)
            await until(lambda: len(protocol.got) == 1000)

    run(main())


def test_the_socket_of_a_transport(run):
    async def main():
        async with Pair() as (protocol, peer):
            sock = protocol.transport.get_extra_info("socket")
            assert sock.family == socket.AF_INET and sock.type == socket.SOCK_STREAM
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            assert sock.fileno() >= 0 and isinstance(protocol.transport._sock, socket.socket)
            duplicate = sock.dup()
            duplicate.close()
            protocol.transport.abort()
            await protocol.lost
            assert sock.fileno() == -1

    run(main())


def test_the_same_context_for_all_calls(loop, run):
    import contextvars

    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    class Notes(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            seen.append(variable.get())

        def data_received(self, data):
            super().data_received(data)
            seen.append(variable.get())

    async def main():
        variable.set("where it was made")
        async with Pair(Notes) as (protocol, peer):
            variable.set("later")
            peer.send(b"x")
            await until(lambda: len(seen) == 2)

    run(main())
    assert seen == ["where it was made"] * 2


def test_a_finished_connection_is_collected(run):
    async def main():
        async with Pair() as (protocol, _):
            protocol.transport.abort()
            await protocol.lost
            refs = [weakref.ref(protocol), weakref.ref(protocol.transport)]
        return refs

    refs = run(main())
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_an_unclosed_transport_warns(loop, run):
    async def main():
        a, b = socket.socketpair()
        transport, _ = await loop.connect_accepted_socket(Recorder, a)
        transport.pause_reading()
        return b

    with pytest.warns(ResourceWarning, match="^unclosed transport <"):
        peer = run(main())
        gc.collect()
    assert peer.recv(1) == b"", "and is closed"
    peer.close()
