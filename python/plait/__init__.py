"""plait: one Rust runtime for every kind of Python concurrency, a drop-in for asyncio, threading and queue.

Three ways in, from the least to the most:

* ``plait.run(main())``, or ``plait.new_event_loop`` wherever a loop factory is asked for
  (``asyncio.Runner(loop_factory=…)``, ``uvicorn --loop plait:new_event_loop``): nothing is patched;
* ``from plait import asyncio, threading, queue, multiprocessing`` and ``from plait.concurrent import futures``: the standard modules' names, with what is plait's;
* ``plait.install()``, or ``plait run app.py`` from the shell: the standard modules themselves use plait.

And the primitives that no standard module has: ``plait.Lock``, ``RLock``, ``Semaphore``, ``BoundedSemaphore``, ``Event``, ``Condition``, ``Barrier``, ``Queue``, ``LifoQueue``
and ``PriorityQueue`` are for threads, tasks of any loop, and greenlets at once. A method that waits has a twin for coroutines, with an ``a`` before
its name (``lock.acquire()`` and ``await lock.aacquire()``; where that makes a keyword, an underscore after it: ``event.wait()`` and
``await event.await_()``).

``plait.Cluster`` runs coroutines on the loops of several processes; ``plait.run(main, workers=4)`` a server in several, and ``plait.workers`` is what that may ask.
``plait.executor("dask://host:port")`` is one interface to threads, processes, Dask and Ray.

``plait.gil`` shows who holds the GIL, ``plait.watchdog`` what blocks a loop.

The files here are thin on purpose: signatures and docstrings, with the algorithms in the native module.
Beware when editing them: ``plait.asyncio`` is a module of this package, so the standard one is always
imported absolutely, and never into this file's namespace.
"""

import sys
from typing import TYPE_CHECKING

if sys.platform != "linux":
    raise ImportError("plait runs on Linux only for now.", name="plait")

from plait import asyncio, concurrent, queue, threading
from plait._install import install, uninstall
from plait._loop import new_event_loop, run
from plait._native import (
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    EventLoop,
    Future,
    LifoQueue,
    Lock,
    PriorityQueue,
    Queue,
    RLock,
    Semaphore,
    Task,
    __version__,
)
from plait._shut_down import ShutDown
from plait._switch import debugging as _debugging
from plait._switch import watch_loops_if_asked as _watch_loops_if_asked

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "EventLoop",
    "Future",
    "LifoQueue",
    "Lock",
    "PriorityQueue",
    "Queue",
    "RLock",
    "Semaphore",
    "ShutDown",
    "Task",
    "__version__",
    "asyncio",
    "concurrent",
    "install",
    "new_event_loop",
    "queue",
    "run",
    "threading",
    "uninstall",
]


if TYPE_CHECKING:  # imported when they are named, see below
    from plait._cluster import Cluster as Cluster
    from plait._executor import executor as executor
    from plait._workers import WorkersFailed as WorkersFailed

_watch_loops_if_asked()

if _debugging():
    from plait._deadlock import explain as _explain_deadlocks

    _explain_deadlocks(True)


# What most programs have no use for, imported when it is named (`fs` and `multiprocessing`, say, need much of the standard library): modules, and names with where they are.
_MODULES_LATER = ("fs", "gil", "multiprocessing", "watchdog", "workers")
_NAMES_LATER = {"Cluster": "plait._cluster", "WorkersFailed": "plait._workers", "executor": "plait._executor"}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES_LATER:
        return import_module(f"plait.{name}")
    if name in _NAMES_LATER:
        return getattr(import_module(_NAMES_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES_LATER, *_NAMES_LATER})


if sys.version_info < (3, 16):  # asyncio drops its policies in 3.16
    from plait._policy import EventLoopPolicy as EventLoopPolicy

    __all__ += ["EventLoopPolicy"]
