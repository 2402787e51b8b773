"""The standard classes that plait has faces for, and who makes one of them all the same.

A suite that passes proves nothing about plait's Condition if the Conditions it made were the standard library's. The
native types cannot be made to count their instances from here, so the count is taken on the other side: the `__init__`
of each standard class notes who called it. Where no standard object is made and the name leads to plait's class, before
the suite and after it, what the suite made by that name was plait's.

The worker and the interpreters that suites start both use this file. It has to be imported before `plait.install()`.
"""

import asyncio
import asyncio.locks
import asyncio.queues
import asyncio.streams
import functools
import queue
import sys
import threading
import types
from collections.abc import Callable

import plait
import plait.queue
import plait.threading
from plait import _native

MODULES = {"asyncio": asyncio, "threading": threading, "queue": queue}
MIRRORS = {"asyncio": plait.asyncio, "threading": plait.threading, "queue": plait.queue}

# threading.Timer is not among them: it is a Thread, whose parts are watched.
TAKEN_OVER = (
    "asyncio.StreamReader",
    "asyncio.StreamWriter",
    "asyncio.StreamReaderProtocol",
    "asyncio.Lock",
    "asyncio.Event",
    "asyncio.Condition",
    "asyncio.Semaphore",
    "asyncio.BoundedSemaphore",
    "asyncio.Barrier",
    "asyncio.Queue",
    "asyncio.LifoQueue",
    "asyncio.PriorityQueue",
    "threading.Condition",
    "threading.Event",
    "threading.Semaphore",
    "threading.BoundedSemaphore",
    "threading.Barrier",
    "queue.Queue",
    "queue.LifoQueue",
    "queue.PriorityQueue",
)


def named(name: str, modules: dict[str, types.ModuleType]) -> type:
    module, _, attribute = name.partition(".")
    return getattr(modules[module], attribute)


STANDARD = {name: named(name, MODULES) for name in TAKEN_OVER}
FACES = {name: named(name, MIRRORS) for name in TAKEN_OVER}


def homes(name: str) -> set[types.ModuleType]:
    """Where programs find the class: in its module, and in the one of asyncio's that defines it.

    The classes of asyncio.streams stay as they are there: they check each other by name.
    """
    home = sys.modules[STANDARD[name].__module__]
    return {MODULES[name.partition(".")[0]], home} - {asyncio.streams}


def check_faces() -> list[str]:
    """What is wrong with the classes that programs find under the standard names."""
    natives = set(map(id, vars(_native).values()))
    faults = []
    for name, face in FACES.items():
        for module in homes(name):
            found = getattr(module, STANDARD[name].__name__)
            if found is not face:
                faults.append(f"{name} is {found!r} in {module.__name__}, not {face!r}")
        if id(face) not in natives:
            faults.append(f"plait.{name} is no class of the native module")
    return faults


def watch(note: Callable[[str, str], None]) -> None:
    """From now on tell `note` of each place that makes a standard object where plait's is meant: class and place."""
    watched = {stock for stock in STANDARD.values() if "__init__" in vars(stock)}
    seen = set()

    def tell(maker: types.FrameType, made: object) -> None:
        place = f"{maker.f_code.co_filename}:{maker.f_lineno}"
        if (type(made), place) not in seen:
            seen.add((type(made), place))
            note(f"{type(made).__module__}.{type(made).__qualname__}", place)

    for stock in watched:
        stock.__init__ = telling_init(stock, watched, tell)


def telling_init(stock: type, watched: set[type], tell: Callable[[types.FrameType, object], None]):
    init = stock.__init__

    @functools.wraps(init)
    def telling(self, *args, **kwargs):
        # A BoundedSemaphore is told of once, not a second time as the Semaphore that it is too.
        if stock is next(cls for cls in type(self).__mro__ if cls in watched):
            tell(sys._getframe(1), self)
        return init(self, *args, **kwargs)

    return telling
