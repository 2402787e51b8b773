"""Waiting for a condition, not for a time: the tests' own time limit ends what never comes."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def given_up(file: Any, reading: Any) -> None:
    """Begins what cannot end, and cancels it when it is under way."""
    task = asyncio.ensure_future(reading)
    await until(lambda: file._file.busy)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def somebody_reads() -> bool:
    """Whether a thread is in the system call `read`."""
    for task in Path("/proc/self/task").iterdir():
        # It may end while we look.
        with contextlib.suppress(OSError):
            if (task / "comm").read_text() == "plait-files\n" and (task / "syscall").read_text().startswith(("0 ", "63 ")):
                return True
    return False
