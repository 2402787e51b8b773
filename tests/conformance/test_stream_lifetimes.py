"""How long streams live, who holds whom, and what is said when a program loses one or its handler fails.

Counted with `gc.collect()`, not by luck: what has to be gone is gone after a collection, what has to stay is there.
"""

import asyncio
import gc
import weakref

import pytest
from stream_stage import Transport, assert_same, plain, told


def gone(*references):
    gc.collect()
    return [reference() is None for reference in references]


def close_quietly(transport):
    """What is over is not asked whether it was closed."""
    transport.closing = True


# --- writers that were not closed


def test_an_open_writer_that_is_lost():
    def body(stage):
        _, protocol, writer, transport = stage.connection()
        with stage.warned():
            del writer
        stage.note(transport.closing, protocol._connection_lost)

    trace = assert_same(body)
    assert trace[0] == ("transport", "close")
    assert trace[1] == ("warned", "ResourceWarning", "unclosed <StreamWriter transport=<Transport> reader=<StreamReader transport=<Transport>>>")


@pytest.mark.parametrize("ends", ["close", "loop"])
def test_a_writer_that_ended(ends):
    def body(stage):
        _, _, writer, transport = stage.connection()
        writer.close() if ends == "close" else stage.loop.close()
        with stage.warned():
            del writer
        stage.note(transport.closing)
        close_quietly(transport)

    trace = assert_same(body)
    assert (("warned", "ResourceWarning", "loop is closed") in trace) == (ends == "loop")


def test_a_writer_in_a_cycle():
    def body(stage):
        reader, protocol, writer, _ = stage.connection()
        reader.writer, writer.reader, protocol.writer = writer, reader, writer
        references = [weakref.ref(one) for one in (reader, protocol, writer)]
        del reader, protocol
        with stage.warned():
            del writer
        stage.note(gone(*references))

    assert assert_same(body)[-1] == ([True, True, True],)


def test_a_subclass_is_named_in_the_warning():
    def body(stage):
        class Mine(stage.StreamWriter):
            def close(self):
                stage.note("Mine.close")
                super().close()

        reader, protocol, _writer, transport = stage.connection()
        with stage.warned():
            mine = Mine(transport, protocol, reader, stage.loop)
            del mine
        stage.note(transport.closing)

    assert_same(body)


# --- readers that nobody holds


def test_a_connection_does_not_hold_its_reader():
    def body(stage):
        reader = stage.reader()
        protocol = stage.StreamReaderProtocol(reader, loop=stage.loop)
        protocol.connection_made(Transport(stage))
        reference = weakref.ref(reader)
        stage.note(protocol._stream_reader is reader)
        del reader
        stage.note(gone(reference), protocol._stream_reader)
        protocol.data_received(b"for nobody")
        stage.note(protocol.eof_received())
        protocol.connection_lost(None)
        stage.note(protocol._closed.done(), protocol._stream_reader_wr)

    assert_same(body)


def test_a_servers_reader_is_held_until_its_connection_is_made():
    def body(stage):
        reader = stage.reader()
        reference = weakref.ref(reader)
        kept = []
        protocol = stage.StreamReaderProtocol(reader, lambda *pair: kept.append(pair), loop=stage.loop)
        stage.note(protocol._strong_reader is reader)
        del reader
        stage.note(gone(reference))
        transport = Transport(stage)
        protocol.connection_made(transport)
        stage.note(protocol._strong_reader, kept[0][0] is reference(), kept[0][1].transport is transport)
        close_quietly(transport)
        kept.clear()
        protocol._stream_writer = None  # up to 3.12 the protocol keeps the writer, and so the reader
        stage.note(gone(reference))

    assert_same(body)


def test_a_client_does_not_hold_its_reader():
    def body(stage):
        protocol = stage.StreamReaderProtocol(stage.reader(), loop=stage.loop)
        gc.collect()
        stage.note(getattr(protocol, "_strong_reader", None), protocol._stream_reader)

    assert_same(body)


def test_a_read_holds_its_reader():
    def body(stage):
        reader = stage.reader()
        reference = weakref.ref(reader)
        task = stage.loop.create_task(reader.read(1))
        stage.turn()
        del reader
        stage.note(gone(reference))
        reference().feed_data(b"x")
        stage.turn(2)
        stage.note_end("read", task)
        stage.note(gone(reference))

    assert_same(body)


@pytest.mark.parametrize("debug", [False, True])
def test_a_connection_that_is_rejected(debug):
    """Nothing in these versions sets `_reject_connection`, but it is looked at, and programs set it."""

    def body(stage):
        stage.loop.set_debug(debug)
        protocol = stage.StreamReaderProtocol(stage.reader(), loop=stage.loop)
        stage.note(protocol._reject_connection, protocol._source_traceback is None)
        protocol._reject_connection = True
        transport = Transport(stage)
        protocol.connection_made(transport)
        stage.note(protocol._transport, transport.closing)

    assert_same(body)


# --- handlers


def made(stage, callback):
    """The protocol of a server's connection, whose handler has been called."""
    protocol = stage.StreamReaderProtocol(stage.reader(), callback, loop=stage.loop)
    transport = Transport(stage)
    stage.attempt(protocol.connection_made, transport)
    return protocol, transport


