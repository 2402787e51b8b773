"""The other end of a TLS test: certificates, contexts, and a peer that does as it is told, well or badly."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import plait
from peers import LOCALHOST, Recorder, listening

CERTIFICATES = Path(__file__).parent / "certificates"
LARGEST_RECORD = 16 * 1024


def certificate(name: str) -> str:
    return str(CERTIFICATES / f"{name}.pem")


def server_context(name: str = "localhost", **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(name))
    for option, value in options.items():
        setattr(context, option, value)
    return context


def client_context(**options: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate("authority"))
    for option, value in options.items():
        setattr(context, option, value)
    return context


def check_native(transport: Any) -> None:
    """On plait's loop the transport, and all that is below it, is plait's; on asyncio's none of it."""
    expected = ("TlsTransport", "TlsProtocol", "SocketTransport")
    if not isinstance(asyncio.get_running_loop(), plait.EventLoop):
        expected = ("_SSLProtocolTransport", "SSLProtocol", "_SelectorSocketTransport")
    protocol = transport._ssl_protocol
    assert (type(transport).__name__, type(protocol).__name__, type(protocol._transport).__name__) == expected


class TlsPeer:
    """One end of TLS over a plain non-blocking socket, step by step: nothing happens that a test does not ask for."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool = True) -> None:
        self.sock = sock
        self.loop = asyncio.get_running_loop()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        hostname = None if server_side else "localhost"
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side, hostname)

    async def flush(self) -> None:
        if self.outgoing.pending:
            await self.loop.sock_sendall(self.sock, self.outgoing.read())

    async def until_done(self, step: Callable[[], Any]) -> Any:
        """Repeat a step of the engine, passing bytes both ways, until it needs no more."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self.flush()
                data = await self.loop.sock_recv(self.sock, 1 << 18)
                if not data:
                    raise EOFError from None
                self.incoming.write(data)
            else:
                await self.flush()
                return result

    async def handshake(self) -> None:
        await self.until_done(self.tls.do_handshake)

    def encrypted(self, data: bytes) -> bytes:
        """The records that carry ``data``."""
        view = memoryview(data)
        while view:
            view = view[self.tls.write(view) :]
        return self.outgoing.read()

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.sock, self.encrypted(data))

    async def receive(self, count: int) -> bytes:
        got = bytearray()
        while len(got) < count:
            chunk = await self.until_done(lambda: self.tls.read(count - len(got)))
            if not chunk:
                break
            got += chunk
        return bytes(got)

    def close_notify(self) -> bytes:
        """The alert that ends our direction."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()

    async def received_close(self) -> bool:
        """Whether the peer said goodbye; False: the connection just ended."""
        try:
            return await self.until_done(lambda: self.tls.read(1)) == b""
        except ssl.SSLZeroReturnError:
            return True
        except (EOFError, ConnectionResetError):
            return False


@contextlib.asynccontextmanager
async def accepted(**keywords: Any) -> AsyncIterator[tuple[asyncio.Task[Any], socket.socket]]:
    """A connecting task of the running loop, with ``ssl=``, and the plain socket at the other end."""
    loop = asyncio.get_running_loop()
    keywords = {"protocol": Recorder, "ssl": client_context(), "server_hostname": "localhost", **keywords}
    protocol = keywords.pop("protocol")
    with listening() as server:
        connecting = loop.create_task(loop.create_connection(protocol, *server.getsockname(), **keywords))
        peer, _ = await loop.sock_accept(server)
    with peer:
        yield connecting, peer
        if not connecting.done():
            connecting.cancel()
        await asyncio.wait([connecting])


@contextlib.asynccontextmanager
async def tls_pair(
    context: ssl.SSLContext | None = None, **keywords: Any
) -> AsyncIterator[tuple[Any, TlsPeer]]:
    """A protocol on the running loop, connected over TLS to a `TlsPeer`; both are gone afterwards."""
    async with accepted(**keywords) as (connecting, sock):
        peer = TlsPeer(sock, context or server_context())
        await peer.handshake()
        transport, protocol = await connecting
        check_native(transport)
        try:
            yield protocol, peer
        finally:
            transport.abort()
            if hasattr(protocol, "lost"):
                await protocol.lost


@contextlib.asynccontextmanager
async def tls_server(protocol: Callable[[], Any], context: ssl.SSLContext | None = None, **keywords: Any) -> AsyncIterator[Any]:
    """The address of a TLS server on the running loop."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, LOCALHOST, 0, ssl=context or server_context(), **keywords)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


class Echo(Recorder):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(data)


class Buffered(asyncio.BufferedProtocol):
    """Receives into a buffer of its own, of a given size, and writes down what came."""

    def __init__(self, size: int) -> None:
        self.buffer = bytearray(size)
        self.data = bytearray()
        self.calls: list[str] = []
        self.transport: Any = None
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> Any:
        return memoryview(self.buffer)

    def buffer_updated(self, count: int) -> None:
        self.data += self.buffer[:count]

    def eof_received(self) -> None:
        self.calls.append("eof")

    def connection_lost(self, error: BaseException | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(error)
