"""Echo servers: what a loop's sockets cost, by each of the three ways in which programs use them.

The server sends back what it received. It runs on the loop under test, in a process and on a core of its own; the
client is the same for all of them, not Python, and elsewhere (`client`). Judged is the CPU time that the server took
per request: requests per second also say how quick the client is, and on two cores it is the client that waits
for the server or the other way round.

As programs would write them, with no option that one loop might like better than another. `seen` collects which classes
served, for the parent to check.

Unix sockets and TLS change how such a server is reached, not how it is written: `Start` is given the listener, and `tls` has
the context. Connections that come and go are one more load on the protocol server: each is opened, used once, closed.

Idle connections are the same servers, left alone after one echo on each connection, and judged by how much
the server grew.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from ..columns import BARE_SERVERS, LOOPS
from .measuring import Workload

PIECE = 64 * 1024
BACKLOG = 1024
SIZES = {64: "64b", 1024: "1k", 65536: "64k"}
CONNECTIONS = (8, 64)
REQUESTS = {64: 100_000, 1024: 100_000, 65536: 20_000}
IDLE_CONNECTIONS = 10_000
IDLE_SIZE = 64
# They echo by no particular interface, so they stand beside one way of doing it only.
REFERENCES_BESIDE = "protocol"

# The kernel brings a busy process's CPU clock up to date every few milliseconds only: less work than this drowns in that.
LEAST_REQUESTS = 8_000


class Seen(dict[str, str]):
    """The modules of the classes that served, by their names; what else a server has to tell, as attributes."""

    received = 0
    # What a loop said when a request asked it for something that it has not.
    lacks: str | None = None


Start = Callable[[asyncio.AbstractEventLoop, socket.socket, Seen], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class Network(Workload):
    """A workload on a server: `server` is how it is written, one of `SERVERS`, and `transport` what its socket is."""

    server: str
    transport: str = "tcp"


@dataclass(frozen=True, kw_only=True)
class Load(Network):
    """Judged by the CPU time that the server takes; `least` is how much of it is measured at any scale."""

    judged: str = "cpu_ns"
    least: int = LEAST_REQUESTS


@dataclass(frozen=True, kw_only=True)
class Echo(Load):
    """`n` requests of `size` bytes over so many connections, with one request under way on each."""

    size: int
    connections: int


@dataclass(frozen=True, kw_only=True)
class Churn(Load):
    """`n` connections that are opened, used for one message of `size` bytes and closed, so many at once."""

    size: int
    connections: int


@dataclass(frozen=True, kw_only=True)
class Idle(Network):
    """`n` open connections, each quiet since one echo of `size` bytes."""

    size: int


def echo_protocol(seen: Seen) -> type[asyncio.Protocol]:
    class EchoProtocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            # Not checked: some loops' transports are not derived from asyncio's.
            self.transport = cast(asyncio.Transport, transport)
            seen["transport"] = type(transport).__module__

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

    return EchoProtocol


async def by_protocol(
    loop: asyncio.AbstractEventLoop, listener: socket.socket, seen: Seen, context: ssl.SSLContext | None = None
) -> object:
    return await loop.create_server(echo_protocol(seen), sock=listener, backlog=BACKLOG, ssl=context)


async def by_unix_protocol(loop: asyncio.AbstractEventLoop, listener: socket.socket, seen: Seen) -> object:
    return await loop.create_unix_server(echo_protocol(seen), sock=listener, backlog=BACKLOG)


async def by_streams(
    loop: asyncio.AbstractEventLoop, listener: socket.socket, seen: Seen, context: ssl.SSLContext | None = None
) -> object:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen["transport"] = type(writer.transport).__module__
        seen["StreamReader"] = type(reader).__module__
        seen["StreamWriter"] = type(writer).__module__
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
        writer.close()

    return await asyncio.start_server(echo, sock=listener, backlog=BACKLOG, ssl=context)


async def by_sock(loop: asyncio.AbstractEventLoop, listener: socket.socket, seen: Seen) -> object:
    async def echo(connection: socket.socket) -> None:
        with connection:
            while data := await loop.sock_recv(connection, PIECE):
                await loop.sock_sendall(connection, data)

    async def accept() -> None:
        # The loop holds its tasks weakly.
        tasks = set()
        while True:
            connection, _ = await loop.sock_accept(listener)
            task = loop.create_task(echo(connection))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    listener.listen(BACKLOG)
    return loop.create_task(accept())


SERVERS: dict[str, Start] = {"protocol": by_protocol, "streams": by_streams, "sock": by_sock, "unix": by_unix_protocol}
SERVED_BY = {
    "protocol": "an asyncio.Protocol",
    "streams": "asyncio.start_server: read, write, drain",
    "sock": "loop.sock_recv and sock_sendall, a task per connection",
}
MESSAGES = {"protocol": (64, 1024, 65536), "streams": (1024, 65536), "sock": (1024, 65536)}
STREAMS = ("start_server", "StreamReader", "StreamWriter")
USES: dict[str, tuple[str, ...]] = {"protocol": (), "streams": STREAMS, "sock": (), "unix": ()}


def _echo(server: str, size: int, connections: int) -> Echo:
    return Echo(
        name=f"echo_{server}_{SIZES[size]}_{connections}",
        group="network",
        n=REQUESTS[size],
        per="request",
        about=f"{in_bytes(size)} echoed over {connections} connections by {SERVED_BY[server]}",
        uses=USES[server],
        columns=(*LOOPS, *BARE_SERVERS) if server == REFERENCES_BESIDE else LOOPS,
        server=server,
        size=size,
        connections=connections,
    )


def _idle(name: str, server: str) -> Idle:
    return Idle(
        name=name,
        group="memory",
        n=IDLE_CONNECTIONS,
        per="open connection",
        about=f"a connection that has been quiet since one echo, held by {SERVED_BY[server]}",
        judged="bytes_each",
        uses=USES[server],
        server=server,
        size=IDLE_SIZE,
    )


def in_bytes(size: int) -> str:
    return f"{size // 1024} KiB" if size >= 1024 else f"{size} B"


WORKLOADS = (
    *(
        _echo(server, size, connections)
        for server, sizes in MESSAGES.items()
        for size in sizes
        for connections in CONNECTIONS
    ),
    Echo(
        name="unix_echo_1k_8",
        group="network",
        n=REQUESTS[1024],
        per="request",
        about="1 KiB echoed over 8 connections by Unix sockets and an asyncio.Protocol",
        columns=(*LOOPS, "epoll"),
        server="unix",
        transport="unix",
        size=1024,
        connections=8,
    ),
    Churn(
        name="connections",
        group="network",
        n=20_000,
        least=4_000,
        per="connection",
        about="a connection opened, used for one echo of 64 B and closed, 8 at once, served by an asyncio.Protocol",
        columns=(*LOOPS, *BARE_SERVERS),
        server="protocol",
        size=64,
        connections=8,
    ),
    _idle("idle_connection", "protocol"),
    _idle("idle_stream_connection", "streams"),
)
