"""That it is plait's own streams which run: under `plait.asyncio`, after `install`, under `plait run`; and that they leave nothing
behind. That they do what asyncio's do is for the conformance tests.
"""

import asyncio
import gc
import os
import subprocess
import sys
import weakref
from collections import Counter
from pathlib import Path

import plait
import pytest
from peers import LOCALHOST, until
from plait import _native

CLASSES = ("StreamReader", "StreamWriter", "StreamReaderProtocol")
FUNCTIONS = ("open_connection", "start_server", "open_unix_connection", "start_unix_server")
STANDARD = {name: getattr(asyncio.streams, name) for name in (*CLASSES, *FUNCTIONS)}


@pytest.fixture
def installed():
    plait.install()
    yield
    plait.uninstall()


def names():
    """What the names of streams mean now, in asyncio and in asyncio.streams."""
    return {(module, name): getattr(module, name) for module in (asyncio, asyncio.streams) for name in STANDARD}


# --- which ones run


def test_the_mirror_has_the_native_ones():
    for name in CLASSES:
        assert getattr(plait.asyncio, name) is getattr(_native, name)
        assert getattr(asyncio, name) is STANDARD[name], "nothing is patched"
    for name in FUNCTIONS:
        assert getattr(plait.asyncio, name) is not STANDARD[name]
        assert getattr(asyncio, name) is STANDARD[name]


def test_install_and_uninstall():
    before = names()
    plait.install()
    try:
        for name in CLASSES:
            assert getattr(asyncio, name) is getattr(_native, name)
        for name in FUNCTIONS:
            assert getattr(asyncio, name) is getattr(plait.asyncio, name)
            assert getattr(asyncio.streams, name) is getattr(plait.asyncio, name), "also for who imports them from there"
        # one's own classes, made meanwhile, go on working afterwards
        mine = type("Mine", (asyncio.StreamReader,), {})
    finally:
        plait.uninstall()
    assert names() == before
    loop = plait.new_event_loop()
    reader = mine(loop=loop)
    reader.feed_data(b"abc")
    assert loop.run_until_complete(reader.read(3)) == b"abc"
    loop.close()


def test_what_a_program_imported_before_knows_the_native_ones(loop, installed):
    """isinstance with the standard classes, which a library may have from an early `from asyncio import StreamReader`."""
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    for native, name in ((reader, "StreamReader"), (protocol, "StreamReaderProtocol")):
        assert isinstance(native, STANDARD[name]) and isinstance(native, getattr(asyncio, name))
        assert type(native) is getattr(_native, name)
    assert isinstance(protocol, asyncio.Protocol) and isinstance(protocol, asyncio.streams.FlowControlMixin)


async def echo_once(module, seen):
    """One line to a server and back by the streams of a module; notes the types that were met."""

    async def handle(reader, writer):
        seen.update([type(reader), type(writer), type(writer.transport.get_protocol())])
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await module.start_server(handle, LOCALHOST, 0)
    reader, writer = await module.open_connection(*server.sockets[0].getsockname())
    seen.update([type(reader), type(writer), type(writer.transport.get_protocol())])
    writer.write(b"line\n")
    await writer.drain()
    assert await reader.readline() == b"line\n"
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    server.close()
    await until(lambda: len(asyncio.all_tasks()) == 1)
    await server.wait_closed()


NATIVE = {getattr(_native, name) for name in CLASSES}


def test_all_ends_of_a_connection_are_native(run):
    seen = set()
    run(echo_once(plait.asyncio, seen))
    assert seen == NATIVE


def test_after_install_all_ends_are_native(run, installed):
    seen = set()
    run(echo_once(asyncio, seen))
    run(echo_once(asyncio.streams, seen))
    assert seen == NATIVE


def refuses(name):
    def method(*_, **__):
        raise AssertionError(f"the standard {name} was called")

    return method


def test_nothing_falls_back_to_asyncios_own(run, monkeypatch):
    for name in CLASSES:
        for method in vars(STANDARD[name]):
            if callable(getattr(STANDARD[name], method)) and method not in ("__class__", "__new__"):
                monkeypatch.setattr(STANDARD[name], method, refuses(f"{name}.{method}"))
    for name in FUNCTIONS:
        monkeypatch.setattr(asyncio.streams, name, refuses(name))
    seen = set()
    run(echo_once(plait.asyncio, seen))
    assert seen == NATIVE


