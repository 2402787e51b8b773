"""A callback that raises, in every place where one can.

An Exception is reported and the loop goes on. KeyboardInterrupt and SystemExit leave the loop, which can be run again, and
nothing that was queued is lost.
"""

import asyncio
import gc
import os
import signal
import socket

import pytest
from peers import Pair, Recorder, listening, reset, sockets, until


class Oops(Exception):
    pass


class OddOops(BaseException):
    """Neither an Exception nor one of the two that leave the loop: asyncio reports it."""


LEAVES = [KeyboardInterrupt, SystemExit]
STAYS = [Oops, OddOops]


def raiser(error):
    def callback(*_):
        raise error

    return callback


def soon(loop, callback):
    loop.call_soon(callback)


def threadsafe(loop, callback):
    loop.call_soon_threadsafe(callback)


def timer(loop, callback):
    loop.call_later(0, callback)


def done_callback(loop, callback):
    future = loop.create_future()
    future.add_done_callback(callback)
    future.set_result(None)


def task_done_callback(loop, callback):
    async def nothing():
        pass

    loop.create_task(nothing()).add_done_callback(callback)


PLACES = [soon, threadsafe, timer, done_callback, task_done_callback]


def spin(loop, turns=5):
    for _ in range(turns):
        loop.stop()
        loop.run_forever()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", STAYS)
def test_reported(loop, reports, place, kind):
    error = kind("oops")
    done = []
    place(loop, raiser(error))
    place(loop, done.append if place not in (soon, threadsafe, timer) else lambda: done.append(1))
    spin(loop)
    assert len(done) == 1, "what came after it ran"
    assert [report["exception"] for report in reports] == [error]
    assert reports[0]["message"].startswith("Exception in callback raiser.<locals>.callback(")
    assert isinstance(reports[0]["handle"], asyncio.Handle)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", LEAVES)
def test_leaves_the_loop(loop, reports, place, kind):
    error = kind("bye")
    done = []
    place(loop, raiser(error))
    loop.call_later(0, done.append, "timer")
    loop.call_soon(done.append, "soon")
    loop.call_soon_threadsafe(done.append, "threadsafe")
    with pytest.raises(kind) as caught:
        spin(loop)
    assert caught.value is error
    assert not loop.is_running() and not loop.is_closed()
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    spin(loop)
    assert sorted(done) == ["soon", "threadsafe", "timer"], "nothing that was queued is lost"
    assert reports == []


@pytest.mark.parametrize("direction", ["reader", "writer"])
def test_reader_or_writer(loop, run, reports, direction):
    error = Oops()

    async def main():
        with sockets() as (a, b):
            b.send(b"x")
            getattr(loop, f"add_{direction}")(a, raiser(error))
            await until(lambda: len(reports) >= 2)  # it stays: it is told again
            getattr(loop, f"remove_{direction}")(a)

    run(main())
    assert {report["exception"] for report in reports} == {error}


@pytest.mark.parametrize("direction", ["reader", "writer"])
@pytest.mark.parametrize("kind", LEAVES)
def test_reader_or_writer_leaves_the_loop(loop, direction, kind):
    with sockets() as (a, b), sockets() as (c, d):
        b.send(b"x")
        d.send(b"x")
        seen = []
        getattr(loop, f"add_{direction}")(a, raiser(kind()))
        getattr(loop, f"add_{direction}")(c, seen.append, 1)
        with pytest.raises(kind):
            spin(loop)
        getattr(loop, f"remove_{direction}")(a)
        spin(loop)
        assert seen
        getattr(loop, f"remove_{direction}")(c)


# ---- protocols


