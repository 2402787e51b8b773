"""What runs in a Dask worker, around the call."""

import asyncio
import importlib
import os
import signal
from typing import Any

from plait._executor import _worker

# A directory in which the workers of a cluster of plait's own note what they are at; the note survives them.
NOTES = "PLAIT_DASK_NOTES"
_LONGEST = 20
# Seconds.
_SOON = 0.01

_making: set[int] = set()
_note: int | None = None  # a descriptor
_asked = False


def run(number: int, topic: str | None, call: Any, *stored: Any) -> Any:
    """Make the call, which has this number; `topic` is where to tell that it begins."""
    note = _notes()
    if topic is not None:
        _this_worker().log_event(topic, number)
    _making.add(number)
    if note is not None:
        os.pwrite(note, str(number).encode().ljust(_LONGEST), 0)
    try:
        return _worker.run(call, *stored)
    finally:
        if note is not None:
            os.pwrite(note, b" " * _LONGEST, 0)
        _making.discard(number)


def _this_worker() -> Any:
    return importlib.import_module("distributed").get_worker()


def _notes() -> int | None:
    global _note, _asked
    if not _asked:
        directory = os.environ.get(NOTES)
        if directory:
            _note = os.open(note_of(directory, _this_worker().address), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        _asked = True
    return _note


def note_of(directory: str, address: str) -> str:
    """The file in which the worker at that address notes what it is at."""
    return os.path.join(directory, "".join(letter if letter.isalnum() else "-" for letter in address))


def read_note(directory: str, address: str) -> int | None:
    """The number of the call that this worker was making."""
    try:
        with open(note_of(directory, address), "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def making() -> list[int]:
    """Which calls are being made here."""
    return list(_making)


async def die_if_making(number: int) -> bool:
    """End this worker, if it makes that call; but first whoever asks is told so."""
    if number not in _making:
        return False
    asyncio.get_running_loop().call_later(_SOON, os.kill, os.getpid(), signal.SIGKILL)
    return True
