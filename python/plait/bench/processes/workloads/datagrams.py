"""UDP: datagrams that are answered one by one, and datagrams that come faster than they can be taken.

In an echo each client has one datagram under way, so a loop finds a few at a time. In a flood the receiver's buffer is always
full: what it could not take in time the kernel dropped, and the figure is the CPU time per datagram that the protocol was given.
"""

import asyncio
import socket
from dataclasses import dataclass
from typing import Any, cast

from ..columns import LOOPS
from .network import Echo, Load, Seen, Start


@dataclass(frozen=True, kw_only=True)
class Flood(Load):
    """`n` datagrams of `size` bytes are sent; what is measured is those that were received."""

    size: int


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked: some loops' transports are not derived from asyncio's.
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.seen["transport"] = type(transport).__module__


class EchoDatagrams(_Datagrams):
    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.transport.sendto(data, addr)


class CountDatagrams(_Datagrams):
    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.seen.received += 1


def _by(protocol: type[_Datagrams]) -> Start:
    async def start(loop: asyncio.AbstractEventLoop, bound: socket.socket, seen: Seen) -> object:
        return await loop.create_datagram_endpoint(lambda: protocol(seen), sock=bound)

    return start


SERVERS = {"udp_echo": _by(EchoDatagrams), "udp_count": _by(CountDatagrams)}
USES: dict[str, tuple[str, ...]] = {"udp_echo": (), "udp_count": ()}

WORKLOADS = (
    Echo(
        name="udp_echo_1k_8",
        group="udp",
        n=100_000,
        per="request",
        about="a datagram of 1 KiB echoed, from each of 8 clients in turn, by an asyncio.DatagramProtocol",
        columns=(*LOOPS, "epoll"),
        server="udp_echo",
        transport="udp",
        size=1024,
        connections=8,
    ),
    Flood(
        name="udp_flood",
        group="udp",
        n=400_000,
        least=100_000,
        per="datagram received",
        about="a datagram of 256 B received by an asyncio.DatagramProtocol, sent faster than they can be taken",
        columns=(*LOOPS, "epoll"),
        server="udp_count",
        transport="udp",
        size=256,
    ),
)
