"""Flow control of the stream transport: the write buffer's limits, pausing and resuming in both directions."""

import asyncio

import pytest
from peers import Pair, Recorder, check_unusual_limits, drain, fill, hold_little, until


def test_write_buffer_limits(run):
    async def main():
        async with Pair() as (protocol, _):
            transport = protocol.transport
            assert transport.get_write_buffer_limits() == (16384, 65536)
            transport.set_write_buffer_limits(high=1000)
            assert transport.get_write_buffer_limits() == (250, 1000)
            transport.set_write_buffer_limits(low=1000)
            assert transport.get_write_buffer_limits() == (1000, 4000)
            transport.set_write_buffer_limits(high=0)
            assert transport.get_write_buffer_limits() == (0, 0)
            for high, low in ((1, 2), (-1, None), (5, -1)):
                with pytest.raises(ValueError, match=r"must be >= low \(.*\) must be >= 0"):
                    transport.set_write_buffer_limits(high=high, low=low)

    run(main())


def test_write_buffer_limits_beyond_all_counting(run):
    async def main():
        async with Pair() as (protocol, _):
            check_unusual_limits(protocol.transport)

    run(main())


def test_pause_and_resume_with_a_slow_peer(loop, run):
    async def main():
        async with Pair() as (protocol, peer):
            transport = protocol.transport
            transport.set_write_buffer_limits(high=100_000, low=50_000)
            while "pause" not in protocol.calls:
                assert transport.get_write_buffer_size() <= 100_000
                transport.write(b"x" * 100_000)
            assert transport.get_write_buffer_size() > 100_000
            transport.write(b"x" * 100_000)
            assert protocol.calls.count("pause") == 1, "told once"
            while "resume" not in protocol.calls:
                drain(peer)
                await asyncio.sleep(0)
            assert transport.get_write_buffer_size() <= 50_000
            while transport.get_write_buffer_size():
                drain(peer)
                await asyncio.sleep(0)
            assert protocol.calls == ["made", "pause", "resume"]

    run(main())


def test_limits_that_change_under_a_full_buffer(run):
    async def main():
        async with Pair() as (protocol, peer):
            transport = protocol.transport
            transport.set_write_buffer_limits(high=1 << 30)
            transport.write(b"x" * 10_000_000)
            assert "pause" not in protocol.calls
            transport.set_write_buffer_limits(high=10)
            assert protocol.calls[-1] == "pause"
            while "resume" not in protocol.calls:
                drain(peer)
                await asyncio.sleep(0)

    run(main())


def test_resume_writing_that_writes_again(run):
    class Refills(Recorder):
        written = 0

        def refill(self, size):
            self.written += size
            self.transport.write(b"x" * size)

        def resume_writing(self):
            super().resume_writing()
            if self.calls.count("resume") <= 5:
                self.refill(20_000_000)

    async def main():
        async with Pair(Refills) as (protocol, peer):
            hold_little(peer, protocol.transport.get_extra_info("socket"))
            protocol.refill(20_000_000)
            got = 0
            while got < 6 * 20_000_000:
                got += drain(peer)
                await asyncio.sleep(0)
            assert got == protocol.written
            assert protocol.calls == ["made", *["pause", "resume"] * 6]

    run(main())


def test_drain_of_a_stream_writer(loop, run):
    async def main():
        async def discard(reader, writer):
            while await reader.read(1 << 16):
                await asyncio.sleep(0)
            writer.close()

        server = await asyncio.start_server(discard, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(100):
            writer.write(b"x" * 100_000)
            await writer.drain()
            assert writer.transport.get_write_buffer_size() <= 65536
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        # before 3.12 wait_closed does not wait for the handlers
        await until(lambda: len(asyncio.all_tasks()) == 1)

    run(main())


def test_pause_and_resume_reading(run):
    async def main():
        async with Pair() as (protocol, peer):
            transport = protocol.transport
            assert transport.is_reading()
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            peer.send(b"waits")
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.data == b""
            transport.resume_reading()
            transport.resume_reading()
            await until(lambda: protocol.data == b"waits")
            transport.close()
            transport.pause_reading()
            transport.resume_reading()
            assert not transport.is_reading()

    run(main())


def test_paused_in_connection_made_and_in_data_received(run):
    class Pauses(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    async def main():
        async with Pair(Pauses) as (protocol, peer):
            peer.send(b"1")
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.data == b""
            protocol.transport.resume_reading()
            await until(lambda: protocol.data == b"1")
            peer.send(b"2")
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.data == b"1"
            protocol.transport.resume_reading()
            await until(lambda: protocol.data == b"12")

    run(main())


def test_reads_do_not_starve_other_callbacks(loop, run):
    async def main():
        async with Pair() as (protocol, peer):
            fill(peer)
            ticks = []
            loop.call_soon(ticks.append, 1)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert ticks

    run(main())
