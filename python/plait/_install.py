"""``plait.install()``: the standard modules use plait, and ``plait.uninstall()``: they no longer do.

asyncio asks its policy for a loop in every place that is not told which loop to make: ``asyncio.run``,
``asyncio.Runner``, ``asyncio.new_event_loop``, ``asyncio.get_event_loop``, ``unittest.IsolatedAsyncioTestCase``.
So setting the policy is enough where policies exist, and a policy that somebody sets later (uvloop's, say) wins, as
the user meant it to. Rejected: replacing ``asyncio.SelectorEventLoop``, which is the name of one particular loop, and
``asyncio.Task`` and ``asyncio.Future``, which programs subclass and test against; native tasks come out of
``create_task`` and natives pass ``isinstance`` for the standard names.

``asyncio.EventLoop`` (3.13 and later) is replaced: by its documentation it is not one loop but the best there is.

Streams have no factory that could be asked, so their classes and functions are replaced under their names in ``asyncio``. In
``asyncio.streams`` only the functions are: the standard classes there check each other by name, and those that a program
imported before have to go on working. In ``asyncio.subprocess`` the protocol is, from which a child's streams come.

``asyncio.sleep``, ``gather``, ``wait``, ``timeout`` and their relatives, ``wrap_future`` and ``run_coroutine_threadsafe``, and ``TaskGroup``, are replaced too, in each module of asyncio that has
the name. They work on any loop, and what imported them before keeps the standard ones, which work on plait's. So it is with locks and queues, of
asyncio, ``threading`` and ``queue``: objects of the standard classes that exist already go on beside plait's. And so with the executor of threads, a subclass of the
standard one, and the functions of ``concurrent.futures``. ``concurrent.futures.Future`` stays: programs test against it, and it is made by executors.
"""

import asyncio as _asyncio
import asyncio.streams as _asyncio_streams
import asyncio.subprocess as _asyncio_subprocess
import concurrent.futures as _concurrent_futures
import queue as _queue
import sys
import threading as _threading
from collections.abc import Callable
from typing import Any, cast

from plait import _futures, _native, _offload, _streams
from plait._loop import new_event_loop
from plait._native import EventLoop, StreamReader, StreamReaderProtocol, StreamWriter
from plait._processes import SubprocessStreamProtocol
from plait._swap import Swap
from plait._switch import debugging, disabled
from plait._tasks import gather, sleep
from plait._waiting import TaskGroup, as_completed, shield, timeout, timeout_at, wait, wait_for

# By the modules that define the standard ones.
_FUNCTIONS: dict[str, dict[str, Any]] = {
    "asyncio.tasks": {
        "sleep": sleep,
        "gather": gather,
        "wait": wait,
        "wait_for": wait_for,
        "shield": shield,
        "as_completed": as_completed,
        "run_coroutine_threadsafe": _offload.run_coroutine_threadsafe,
    },
    "asyncio.timeouts": {"timeout": timeout, "timeout_at": timeout_at},
    "asyncio.taskgroups": {"TaskGroup": TaskGroup},
    "asyncio.futures": {"wrap_future": _offload.wrap_future},
}

_LOCKS = ("Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier")
_QUEUES = ("Queue", "LifoQueue", "PriorityQueue")

_lock = _threading.Lock()
_swaps: dict[str, list[Swap]] = {}
_chosen: dict[str, bool] = {}  # the keywords that a child's install is called with


