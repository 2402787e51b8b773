"""What the clusters of the tests run. Workers import it by its name."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 60.0
_running = 0
_most = 0
prepared: list[Any] = []


def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait for something that other processes do."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end, what or condition
        time.sleep(0.01)
    return result


async def auntil(condition: Callable[[], Any], what: str = "") -> Any:
    """The same, while the loop runs."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end, what or condition
        await asyncio.sleep(0.01)
    return result


async def double(number: int) -> int:
    return 2 * number


async def add(one: int, other: int = 0) -> int:
    await asyncio.sleep(0)
    return one + other


async def pid() -> int:
    return os.getpid()


async def later(number: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return number


async def in_reverse(number: int, path: str) -> int:
    """A later one is done first."""
    await _file(Path(path) / str(number))
    return number


async def _file(path: Path) -> None:
    while not path.exists():
        await asyncio.sleep(0.005)


async def begin_and_wait(path: str, name: str) -> str:
    """Note that it has begun; wait for a file; note if it is cancelled."""
    (Path(path) / f"{name} has begun").touch()
    try:
        await _file(Path(path) / f"{name} may end")
    except asyncio.CancelledError:
        (Path(path) / f"{name} was cancelled").touch()
        raise
    return name


async def count_running(seconds: float) -> tuple[int, int]:
    """This process, and the most that have run at once in it."""
    global _running, _most
    _running += 1
    _most = max(_most, _running)
    await asyncio.sleep(seconds)
    _running -= 1
    return os.getpid(), _most


async def fail(text: str) -> None:
    raise LookupError(text)


async def none_of(value: int, other: int) -> int:
    if value == other:
        raise ValueError(f"not {other}")
    return value


async def die_once(path: str) -> int:
    """The first that comes dies."""
    try:
        Path(path).touch(exist_ok=False)
    except FileExistsError:
        return os.getpid()
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


async def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def length(data: Any) -> int:
    return len(data)


async def zeros(count: int) -> bytes:
    return bytes(count)


def plain(number: int) -> int:
    return number


async def unpicklable() -> Any:
    return lambda: None


async def prepare(value: Any) -> None:
    await asyncio.sleep(0)
    prepared.append(value)


async def what_was_prepared() -> list[Any]:
    return prepared


def cannot() -> None:
    raise OSError("no")


async def loop_type() -> str:
    return type(asyncio.get_running_loop()).__module__
