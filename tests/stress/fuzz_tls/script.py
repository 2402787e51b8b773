"""What happens to one connection, made from bytes: any bytes at all are a script, so that cutting and changing them gives others.

Four bytes say what the connection is and how its protocol behaves, then two bytes are one step.
"""

from dataclasses import dataclass

# How much is written at once, in bytes: around the borders of records and of the water marks.
SIZES = (0, 1, 2, 100, 1000, 16383, 16384, 16385, 40_000, 70_000, 131_072, 300_000, 600_000, 1_000_000)
# How much arrives at once: parts of a record's header, and of records.
PARTS = (1, 2, 3, 4, 5, 6, 21, 22, 100, 1000, 16_000, 16_406, 65_536, 300_000)
LIMITS = (0, 1, 100, 5000, 65_536, 1_000_000)
BUFFERS = (0, 0, 0, 0, 0, 1, 7, 1000, 16_384, 100_000)
WAYS_TO_ACT = ("write", "close", "abort", "pause", "raise", "write and close", "pause and resume", "exchange")
CALLBACKS = ("data", "eof", "pause", "resume", "made")
STEPS = (
    *("write",) * 3,
    "writelines",
    "pause reading",
    "resume reading",
    "close",
    "abort",
    "write limits",
    "read limits",
    *("peer writes",) * 3,
    "peer writes bytes",
    *("deliver",) * 3,
    "deliver all",
    "deliver in pieces",
    "take",
    "take all",
    "goodbye",
    "end",
    "reset",
    "corrupt",
    "truncate",
    "plain text",
    "turn",
    "turns",
    "time out",
    "authenticate",
    "exchange protocols",
    "cancel",
    "take and deliver",
)


@dataclass(frozen=True)
class Script:
    """One connection, as it is set up, and what happens to it."""

    server_side: bool
    newest: bool  # TLS 1.3
    sockets: bool  # real ones, not a transport in memory
    narrow: bool  # what is below takes little at once
    handshake_first: bool
    stays_paused: bool
    buffer: int  # of a BufferedProtocol, in bytes; 0: a Protocol
    acts: tuple[tuple[str, str], ...]  # what the protocol does in its first callback of a kind
    steps: tuple[tuple[str, int], ...]


def parse(script: bytes) -> Script:
    head, rest = script[:4].ljust(4, b"\0"), script[4:]
    flags = head[0]
    acts = []
    for byte in head[2:4]:
        if byte < 120:  # else none
            acts.append((CALLBACKS[byte % len(CALLBACKS)], WAYS_TO_ACT[byte // len(CALLBACKS) % len(WAYS_TO_ACT)]))
    steps = tuple((STEPS[op % len(STEPS)], argument) for op, argument in zip(rest[::2], rest[1::2], strict=False))
    return Script(
        server_side=bool(flags & 1),
        newest=bool(flags & 2),
        sockets=flags & 12 == 12,
        narrow=bool(flags & 16),
        handshake_first=flags & 96 != 0,
        stays_paused=bool(flags & 128),
        buffer=BUFFERS[head[1] % len(BUFFERS)],
        acts=tuple(acts),
        steps=steps,
    )


def words(script: bytes) -> str:
    """The same for people."""
    parsed = parse(script)
    setup = [f"{name}={value}" for name, value in vars(parsed).items() if name != "steps" and value]
    return "; ".join([", ".join(setup), *(f"{step} {argument}" for step, argument in parsed.steps)])
