"""Every server that a network workload may ask for, by its name: started by `server`, written in the rooms."""

from . import datagrams, http, network, tls, transfers
from .network import Seen, Start

__all__ = ["SERVERS", "USES", "Seen"]

_ROOMS = (network, tls, datagrams, transfers, http)
SERVERS: dict[str, Start] = {name: start for room in _ROOMS for name, start in room.SERVERS.items()}
# What each takes from asyncio besides the loop.
USES: dict[str, tuple[str, ...]] = {name: uses for room in _ROOMS for name, uses in room.USES.items()}
