"""Crowds of threads and of tasks, and the faces of the primitives as they see them."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import plait
from strands import Hung, until

# What a crowd may take before it counts as hung. Nothing here takes a tenth of it.
LIMIT = 30


def in_threads(bodies: list[Callable[[], Any]], meanwhile: Callable[[], Any] = lambda: None) -> list[Any]:
    """Runs each body in a thread of its own, all at once; what they returned, in order. The first error is raised."""
    outcomes: list[Any] = [None] * len(bodies)
    start = threading.Barrier(len(bodies) + 1)

    def run(number: int) -> None:
        try:
            start.wait(LIMIT)
            outcomes[number] = bodies[number]()
        except BaseException as error:
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    start.wait(LIMIT)
    meanwhile()
    end = time.monotonic() + LIMIT
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        raise Hung(f"{sum(thread.is_alive() for thread in threads)} of {len(threads)} threads never came to an end")
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


def on_loop(factory: Callable[[], Any], main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Runs a coroutine on a new loop, in a thread of its own: so that a hang can be seen from outside."""

    def run() -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main())

    return in_threads([run])[0]


class Face:
    """The same primitives by other names: what a task awaits is ``acquire`` in asyncio and ``aacquire`` in plait."""

    def __init__(self, module: Any, names: dict[str, str]) -> None:
        self.module = module
        self._names = names

    def __getattr__(self, name: str) -> Callable[..., Any]:
        name = self._names.get(name, name)
        return lambda primitive, *arguments: getattr(primitive, name)(*arguments)

    def make(self, name: str, *arguments: Any) -> Any:
        return getattr(self.module, name)(*arguments)


UNIVERSAL = Face(plait, {"acquire": "aacquire", "wait": "await_", "get": "aget", "put": "aput", "join": "ajoin"})
ASYNCIO = Face(plait.asyncio, {})

# What tasks use: a face and a loop.
TASK_SIDES = {
    "plait": (UNIVERSAL, plait.new_event_loop),
    "plait on the stock loop": (UNIVERSAL, asyncio.SelectorEventLoop),
    "plait.asyncio": (ASYNCIO, plait.new_event_loop),
}


class ThreadFace:
    """What threads use: plait's own primitives, or those of the modules that stand for threading and queue."""

    def __init__(self, *modules: Any) -> None:
        self._modules = modules

    def __getattr__(self, name: str) -> Any:
        return next(getattr(module, name) for module in self._modules if hasattr(module, name))


THREAD_SIDES = {"plait": ThreadFace(plait), "plait.threading": ThreadFace(plait.threading, plait.queue)}


def parked(primitive: Any, count: int) -> None:
    until(lambda: primitive._waiting == count, f"never {count} waiting on {primitive!r}")


def program(name: str, *arguments: str) -> str:
    """What a program of the directory programs prints. Where it hangs it shows its stacks and ends (programs/limits.py)."""
    path = Path(__file__).parent / "programs" / f"{name}.py"
    done = subprocess.run([sys.executable, path, *arguments], capture_output=True, text=True, timeout=3 * LIMIT)
    assert done.returncode == 0, done.stderr
    return done.stdout
