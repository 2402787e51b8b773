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
import importlib
import queue
import sys
import threading
from collections.abc import Callable

import plait
from plait import _native

MODULES = {"asyncio": asyncio, "threading": threading, "queue": queue}

# Names that plait takes over together. threading.Timer is not among them: it is a Thread, whose parts are watched.
FAMILIES = {
    "asyncio's streams": ("asyncio.StreamReader", "asyncio.StreamWriter", "asyncio.StreamReaderProtocol"),
    "asyncio's locks": (
        "asyncio.Lock",
        "asyncio.Event",
        "asyncio.Condition",
        "asyncio.Semaphore",
        "asyncio.BoundedSemaphore",
        "asyncio.Barrier",
    ),
    "asyncio's queues": ("asyncio.Queue", "asyncio.LifoQueue", "asyncio.PriorityQueue"),
    "threading": (
        "threading.Condition",
        "threading.Event",
        "threading.Semaphore",
        "threading.BoundedSemaphore",
        "threading.Barrier",
    ),
    "queue": ("queue.Queue", "queue.LifoQueue", "queue.PriorityQueue"),
}


def here(name: str) -> type:
    """What `name`, "threading.Event" say, leads to at the moment."""
    module, _, attribute = name.partition(".")
    return getattr(MODULES[module], attribute)


STANDARD = {name: here(name) for names in FAMILIES.values() for name in names}


def face(name: str) -> type:
    """plait's class of that name; the standard one where plait has none of its own."""
    module, _, attribute = name.partition(".")
    try:
        mirror = importlib.import_module(f"plait.{module}")
    except ModuleNotFoundError:
        return STANDARD[name]
    return getattr(mirror, attribute)


def taken_over() -> list[str]:
    """The names that have to lead to plait's classes: a family whose first is plait's is plait's whole."""
    return [
        name for names in FAMILIES.values() if face(names[0]) is not STANDARD[names[0]] for name in names
    ]


def faces() -> dict[type, str]:
    return {face(name): name for name in taken_over()}


def check_faces() -> list[str]:
    """What is wrong with the classes that programs find under the standard names."""
    natives = set(map(id, vars(_native).values()))
    faults = []
    for name in taken_over():
        if here(name) is not face(name):
            faults.append(f"{name} is {here(name)!r}, not {face(name)!r}")
        elif face(name) is STANDARD[name]:
            faults.append(f"plait.{name} is the standard class")
        elif id(face(name)) not in natives:
            faults.append(f"plait.{name} is no class of the native module")
    return faults


def watch(note: Callable[[str, str], None]) -> None:
    """From now on tell `note` of each place that makes a standard object where plait's is meant: its name, the place."""
    watched = {STANDARD[name]: name for name in taken_over() if "__init__" in vars(STANDARD[name])}
    seen = set()
    for stock, name in watched.items():
        init = stock.__init__

        @functools.wraps(init)
        def telling(self, *args, _init=init, _stock=stock, _name=name, **kwargs):
            # A BoundedSemaphore is told of once, not a second time as the Semaphore that it is too.
            if _stock is next(cls for cls in type(self).__mro__ if cls in watched):
                frame = sys._getframe(1)
                place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                if (_name, place) not in seen:
                    seen.add((_name, place))
                    note(_name, place)
            return _init(self, *args, **kwargs)

        stock.__init__ = telling