class Raising(Recorder):
    """Raises in one of its methods, once."""

    place = ""
    error: BaseException = Oops("protocol")

    def __init__(self):
        super().__init__()
        self.raised = False

    def trip(self, place):
        if place == self.place and not self.raised:
            self.raised = True
            raise self.error

    def connection_made(self, transport):
        super().connection_made(transport)
        self.trip("connection_made")

    def data_received(self, data):
        super().data_received(data)
        self.trip("data_received")

    def eof_received(self):
        self.trip("eof_received")
        return super().eof_received()

    def connection_lost(self, error):
        super().connection_lost(error)
        self.trip("connection_lost")

    def pause_writing(self):
        super().pause_writing()
        self.trip("pause_writing")

    def resume_writing(self):
        super().resume_writing()
        self.trip("resume_writing")


def raising(where, what):
    class Protocol(Raising):
        place = where
        error = what

    return Protocol


async def provoke(protocol, peer, place):
    """Do to a connection what makes it call its method `place`; returns when it was called."""
    transport = protocol.transport
    if place == "connection_made":
        return
    if place == "data_received":
        peer.send(b"data")
    elif place == "eof_received":
        peer.shutdown(socket.SHUT_WR)
    elif place == "connection_lost":
        transport.close()
    else:
        transport.set_write_buffer_limits(high=0)
        while place == "pause_writing" or "pause" not in protocol.calls:
            transport.write(b"x" * 1_000_000)
            if protocol.raised:
                return
        drop_all(peer)
    while not protocol.raised:
        if place == "resume_writing":
            drop_all(peer)
        await asyncio.sleep(0)


def drop_all(peer):
    try:
        while peer.recv(1 << 20):
            pass
    except BlockingIOError:
        pass


MESSAGES = {
    "connection_made": "Exception in callback ",
    "data_received": "Fatal error: protocol.data_received() call failed.",
    "eof_received": "Fatal error: protocol.eof_received() call failed.",
    "connection_lost": "Exception in callback ",
    "pause_writing": "protocol.pause_writing() failed",
    "resume_writing": "protocol.resume_writing() failed",
}
ENDS_THE_CONNECTION = {"data_received", "eof_received", "connection_lost"}


@pytest.mark.parametrize("kind", STAYS)
@pytest.mark.parametrize("place", MESSAGES)
def test_protocol(loop, run, reports, place, kind):
    error = kind("oops")

    async def main():
        async with Pair(raising(place, error)) as (protocol, peer):
            await provoke(protocol, peer, place)
            assert [report["exception"] for report in reports] == [error]
            assert reports[0]["message"].startswith(MESSAGES[place])
            if place not in ENDS_THE_CONNECTION:
                drop_all(peer)
                await until(lambda: drop_all(peer) or protocol.transport.get_write_buffer_size() == 0)
                peer.send(b"still alive")
                await until(lambda: protocol.data == b"still alive")
                protocol.transport.abort()
            lost = await protocol.lost
            expected = error if place in ("data_received", "eof_received") else None
            assert lost is expected
            assert protocol.calls.count("lost") == 1
            await asyncio.sleep(0)
            assert protocol.transport._sock is None

    run(main())


@pytest.mark.parametrize("kind", LEAVES)
@pytest.mark.parametrize("place", MESSAGES)
def test_protocol_leaves_the_loop(loop, place, kind):
    error = kind("bye")
    left = []
    state = {}

    async def main():
        try:
            async with Pair(raising(place, error)) as (protocol, peer):
                state["protocol"], state["peer"] = protocol, peer
                try:
                    await provoke(protocol, peer, place)
                except kind as caught:  # pause_writing is called within write()
                    left.append(caught)
                await until(lambda: protocol.raised)
                if place in ("pause_writing", "resume_writing", "connection_made"):
                    await until(lambda: drop_all(peer) or protocol.transport.get_write_buffer_size() == 0)
                    peer.send(b"still alive")
                    await until(lambda: protocol.data == b"still alive")
                protocol.transport.abort()
                await protocol.lost
        finally:
            state["ended"] = True

    task = loop.create_task(main())
    for _ in range(3):
        try:
            loop.run_until_complete(task)
            break
        except kind as caught:
            if caught is not error:
                raise
            left.append(caught)
            assert not loop.is_running()
    assert left == [error]
    assert state["ended"]
    assert state["protocol"].calls.count("lost") == 1


