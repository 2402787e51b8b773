"""What a connection does, as its number says: the same in each run, and known to both sides.

Every payload names its connection and the exchange that it belongs to, all the way through, so that bytes that belong to
another connection, or come twice or in another order, are noticed whichever they are.
"""

import random
from dataclasses import dataclass

# A payload that begins with it asks the server to cut the connection, in the way that follows.
CUT = b"!"
WAYS_TO_CUT = (b"cancel", b"abort", b"close")
LARGEST = 20_000
# So many addresses of 127.0.1.0/24 the connections come from, since each has fewer than thirty thousand ports, and keeps a
# closed connection's for a minute.
SOURCES = 250


@dataclass(frozen=True)
class Script:
    """One connection."""

    number: int
    by_streams: bool
    to_streams: bool
    payloads: tuple[bytes, ...]
    # Whether the last payload asks for a cut: then anything may happen to the connection after it, but a wrong byte.
    cut: bool
    end: str
    # After how long the client's task is cancelled: turns of the loop, or seconds; None lets it be.
    cancelled_after: int | float | None

    @property
    def source(self) -> str:
        return f"127.0.1.{1 + self.number % SOURCES}"


def script(seed: int, kind: str, number: int, cancelled: float) -> Script:
    """`cancelled` is the part of the connections that is."""
    # Not hash(): that of a string differs from process to process.
    draw = random.Random(f"{seed} {kind} {number}")
    cut = draw.random() < 0.05
    payloads = [_payload(draw, kind, number, exchange) for exchange in range(draw.randint(1, 3))]
    if cut:
        payloads.append(CUT + draw.choice(WAYS_TO_CUT) + b" " + _payload(draw, kind, number, len(payloads)))
    return Script(
        number=number,
        by_streams=draw.random() < 0.5,
        to_streams=draw.random() < 0.5,
        payloads=tuple(payloads),
        cut=cut,
        end=draw.choice(("close", "close and wait", "abort", "end of file")),
        cancelled_after=_moment(draw) if draw.random() < cancelled else None,
    )


def _payload(draw: random.Random, kind: str, number: int, exchange: int) -> bytes:
    name = f"{kind} {number}, {exchange}; ".encode()
    # Mostly small, now and then larger than what is read at once into a stream's smallest buffer.
    size = draw.randint(1, 200) if draw.random() < 0.8 else draw.randint(1, LARGEST)
    return (name * (size // len(name) + 1))[: max(size, len(name))]


def _moment(draw: random.Random) -> int | float:
    """Mostly while it connects or shakes hands, which takes a few turns; else in the middle of something."""
    return draw.randint(0, 12) if draw.random() < 0.6 else draw.random() * 0.01
