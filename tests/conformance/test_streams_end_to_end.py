"""Streams on real connections: what `open_connection` and `start_server` give, what arrives, who is told of the end.

What is waited for is a condition, since the kernel delivers over TCP when it likes. The traces keep what must not
depend on that: bytes, errors, order.
"""

import asyncio
import gc
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import LOCALHOST, hold_little, refused_address, tcp_pair, until
from stream_stage import Stage, assert_same, plain, told


class Connection:
    """``async with Connection(stage) as (client, server)``: both are (reader, writer), over TCP."""

    def __init__(self, stage: Stage, **options):
        self.stage = stage
        self.options = options

    async def __aenter__(self):
        accepted = asyncio.get_running_loop().create_future()
        serve = self.stage.start_server(lambda *pair: accepted.set_result(pair), LOCALHOST, 0, **self.options)
        self.server = await serve
        self.client = await self.stage.open_connection(*self.server.sockets[0].getsockname(), **self.options)
        self.accepted = await accepted
        return self.client, self.accepted

    async def __aexit__(self, *_):
        for _, writer in (self.client, self.accepted):
            writer.close()
        for _, writer in (self.client, self.accepted):
            try:
                await writer.wait_closed()
            except OSError as error:
                self.stage.note("closed with", told(error))
        self.server.close()
        await self.server.wait_closed()


def conversation(main, **options):
    """The traces of `main(stage, client, server)`, compared."""

    async def run(stage):
        async with Connection(stage, **options) as (client, server):
            await main(stage, client, server)

    return assert_same(lambda stage: stage.run(run(stage)))


def test_what_they_are():
    async def main(stage, client, server):
        for reader, writer in (client, server):
            stage.note(type(reader) is stage.StreamReader, type(writer) is stage.StreamWriter)
            stage.note(isinstance(reader, asyncio.StreamReader), isinstance(writer, asyncio.StreamWriter))
            protocol = writer.transport.get_protocol()
            stage.note(type(protocol) is stage.StreamReaderProtocol, isinstance(protocol, asyncio.Protocol))
            stage.note(isinstance(protocol, asyncio.StreamReaderProtocol), protocol is writer._protocol)
            stage.note(reader._limit, writer.can_write_eof(), writer.get_extra_info("peername")[0])
            stage.note(reader._transport is writer.transport is protocol._transport, protocol._stream_reader is reader)
            stage.note(plain(reader), plain(writer))

    conversation(main, limit=1000)


@settings(max_examples=15, deadline=None, database=None)
@given(pieces=st.lists(st.integers(0, 100_000), max_size=6), limit=st.sampled_from([100, 1000, 2**16]), half=st.booleans())
def test_an_echo_of_random_sizes(pieces, limit, half):
    async def main(stage, client, server):
        async def echo(reader, writer):
            while data := await reader.read(5000):
                writer.write(data)
                await writer.drain()
            writer.write_eof()

        task = stage.loop.create_task(echo(*server))
        reader, writer = client
        sent = [bytes(number % 251 for number in range(size)) for size in pieces]
        if half:
            for piece in sent:
                writer.write(piece)
                stage.note(await reader.readexactly(len(piece)) == piece)
        else:
            writer.writelines([piece for piece in sent if piece])
        writer.write_eof()
        stage.note(len(await reader.read()))
        stage.note(reader.at_eof(), await task)

    conversation(main, limit=limit)


def test_lines():
    async def main(stage, client, server):
        client[1].write(b"one\ntwo\n" + b"x" * 300 + b"\nfour\nfi")
        client[1].write_eof()
        reader = server[0]
        for _ in range(6):
            try:
                stage.note(await reader.readline())
            except ValueError as error:
                stage.note(told(error))
        stage.note([line async for line in reader])

    conversation(main, limit=100)