class RaisingBuffer(asyncio.BufferedProtocol):
    def __init__(self, place, error):
        self.place, self.error = place, error
        self.buffer = bytearray(100)
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, sizehint):
        if self.place == "get_buffer":
            raise self.error
        if self.place == "empty buffer":
            return bytearray()
        if self.place == "read-only buffer":
            return b"read-only"
        return self.buffer

    def buffer_updated(self, nbytes):
        raise self.error

    def connection_lost(self, error):
        self.lost.set_result(error)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("get_buffer", "Fatal error: protocol.get_buffer() call failed."),
        ("buffer_updated", "Fatal error: protocol.buffer_updated() call failed."),
        ("empty buffer", "Fatal error: protocol.get_buffer() call failed."),
        ("read-only buffer", "Fatal read error on socket transport"),
    ],
)
def test_buffered_protocol(loop, run, reports, place, message):
    error = Oops()

    async def main():
        async with Pair(lambda: RaisingBuffer(place, error)) as (protocol, peer):
            peer.send(b"data")
            lost = await protocol.lost
            assert [report["message"] for report in reports] == [message]
            assert reports[0]["exception"] is lost
            assert reports[0]["transport"] is protocol.transport and reports[0]["protocol"] is protocol
            if place in ("get_buffer", "buffer_updated"):
                assert lost is error
            elif place == "empty buffer":
                assert isinstance(lost, RuntimeError) and str(lost) == "get_buffer() returned an empty buffer"
            else:
                assert isinstance(lost, TypeError)

    run(main())


@pytest.mark.parametrize("kind", LEAVES)
@pytest.mark.parametrize("place", ["get_buffer", "buffer_updated"])
def test_buffered_protocol_leaves_the_loop(loop, place, kind):
    state = {}

    async def main():
        async with Pair(lambda: RaisingBuffer(place, kind())) as (protocol, peer):
            peer.send(b"data")
            state["waiting"] = True
            await until(lambda: "left" in state)
            protocol.transport.abort()
            await protocol.lost

    task = loop.create_task(main())
    with pytest.raises(kind):
        loop.run_until_complete(task)
    state["left"] = True
    # buffer_updated had its data, get_buffer is asked again
    try:
        loop.run_until_complete(task)
    except kind:
        loop.run_until_complete(task)


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
def test_protocol_factory_of_a_server(loop, run, debug):
    """Said in debug mode only, as by asyncio; the connection is closed, the next one served."""
    told = []
    # the exception itself is not kept: on stock asyncio its traceback keeps the connection open
    loop.set_exception_handler(lambda _, context: told.append((context["message"], type(context["exception"]))))
    loop.set_debug(debug)

    async def main():
        protocols = []

        def factory():
            if not protocols:
                protocols.append(None)
                raise Oops
            protocols.append(Recorder())
            return protocols[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        for _ in range(2):
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, address)
                await until(lambda: protocols)
                await asyncio.sleep(0)
                gc.collect()  # stock asyncio leaves closing the socket to the collector
                if len(protocols) == 1:
                    assert await loop.sock_recv(client, 1) == b"", "closed, not left hanging"
        await until(lambda: len(protocols) == 2)
        await protocols[1].lost
        server.close()
        await server.wait_closed()

    run(main())
    assert told == ([("Error on transport creation for incoming connection", Oops)] if debug else [])


def test_protocol_factory_of_a_client(loop, run, reports):
    async def main():
        with listening() as server:
            with pytest.raises(Oops):
                await loop.create_connection(raiser(Oops()), *server.getsockname())

    run(main())
    assert reports == []


# ---- tasks and handlers


@pytest.mark.parametrize("kind", LEAVES)
def test_task_step(loop, reports, kind):
    """It leaves the loop and it is the task's outcome."""

    async def leave():
        await asyncio.sleep(0)
        raise kind("bye")

    other = loop.create_task(asyncio.sleep(0.001, "other"))
    task = loop.create_task(leave())
    with pytest.raises(kind, match="bye"):
        loop.run_forever()
    assert task.done() and isinstance(task.exception(), kind)
    assert loop.run_until_complete(other) == "other"
    assert reports == []


