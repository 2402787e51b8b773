"""No descriptor leaks, after thousands of connections, cancelled operations and failures; and life without descriptors."""

import asyncio
import errno
import gc
import os
import resource
import socket

import pytest
from peers import (
    LOCALHOST,
    Recorder,
    listening,
    open_descriptors,
    refused_address,
    reset,
    sockets,
    until,
)
from test_servers import Serving, exhausted


@pytest.fixture
def no_leak(loop, run):
    """After the test as many descriptors are open as before its body ran, and the loop watches none of its own."""
    run(asyncio.sleep(0))
    gc.collect()
    before = open_descriptors()
    yield
    gc.collect()
    assert open_descriptors() == before
    assert dict(loop._selector.get_map()) == {}


async def handlers_end():
    """Until no task but this one is left: before 3.12 `wait_closed` does not wait for a server's handlers."""
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


def test_thousands_of_connections(loop, run, no_leak):
    async def client(address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        await writer.wait_closed()

    async def main():
        async with await asyncio.start_server(echo, LOCALHOST, 0, backlog=200) as server:
            address = server.sockets[0].getsockname()
            for _ in range(20):
                await asyncio.gather(*(client(address) for _ in range(100)))
        await handlers_end()

    run(main())


def test_thousands_of_resets(loop, run, no_leak):
    async def main():
        async with Serving() as serving:
            for i in range(1, 501):
                reset(socket.create_connection(serving.address))
                await until(lambda i=i: len(serving.protocols) == i)
            for protocol in serving.protocols:
                await protocol.lost

    run(main())


def test_cancelled_operations(loop, run, no_leak):
    async def main():
        for turns in range(4):
            for _ in range(100):
                with sockets() as (a, b):
                    tasks = [loop.create_task(loop.sock_recv(a, 1)), loop.create_task(loop.sock_recv_into(b, bytearray(1)))]
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)

    run(main())


def test_operations_that_are_dropped_without_being_awaited(loop, run, no_leak):
    async def main():
        for _ in range(100):
            with sockets() as (a, _):
                loop.sock_recv(a, 1).close()
                waiting = loop.sock_recv(a, 1)
                waiting.send(None)
                waiting.close()
                assert loop._selector.get_map() == {}

    run(main())


def test_cancelled_accepts_and_connects(loop, run, no_leak):
    async def main():
        with listening() as server:
            for _ in range(100):
                accepting = loop.create_task(loop.sock_accept(server))
                await asyncio.sleep(0)
                client = socket.create_connection(server.getsockname())
                accepting.cancel()
                await asyncio.gather(accepting, return_exceptions=True)
                if not accepting.cancelled():
                    accepting.result()[0].close()
                else:
                    peer, _ = await loop.sock_accept(server)
                    peer.close()
                client.close()

    run(main())


def test_failing_factories(loop, run, no_leak):
    calls = []

    def factory():
        calls.append(1)
        raise LookupError

    async def main():
        server = await loop.create_server(factory, LOCALHOST, 0)
        for i in range(200):
            with socket.create_connection(server.sockets[0].getsockname()) as client:
                client.setblocking(False)
                await until(lambda i=i: len(calls) > i)
                assert await loop.sock_recv(client, 1) == b""
        server.close()
        await server.wait_closed()
        with listening() as listener:
            for _ in range(50):
                with pytest.raises(LookupError):
                    await loop.create_connection(factory, *listener.getsockname())

    run(main())


def test_refused_connections(loop, run, no_leak):
    async def main():
        for _ in range(200):
            with pytest.raises(ConnectionRefusedError):
                await loop.create_connection(Recorder, *refused_address())

    run(main())


def test_loops_by_the_hundred(no_leak):
    import plait

    for _ in range(300):
        plait.run(asyncio.sleep(0))


def test_loops_with_executors_and_signals(no_leak):
    import signal

    import plait

    async def main():
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        await loop.run_in_executor(None, int)

    for _ in range(30):
        plait.run(main())


@pytest.fixture
def few_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def tried_again(loop):
    """Until the timer that tries to accept again has run, and has been set anew."""
    (retry,) = loop._scheduled
    await until(lambda: loop._scheduled and retry not in loop._scheduled)


def test_a_shortage_is_reported_once(loop, run, few_descriptors):
    """However often accepting is tried again while it lasts, and however many clients wait; and each shortage anew."""
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context["exception"].errno))

    async def main():
        async with Serving() as serving:
            for shortage in (1, 2):
                clients = [socket.socket() for _ in range(3)]
                serving.clients += clients
                taken = exhausted()
                try:
                    for client in clients:
                        client.setblocking(False)
                        await loop.sock_connect(client, serving.address)
                    await until(lambda shortage=shortage: len(reports) == shortage)
                    await tried_again(loop)
                finally:
                    for fd in taken:
                        os.close(fd)
                await until(lambda shortage=shortage: len(serving.protocols) == 3 * shortage)
                assert reports == [errno.EMFILE] * shortage

    run(main())


def test_other_connections_go_on_during_a_shortage(loop, run, few_descriptors):
    loop.set_exception_handler(lambda *_: None)

    async def main():
        async with Serving() as serving:
            client, protocol = await serving.client()
            waiting = socket.socket()
            serving.clients.append(waiting)
            taken = exhausted()
            try:
                waiting.setblocking(False)
                await loop.sock_connect(waiting, serving.address)
                client.send(b"still served")
                await until(lambda: protocol.data == b"still served")
                protocol.transport.write(b"and answered")
                assert await loop.sock_recv(client, 100) == b"and answered"
            finally:
                for fd in taken:
                    os.close(fd)
            await until(lambda: len(serving.protocols) == 2)

    run(main())


def test_a_server_closed_during_a_shortage(loop, run, few_descriptors):
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context))

    async def main():
        async with Serving() as serving:
            client = socket.socket()
            serving.clients.append(client)
            taken = exhausted()
            try:
                client.setblocking(False)
                await loop.sock_connect(client, serving.address)
                await until(lambda: reports)
                serving.server.close()
            finally:
                for fd in taken:
                    os.close(fd)
            (retry,) = loop._scheduled
            await until(lambda: loop._scheduled == [])
            assert not retry.cancelled(), "it ran, and found nothing to do"

    run(main())
    assert len(reports) == 1


def test_no_descriptor_for_a_loop(few_descriptors):
    import plait

    taken = exhausted()
    try:
        with pytest.raises(OSError) as caught:
            plait.new_event_loop()
        assert caught.value.errno == errno.EMFILE
        os.close(taken.pop())  # one is not enough, and the one must not be lost
        with pytest.raises(OSError):
            plait.new_event_loop()
        taken.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        for fd in taken:
            os.close(fd)
    plait.new_event_loop().close()


def test_fifteen_hundred_connections_at_once(loop, run, no_leak):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4000:
        pytest.skip("the hard limit on descriptors is below 4000")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4000), hard))

    async def main():
        async with await asyncio.start_server(echo, LOCALHOST, 0, backlog=2000) as server:
            address = server.sockets[0].getsockname()
            streams = [await asyncio.open_connection(*address) for _ in range(1500)]
            assert max(writer.get_extra_info("socket").fileno() for _, writer in streams) > 1500
            for i, (_, writer) in enumerate(streams):
                writer.write(b"%04d" % i)
            for i, (reader, _) in enumerate(streams):
                assert await reader.readexactly(4) == b"%04d" % i
            for _, writer in streams:
                writer.close()
            for _, writer in streams:
                await writer.wait_closed()
        await handlers_end()

    try:
        run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
