"""websockets, server and client on one loop, and its broadcasting, its keep-alive and its closing."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import stage
import websockets
from stage import check
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve

LARGE = os.urandom(2 * 1024 * 1024)


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def service(handler: Callable[[ServerConnection], Awaitable[None]] = echo, **options: object) -> AsyncIterator[tuple[Server, str]]:
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield server, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def connecting(url: str, **options: object) -> connect:
    return connect(url, proxy=None, **options)


@check
async def text_binary_and_fragments() -> None:
    async def parts() -> AsyncIterator[str]:
        for number in range(10):
            yield str(number)

    async with service(max_size=None) as (_, url), connecting(url, max_size=None) as connection:
        for message in ("word", "ü" * 100_000, LARGE, b"", ""):
            await connection.send(message)
            assert await connection.recv() == message
        await connection.send(parts())
        assert await connection.recv() == "0123456789"


@check
async def fifty_connections_at_once() -> None:
    async def talk(url: str, number: int) -> None:
        async with connecting(url) as connection:
            for turn in range(50):
                await connection.send(f"{number} {turn}")
                assert await connection.recv() == f"{number} {turn}"

    async with service() as (_, url):
        await asyncio.gather(*(talk(url, number) for number in range(50)))


@check
async def broadcasting_to_a_hundred() -> None:
    async def listen(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async def client(url: str) -> list[object]:
        async with connecting(url) as connection:
            return [await connection.recv() for _ in range(20)]

    async with service(listen) as (server, url), asyncio.TaskGroup() as group:
        clients = [group.create_task(client(url)) for _ in range(100)]
        while len(server.connections) < 100:
            await asyncio.sleep(0.001)
        for number in range(20):
            broadcast(server.connections, f"news {number}")
        assert all([await each == [f"news {number}" for number in range(20)] for each in clients])


@check
async def backpressure_holds_a_sender() -> None:
    """The client does not read: the server's send has to wait, and goes on when it does."""
    sent = 0

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        for _ in range(200):
            await connection.send(LARGE[:262144])
            sent += 1

    async with service(flood, compression=None) as (_, url), connecting(url, compression=None, max_queue=2) as connection:
        await connection.recv()
        before = -1
        while sent != before:  # until it stands still
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 200
        received = 1
        async for message in connection:
            assert message == LARGE[:262144]
            received += 1
        assert received == sent == 200


@check
async def pings_and_a_peer_that_does_not_answer() -> None:
    async with service() as (_, url), connecting(url) as connection:
        assert await (await connection.ping()) >= 0

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import base64
        import hashlib

        request = await reader.readuntil(b"\r\n\r\n")
        key = request.lower().partition(b"sec-websocket-key: ")[2].partition(b"\r\n")[0]
        key = request[request.lower().index(key) :][: len(key)]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    async with server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with connecting(url, ping_interval=0.05, ping_timeout=0.05, close_timeout=0.05, compression=None) as connection:
            try:
                await connection.recv()
                raise AssertionError("somebody spoke")
            except websockets.ConnectionClosedError:
                assert connection.close_code == 1011 or connection.close_code == 1006


@check
async def close_codes_and_errors() -> None:
    async def closes(connection: ServerConnection) -> None:
        message = await connection.recv()
        if message == "raise":
            raise LookupError
        await connection.close(4001, "as you wish")

    async with service(closes) as (_, url):
        async with connecting(url) as connection:
            await connection.send("close")
            try:
                await connection.recv()
                raise AssertionError("still open")
            except websockets.ConnectionClosedError as error:
                assert error.rcvd is not None and (error.rcvd.code, error.rcvd.reason) == (4001, "as you wish")
        async with connecting(url) as connection:
            await connection.send("raise")
            try:
                await connection.recv()
                raise AssertionError("still open")
            except websockets.ConnectionClosedError as error:
                assert error.rcvd is not None and error.rcvd.code == 1011
    try:
        await connecting(url)
        raise AssertionError("the server has gone")
    except OSError:
        pass


@check
async def timeouts_and_cancellation() -> None:
    async with service() as (_, url), connecting(url) as connection:
        for _ in range(3):
            try:
                await asyncio.wait_for(connection.recv(), 0.02)
                raise AssertionError("somebody spoke")
            except TimeoutError:
                pass
        waiting = asyncio.create_task(connection.recv())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        await connection.send("still here")
        assert await connection.recv() == "still here"


@check
async def a_client_reconnects_by_iterating() -> None:
    async def once(connection: ServerConnection) -> None:
        await connection.send("hello")
        connection.transport.abort()

    async with service(once) as (_, url):
        greeted = 0
        async for connection in connecting(url):
            assert isinstance(connection, ClientConnection)
            try:
                async for message in connection:
                    assert message == "hello"
                    greeted += 1
            except websockets.ConnectionClosed:
                pass
            if greeted >= 3:
                break


@check
async def the_server_closes_its_connections() -> None:
    async with service() as (server, url):
        connections = [await connecting(url) for _ in range(10)]
        server.close()
        await server.wait_closed()
        for connection in connections:
            await connection.wait_closed()
            assert connection.close_code == 1001


@check
async def tls() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(stage.certificates() / "server.pem", stage.certificates() / "server.key")
    trusting = ssl.create_default_context(cafile=str(stage.certificates() / "ca.pem"))
    async with service(ssl=context, max_size=None) as (_, url), connecting(url.replace("ws:", "wss:"), ssl=trusting, max_size=None) as connection:
        await connection.send(LARGE)
        assert await connection.recv() == LARGE


if __name__ == "__main__":
    stage.go()
