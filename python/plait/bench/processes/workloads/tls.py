"""Echo servers over TLS: the same servers as those of `network`, given a context.

The key is a short one for elliptic curves, as most servers have now; it matters for the handshake only, and handshakes are not in
the figure. What is measured is how a loop gets bytes from the socket through OpenSSL to the program and back. The cipher is what OpenSSL
chooses, and it is the same for all, since all of them use the `ssl` module of the one Python.
"""

import asyncio
import socket
import ssl
from pathlib import Path

from .network import SERVED_BY, SIZES, STREAMS, Echo, Seen, Start, by_protocol, by_streams, in_bytes

CERTIFICATE = Path(__file__).with_name("test_certificate.pem")
CONNECTIONS = 8
# By the size of a message: how many, and how many at any scale.
REQUESTS = {1024: (20_000, 4_000), 65536: (4_000, 1_000)}


async def by_tls_protocol(loop: asyncio.AbstractEventLoop, listener: socket.socket, seen: Seen) -> object:
    return await by_protocol(loop, listener, seen, server_context())


async def by_tls_streams(loop: asyncio.AbstractEventLoop, listener: socket.socket, seen: Seen) -> object:
    return await by_streams(loop, listener, seen, server_context())


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATE))


SERVERS: dict[str, Start] = {"tls_protocol": by_tls_protocol, "tls_streams": by_tls_streams}
USES: dict[str, tuple[str, ...]] = {"tls_protocol": (), "tls_streams": STREAMS}


def _echo(server: str, size: int) -> Echo:
    return Echo(
        name=f"tls_{server}_{SIZES[size]}_{CONNECTIONS}",
        group="tls",
        n=REQUESTS[size][0],
        least=REQUESTS[size][1],
        per="request",
        about=f"{in_bytes(size)} echoed over TLS and {CONNECTIONS} connections by {SERVED_BY[server]}",
        uses=USES[f"tls_{server}"],
        server=f"tls_{server}",
        transport="tls",
        size=size,
        connections=CONNECTIONS,
    )


WORKLOADS = tuple(_echo(server, size) for server in ("protocol", "streams") for size in REQUESTS)
