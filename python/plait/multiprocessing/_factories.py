"""The factories of a context that make plait's classes: methods for plait's own contexts, and for the standard ones while plait is installed.

A class is imported when it is first asked for, as in the standard contexts.
"""

import multiprocessing.context
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from typing import Any


@cache
def _class(module: str, name: str) -> Any:
    return getattr(import_module(f"plait.multiprocessing.{module}"), name)


class Factories(multiprocessing.context.BaseContext):
    """What a context makes that is plait's. The arguments are the standard ones, and so is what is returned, but for the class."""

    def Lock(self) -> Any:
        """A lock."""
        return _class("synchronize", "Lock")(ctx=self.get_context())

    def RLock(self) -> Any:
        """A lock that its holder may acquire again."""
        return _class("synchronize", "RLock")(ctx=self.get_context())

    def Condition(self, lock: Any = None) -> Any:
        """A condition over `lock`, or an RLock of its own."""
        return _class("synchronize", "Condition")(lock, ctx=self.get_context())

    def Semaphore(self, value: int = 1) -> Any:
        """A semaphore with `value` permits."""
        return _class("synchronize", "Semaphore")(value, ctx=self.get_context())

    def BoundedSemaphore(self, value: int = 1) -> Any:
        """A semaphore that never has more than `value` permits."""
        return _class("synchronize", "BoundedSemaphore")(value, ctx=self.get_context())

    def Event(self) -> Any:
        """An event."""
        return _class("synchronize", "Event")(ctx=self.get_context())

    def Barrier(self, parties: int, action: Callable[..., object] | None = None, timeout: float | None = None) -> Any:
        """A barrier for `parties` processes or threads; the last one calls `action`, and nobody waits for more than `timeout` seconds."""
        return _class("synchronize", "Barrier")(parties, action, timeout, ctx=self.get_context())

    def Queue(self, maxsize: int = 0) -> Any:
        """A queue of at most `maxsize` items, or of any number."""
        return _class("queues", "Queue")(maxsize, ctx=self.get_context())

    def JoinableQueue(self, maxsize: int = 0) -> Any:
        """A queue that knows how many of its items are not done."""
        return _class("queues", "JoinableQueue")(maxsize, ctx=self.get_context())

    def SimpleQueue(self) -> Any:
        """A queue with nothing but put and get."""
        return _class("queues", "SimpleQueue")(ctx=self.get_context())

    def Pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
    ) -> Any:
        """A pool of `processes` workers, or as many as there are CPUs, each of which calls ``initializer(*initargs)`` first and is replaced after `maxtasksperchild` tasks."""
        return _class("pool", "Pool")(processes, initializer, initargs, maxtasksperchild, context=self.get_context())


NAMES = tuple(name for name in vars(Factories) if not name.startswith("_"))
