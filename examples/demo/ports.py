"""What is true about the ports of 127.0.0.1, found out without connecting to any.

The scanner is judged against this file, so it must not share the scanner's means: who listens is read
from the kernel's tables. Three things would spoil an exact count:

- A port from the ephemeral range may be picked as the source of our own connection, and TCP then
  happily connects it to itself. Such ports are scanned only when there are not enough others.
- Other programs listen too. Their ports are not scanned, because a demo has no business knocking on
  them; one that begins to listen meanwhile is looked up afterwards and is no mistake of the scanner.
- A port can be bound without listening. It is not open, and we cannot open it either.

Rejected: a bind attempt on each port, which cannot tell a listener from a socket merely bound.
"""

import random
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
OPEN = "open"
CLOSED = "closed"

_LISTEN = "0A"
_EVERY_PORT = range(1024, 65536)
# Below this, services with well-known numbers crowd.
_QUIET_FROM = 10_000


def ephemeral_range() -> range:
    """The ports the kernel hands out as sources."""
    low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    return range(int(low), int(high) + 1)


def listening_in(table: str) -> set[int]:
    """Ports of the listeners in one /proc/net/tcp or tcp6 that a connection to 127.0.0.1 reaches."""
    # The kernel prints each 32-bit word of an address in the machine's byte order.
    loopback = f"{int.from_bytes(socket.inet_aton(HOST), sys.byteorder):08X}"
    mapped = "0" * 16 + f"{int.from_bytes(bytes((0, 0, 255, 255)), sys.byteorder):08X}" + loopback
    reachable = {"0" * 8, loopback, "0" * 32, mapped}
    ports = set()
    for row in table.splitlines()[1:]:
        local, state = row.split()[1], row.split()[3]
        address, port = local.split(":")
        if state == _LISTEN and address in reachable:
            ports.add(int(port, 16))
    return ports


def listening() -> set[int]:
    """Every port on which any program answers at 127.0.0.1 just now."""
    tables = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
    # A kernel without IPv6 has no second table.
    return set().union(*(listening_in(table.read_text()) for table in tables if table.exists()))


def choose(count: int, ephemeral: range, taken: set[int]) -> list[int]:
    """The `count` free ports that suit a scan best, quiet ones first and ephemeral ones last."""
    free = [port for port in _EVERY_PORT if port not in taken]
    free.sort(key=lambda port: (port in ephemeral, port < _QUIET_FROM))
    if count > len(free):
        raise SystemExit(f"cannot scan {count} ports: only {len(free)} are free")
    return sorted(free[:count])


def open_some(ports: list[int], count: int, rng: random.Random) -> dict[int, socket.socket]:
    """Listen on `count` of the ports, taken at random; the caller closes the sockets.

    Nobody accepts: the kernel completes a connection that waits in the backlog.
    """
    opened: dict[int, socket.socket] = {}
    for port in rng.sample(ports, len(ports)):
        if len(opened) == count:
            return opened
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.bind((HOST, port))
            listener.listen()
        except OSError:
            # Bound by somebody since we looked: another port serves as well.
            listener.close()
        else:
            opened[port] = listener
    if len(opened) < count:
        raise SystemExit(f"could open only {len(opened)} of {count} ports")
    return opened


@dataclass(frozen=True)
class Verdict:
    """What a scan got wrong, and the ports of other programs that it rightly found."""

    missed: list[int]
    false: list[int]
    unanswered: list[int]
    skipped: list[int]
    foreign: list[int]

    def problems(self) -> list[str]:
        kinds = ("missed", "false", "unanswered", "skipped")
        found = [(kind, getattr(self, kind)) for kind in kinds]
        return [f"{len(ports)} {kind}: {ports[:10]}" for kind, ports in found if ports]


def judge(ports: Iterable[int], answers: dict[int, str], opened: set[int], foreign: set[int]) -> Verdict:
    """Compare a scan's answers with the ports opened by us and by other programs."""
    found = {port for port, answer in answers.items() if answer == OPEN}
    unsure = {port for port, answer in answers.items() if answer not in (OPEN, CLOSED)}
    return Verdict(
        missed=sorted(opened - found),
        false=sorted(found - opened - foreign),
        unanswered=sorted(unsure - foreign),
        skipped=sorted(set(ports) - answers.keys()),
        foreign=sorted((found & foreign) - opened),
    )