def test_reading_stops_at_twice_the_limit():
    """What a peer sends too fast stays in the kernel's buffers, and comes when there is room."""

    async def main(stage, client, server):
        reader, total = server[0], 5_000_000
        hold_little(server[1].get_extra_info("socket"), client[1].get_extra_info("socket"))
        sending = stage.loop.create_task(send(client[1], total))
        await until(lambda: reader._paused)
        transport = server[1].transport
        stage.note(transport.is_reading(), len(reader._buffer) > 2000, sending.done())
        stage.note(len(await reader.readexactly(total)), transport.is_reading(), reader._paused)
        await sending
        reader.feed_data(b"x" * 2001)
        stage.note(transport.is_reading())
        await reader.read(1001)
        stage.note(transport.is_reading())

    async def send(writer, total):
        writer.write(bytes(total))
        await writer.drain()

    conversation(main, limit=1000)


# --- what somebody has put in the way, on a loop's own transport


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("owner", ["reader", "protocol"])
def test_an_instance_whose_method_is_replaced(owner, when):
    """`before` and `after` something has arrived in the ordinary way."""

    async def main(stage, client, server):
        reader, writer = server
        if when == "after":
            client[1].write(b"first")
            stage.note(await reader.readexactly(5))
        seen = bytearray()
        on, name = {"reader": (reader, "feed_data"), "protocol": (writer._protocol, "data_received")}[owner]
        setattr(on, name, seen.extend)
        client[1].write(b"abc")
        await until(lambda: len(seen) == 3)
        stage.note(bytes(seen), bytes(reader._buffer))

    conversation(main)


@pytest.mark.parametrize("name", ["_drain_helper", "exception"])
def test_a_drain_whose_helper_is_replaced(name):
    async def main(stage, client, server):
        reader, writer = client

        async def helper():
            stage.note("helper")

        setattr(*((writer._protocol, name, helper) if name == "_drain_helper" else (reader, name, lambda: stage.note("asked"))))
        writer.write(b"abc")
        await writer.drain()
        stage.note(await server[0].read(3))

    conversation(main)


@pytest.mark.parametrize(("kind", "name"), [("StreamReader", "readexactly"), ("StreamWriter", "write"), ("StreamWriter", "drain")])
def test_a_class_whose_method_is_replaced(monkeypatch, kind, name):
    """As tracing and test tools do, for all instances there are. (Only what a program calls: see docs/differences.md.)"""

    async def main(stage, client, server):
        owner = getattr(stage, kind)
        original = getattr(owner, name)

        def replacement(self, *args):
            stage.note("called", args)
            return original(self, *args)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, replacement)
            client[1].write(b"abc")
            await client[1].drain()
            stage.note(await server[0].readexactly(3))

    conversation(main)


@pytest.mark.parametrize("kind", ["StreamReader", "StreamReaderProtocol", "StreamWriter"])
def test_a_subclass_on_a_connection(kind):
    def body(stage):
        class Mine(getattr(stage, kind)):
            def feed_data(self, data):
                stage.note("feed_data", bytes(data))
                super().feed_data(data)

            def data_received(self, data):
                stage.note("data_received", bytes(data))
                super().data_received(data.upper())

            def connection_lost(self, error):
                stage.note("connection_lost", told(error))
                super().connection_lost(error)

            def write(self, data):
                stage.note("write", bytes(data))
                super().write(data)

        async def main():
            chosen = {"StreamReader": stage.StreamReader, "StreamReaderProtocol": stage.StreamReaderProtocol}
            chosen = {**chosen, "StreamWriter": stage.StreamWriter, kind: Mine}
            with tcp_pair() as (own, peer):
                reader = chosen["StreamReader"](loop=stage.loop)
                protocol = chosen["StreamReaderProtocol"](reader, loop=stage.loop)
                transport, _ = await stage.loop.create_connection(lambda: protocol, sock=own.dup())
                writer = chosen["StreamWriter"](transport, protocol, reader, stage.loop)
                writer.write(b"ping")
                await writer.drain()
                await stage.loop.sock_sendall(peer, b"pong\n")
                stage.note(await reader.readline(), await stage.loop.sock_recv(peer, 4))
                writer.close()
                await writer.wait_closed()

        stage.run(main())

    assert_same(body)


