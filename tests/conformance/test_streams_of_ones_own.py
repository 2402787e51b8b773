"""What programs do with streams beyond calling them: attributes and methods put on an instance, private names, protocols
and transports of their own, mixtures of standard and native ones.
"""

import asyncio
import copy
import pickle
import weakref

import pytest
from stream_stage import STREAMS, Transport, assert_same, plain


def test_attributes_of_ones_own():
    def body(stage):
        reader, protocol, writer, transport = stage.connection()
        for one in (reader, protocol, writer):
            one.mine = 5
            stage.note(one.mine, vars(one)["mine"], weakref.ref(one)() is one, len({one, one}))
            stage.attempt(getattr, one, "nothing")
        transport.closing = True

    assert_same(body)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of copies that were begun
def test_copies():
    def body(stage):
        reader, protocol, writer, transport = stage.connection()
        transport.closing = True
        for one in (reader, protocol, writer):
            for way in (pickle.dumps, copy.deepcopy):
                with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
                    way(one)
        stage.note("cannot be copied")

    assert_same(body)


# --- methods put on an instance


@pytest.mark.parametrize("name", ["feed_data", "feed_eof", "set_exception"])
def test_a_readers_method_is_replaced(name):
    def body(stage):
        reader, protocol, _, transport = stage.connection()
        setattr(reader, name, lambda *args: stage.note(name, [plain(arg) for arg in args]))
        protocol.data_received(b"abc")
        protocol.eof_received()
        protocol.connection_lost(OSError(5, "cut"))
        stage.note(plain(reader))
        transport.closing = True

    assert_same(body)


@pytest.mark.parametrize("name", ["_drain_helper", "exception", "is_closing", "_get_close_waiter"])
def test_what_drain_asks_is_replaced(name):
    def body(stage):
        reader, protocol, writer, transport = stage.connection()
        owner = {"exception": reader, "is_closing": transport}.get(name, protocol)

        async def asked_and_awaited():
            stage.note("awaited", name)

        def asked(*_):
            stage.note("asked", name)
            return asked_and_awaited() if name.startswith("_") else None

        setattr(owner, name, asked)
        protocol._closed.set_result(None) if name == "is_closing" else None
        stage.attempt(stage.run, writer.drain())
        stage.attempt(stage.run, writer.wait_closed()) if name == "_get_close_waiter" else None
        if name == "is_closing":
            del transport.is_closing
        transport.closing = True

    assert_same(body)


# --- private attributes


def test_the_buffer_is_a_bytearray():
    def body(stage):
        reader = stage.reader(limit=10)
        reader.feed_data(b"abcdef")
        buffer = reader._buffer
        stage.note(type(buffer), bytes(buffer), reader._buffer is buffer)
        del reader._buffer[:2]
        reader._buffer.extend(b"gh\n")
        buffer += b"tail"
        stage.note(plain(reader), stage.run(reader.read(1)), stage.run(reader.readline()), bytes(buffer))
        reader.feed_data(b"more")
        stage.note(bytes(buffer), reader._buffer is buffer)
        reader._buffer.clear()
        reader.feed_eof()
        stage.note(reader.at_eof(), stage.run(reader.read()))

    assert_same(body)


def test_another_buffer():
    def body(stage):
        reader = stage.reader()
        reader.feed_data(b"abc")
        reader._buffer = bytearray(b"xy\nz")
        stage.note(stage.run(reader.readline()), stage.run(reader.read(5)), plain(reader))

    assert_same(body)


def test_a_buffer_that_is_looked_at():
    """Somebody holds a view of it, so a bytearray cannot be resized."""

    def body(stage):
        reader = stage.reader()
        reader.feed_data(b"abc")
        view = memoryview(reader._buffer)
        stage.attempt(reader.feed_data, b"more")
        stage.attempt(stage.run, reader.read(2))
        view.release()
        stage.note(bytes(reader._buffer))

    assert_same(body)


def test_a_buffer_changed_while_a_read_waits():
    def body(stage):
        reader = stage.reader()
        task = stage.loop.create_task(reader.readuntil(b"--"))
        stage.turn()
        reader._buffer.extend(b"one-")
        reader.feed_data(b"-two")
        stage.turn(2)
        stage.note_end("read", task)
        task = stage.loop.create_task(reader.readexactly(5))
        stage.turn()
        reader._buffer += b"th"
        reader._wakeup_waiter()
        stage.turn(2)
        stage.note_end("read", task)

    assert_same(body)


