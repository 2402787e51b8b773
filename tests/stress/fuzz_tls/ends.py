"""The two ends of a connection that is played: the peer, an engine of the standard library's, and what lies between."""

import asyncio
import functools
import random
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

CERTIFICATES = Path(__file__).parents[2] / "conformance" / "certificates"
# What is sent, either way: no part of it is like another.
STREAM = random.Random(1).randbytes(1 << 22)


@functools.cache
def contexts(server_side: bool, newest: bool) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of the connection that is tested, and of its peer."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATES / "localhost.pem")
    client = ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))
    if newest:
        server.load_verify_locations(CERTIFICATES / "authority.pem")
        server.verify_mode = ssl.CERT_OPTIONAL
        client.load_cert_chain(CERTIFICATES / "client.pem")
        server.post_handshake_auth = client.post_handshake_auth = True
    for context in (server, client):
        context.maximum_version = ssl.TLSVersion.TLSv1_3 if newest else ssl.TLSVersion.TLSv1_2
    return (server, client) if server_side else (client, server)


class Peer:
    """The other end. What it sends lies on the wire until it is delivered."""

    def __init__(self, context: ssl.SSLContext, server_side: bool) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        hostname = None if server_side else "localhost"
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side, hostname)
        self.wire = bytearray()
        self.received = bytearray()
        self.written = 0
        self.handshaken = self.said_goodbye = self.heard_goodbye = False
        self.broken: ssl.SSLError | None = None

    def take(self, data: bytes) -> None:
        self.incoming.write(data)
        self.go_on()

    def go_on(self) -> None:
        """As far as what has arrived goes."""
        if self.broken is None and not self.heard_goodbye:
            try:
                if not self.handshaken:
                    self.tls.do_handshake()
                    self.handshaken = True
                while chunk := self.tls.read(1 << 16):
                    self.received += chunk
                self.heard_goodbye = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                self.heard_goodbye = True
            except ssl.SSLError as error:
                self.broken = error
        self.wire += self.outgoing.read()

    def write(self, size: int) -> None:
        """One record, or as many as it takes."""
        if not self.handshaken or self.said_goodbye or self.broken:
            return
        data = memoryview(STREAM)[self.written : self.written + size]
        while data:
            try:
                count = self.tls.write(data)
            except ssl.SSLError as error:
                if not isinstance(error, ssl.SSLWantReadError):
                    self.broken = error
                break
            self.written += count
            data = data[count:]
        self.wire += self.outgoing.read()

    def authenticate(self) -> None:
        """Ask the client for its certificate, long after the handshake."""
        if self.handshaken and self.tls.server_side and self.tls.version() == "TLSv1.3" and not self.said_goodbye:
            try:
                self.tls.verify_client_post_handshake()
                self.tls.do_handshake()
            except ssl.SSLError:
                pass  # asked already
            self.wire += self.outgoing.read()

    def goodbye(self) -> None:
        if self.handshaken and not self.said_goodbye and not self.broken:
            self.said_goodbye = True
            try:
                self.tls.unwrap()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self.broken = error
            self.wire += self.outgoing.read()


class MemoryLink(asyncio.Transport):
    """A transport below TLS that does only what it is told, by the rules of asyncio's transports of sockets."""

    def __init__(self, loop: Any, narrow: bool, log: list[Any]) -> None:
        super().__init__()
        self.loop = loop
        self.high, self.low = (3000, 500) if narrow else (65_536, 16_384)
        self.log = log
        self.protocol: Any = None
        self.sent = bytearray()
        self.reading = True
        self.closing = self.ending = self.paused = self.ended = False

    def start(self, loop: Any, make: Any, waiter: Any) -> Any:
        self.protocol = make(waiter)
        transport = self.protocol._app_transport
        self.protocol.connection_made(self)
        return transport

    # ---- as the protocol sees it

    def write(self, data: Any) -> None:
        if self.ending:
            return
        self.sent += data
        if len(self.sent) > self.high and not self.paused:
            self.paused = True
            self.protocol.pause_writing()

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            if not self.sent:
                self._end(None)

    def abort(self) -> None:
        self._force_close(None)

    def _force_close(self, error: Any) -> None:
        self.closing = True
        self.sent.clear()
        self._end(error)

    def pause_reading(self) -> None:
        self.reading = False
        self.log.append("below pauses")

    def resume_reading(self) -> None:
        self.reading = True
        self.log.append("below resumes")

    def is_reading(self) -> bool:
        return self.reading and not self.closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return len(self.sent)

    def _end(self, error: Any) -> None:
        if not self.ending:
            self.ending = True
            self.loop.call_soon(self._lost, error)

    def _lost(self, error: Any) -> None:
        self.ended = True
        self.protocol.connection_lost(error)

    # ---- as the script moves it

    def deliver(self, wire: bytearray, count: int) -> None:
        """Up to so many bytes arrive at once."""
        while count and wire and self.is_reading():
            try:
                buffer = self.protocol.get_buffer(-1)
                part = min(count, len(wire), len(buffer))
                buffer[:part] = wire[:part]
                del wire[:part]
                count -= part
                self.protocol.buffer_updated(part)
            except Exception as error:
                self._fatal(error)

    def _fatal(self, error: Exception) -> None:
        self.log.append(f"{type(error).__name__} reaches the transport: {error}")
        self._force_close(error)

    def take(self, most: int) -> bytes:
        data = bytes(self.sent[:most])
        del self.sent[:most]
        if self.paused and len(self.sent) <= self.low and not self.ending:
            self.paused = False
            self.protocol.resume_writing()
        if self.closing and not self.sent:
            self._end(None)
        return data

    def end(self) -> None:
        """End of file."""
        if not self.is_reading():
            return
        try:
            if not self.protocol.eof_received():
                self.close()
        except Exception as error:
            self._fatal(error)

    def reset(self) -> None:
        self._force_close(ConnectionResetError(104, "reset"))


class SocketLink:
    """Two sockets: here the transport below is the loop's own, and bytes take ways that no other transport's do."""

    def __init__(self, loop: Any, narrow: bool, log: list[Any]) -> None:
        self.near, self.far = socket.socketpair()
        for sock in (self.near, self.far):
            sock.setblocking(False)
        if narrow:
            self.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            self.far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self.ended = False

    def start(self, loop: Any, make: Any, waiter: Any) -> Any:
        keywords, app, context = make.keywords, make.args[1], make.args[2]
        names = ("server_side", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout")
        chosen = {name: keywords[name] for name in names}
        return loop._make_ssl_transport(self.near, app, context, waiter, **chosen)

    def deliver(self, wire: bytearray, count: int) -> None:
        while count and wire:
            try:
                part = self.far.send(wire[:count])
            except OSError:  # full, or nobody is there
                return
            del wire[:part]
            count -= part

    def take(self, most: int) -> bytes:
        try:
            data = self.far.recv(most)
        except BlockingIOError:
            return b""
        except OSError:
            self.ended = True
            return b""
        self.ended = self.ended or (not data and most > 0)
        return data

    def end(self) -> None:
        if self.far.fileno() >= 0:
            try:
                self.far.shutdown(socket.SHUT_WR)
            except OSError:
                self.ended = True

    def reset(self) -> None:
        self.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)) if self.far.fileno() >= 0 else None
        self.far.close()
        self.ended = True