def test_a_plain_function():
    def body(stage):
        kept = []
        protocol, transport = made(stage, lambda reader, writer: kept.append((reader, writer)))
        ((reader, writer),) = kept
        stage.note(isinstance(reader, asyncio.StreamReader), isinstance(writer, asyncio.StreamWriter))
        stage.note(protocol._task, protocol._transport is transport, plain(reader), plain(writer))
        stage.note(type(reader) is stage.StreamReader, type(writer) is stage.StreamWriter)
        close_quietly(transport)

    assert_same(body)


@pytest.mark.parametrize("result", ["future", "value", "awaitable"])
def test_a_function_whose_result_is_no_coroutine(result):
    def body(stage):
        class Awaitable:
            def __await__(self):
                stage.note("awaited")
                yield

        results = {"future": stage.loop.create_future(), "value": 5, "awaitable": Awaitable()}

        def handler(reader, writer):
            stage.writer = writer
            return results[result]

        protocol, transport = made(stage, handler)
        stage.turn(2)
        stage.note(protocol._task)
        close_quietly(transport)

    assert_same(body)


def test_a_handler_that_is_called_and_fails():
    def body(stage):
        def handler(reader, writer):
            writer.close()
            raise LookupError("no handler")

        protocol, transport = made(stage, handler)
        stage.turn()
        stage.note(protocol._task, protocol._transport is transport, protocol._strong_reader is not None)

    assert_same(body)


@pytest.mark.parametrize("failure", [LookupError("handler failed"), asyncio.CancelledError("from inside"), None])
def test_how_a_handlers_task_ends(failure):
    """Cancelled: from 3.13 the transport is closed, before that an odd report was made."""

    def body(stage):
        async def handler(reader, writer):
            stage.writer = writer
            stage.note(plain(await reader.readline()))
            if failure:
                raise failure

        protocol, transport = made(stage, handler)
        task = protocol._task
        stage.note(asyncio.isfuture(task), task in asyncio.all_tasks(stage.loop))
        stage.turn()
        protocol.data_received(b"line\n")
        stage.turn(3)
        stage.note(task.done(), transport.closing, protocol._task is task)
        protocol.connection_lost(None)
        stage.note(protocol._task)
        close_quietly(transport)

    trace = assert_same(body)
    if isinstance(failure, LookupError):
        assert ("reported", "Unhandled exception in client_connected_cb", told(failure), ["transport"]) in trace


def test_a_handlers_task_that_is_cancelled():
    def body(stage):
        async def handler(reader, writer):
            stage.writer = writer
            await reader.read()

        protocol, transport = made(stage, handler)
        stage.turn()
        protocol._task.cancel()
        stage.turn(3)
        stage.note(transport.closing)
        close_quietly(transport)

    assert_same(body)


def test_a_handler_that_waits_for_ever_is_held_by_its_connection():
    """The task is in a cycle that only the protocol is outside of; while the connection lives, so does it."""

    def body(stage):
        async def handler(reader, writer):
            stage.note(plain(await reader.readline()))
            writer.close()

        protocol, transport = made(stage, handler)
        reference = weakref.ref(protocol._task)
        stage.turn()
        stage.note(gone(reference))
        protocol.data_received(b"still here\n")
        stage.turn(3)
        protocol.connection_lost(None)
        stage.note(gone(reference), transport.closing)

    assert_same(body)


# --- how a connection ended


@pytest.mark.parametrize("looks", [False, True])
def test_an_end_that_nobody_asks_for_is_not_reported(looks):
    def body(stage):
        protocol = stage.StreamReaderProtocol(stage.reader(), loop=stage.loop)
        protocol.connection_made(Transport(stage))
        if looks:
            stage.note(protocol._closed.done(), protocol._get_close_waiter(None) is protocol._closed)
        protocol.connection_lost(ConnectionResetError("lost"))
        stage.note(told(protocol._closed.exception())) if looks else None
        del protocol
        gc.collect()
        stage.turn()
        stage.note("and nothing was reported")

    assert_same(body)


def test_what_is_left_after_the_end():
    def body(stage):
        reader, protocol, writer, transport = stage.connection()
        for error in (LookupError("first"), None):
            protocol.connection_lost(error)
            stage.note(plain(reader), told(reader.exception()), reader.at_eof(), told(protocol._closed.exception()))
            stage.note(protocol._transport, protocol._stream_reader, protocol._stream_writer, protocol._connection_lost)
        writer.write(b"late")
        close_quietly(transport)

    assert_same(body)


@pytest.mark.parametrize("over_ssl", [False, True])
def test_the_end_of_the_peers_bytes(over_ssl):
    """True keeps the transport open for writing. Over TLS there is no half of a connection."""

    def body(stage):
        reader = stage.reader()
        protocol = stage.StreamReaderProtocol(reader, loop=stage.loop)
        transport = Transport(stage)
        transport._extra["sslcontext"] = "a context" if over_ssl else None
        protocol.connection_made(transport)
        stage.note(protocol._over_ssl, protocol.eof_received(), reader.at_eof())

    assert assert_same(body) == [(over_ssl, not over_ssl, True)]


def test_a_protocol_that_was_not_made():
    def body(stage):
        protocol = stage.StreamReaderProtocol.__new__(stage.StreamReaderProtocol)
        stage.attempt(stage.StreamReaderProtocol.__init__, protocol)
        with stage.warned():
            del protocol
        stage.note(True)

    assert_same(body)
