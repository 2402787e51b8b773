"""TLS: every byte in order, whatever the sizes; pausing and resuming on both levels; the limits; buffered protocols."""

import asyncio
import ssl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loop_fixtures import settle, start_the_clock
from peers import Recorder, check_unusual_limits, hold_little, until
from tls_stage import Buffered, Echo, LARGEST_RECORD, server_context, tls_pair

HIGH = 512 * 1024


def pattern(count: int) -> bytes:
    """Bytes of which no part looks like a neighbour."""
    block = b"".join(number.to_bytes(4, "little") for number in range(16384))
    return (block * (count // len(block) + 1))[:count]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [1, LARGEST_RECORD, LARGEST_RECORD + 1, 3_000_000])
def test_both_ways(loop, run, version, size):
    async def main():
        async with tls_pair(server_context(maximum_version=version)) as (protocol, peer):
            data = pattern(size)
            protocol.transport.write(data)
            assert await peer.receive(size) == data
            sending = loop.create_task(peer.send(data))
            await until(lambda: len(protocol.data) == size)
            await sending
            assert protocol.data == data

    run(main())


def test_limits_beyond_all_counting(loop, run):
    async def main():
        async with tls_pair() as (protocol, _):
            check_unusual_limits(protocol.transport)

    run(main())


def test_records_that_arrive_byte_by_byte(loop, run):
    async def main():
        async with tls_pair() as (protocol, peer):
            expected = b""
            for data in (b"a", b"b" * 300, b"c"):
                for byte in peer.encrypted(data):
                    await loop.sock_sendall(peer.sock, bytes([byte]))
                    await asyncio.sleep(0)
                expected += data
            await until(lambda: len(protocol.data) == len(expected))
            assert protocol.data == expected

    run(main())


def test_many_small_records_at_once(loop, run):
    async def main():
        async with tls_pair() as (protocol, peer):
            records = b"".join(peer.encrypted(bytes([number % 256])) for number in range(2000))
            sending = loop.create_task(loop.sock_sendall(peer.sock, records))
            await until(lambda: len(protocol.data) == 2000)
            await sending
            assert protocol.data == bytes(number % 256 for number in range(2000))

    run(main())


def test_writes_of_all_kinds_keep_their_order(loop, run):
    async def main():
        async with tls_pair() as (protocol, peer):
            write = protocol.transport.write
            changing = bytearray(b"c" * 300_000)
            pieces = [b"a", bytearray(b"b"), memoryview(b"xyz")[1:2], b"", b"d" * 1_000_000, memoryview(bytearray(b"e" * 50_000))]
            for piece in pieces:
                write(piece)
            write(changing)
            changing[:] = b"?" * len(changing)
            changing.extend(b"free to grow")
            protocol.transport.writelines([b"f", bytearray(b"g"), memoryview(b"h"), b"", b"i" * 500_000])
            protocol.transport.writelines(iter([b"j"]))
            expected = b"".join(bytes(piece) for piece in pieces) + b"c" * 300_000 + b"fgh" + b"i" * 500_000 + b"j"
            assert await peer.receive(len(expected)) == expected

    run(main())


def test_what_is_written_before_the_handshake_is_done(loop, run):
    """`start_tls` aside nobody has the transport before; a write in `connection_made` comes first."""

    class Greets(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(b"1")
            transport.writelines([b"2", b"3" * 100_000])

    async def main():
        async with tls_pair(protocol=Greets) as (protocol, peer):
            protocol.transport.write(b"4")
            assert await peer.receive(100_003) == b"12" + b"3" * 100_000 + b"4"

    run(main())


@pytest.mark.parametrize("data", ["text", None, 5, [1, 2]])
def test_writing_what_is_no_bytes(run, data):
    async def main():
        async with tls_pair() as (protocol, _):
            with pytest.raises(TypeError, match="data: expecting a bytes-like instance, got "):
                protocol.transport.write(data)
            assert not protocol.transport.is_closing()

    run(main())


def test_half_of_a_connection(run):
    async def main():
        async with tls_pair() as (protocol, _):
            assert protocol.transport.can_write_eof() is False
            with pytest.raises(NotImplementedError):
                protocol.transport.write_eof()

    run(main())


# --- writing faster than the peer reads


def test_the_writer_is_paused_and_resumed(loop, run):
    async def main():
        async with tls_pair() as (protocol, peer):
            transport = protocol.transport
            assert transport.get_write_buffer_limits() == (HIGH // 4, HIGH)
            assert transport.get_write_buffer_size() == 0
            sent = 0
            while "pause" not in protocol.calls:
                transport.write(b"x" * 100_000)
                sent += 100_000
                assert sent < 100_000_000
            assert transport.get_write_buffer_size() >= HIGH and transport._protocol_paused
            got = await peer.receive(sent)
            assert len(got) == sent
            await until(lambda: "resume" in protocol.calls)
            assert protocol.calls == ["made", "pause", "resume"]
            assert transport.get_write_buffer_size() == 0 and not transport._protocol_paused

    run(main())


def test_a_writer_that_waits_its_turn_sends_everything(loop, run):
    class Streams(Recorder):
        left = 40

        def connection_made(self, transport):
            super().connection_made(transport)
            transport.set_write_buffer_limits(high=50_000)
            self.room = True
            self.go_on()

        def go_on(self):
            while self.room and self.left:
                self.left -= 1
                self.transport.write(bytes([self.left]) * 200_000)

        def pause_writing(self):
            super().pause_writing()
            self.room = False

        def resume_writing(self):
            super().resume_writing()
            self.room = True
            self.go_on()

    async def main():
        async with tls_pair(protocol=Streams) as (protocol, peer):
            got = await peer.receive(40 * 200_000)
            assert got == b"".join(bytes([number]) * 200_000 for number in reversed(range(40)))
            assert "pause" in protocol.calls

    run(main())


@pytest.mark.parametrize(
    ("high", "low", "limits"),
    [(None, None, (HIGH // 4, HIGH)), (100, None, (25, 100)), (None, 100, (100, 400)), (7, 7, (7, 7)), (0, None, (0, 0))],
)
def test_limits(run, high, low, limits):
    async def main():
        async with tls_pair() as (protocol, peer):
            transport = protocol.transport
            transport.set_write_buffer_limits(high, low)
            assert transport.get_write_buffer_limits() == limits
            transport.write(b"x")
            assert await peer.receive(1) == b"x"

    run(main())


def test_refused_limits(run):
    async def main():
        async with tls_pair() as (protocol, _):
            for method in (protocol.transport.set_write_buffer_limits, protocol.transport.set_read_buffer_limits):
                with pytest.raises(ValueError, match=r"high \(1\) must be >= low \(2\) must be >= 0"):
                    method(1, 2)
                with pytest.raises(ValueError, match=r"must be >= 0"):
                    method(-4)

    run(main())


def test_read_limits(run):
    async def main():
        async with tls_pair() as (protocol, _):
            transport = protocol.transport
            assert transport.get_read_buffer_limits() == (64 * 1024, 256 * 1024)
            assert transport.get_read_buffer_size() == 0
            transport.set_read_buffer_limits(1000)
            assert transport.get_read_buffer_limits() == (250, 1000)

    run(main())


# --- reading slower than the peer writes


def test_a_paused_reader_gets_nothing_and_then_everything(loop, run):
    async def main():
        async with tls_pair() as (protocol, peer):
            transport = protocol.transport
            transport.pause_reading()
            assert not transport.is_reading()
            hold_little(transport.get_extra_info("socket"), peer.sock)
            data = pattern(4_000_000)
            sending = loop.create_task(peer.send(data))
            below = transport._ssl_protocol._transport
            await until(lambda: not below.is_reading())  # the transport below is paused when much waits
            assert transport.get_read_buffer_size() >= 256 * 1024
            assert protocol.data == b"" and not sending.done()
            transport.resume_reading()
            assert transport.is_reading()
            await until(lambda: len(protocol.data) == len(data))
            await sending
            assert protocol.data == data and below.is_reading()

    run(main())


def test_pausing_at_each_call(loop, run):
    class Hesitates(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()
            loop.call_soon(self.transport.resume_reading)

    async def main():
        async with tls_pair(protocol=Hesitates) as (protocol, peer):
            data = pattern(2_000_000)
            sending = loop.create_task(peer.send(data))
            await until(lambda: len(protocol.data) == len(data))
            await sending
            assert protocol.data == data

    run(main())


def test_a_paused_reader_and_the_end(loop, run, reports):
    """What came before the end is still there when reading goes on."""

    async def main():
        async with tls_pair() as (protocol, peer):
            protocol.transport.pause_reading()
            await peer.send(b"x" * 100_000)
            peer.sock.close()
            below = protocol.transport._ssl_protocol
            await until(lambda: below._eof_received)
            assert protocol.data == b""
            protocol.transport.resume_reading()
            assert await protocol.lost is None
            assert protocol.data == b"x" * 100_000
            assert protocol.calls == ["made", "data", "eof", "lost"]

    run(main())
    assert reports == []


# --- protocols


@pytest.mark.parametrize("size", [1, 100, LARGEST_RECORD, 100_000])
def test_buffered_protocols(loop, run, size):
    async def main():
        async with tls_pair(protocol=lambda: Buffered(size)) as (protocol, peer):
            data = pattern(min(size * 500, 1_000_000))
            sending = loop.create_task(peer.send(data))
            await until(lambda: len(protocol.data) == len(data))
            await sending
            assert protocol.data == data

    run(main())


def test_changing_the_protocol(loop, run):
    async def main():
        async with tls_pair() as (first, peer):
            transport = first.transport
            second = Buffered(10)
            await peer.send(b"one")
            await until(lambda: first.data == b"one")
            transport.set_protocol(second)
            assert transport.get_protocol() is second
            await peer.send(b"two" * 10)
            await until(lambda: second.data == b"two" * 10)
            transport.set_protocol(first)
            await peer.send(b"three")
            await until(lambda: first.data == b"onethree")

    run(main())


SIZES = st.one_of(
    st.integers(1, 40),
    st.sampled_from([1, LARGEST_RECORD - 1, LARGEST_RECORD, LARGEST_RECORD + 1, 65536, 200_000]),
    st.integers(1, 70_000),
)
STEP = st.tuples(st.sampled_from(["out", "lines", "in", "pause", "resume", "turn"]), SIZES, st.integers(1, 70_000))


@given(script=st.lists(STEP, max_size=25), buffered=st.one_of(st.none(), st.integers(1, 40_000)))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_scripts_of_chunks(factory, script, buffered):
    """Whatever is written in either direction, in whatever pieces: the same bytes come out, in order."""
    start_the_clock()
    loop = factory()
    source = pattern(6_000_000)

    async def main():
        make = Recorder if buffered is None else lambda: Buffered(buffered)
        async with tls_pair(protocol=make) as (protocol, peer):
            sent = received = 0
            ciphertext = asyncio.Queue()
            encrypted = b""

            async def deliver():
                while (piece := await ciphertext.get()) is not None:
                    await loop.sock_sendall(peer.sock, piece)

            delivering = loop.create_task(deliver())
            reading = None
            outgoing = sum(size for what, size, _ in script if what in ("out", "lines"))
            reading = loop.create_task(read_all(peer, outgoing))
            for what, size, cut in script:
                if what == "out":
                    protocol.transport.write(source[sent : sent + size])
                    sent += size
                elif what == "lines":
                    middle = sent + min(cut, size)
                    protocol.transport.writelines([source[sent:middle], source[middle : sent + size]])
                    sent += size
                elif what == "in":
                    encrypted = peer.encrypted(source[received : received + size])
                    received += size
                    for start in range(0, len(encrypted), cut):
                        ciphertext.put_nowait(encrypted[start : start + cut])
                elif what == "pause":
                    protocol.transport.pause_reading()
                elif what == "resume":
                    protocol.transport.resume_reading()
                else:
                    await asyncio.sleep(0)
            protocol.transport.resume_reading()
            ciphertext.put_nowait(None)
            await until(lambda: len(protocol.data) >= received)
            await delivering
            assert protocol.data == source[:received]
            assert await reading == source[:sent]

    async def read_all(peer, count):
        # Its own side of the engine is used by the script too, but between turns only.
        return await peer.receive(count)

    try:
        loop.run_until_complete(main())
    finally:
        settle(loop)


def test_an_echo_of_everything(loop, run):
    """Writes from within `data_received`, while the peer does not read."""

    async def main():
        async with tls_pair(protocol=Echo) as (protocol, peer):
            data = pattern(3_000_000)
            view = memoryview(data)
            sending = loop.create_task(loop.sock_sendall(peer.sock, peer.encrypted(data)))
            await until(lambda: len(protocol.data) == len(data) or sending.done())
            assert await peer.receive(len(view)) == data
            await sending

    run(main())
