"""StreamWriter: who has to wait in drain, for how long, and what it is told when the connection is gone.

Two ways. A transport without a socket shows every call and lets flow control be played at will. A pair of sockets with
small buffers and a peer that reads a little at a time shows the same with what the loops' own transports do.
"""

import asyncio
import inspect
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import drain as read_all
from peers import reset, tcp_pair
from stream_stage import Transport, assert_same, assert_same_streams, parameters, plain, told

scripted = settings(max_examples=200, deadline=None, database=None)

ERRORS = (None, ConnectionResetError(104, "reset"), BrokenPipeError(32, "pipe"), LookupError("odd"))
error = st.integers(0, len(ERRORS) - 1)
step = st.one_of(
    st.sampled_from([("pause",), ("resume",), ("drain",), ("wait_closed",), ("turn",), ("closing",)]),
    st.sampled_from([("drain",), ("turn",), ("pause",)]),
    st.tuples(st.sampled_from(["lost", "reader_fails"]), error),
    st.tuples(st.just("cancel"), st.integers(0, 3)),
)


class FlowControl(asyncio.streams.FlowControlMixin):
    """A protocol of one's own, as packages write it to use StreamWriter without a reader."""

    def _get_close_waiter(self, stream):
        return stream._complete_fut


class Player:
    """Plays flow control on a writer over a transport without a socket."""

    def __init__(self, stage, own_protocol, peeks):
        self.stage = stage
        self.peeks = peeks
        self.tasks = []
        if own_protocol:
            self.reader, self.protocol, self.transport = None, FlowControl(stage.loop), Transport(stage)
            self.writer = stage.StreamWriter(self.transport, self.protocol, None, stage.loop)
        else:
            self.reader, self.protocol, self.writer, self.transport = stage.connection()

    def play(self, script):
        for name, *arguments in script:
            self.stage.attempt(getattr(self, name), *arguments)
            self.look()
        self.stage.turn(3)
        for number, task in enumerate(self.tasks):
            self.stage.note_end(number, task)
        self.peeks = True
        self.look()
        self.transport.closing = True  # no warning: the unclosed writer is another test's

    def look(self):
        self.stage.note([task.done() for task in self.tasks])
        if self.peeks:
            protocol = self.protocol
            self.stage.note(protocol._paused, protocol._connection_lost, len(protocol._drain_waiters))

    def pause(self):
        self.protocol.pause_writing()

    def resume(self):
        self.protocol.resume_writing()

    def lost(self, which):
        self.protocol.connection_lost(ERRORS[which])

    def reader_fails(self, which):
        if self.reader is not None and ERRORS[which] is not None:
            self.reader.set_exception(ERRORS[which])

    def closing(self):
        self.transport.closing = True

    def drain(self):
        self.tasks.append(self.stage.loop.create_task(self.writer.drain()))

    def wait_closed(self):
        self.tasks.append(self.stage.loop.create_task(self.writer.wait_closed()))

    def cancel(self, which):
        if which < len(self.tasks):
            self.stage.note(self.tasks[which].cancel())

    def turn(self):
        self.stage.turn()


@scripted
@given(own_protocol=st.booleans(), peeks=st.booleans(), script=st.lists(step, max_size=20))
def test_flow_control(own_protocol, peeks, script):
    def body(stage):
        Player(stage, own_protocol, peeks).play(script)

    assert_same(body)


def test_one_of_several_waiting_drains_is_cancelled():
    def body(stage):
        _, protocol, writer, transport = stage.connection()
        protocol.pause_writing()
        drains = [stage.loop.create_task(writer.drain()) for _ in range(4)]
        stage.turn(2)
        stage.note([task.done() for task in drains], len(protocol._drain_waiters))
        drains[1].cancel()
        stage.turn()
        stage.note([task.done() for task in drains], len(protocol._drain_waiters))
        drains[0].cancel()
        protocol.resume_writing()
        drains[2].cancel()
        stage.turn(2)
        for number, task in enumerate(drains):
            stage.note_end(number, task)
        transport.closing = True

    assert_same(body)


# --- calls

CALLS = [
    ("write", b"bytes"),
    ("write", bytearray(b"array")),
    ("write", memoryview(b"view")),
    ("writelines", [b"a", b"", b"c"]),
    ("writelines", (part for part in ())),
    ("write_eof",),
    ("can_write_eof",),
    ("is_closing",),
    ("close",),
    ("get_extra_info", "peername"),
    ("get_extra_info", "nothing"),
    ("get_extra_info", "nothing", 5),
    ("get_extra_info",),
    ("write",),
    ("write", b"a", b"b"),
    ("writelines", None),
    ("close", 1),
    ("drain", 1),
    ("wait_closed", 1),
]


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_calls(call):
    def body(stage):
        reader, _, writer, transport = stage.connection()
        stage.note(writer.transport is transport, writer._reader is reader, plain(writer))
        name, *arguments = call
        stage.attempt(getattr(writer, name), *arguments)
        stage.note(parameters(getattr(writer, name)))
        transport.closing = True

    assert_same(body)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of one that was not made
def test_making_one():
    def body(stage):
        reader, protocol, _, transport = stage.connection()
        transport.closing = True
        for other in (None, reader):
            writer = stage.StreamWriter(transport=transport, protocol=protocol, reader=other, loop=stage.loop)
            stage.note(plain(writer), writer._complete_fut.done(), writer._complete_fut.result())
            stage.attempt(setattr, writer, "transport", None)
        for wrong in (object(), 1, stage.StreamReader):
            stage.attempt(stage.StreamWriter, transport, protocol, wrong, stage.loop)
        stage.attempt(stage.StreamWriter, transport)
        stage.attempt(stage.StreamReaderProtocol)

    assert_same(body)