def test_a_protocol_of_ones_own_in_create_server():
    """As packages do that want the protocol and the streams."""

    def body(stage):
        accepted = []

        def factory():
            reader = stage.StreamReader(loop=stage.loop)
            return stage.StreamReaderProtocol(reader, lambda *pair: accepted.append(pair), stage.loop)

        async def main():
            server = await stage.loop.create_server(factory, LOCALHOST, 0)
            reader, writer = await stage.open_connection(*server.sockets[0].getsockname())
            await until(lambda: accepted)
            ((server_reader, server_writer),) = accepted
            server_writer.write(b"hello")
            server_writer.close()
            stage.note(await reader.read(), plain(server_writer._protocol is server_writer.transport.get_protocol()))
            writer.close()
            await writer.wait_closed()
            await server_writer.wait_closed()
            stage.note(await server_reader.read())
            accepted.clear()
            server.close()
            await server.wait_closed()

        stage.run(main())

    assert_same(body)


# --- ends


@pytest.mark.parametrize("failure", [None, LookupError("handler")])
def test_a_server_of_coroutines(failure):
    def body(stage):
        async def handle(reader, writer):
            line = await reader.readline()
            writer.write(line.upper())
            await writer.drain()
            if failure:
                raise failure
            writer.close()

        async def main():
            server = await stage.start_server(handle, LOCALHOST, 0)
            for number in range(5):
                reader, writer = await stage.open_connection(*server.sockets[0].getsockname())
                writer.write(b"line %d\n" % number)
                stage.note(await reader.readline())
                stage.note(await reader.read(), reader.at_eof())
                writer.close()
                await writer.wait_closed()
            server.close()
            await until(lambda: len(asyncio.all_tasks()) == 1)
            await server.wait_closed()

        stage.run(main())

    assert_same(body)


def test_a_connection_that_fails():
    def body(stage):
        async def main():
            for arguments, options in (
                (refused_address(), {}),
                ((LOCALHOST,), {"limit": 0}),
                ((), {}),
                ((LOCALHOST, 1), {"nonsense": True}),
                ((LOCALHOST, 1), {"sock": socket}),
            ):
                try:
                    await stage.open_connection(*arguments, **options)
                except (OSError, ValueError, TypeError) as error:
                    stage.note(type(error).__name__, getattr(error, "errno", None))
            try:
                await stage.start_server(None, LOCALHOST, 0, nonsense=True)
            except TypeError as error:
                stage.note(told(error))

        stage.run(main())
        gc.collect()

    assert_same(body)


def test_a_connection_that_is_given_up():
    """Cancelled while it connects: nothing is left open, nothing is reported."""

    def body(stage):
        async def main():
            with socket.socket() as sock:
                sock.bind((LOCALHOST, 0))
                sock.listen()
                task = stage.loop.create_task(stage.open_connection(*sock.getsockname()))
                await asyncio.sleep(0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    stage.note("cancelled")

        stage.run(main())
        with stage.warned():
            stage.turn()

    assert_same(body)


def test_after_the_peer_has_gone():
    async def main(stage, client, server):
        server[1].close()
        stage.note(await client[0].read(), client[0].at_eof(), client[1].is_closing())
        await server[1].wait_closed()
        for _ in range(2):
            try:
                await server[1].drain()
            except ConnectionResetError as error:
                stage.note(told(error))
        stage.note(await server[0].read(), server[1].is_closing(), server[1].transport.is_closing())

    trace = conversation(main)
    assert (("ConnectionResetError", ("Connection lost",), {}),) in trace


def test_abort():
    async def main(stage, client, server):
        client[1].write(bytes(50_000_000))
        drain = stage.loop.create_task(client[1].drain())
        wait = stage.loop.create_task(client[1].wait_closed())
        await asyncio.sleep(0)
        stage.note(drain.done(), wait.done())
        client[1].transport.abort()
        stage.note(await drain, await wait, client[1].is_closing(), await client[0].read())

    conversation(main)
