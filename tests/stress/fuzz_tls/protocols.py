"""The application's protocols, of both kinds, and what is written down of a script that is played."""

import asyncio
from dataclasses import dataclass, field
from typing import Any


class Deliberate(Exception):
    """What a protocol raises because the script says so."""


@dataclass
class Record:
    """What came of a script."""

    events: list[Any] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)  # by the application's protocols
    written: int = 0  # by the application, and taken
    peer_received: bytes = b""
    peer_written: int = 0
    paused_early: bool = False  # its reading, before the peer had all of the handshake
    troubles: list[str] = field(default_factory=list)  # what must never be, on any loop
    disturbed: set[str] = field(default_factory=set)  # what excuses bytes that are missing
    features: set[Any] = field(default_factory=set)


class Actor:
    """What both kinds of protocol do: write down what they are told, and act."""

    play: Any

    def connection_made(self, transport: Any) -> None:
        self.play.told(self, "made")

    def eof_received(self) -> None:
        self.play.told(self, "eof")

    def connection_lost(self, error: BaseException | None) -> None:
        self.play.told(self, "lost", f"{type(error).__name__}: {error}" if error else None)

    def pause_writing(self) -> None:
        self.play.told(self, "pause")

    def resume_writing(self) -> None:
        self.play.told(self, "resume")


class Streaming(Actor, asyncio.Protocol):
    def __init__(self, play: Any) -> None:
        self.play = play

    def data_received(self, data: bytes) -> None:
        self.play.receive(self, data)


class Buffering(Actor, asyncio.BufferedProtocol):
    def __init__(self, play: Any, size: int) -> None:
        self.play, self.buffer = play, bytearray(size)

    def get_buffer(self, sizehint: int) -> Any:
        return memoryview(self.buffer)

    def buffer_updated(self, count: int) -> None:
        self.play.receive(self, bytes(self.buffer[:count]))
