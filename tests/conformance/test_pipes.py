"""Pipe transports: what they accept, reading, writing, flow control, closing, and how they say so."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import pty
import re
import socket
import tty
import warnings

import plait
import pytest
from peers import check_unusual_limits, until
from plait import _native


class End(asyncio.Protocol):
    """Notes what it is told, by either end of a pipe."""

    def __init__(self):
        self.calls, self.data, self.transport = [], bytearray(), None

    def connection_made(self, transport):
        self.calls.append("made")
        self.transport = transport

    def data_received(self, data):
        assert type(data) is bytes
        self.data += data

    def eof_received(self):
        self.calls.append("eof")

    def connection_lost(self, exc):
        self.calls.append(("lost", exc))

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")

    @property
    def lost(self):
        return any(type(call) is tuple for call in self.calls)


@contextlib.contextmanager
def pipe_files():
    read, write = os.pipe()
    with open(read, "rb", 0) as reader, open(write, "wb", 0) as writer:
        yield reader, writer


async def closed(end):
    end.transport.close()
    await until(lambda: end.lost)


def native_types(loop):
    return isinstance(loop, plait.EventLoop)


# ---- reading


def test_reads_until_the_writer_closes(loop, run):
    async def main():
        with pipe_files() as (reader, writer):
            transport, end = await loop.connect_read_pipe(End, reader)
            assert isinstance(transport, asyncio.ReadTransport) and not isinstance(transport, asyncio.WriteTransport)
            assert type(transport) is _native.ReadPipeTransport or not native_types(loop)
            assert transport.get_extra_info("pipe") is reader is transport._pipe
            assert (transport._fileno, transport._loop, transport._protocol) == (reader.fileno(), loop, end)
            assert transport.get_extra_info("nothing", 5) == 5
            assert not os.get_blocking(reader.fileno())
            os.write(writer.fileno(), b"abc")
            await until(lambda: end.data == b"abc")
            os.write(writer.fileno(), b"def")
            writer.close()
            await until(lambda: end.lost)
            assert (end.data, end.calls) == (b"abcdef", ["made", "eof", ("lost", None)])
            assert transport.is_closing() and reader.closed and transport._pipe is None
            transport.close()

    run(main())


def test_much_in_both_directions_of_a_terminal_and_a_pipe(loop, run):
    async def main():
        data = bytes(range(256)) * 20_000
        with pipe_files() as (reader, writer):
            _, reading = await loop.connect_read_pipe(End, reader)
            transport, writing = await loop.connect_write_pipe(End, writer)
            assert type(transport) is _native.WritePipeTransport or not native_types(loop)
            transport.write(data)
            transport.close()
            await until(lambda: reading.lost)
            assert reading.data == data
            assert writing.lost
        master, slave = pty.openpty()
        tty.setraw(slave)
        with open(slave, "rb+", 0) as near, open(os.dup(slave), "wb", 0) as out, open(master, "rb+", 0) as far:
            _, reading = await loop.connect_read_pipe(End, near)
            _, writing = await loop.connect_write_pipe(End, out)
            far.write(b"typed")
            await until(lambda: reading.data == b"typed")
            writing.transport.write(b"shown")
            assert far.read(5) == b"shown"
            assert not writing.transport.is_closing()  # what is typed is not the end of the one that writes
            await closed(writing)
            await closed(reading)

    run(main())


def test_a_terminal_whose_other_side_is_gone(loop, run, reports):
    async def main():
        master, slave = pty.openpty()
        os.close(slave)
        with open(master, "rb", 0) as file:
            _, end = await loop.connect_read_pipe(End, file)
            await until(lambda: end.lost)
            made, (lost, error) = end.calls
            assert (made, lost, error.errno) == ("made", "lost", errno.EIO)

    run(main())
    assert reports == []


def test_pausing(loop, run):
    async def main():
        with pipe_files() as (reader, writer):
            transport, end = await loop.connect_read_pipe(End, reader)
            assert transport.is_reading()
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            os.write(writer.fileno(), b"late")
            for _ in range(5):
                await asyncio.sleep(0)
            assert end.data == b""
            transport.resume_reading()
            transport.resume_reading()
            await until(lambda: end.data == b"late")
            await closed(end)
            transport.resume_reading()
            transport.pause_reading()
            assert not transport.is_reading()

    run(main())


def test_paused_in_connection_made_it_reads_nothing(loop, run):
    class Patient(End):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    async def main():
        with pipe_files() as (reader, writer):
            os.write(writer.fileno(), b"x")
            transport, end = await loop.connect_read_pipe(Patient, reader)
            for _ in range(5):
                await asyncio.sleep(0)
            assert end.data == b""
            transport.resume_reading()
            await until(lambda: end.data == b"x")
            await closed(end)

    run(main())


def test_a_stream_reader_on_a_pipe(loop, run):
    async def main(data=b"line\n" * 100_000):
        with pipe_files() as (reader, writer):
            for stream_class, protocol_class in (
                (asyncio.StreamReader, asyncio.StreamReaderProtocol),
                (_native.StreamReader, _native.StreamReaderProtocol),
            ):
                stream = stream_class(limit=2**16)
                with open(os.dup(reader.fileno()), "rb", 0) as own:
                    transport, _ = await loop.connect_read_pipe(lambda s=stream, p=protocol_class: p(s), own)
                    _, writing = await loop.connect_write_pipe(End, open(os.dup(writer.fileno()), "wb", 0))
                    writing.transport.write(data)
                    assert [await stream.readline() for _ in range(100_000)] == [b"line\n"] * 100_000
                    await closed(writing)
                    transport.close()
                    assert await stream.read() == b""

    run(main())


def test_changing_the_protocol(loop, run):
    async def main():
        with pipe_files() as (reader, writer):
            transport, first = await loop.connect_read_pipe(End, reader)
            second = End()
            transport.set_protocol(second)
            assert transport.get_protocol() is second
            os.write(writer.fileno(), b"x")
            await until(lambda: second.data == b"x")
            transport.close()
            await until(lambda: second.lost)
            assert not first.lost

    run(main())


# ---- writing


def test_flow_control(loop, run):
    async def main():
        with pipe_files() as (reader, writer):
            transport, end = await loop.connect_write_pipe(End, writer)
            assert isinstance(transport, asyncio.Transport)  # asyncio's derives from it, by its mixin
            assert transport.get_write_buffer_limits() == (16384, 65536)
            transport.set_write_buffer_limits(high=1000, low=10)
            with pytest.raises(ValueError, match=re.escape("high (1) must be >= low (2) must be >= 0")):
                transport.set_write_buffer_limits(high=1, low=2)
            size = 0
            while "pause" not in end.calls:
                transport.write(b"x" * 4096)
                size += 4096
            assert transport.get_write_buffer_size() > 1000
            changing = bytearray(b"y" * 10)
            transport.write(changing)
            transport.writelines([b"y", memoryview(b"yy"), bytearray(b"y")])
            changing[:] = b"?" * 10
            got = bytearray()
            os.set_blocking(reader.fileno(), False)

            def receive():
                with contextlib.suppress(BlockingIOError):
                    got.extend(os.read(reader.fileno(), 1 << 20))
                return len(got) == size + 14

            await until(receive)
            await until(lambda: end.calls[-1] == "resume")
            assert got == b"x" * size + b"y" * 14
            assert (end.calls, transport.get_write_buffer_size()) == (["made", "pause", "resume"], 0)
            await closed(end)

    run(main())


@pytest.mark.parametrize("ending", ["close", "write_eof"])
def test_closing_writes_what_waits(loop, run, ending):
    async def main():
        with pipe_files() as (reader, writer):
            transport, end = await loop.connect_write_pipe(End, writer)
            assert transport.can_write_eof() is True
            data = b"x" * 300_000
            transport.write(data)
            getattr(transport, ending)()
            getattr(transport, ending)()
            transport.write(b"too late")
            assert transport.is_closing() and not end.lost
            _, reading = await loop.connect_read_pipe(End, reader)
            await until(lambda: reading.lost)
            assert reading.data == data
            assert (end.calls[-1], writer.closed) == (("lost", None), True)

    run(main())


def test_aborting_loses_what_waits(loop, run):
    async def main():
        with pipe_files() as (reader, writer):
            transport, end = await loop.connect_write_pipe(End, writer)
            transport.write(b"x" * 300_000)
            transport.abort()
            assert transport.get_write_buffer_size() == 0
            await until(lambda: end.lost)
            assert end.calls[-1] == ("lost", None)
            _, reading = await loop.connect_read_pipe(End, reader)
            await until(lambda: reading.lost)
            assert 0 < len(reading.data) < 300_000

    run(main())


def test_the_reader_is_gone_while_nothing_is_written(loop, run):
    async def main():
        with pipe_files() as (reader, writer):
            transport, end = await loop.connect_write_pipe(End, writer)
            reader.close()
            await until(lambda: end.lost)
            assert (end.calls, transport.is_closing()) == (["made", ("lost", None)], True)

    run(main())


def test_the_reader_is_gone_while_something_waits(loop, run, reports):
    async def main():
        with pipe_files() as (reader, writer):
            transport, end = await loop.connect_write_pipe(End, writer)
            transport.write(b"x" * 300_000)
            reader.close()
            await until(lambda: end.lost)
            assert type(end.calls[-1][1]) is BrokenPipeError

    run(main())
    assert reports == []


def test_writing_to_nobody(loop, run, reports, caplog):
    async def main():
        with pipe_files() as (reader, writer):
            transport, end = await loop.connect_write_pipe(End, writer)
            reader.close()
            transport.write(b"x")
            assert transport.is_closing()
            for _ in range(10):
                transport.write(b"y")
            await until(lambda: end.lost)
            assert type(end.calls[-1][1]) is BrokenPipeError
            assert end.calls[-1][1].errno == errno.EPIPE

    run(main())
    assert reports == []
    text = "pipe closed by peer or os.write(pipe, data) raised exception."
    assert [record.getMessage() for record in caplog.records] == [text] * 6


@pytest.mark.parametrize("data", ["text", None, 5, [1]])
def test_writing_what_is_no_bytes(loop, run, data):
    async def main():
        with pipe_files() as (_reader, writer):
            transport, end = await loop.connect_write_pipe(End, writer)
            with pytest.raises(AssertionError, match=re.escape(repr(data))):
                transport.write(data)
            transport.write(b"")
            with pytest.raises(TypeError, match=r"^sequence item 1: expected a bytes-like object, int found$"):
                transport.writelines([b"a", 1])
            await closed(end)

    run(main())


# ---- what is accepted, and reports


def test_what_is_no_pipe_is_refused(loop, run, tmp_path):
    async def main():
        with open(tmp_path / "file", "wb") as file:
            with pytest.raises(ValueError, match=r"^Pipe transport is for pipes/sockets only\.$"):
                await loop.connect_read_pipe(End, file)
            with pytest.raises(ValueError, match=r"^Pipe transport is only for pipes, sockets and character devices$"):
                await loop.connect_write_pipe(End, file)
            assert not file.closed
        with pytest.raises(ValueError):
            await loop.connect_write_pipe(End, file)  # it is closed
        with pytest.raises(AttributeError):
            await loop.connect_read_pipe(End, 0)

    run(main())


def test_fifos_sockets_and_devices(loop, run, tmp_path):
    async def main():
        path = tmp_path / "fifo"
        os.mkfifo(path)
        reader = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", 0)
        _, reading = await loop.connect_read_pipe(End, reader)
        _, writing = await loop.connect_write_pipe(End, open(path, "wb", 0))
        writing.transport.write(b"by a FIFO")
        await until(lambda: reading.data == b"by a FIFO")
        await closed(writing)
        await until(lambda: reading.lost)
        near, far = socket.socketpair()
        _, reading = await loop.connect_read_pipe(End, near)
        _, writing = await loop.connect_write_pipe(End, far)
        writing.transport.write(b"by a socket")
        await until(lambda: reading.data == b"by a socket")
        await closed(reading)
        await until(lambda: writing.lost)
        assert near.fileno() == far.fileno() == -1
        _, writing = await loop.connect_write_pipe(End, open(os.devnull, "wb", 0))
        writing.transport.write(b"x" * 1_000_000)
        assert writing.transport.get_write_buffer_size() == 0
        await closed(writing)

    run(main())


def test_a_protocol_that_raises(loop, run, reports):
    class Careless(End):
        def data_received(self, data):
            super().data_received(data)
            raise ZeroDivisionError(bytes(data))

        def eof_received(self):
            raise ZeroDivisionError("eof")

        def connection_lost(self, exc):
            super().connection_lost(exc)
            raise ZeroDivisionError("lost")

    async def main():
        with pipe_files() as (reader, writer):
            transport, end = await loop.connect_read_pipe(Careless, reader)
            for data in (b"a", b"b"):
                os.write(writer.fileno(), data)
                await until(lambda d=data: end.data.endswith(d))
            writer.close()
            await until(lambda: len(reports) == 4)
            assert reader.closed and transport.is_closing()

    run(main())
    assert [report["exception"].args[0] for report in reports] == [b"a", b"b", "eof", "lost"]
    messages = [report["message"].removeprefix("Exception in callback ") for report in reports]
    assert messages[:2] == ["_UnixReadPipeTransport._read_ready()"] * 2
    assert messages[2].endswith(".Careless.eof_received()")
    assert messages[3].startswith("_UnixReadPipeTransport._call_connection_lost(")


def test_limits_beyond_all_counting(loop, run):
    async def main():
        with pipe_files() as (_, writer):
            transport, end = await loop.connect_write_pipe(End, writer)
            check_unusual_limits(transport)
            await closed(end)

    run(main())


def test_a_waiter_that_is_cancelled_closes_the_pipe(loop, run):
    async def main():
        for connect, file in ((loop.connect_read_pipe, 0), (loop.connect_write_pipe, 1)):
            with pipe_files() as files:
                end = End()
                task = loop.create_task(connect(lambda e=end: e, files[file]))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await until(lambda e=end: e.lost)
                assert files[file].closed

    run(main())


def test_an_unclosed_transport_warns_and_closes_its_file(loop, run):
    async def main():
        for connect, file in ((loop.connect_read_pipe, 0), (loop.connect_write_pipe, 1)):
            with pipe_files() as files:
                transport, _ = await connect(asyncio.Protocol, files[file])
                if file == 0:
                    transport.pause_reading()
                else:
                    loop._remove_reader(files[file].fileno())
                shown = repr(transport)
                with warnings.catch_warnings(record=True) as seen:
                    warnings.simplefilter("always")
                    del transport, _
                    gc.collect()
                assert [(str(w.message), w.category) for w in seen] == [(f"unclosed transport {shown}", ResourceWarning)]
                assert files[file].closed

    run(main())


def test_reprs(loop, run):
    def shown(transport):
        return re.sub(r"_Unix|fd=\d+", "", repr(transport))

    async def main():
        with pipe_files() as (reader, writer):
            reading, end = await loop.connect_read_pipe(End, reader)
            writing, _ = await loop.connect_write_pipe(End, writer)
            assert shown(reading) == "<ReadPipeTransport  polling>"
            assert shown(writing) == "<WritePipeTransport  idle bufsize=0>"
            reading.pause_reading()
            writing.write(b"x" * 100_000)
            assert shown(reading) == "<ReadPipeTransport  idle>"
            assert re.fullmatch(r"<WritePipeTransport  polling bufsize=\d{5}>", shown(writing))
            writing.abort()
            reading.close()
            assert shown(reading) == "<ReadPipeTransport closing  idle>"
            await until(lambda: end.lost)
            assert shown(reading) == "<ReadPipeTransport closed  closed>"
            assert shown(writing) == "<WritePipeTransport closed  closed>"

    run(main())


def test_debug_mode_logs(loop, run, caplog):
    caplog.set_level(logging.DEBUG, logger="asyncio")
    loop.set_debug(True)

    async def main():
        with pipe_files() as (reader, writer):
            transport, end = await loop.connect_read_pipe(End, reader)
            transport.pause_reading()
            transport.resume_reading()
            writer.close()
            await until(lambda: end.lost)
        with pipe_files() as (reader, writer):
            transport, end = await loop.connect_write_pipe(End, writer)
            reader.close()
            transport.write(b"x")
            await until(lambda: end.lost)
        with pipe_files() as (reader, writer):
            _, end = await loop.connect_write_pipe(End, writer)
            reader.close()
            await until(lambda: end.lost)

    run(main())
    texts = [(record.levelname, re.sub("<.*Transport[^>]*>", "T", record.getMessage())) for record in caplog.records]
    words = ["pauses reading", "resumes reading", "was closed by peer", "Fatal write error on pipe transport"]
    found = [(level, text) for level, text in texts if any(word in text for word in words)]
    assert found == [
        ("DEBUG", "T pauses reading"),
        ("DEBUG", "T resumes reading"),
        ("INFO", "T was closed by peer"),
        ("DEBUG", "T: Fatal write error on pipe transport"),
        ("INFO", "T was closed by peer"),
    ]
    assert sum("pipe" in text and "connected: (T, " in text for _, text in texts) == 3