def test_drains_are_coroutines():
    def body(stage):
        _, protocol, writer, transport = stage.connection()
        protocol.pause_writing()
        for method in (writer.drain, writer.wait_closed, protocol._drain_helper):
            coro = method()
            stage.note(inspect.iscoroutine(coro), inspect.iscoroutinefunction(method), coro.__name__)
            stage.note(asyncio.isfuture(coro.send(None)), len(protocol._drain_waiters))
            coro.close()
            stage.note(len(protocol._drain_waiters))
        transport.closing = True
        coro = writer.drain()
        stage.note(coro.send(None))
        coro.close()

    assert_same(body)


def test_debug_mode_logs_flow_control(caplog):
    caplog.set_level("DEBUG", "asyncio")

    def body(stage):
        stage.loop.set_debug(True)
        _, protocol, _, transport = stage.connection()
        caplog.clear()
        protocol.pause_writing()
        protocol.resume_writing()
        stage.note([(record.levelname, plain(record.msg), record.args[0] is protocol) for record in caplog.records])
        transport.closing = True

    assert_same(body)


# --- sockets

peer_step = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 40_000)),
    st.tuples(st.just("write"), st.integers(0, 40_000)),
    # not of nothing but empty pieces: over those the stock transport of 3.12 and 3.13 turns for ever
    st.tuples(st.just("writelines"), st.lists(st.integers(1, 9_000), max_size=4)),
    st.tuples(st.just("peer_reads"), st.integers(1, 60_000)),
    st.sampled_from([("drain",), ("turn",), ("drain",), ("turn",)]),
    st.sampled_from([("write_eof",), ("close",), ("abort",), ("peer_closes",), ("wait_closed",)]),
    st.tuples(st.just("cancel"), st.integers(0, 3)),
)


# More than it takes to send what a script writes, by buffers of 4 KiB.
TURNS_TO_END = 300


class SlowPeer:
    """Plays a writer on a socket of small buffers against a peer that reads when the script says so."""

    def __init__(self, stage, limits):
        self.stage = stage
        self.tasks = []
        self.received = bytearray()
        self.sent = 0
        own, self.peer = socket.socketpair()
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.peer.setblocking(False)
        reader = stage.reader()
        self.protocol = stage.StreamReaderProtocol(reader, loop=stage.loop)
        transport, _ = stage.run(stage.loop.create_connection(lambda: self.protocol, sock=own))
        transport.set_write_buffer_limits(*limits)
        self.writer = stage.StreamWriter(transport, self.protocol, reader, stage.loop)

    def play(self, script):
        for name, *arguments in script:
            self.stage.attempt(getattr(self, name), *arguments)
            self.stage.note([task.done() for task in self.tasks], self.writer.is_closing())
        self.writer.close()
        for _ in range(TURNS_TO_END):
            self.peer_reads(1 << 20)
            self.stage.turn()
        assert self.protocol._connection_lost
        self.peer_reads(1 << 20)
        self.peer.close()
        self.wait_closed()
        self.stage.turn(3)
        for number, task in enumerate(self.tasks):
            self.stage.note_end(number, task)
        self.stage.note(len(self.received), bytes(self.received) == self.data(0, len(self.received)))

    def data(self, start, size):
        """The bytes of one endless sequence, so that a lost or doubled piece shows."""
        return bytes(number % 251 for number in range(start, start + size))

    def write(self, size):
        self.writer.write(self.data(self.sent, size))
        self.sent += size

    def writelines(self, sizes):
        self.writer.writelines([self.data(self.sent + sum(sizes[:i]), size) for i, size in enumerate(sizes)])
        self.sent += sum(sizes)

    def peer_reads(self, size):
        try:
            self.received += self.peer.recv(size)
        except (BlockingIOError, ConnectionResetError, OSError) as failed:
            self.stage.note(told(failed))

    def peer_closes(self):
        self.peer.close()

    def write_eof(self):
        self.writer.write_eof()

    def close(self):
        self.writer.close()

    def abort(self):
        self.writer.transport.abort()

    def drain(self):
        self.tasks.append(self.stage.loop.create_task(self.writer.drain()))

    def wait_closed(self):
        self.tasks.append(self.stage.loop.create_task(self.writer.wait_closed()))

    def cancel(self, which):
        if which < len(self.tasks):
            self.stage.note(self.tasks[which].cancel())

    def turn(self):
        self.stage.turn()


@settings(scripted, max_examples=80)
@given(limits=st.sampled_from([(65536, 16384), (1000, 0), (0, 0), (20_000, 19_999)]), script=st.lists(peer_step, max_size=15))
def test_a_slow_peer(limits, script):
    def body(stage):
        SlowPeer(stage, limits).play(script)

    assert_same_streams(body)


@pytest.mark.parametrize("waits", ["read", "drain", "wait_closed"])
def test_a_peer_that_resets(waits):
    """Over TCP, where the kernel tells when it likes: so it is waited for."""

    def body(stage):
        async def main():
            with tcp_pair() as (own, peer):
                reader, writer = await stage.open_connection(sock=own)
                if waits == "drain":
                    while not writer._protocol._paused:
                        writer.write(bytes(1 << 20))
                task = stage.loop.create_task(reader.read(1) if waits == "read" else getattr(writer, waits)())
                await asyncio.sleep(0)
                stage.note(task.done())
                read_all(peer) if waits == "read" else None
                reset(peer)
                try:
                    await task
                except OSError as failed:
                    stage.note(told(failed))
                stage.note(told(reader.exception()), writer.is_closing())
                for call in (reader.readline, writer.drain, writer.wait_closed):
                    try:
                        stage.note(await call())
                    except OSError as failed:
                        stage.note(told(failed))
                writer.write(b"into the void")
                own.detach()

        stage.run(main())

    assert_same(body)