def test_task_step_with_an_odd_base_exception(loop, run, reports):
    async def odd():
        raise OddOops("odd")

    with pytest.raises(OddOops):
        run(odd())
    task = loop.create_task(odd())
    spin(loop)
    assert isinstance(task.exception(), OddOops)
    assert reports == []


@pytest.mark.parametrize("kind", [GeneratorExit, StopAsyncIteration])
def test_task_ends_with(run, kind):
    async def ends():
        raise kind

    with pytest.raises(kind):
        run(ends())


def test_coroutine_raises_stop_iteration(run):
    async def stops():
        raise StopIteration

    with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
        run(stops())


def test_exception_handler_raises(loop, caplog):
    loop.set_exception_handler(raiser(Oops("in the handler")))
    loop.call_soon(raiser(Oops("in the callback")))
    done = []
    loop.call_soon(done.append, 1)
    spin(loop)
    assert done == [1]
    assert [record.message.splitlines()[0] for record in caplog.records] == ["Unhandled error in exception handler"]


@pytest.mark.parametrize("kind", LEAVES)
def test_exception_handler_leaves_the_loop(loop, kind):
    loop.set_exception_handler(raiser(kind()))
    loop.call_soon(raiser(Oops()))
    with pytest.raises(kind):
        spin(loop)
    spin(loop)


def test_default_exception_handler(loop, caplog):
    def named_callback():
        1 / 0  # noqa: B018

    loop.call_soon(named_callback)
    spin(loop)
    (record,) = caplog.records
    assert record.name == "asyncio" and record.levelname == "ERROR"
    lines = record.message.splitlines()
    assert lines[0].startswith("Exception in callback test_default_exception_handler.<locals>.named_callback()")
    assert lines[1].startswith("handle: <Handle test_default_exception_handler.<locals>.named_callback()")
    assert record.exc_info[0] is ZeroDivisionError
    assert [frame.name for frame in __import__("traceback").extract_tb(record.exc_info[2])][-1] == "named_callback"


def test_custom_exception_handler_comes_and_goes(loop):
    def handler(*_):
        pass

    assert loop.get_exception_handler() is None
    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() is handler
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None


@pytest.mark.parametrize("kind", [*STAYS, *LEAVES])
def test_signal_handler(loop, reports, kind):
    """Like any callback."""
    error = kind("signal")
    loop.add_signal_handler(signal.SIGUSR1, raiser(error))
    os.kill(os.getpid(), signal.SIGUSR1)
    if kind in LEAVES:
        with pytest.raises(kind):
            spin(loop, 100)
    else:
        for _ in range(100):
            if not reports:
                spin(loop)
        assert [report["exception"] for report in reports] == [error]
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    spin(loop)


def test_python_signal_handler_raises(loop):
    """One set with signal.signal raises wherever the loop is, and the loop can be run again."""
    before = signal.signal(signal.SIGUSR1, raiser(Oops("signal")))
    try:
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        keep = loop.call_later(60, print)
        loop.set_exception_handler(lambda *_: loop.stop())
        try:
            loop.run_forever()  # reported when it hits a callback
        except Oops:
            pass
        keep.cancel()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert loop.run_until_complete(asyncio.sleep(0, "again")) == "again"


def test_reset_in_the_middle_of_everything(loop, run, reports):
    """RST while reading, while writing, while paused: connection_lost gets the error, nothing is reported."""

    async def main():
        for act in ("read", "write", "paused writing"):
            async with Pair() as (protocol, peer):
                if act == "write":
                    protocol.transport.write(b"x" * 10_000_000)
                elif act == "paused writing":
                    protocol.transport.pause_reading()
                    protocol.transport.write(b"x" * 10_000_000)
                reset(peer)
                assert isinstance(await protocol.lost, (ConnectionResetError, BrokenPipeError)), act

    run(main())
    assert reports == []
