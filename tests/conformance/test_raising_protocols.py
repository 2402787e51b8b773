"""A protocol that raises, in each of its methods and in its factory.

It is reported, or it leaves the loop; either way no connection is left hanging.
"""

import asyncio
import gc
import socket

import pytest
from peers import Pair, Recorder, listening, reset, until
from test_raising_callbacks import LEAVES, STAYS, Oops, raiser


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
    "connection_made": "Exception in callback Raising.connection_made(",
    "data_received": "Fatal error: protocol.data_received() call failed.",
    "eof_received": "Fatal error: protocol.eof_received() call failed.",
    "connection_lost": "Exception in callback _SelectorSocketTransport._call_connection_lost(",
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