def install(
    *,
    asyncio: bool = True,
    threading: bool = True,
    queue: bool = True,
    futures: bool = True,
    multiprocessing: bool = True,
) -> None:
    """Make the standard modules use plait, until `uninstall`.

    Args:
        asyncio: loops that asyncio makes without being told which (``asyncio.run``, ``asyncio.Runner``,
            ``asyncio.new_event_loop``, ``asyncio.get_event_loop``, ``unittest.IsolatedAsyncioTestCase``) are plait's.
            A loop that is named, by ``loop_factory=`` or by its class, is respected, and so is a policy set later. And
            asyncio's streams, locks and queues are plait's, on any loop.
            ``asyncio.sleep``, ``gather``, ``wait``, ``wait_for``, ``timeout``, ``timeout_at``, ``shield``, ``as_completed`` and ``TaskGroup`` are
            plait's, unless somebody has replaced them already.
        threading: ``Condition``, ``Event``, ``Semaphore``, ``BoundedSemaphore`` and ``Barrier`` of ``threading`` are plait's. Threads, ``Lock`` and ``RLock``
            stay the standard ones.
        queue: ``Queue``, ``LifoQueue`` and ``PriorityQueue`` of ``queue`` are plait's.
        futures: ``ThreadPoolExecutor``, ``ProcessPoolExecutor``, ``wait`` and ``as_completed`` of ``concurrent.futures`` are plait's. ``Future`` is never rebound: plait's come out
            of its executors.
        multiprocessing: ``Lock``, ``RLock``, ``Semaphore``, ``BoundedSemaphore``, ``Event``, ``Condition``, ``Barrier``, ``Queue``, ``JoinableQueue``, ``SimpleQueue`` and ``Pool`` of
            ``multiprocessing`` and of its contexts make plait's; the classes in its submodules stay. There is a start method ``zygote``. And processes that multiprocessing starts
            afresh install the same in themselves, before they import the program's main module. (A forked one inherits it anyway.)

    Loops that exist already go on as they are, and a thread's current loop stays its current loop. To call it twice is
    to call it once; to call it after another policy was set takes that policy's place. ``asyncio.Task`` and
    ``asyncio.Future`` are never rebound. With ``PLAIT_DISABLE=1`` it does nothing but say so once on stderr. With ``PLAIT_DEBUG=1`` deadlocks are
    explained, and for that ``threading.Lock`` and ``RLock`` are plait's too.

    Safe to call from any thread. No counterpart in the standard library; uvloop's is ``uvloop.install()``.
    """
    if disabled():
        return
    with _lock:
        _choose(asyncio=asyncio, threading=threading, queue=queue, futures=futures, multiprocessing=multiprocessing)
        if asyncio:
            _apply("asyncio", _asyncio_swaps)
        if debugging():
            _explain_deadlocks(True)
        if threading:
            _apply("threading", _threading_swaps)
        if queue:
            _apply("queue", _queue_swaps)
        if futures:
            _apply("futures", _futures_swaps)
        if multiprocessing:
            _apply("multiprocessing", _multiprocessing_swaps)


def uninstall() -> None:
    """Put back what `install` replaced.

    What the user has replaced since (a policy of their own, say) stays. Loops that plait made go on working. Does
    nothing when plait is not installed. Safe to call from any thread.
    """
    with _lock:
        for swaps in _swaps.values():
            for swap in reversed(swaps):
                swap.restore()
        _swaps.clear()
        _chosen.clear()
        if not debugging():
            _explain_deadlocks(False)


def _explain_deadlocks(on: bool) -> None:
    if on or "plait._deadlock" in sys.modules:
        from plait import _deadlock  # of no use otherwise

        _deadlock.explain(on)


def _choose(**choices: bool) -> None:
    for name, chosen in choices.items():
        _chosen[name] = chosen or _chosen.get(name, False)


def _apply(module: str, make: Callable[[], list[Swap]]) -> None:
    if module not in _swaps:
        _swaps[module] = make()
    for swap in _swaps[module]:
        swap.apply()


def _asyncio_swaps() -> list[Swap]:
    return _loop_swaps() + _stream_swaps() + _primitive_swaps()


