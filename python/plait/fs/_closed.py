"""What a file is after its end: each attempt ends as the standard file's method of that name does, whose words are its own.

A standard file of the same kind is kept, closed, and asked. So nothing has to be known here of which method says what.
"""

import functools
import io
import os
from typing import Any

_ASKED_AS = {
    "take": "read",
    "take_once": "read1",
    "take_line": "readline",
    "put": "write",
    "put_and_drain": "write",
    "write_once": "write",
    "write_aside": "write",
    "look": "peek",
    "drained": "flush",
    "move_to": "seek",
    "truncate_to": "truncate",
    "all_ready": "read",
    "bytes_ready": "read",
    "line_ready": "readline",
}
_ARGUMENTS: dict[str, tuple[Any, ...]] = {"write": (b"",), "writelines": ((),), "seek": (0,), "readinto": (bytearray(),), "readinto1": (bytearray(),)}


@functools.cache
def _closed_twin(kind: str, buffering: int) -> Any:
    twin = io.open(os.devnull, kind, buffering, "utf-8" if "b" not in kind else None)
    twin.close()
    return twin


class ClosedFile:
    """Stands where the native file stood."""

    closed = True
    busy = False
    writing = False
    aside = False
    is_local = True
    crowded = False

    def __init__(self, name: Any, kind: str, buffering: int) -> None:
        self.name = name
        self._kind = (kind, buffering)

    def refuse(self, method: str) -> Any:
        """What the standard method does: mostly it raises."""
        twin = _closed_twin(*self._kind)
        arguments = ("",) if method == "write" and "b" not in self._kind[0] else _ARGUMENTS.get(method, ())
        return getattr(twin, method)(*arguments)

    def take_into(self, _buffer: Any, once: bool) -> Any:
        twin = _closed_twin(*self._kind)
        getattr(twin, "readinto1" if once else "readinto")(bytearray(1))
        return self.refuse("read")

    def set_blocking(self, _blocking: bool) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return lambda *_arguments: self.refuse(_ASKED_AS.get(name, name))
