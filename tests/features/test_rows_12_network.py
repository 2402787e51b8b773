"""Section 12 of the feature list, the rows on loops in threads and on descriptors (12.5, 12.11, 12.12)."""

import asyncio as standard
import resource
import select
import socket
import threading

import pytest
from peers import LOCALHOST

CONNECTIONS = 1500


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4000:
        pytest.skip("the hard limit on descriptors is below 4000")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def serve(reader, writer):
    writer.write(await reader.readexactly(4))
    await writer.drain()
    writer.close()


async def request(address, i):
    reader, writer = await standard.open_connection(*address)
    writer.write(b"%04d" % i)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_12_5_ten_threads_with_a_loop_each(aio):
    ready, stop = threading.Event(), None
    address = None

    async def site():
        nonlocal address, stop
        loop, stopped = aio.get_running_loop(), aio.Event()
        stop = lambda: loop.call_soon_threadsafe(stopped.set)  # noqa: E731
        async with await aio.start_server(serve, LOCALHOST, 0) as server:
            address = server.sockets[0].getsockname()
            ready.set()
            await stopped.wait()

    async def ten_requests():
        return await aio.gather(*(request(address, i) for i in range(10)))

    def client():
        loop = aio.new_event_loop()
        aio.set_event_loop(loop)
        answers = loop.run_until_complete(ten_requests())
        loop.close()
        for answer in answers:
            got.append((threading.current_thread().name, answer))

    got = []
    server = threading.Thread(target=lambda: aio.run(site()))
    server.start()
    assert ready.wait(20)
    clients = [threading.Thread(target=client, name=f"client {i}") for i in range(10)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    stop()
    server.join()
    assert sorted(got) == sorted((f"client {i}", b"%04d" % j) for i in range(10) for j in range(10))


def test_12_11_fifteen_hundred_connections_at_once(aio, many_descriptors):
    async def main():
        async with await aio.start_server(serve, LOCALHOST, 0, backlog=2 * CONNECTIONS) as server:
            address = server.sockets[0].getsockname()
            streams = [await aio.open_connection(*address) for _ in range(CONNECTIONS)]
            numbers = [writer.get_extra_info("socket").fileno() for _, writer in streams]
            assert max(numbers) > 1024
            for i, (_, writer) in enumerate(streams):
                writer.write(b"%04d" % i)
            answers = [await reader.read() for reader, _ in streams]
            assert answers == [b"%04d" % i for i in range(CONNECTIONS)]
            for _, writer in streams:
                writer.close()
                await writer.wait_closed()

    aio.run(main())


def test_12_11_select_itself_still_raises(many_descriptors):
    held = []
    try:
        while not held or held[-1].fileno() < 1024:
            held.append(socket.socket())
        with pytest.raises(ValueError, match=r"^filedescriptor out of range in select\(\)$"):
            select.select([held[-1]], [], [], 0)
    finally:
        for sock in held:
            sock.close()


def test_12_12_limiting_concurrency(aio):
    async def main():
        limit = aio.Semaphore(50)

        async def limited(i):
            async with limit:
                return await request(address, i)

        async with await aio.start_server(serve, LOCALHOST, 0) as server:
            address = server.sockets[0].getsockname()
            return await aio.gather(*(limited(i) for i in range(500)))

    assert aio.run(main()) == [b"%04d" % i for i in range(500)]


def test_12_12_callbacks(aio):
    async def main():
        finished = []
        async with await aio.start_server(serve, LOCALHOST, 0) as server:
            address = server.sockets[0].getsockname()
            tasks = [aio.ensure_future(request(address, i)) for i in range(20)]
            for task in tasks:
                task.add_done_callback(lambda task: finished.append(task.result()))
            await aio.gather(*tasks)
            await aio.sleep(0)
        return sorted(finished)

    assert aio.run(main()) == [b"%04d" % i for i in range(20)]


def test_12_12_raising_the_systems_limit_while_the_loop_runs(aio):
    """The reactor sees a limit that was raised after the loop was made."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1000:
        pytest.skip("the hard limit on descriptors is below 1000")

    async def main():
        async with await aio.start_server(serve, LOCALHOST, 0) as server:
            address = server.sockets[0].getsockname()
            streams = []
            with pytest.raises(OSError, match="Too many open files"):
                while True:
                    streams.append(await aio.open_connection(*address))
            resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
            while len(streams) < 200:
                streams.append(await aio.open_connection(*address))
            for i, (reader, writer) in enumerate(streams):
                writer.write(b"%04d" % i)
                assert await reader.read() == b"%04d" % i
                writer.close()
                await writer.wait_closed()

    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        aio.run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