PROGRAM = """
import asyncio, sys

async def main():
    def handle(reader, writer):
        print(type(reader).__module__, type(writer).__module__, isinstance(reader, asyncio.StreamReader))
        writer.write(b"bye")
        writer.close()
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    print(type(reader).__module__, type(writer).__module__, await reader.read())
    writer.close()
    server.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("disabled", [False, True])
def test_under_plait_run(tmp_path: Path, disabled):
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    environment = {**os.environ, "PLAIT_DISABLE": "1"} if disabled else os.environ
    command = [sys.executable, "-m", "plait", "run", "program.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    module = "asyncio.streams" if disabled else "plait._native"
    assert done.stdout.splitlines() == [f"{module} {module} True", f"{module} {module} b'bye'"], done.stderr


# --- nothing is left behind


class Unconnected(asyncio.Transport):
    """A transport that is closed from the start: its writer has nothing to warn of."""

    def is_closing(self):
        return True


def a_connection(loop, transport, ends):
    """The life of a connection's objects; `ends` is how it goes."""
    reader = _native.StreamReader(limit=10, loop=loop)
    protocol = _native.StreamReaderProtocol(reader, loop=loop)
    protocol.connection_made(transport)
    writer = _native.StreamWriter(transport, protocol, reader, loop)
    read = reader.readline()
    read.send(None)
    protocol.data_received(b"some")
    if ends == "looked into":
        reader._buffer.extend(b" more\n")
        assert protocol._closed is protocol._get_close_waiter(writer)
    elif ends == "cycle":
        reader.writer, writer.protocol, protocol.read = writer, protocol, read
        return
    elif ends == "lost":
        protocol.pause_writing()
        drain = writer.drain()
        drain.send(None)
        protocol.connection_lost(ConnectionResetError("gone"))
        drain.close()
    read.close()


@pytest.mark.parametrize("ends", ["quietly", "looked into", "cycle", "lost"])
def test_ten_thousand_connections_leave_nothing(loop, ends):
    def objects():
        gc.collect()
        return Counter(type(one) for one in gc.get_objects())

    transport = Unconnected()
    for _ in range(100):
        a_connection(loop, transport, ends)
    before = objects()
    for _ in range(10_000):
        a_connection(loop, transport, ends)
    # far more than the counting makes on the side, far less than one per connection
    more = {kind: count for kind, count in (objects() - before).items() if count > 1000}
    assert not more


def test_what_is_dropped_without_a_cycle_needs_no_collection(loop):
    gc.disable()
    try:
        reader = _native.StreamReader(loop=loop)
        protocol = _native.StreamReaderProtocol(reader, loop=loop)
        writer = _native.StreamWriter(Unconnected(), protocol, reader, loop)
        references = [weakref.ref(one) for one in (reader, protocol, writer)]
        del reader, protocol, writer
        assert [reference() for reference in references] == [None] * 3
    finally:
        gc.enable()


@pytest.mark.parametrize("attribute", ["_waiter", "_exception", "_transport", "_loop", "mine"])
def test_a_reader_in_a_cycle_is_collected(loop, attribute):
    class Thing(Exception):
        def create_future(self):
            raise AssertionError("not asked")

    reader = _native.StreamReader(loop=loop)
    thing = Thing()
    thing.reader = reader
    setattr(reader, attribute, thing)
    references = [weakref.ref(reader), weakref.ref(thing)]
    del reader, thing
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_real_connections_leave_nothing(run):
    async def main():
        seen = set()
        await echo_once(plait.asyncio, seen)
        gc.collect()
        before = sum(type(one) in NATIVE for one in gc.get_objects())
        for _ in range(50):
            await echo_once(plait.asyncio, seen)
        gc.collect()
        assert sum(type(one) in NATIVE for one in gc.get_objects()) <= before

    run(main())


# --- much


@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
def test_large_messages_there_and_back(run, size):
    async def main():
        async def echo(reader, writer):
            try:
                while True:
                    writer.write(await reader.readexactly(size))
                    await writer.drain()
            except asyncio.IncompleteReadError as end:
                assert end.partial == b""
            writer.close()
            await writer.wait_closed()

        server = await plait.asyncio.start_server(echo, LOCALHOST, 0)
        reader, writer = await plait.asyncio.open_connection(*server.sockets[0].getsockname())
        for round in range(5):
            message = os.urandom(size - 1) + bytes([round])
            writer.write(message)
            await writer.drain()
            assert await reader.readexactly(size) == message
        writer.close()
        await writer.wait_closed()
        server.close()
        await until(lambda: len(asyncio.all_tasks()) == 1)
        await server.wait_closed()

    run(main())


def test_many_connections_at_once(run, reports):
    async def main():
        async def echo(reader, writer):
            async for line in reader:
                writer.write(line)
                await writer.drain()
            writer.close()
            await writer.wait_closed()

        async def talk(number):
            reader, writer = await plait.asyncio.open_connection(*address)
            for size in range(0, 3000, 500 + number):
                line = b"%d" % number * size + b"\n"
                writer.write(line)
                await writer.drain()
                assert await reader.readline() == line
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

        server = await plait.asyncio.start_server(echo, LOCALHOST, 0)
        address = server.sockets[0].getsockname()
        await asyncio.gather(*map(talk, range(200)))
        server.close()
        await until(lambda: len(asyncio.all_tasks()) == 1)
        await server.wait_closed()

    run(main())
    assert reports == []
