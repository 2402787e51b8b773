"""Other processes that do what a test tells them, to primitives that both know; and limits against hangs."""

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import time
import types
from collections.abc import Callable, Iterator
from multiprocessing import synchronize as stock_synchronize
from typing import Any

import pytest

from plait.multiprocessing import synchronize as plait_synchronize

LIMIT = 60
SIDES = {"stock": stock_synchronize, "plait": plait_synchronize}
METHODS = ["fork", "spawn", "forkserver"]

# CPython warns of forks in programs with threads, which tests with threads and tasks are.
forks_with_threads = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def never_hang() -> Iterator[None]:
    """With stacks, and the whole run ends: what hangs here may not be interruptible."""
    faulthandler.dump_traceback_later(2 * LIMIT, exit=True, file=2)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(params=SIDES)
def sync(request: pytest.FixtureRequest) -> types.ModuleType:
    """The module under test: the standard one judges the tests."""
    return SIDES[request.param]


@pytest.fixture
def ctx(request: pytest.FixtureRequest) -> Any:
    """Processes are started by fork, quick, unless the test is marked with `every_method`."""
    return multiprocessing.get_context(getattr(request, "param", "fork"))


every_method = pytest.mark.parametrize("ctx", METHODS, indirect=True)


def until(condition: Callable[[], Any]) -> None:
    """Looks again and again, for what nobody tells."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.001)


def serve(pipe: Any, objects: dict[str, Any]) -> None:
    """A child's life: calls what it is told to, and says what came of it."""
    while True:
        try:
            order = pipe.recv()
        except EOFError:
            return
        if order is None:
            return
        name, method, args = order
        pipe.send(("calls", None, None))
        try:
            target = objects[name] if name in objects else globals()[name]
            call = target if method is None else getattr(target, method)
            answer = ("value", call(*args), None)
        except BaseException as error:
            answer = ("error", type(error).__name__, str(error))
        pipe.send(answer)


class Raised(Exception):
    """What a call raised over there: the name of its type, and its words."""


class Child:
    """Another process, which knows the given objects by name."""

    def __init__(self, ctx: Any, **objects: Any) -> None:
        self.pipe, there = ctx.Pipe()
        self.process = ctx.Process(target=serve, args=(there, objects), daemon=True)
        self.process.start()
        there.close()
        self.pid: int = self.process.pid

    def start(self, name: str, method: str | None, *args: Any) -> None:
        """Has it call something; returns when it is about to."""
        self.pipe.send((name, method, args))
        assert self._receive() == ("calls", None, None)

    def _receive(self) -> Any:
        assert self.pipe.poll(LIMIT), "no answer"
        return self.pipe.recv()

    def value(self) -> Any:
        """What came of it."""
        kind, value, words = self._receive()
        if kind == "error":
            raise Raised(value, words)
        return value

    def has_answered(self) -> bool:
        return bool(self.pipe.poll(0))

    def do(self, name: str, method: str | None, *args: Any) -> Any:
        self.start(name, method, *args)
        return self.value()

    def sleeps(self) -> bool:
        """Whether it does, in what it was told to call."""
        with open(f"/proc/{self.pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "S" and not self.has_answered()

    def wait_until_it_sleeps(self) -> None:
        for _ in range(3):
            until(self.sleeps)

    def kill(self, reap: bool = True) -> None:
        os.kill(self.pid, signal.SIGKILL)
        if reap:
            self.process.join(LIMIT)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.pipe.close()
        # One that waits for something that does not come does not hear it.
        self.process.join(0.5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(LIMIT)


@pytest.fixture
def child(ctx: Any) -> Iterator[Callable[..., Child]]:
    """Makes children of that start method."""
    with contextlib.ExitStack() as stack:

        def make(**objects: Any) -> Child:
            new = Child(ctx, **objects)
            stack.callback(new.end)
            return new

        yield make


# ---- what children call by name


def count_up(lock: Any, counter: Any, rounds: int) -> None:
    for _ in range(rounds):
        with lock:
            counter.value = counter.value + 1


def take_a_new_one() -> bool:
    lock = plait_synchronize.Lock(ctx=multiprocessing.get_context("fork"))
    return bool(lock.acquire(False) and not lock.acquire(False))