def test_attributes_of_a_reader_may_be_set():
    def body(stage):
        reader = stage.reader()
        reader._limit = 3
        reader._transport = Transport(stage)
        reader.feed_data(b"abcdefgh")
        stage.note(reader._paused, plain(reader))
        reader._limit = 100
        reader._maybe_resume_transport()
        stage.note(reader._paused)
        reader._paused = True
        stage.note(stage.run(reader.read(3)), reader._paused)
        reader._eof = True
        stage.note(stage.run(reader.read()), reader.at_eof())
        reader._eof = False
        reader._exception = LookupError("set")
        stage.attempt(stage.run, reader.readline())
        reader._exception = None
        waiter = reader._waiter = stage.loop.create_future()
        stage.attempt(stage.run, reader.read(1))
        reader.feed_data(b"x")
        stage.note(waiter.done(), reader._waiter, reader._loop is stage.loop)

    assert_same(body)


def test_attributes_of_a_protocol_may_be_set():
    def body(stage):
        reader, protocol, writer, transport = stage.connection()
        other = stage.reader()
        protocol._stream_reader_wr = weakref.ref(other)
        protocol.data_received(b"for the other")
        stage.note(plain(reader), plain(other), protocol._stream_reader is other)
        protocol._paused = True
        drain = stage.loop.create_task(writer.drain())
        stage.turn(2)
        stage.note(drain.done(), len(protocol._drain_waiters))
        protocol._drain_waiters[0].set_result(None)
        stage.turn(2)
        stage.note_end("drain", drain)
        protocol._connection_lost = True
        stage.attempt(stage.run, writer.drain())
        protocol._over_ssl = True
        stage.note(protocol.eof_received(), protocol._transport is transport, protocol._client_connected_cb)
        transport.closing = True

    assert_same(body)


def test_attributes_of_a_writer_may_be_set():
    def body(stage):
        _, _, writer, transport = stage.connection()
        other = writer._transport = Transport(stage)
        writer._reader = None
        stage.note(writer.transport is other, plain(writer), stage.run(writer.drain()), writer._loop is stage.loop)
        writer._protocol = FlowControl(stage.loop)
        writer._protocol.connection_lost(None)
        stage.attempt(stage.run, writer.drain())
        other.closing = transport.closing = True

    assert_same(body)


# --- protocols of one's own, and mixtures


class FlowControl(asyncio.streams.FlowControlMixin):
    """With a reader that it feeds itself."""

    def __init__(self, loop, reader=None):
        super().__init__(loop)
        self.reader = reader

    def data_received(self, data):
        self.reader.feed_data(data)

    def connection_lost(self, error):
        super().connection_lost(error)
        if self.reader:
            self.reader.feed_eof()


def test_a_reader_fed_by_another_protocol():
    def body(stage):
        reader = stage.reader(limit=2)
        protocol = FlowControl(stage.loop, reader)
        transport = Transport(stage)
        reader.set_transport(transport)
        protocol.data_received(b"abcde")
        writer = stage.StreamWriter(transport, protocol, reader, stage.loop)
        stage.note(stage.run(reader.read(4)), stage.run(writer.drain()))
        protocol.connection_lost(None)
        stage.note(stage.run(reader.read()))
        stage.attempt(stage.run, writer.drain())
        stage.attempt(stage.run, writer.wait_closed())
        transport.closing = True

    assert_same(body)


@pytest.mark.parametrize("reader", STREAMS)
@pytest.mark.parametrize("protocol", STREAMS)
@pytest.mark.parametrize("writer", STREAMS)
def test_standard_and_native_ones_together(reader, protocol, writer):
    """A library has imported asyncio's before plait was installed, the program uses plait's."""

    def body(stage):
        made = STREAMS[reader].StreamReader(limit=2, loop=stage.loop)
        joined = STREAMS[protocol].StreamReaderProtocol(made, loop=stage.loop)
        transport = Transport(stage)
        joined.connection_made(transport)
        sends = STREAMS[writer].StreamWriter(transport, joined, made, stage.loop)
        joined.data_received(b"abcdef")
        stage.note(stage.run(made.read(4)), plain(sends))
        joined.pause_writing()
        drain = stage.loop.create_task(sends.drain())
        stage.turn(2)
        joined.connection_lost(OSError(5, "cut"))
        stage.turn(2)
        stage.note_end("drain", drain)
        stage.attempt(stage.run, sends.wait_closed())
        stage.attempt(stage.run, made.readline())
        transport.closing = True

    assert_same(body)