def _primitive_swaps() -> list[Swap]:
    """asyncio's locks and queues, in each of its modules that has the name."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "asyncio"]
    return [
        Swap(module, name, getattr(_native, "Asyncio" + name))
        for home, names in ((_asyncio.locks, _LOCKS), (_asyncio.queues, _QUEUES))
        for name in names
        for module in modules
        if vars(module).get(name) is vars(home)[name]
    ]


def _threading_swaps() -> list[Swap]:
    # Its Barrier derives from the standard one, whichever is there when it is imported, and cannot do with another.
    import multiprocessing.synchronize

    assert multiprocessing.synchronize
    # Threads themselves wait on what is found under these names when they are made.
    swaps = [Swap(_threading, name, getattr(_native, "Threading" + name)) for name in _LOCKS if name != "Lock"]
    if debugging():
        from plait._deadlock import Lock, RLock

        # Under these names only: what the interpreter itself uses (threading._allocate_lock, _thread) stays.
        swaps += [Swap(_threading, "Lock", Lock), Swap(_threading, "RLock", RLock)]
    return swaps


def _queue_swaps() -> list[Swap]:
    return [Swap(_queue, name, getattr(_native, "Threading" + name)) for name in _QUEUES]


def _futures_swaps() -> list[Swap]:
    import concurrent.futures.thread as thread  # the standard module imports it when it is asked for

    from plait._executors import ThreadPoolExecutor

    functions = [
        Swap(module, function.__name__, function)
        for module in (_concurrent_futures, _concurrent_futures._base)
        for function in (_futures.wait, _futures.as_completed)
    ]
    threads = [Swap(module, "ThreadPoolExecutor", ThreadPoolExecutor) for module in (_concurrent_futures, thread)]
    return [*threads, _process_pool_swap(), *functions]


def _process_pool_swap() -> Swap:
    """The pool of processes, which the standard module imports when it is asked for. So does this, for it takes half of multiprocessing with it."""
    if "ProcessPoolExecutor" in vars(_concurrent_futures):
        from plait._process_pool import ProcessPoolExecutor

        return Swap(_concurrent_futures, "ProcessPoolExecutor", ProcessPoolExecutor)
    find: Callable[[str], object] = vars(_concurrent_futures)["__getattr__"]

    def find_plaits(name: str) -> object:
        if name == "ProcessPoolExecutor":
            from plait._process_pool import ProcessPoolExecutor

            return ProcessPoolExecutor
        return find(name)

    return Swap(_concurrent_futures, "__getattr__", find_plaits)


def _stream_swaps() -> list[Swap]:
    swaps = [Swap(_asyncio, native.__name__, native) for native in (StreamReader, StreamWriter, StreamReaderProtocol)]
    for name in ("open_connection", "start_server", "open_unix_connection", "start_unix_server"):
        native = getattr(_streams, name)
        swaps += [Swap(_asyncio, name, native), Swap(_asyncio_streams, name, native)]
    # What create_subprocess_exec and its fellow make; they look it up.
    swaps.append(Swap(_asyncio_subprocess, "SubprocessStreamProtocol", SubprocessStreamProtocol))
    return swaps


def _loop_swaps() -> list[Swap]:
    events: Any = _asyncio.events
    if sys.version_info >= (3, 16):
        return [
            Swap(events, "new_event_loop", new_event_loop),
            Swap(_asyncio, "new_event_loop", new_event_loop),
            Swap(_asyncio, "EventLoop", EventLoop),
            *_function_swaps(),
        ]
    # The variable behind set_event_loop_policy: only it tells "none was set yet" from "the default was set", and
    # from 3.14 the public functions warn.
    swaps = [Swap(events, "_event_loop_policy", _policy_after(events._event_loop_policy)), *_function_swaps()]
    if sys.version_info >= (3, 13):
        swaps.append(Swap(_asyncio, "EventLoop", EventLoop))
    return swaps


def _function_swaps() -> list[Swap]:
    """Where asyncio's own function still stands in the module that defines it, each module that has the same one gets plait's."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "asyncio"]
    return [
        Swap(module, name, function)
        for home, functions in _FUNCTIONS.items()
        for name, function in functions.items()
        for module in modules
        if vars(module).get(name) is vars(sys.modules[home])[name] is not function
    ]


def _multiprocessing_swaps() -> list[Swap]:
    from plait import _children  # imports multiprocessing, which `import plait` by itself is spared

    return _children.swaps(lambda: dict(_chosen))


if sys.version_info < (3, 16):
    from plait._policy import EventLoopPolicy

    def _policy_after(previous: object) -> EventLoopPolicy:
        """A policy that goes on with the current loops of `previous`, which hold one per thread."""
        policy: Any = EventLoopPolicy()
        current_loops = getattr(previous, "_local", None)
        if isinstance(current_loops, type(policy._local)):
            policy._local = current_loops
        return cast(EventLoopPolicy, policy)
