"""Which of CPython's own tests are run here, and which are not.

Three lists, because three different things keep a test out:

- `LEFT_OUT`, below: whole classes that would run no line of plait, or run one thing twice.
- `skips.txt`: single tests that plait is not going to pass, each with its failing assertion.
- `later.txt`: single tests that wait for a feature; to add the feature is to delete its lines.

The lists name tests exactly. Patterns were rejected: a pattern goes on hiding tests which a later Python adds, and
nobody sees it. For the same reason a line that matches no test any more is reported as stale.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent


class Module(NamedTuple):
    """A test module, and what must have happened in it for its result to mean anything."""

    name: str
    package: str = "test"
    makes_loops: bool = False
    takes: tuple[str, ...] = ()  # the classes of plait's that its cases are built on
    makes: tuple[str, ...] = ()  # what multiprocessing's contexts have to make of plait's
    starts_interpreters: bool = False
    quick: bool = True
    since: tuple[int, int] = (3, 11)


def asyncio_module(name: str, *, makes_loops: bool = True, **fields) -> Module:
    return Module(name, "test.test_asyncio", makes_loops, **fields)


# Up to 3.12 not even every patch release installs the package, and some have a module in its place.
def executor_module(name: str, **fields) -> Module:
    return Module(name, "test.test_concurrent_futures", since=(3, 13), **fields)


LOCKS = ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event", "Barrier")


# A package since 3.12, in which what takes processes, managers and threads is apart; not every patch release installs it. The part with threads is
# multiprocessing.dummy's, of which plait has nothing.
def process_modules(method: str, *, quick: bool, **fields) -> tuple[Module, ...]:
    def part(name: str, **fields) -> Module:
        return Module(f"test_multiprocessing_{method}.{name}", since=(3, 13), **fields)

    return (
        part("test_misc", quick=quick, makes=("Queue", "SimpleQueue"), **fields),
        part("test_processes", quick=quick, makes=(*LOCKS, "Queue", "JoinableQueue", "Pool"), **fields),
        part("test_manager", quick=False, **fields),
    )


MODULES = (
    asyncio_module("test_base_events"),
    asyncio_module("test_events"),
    asyncio_module("test_tasks", takes=("Task", "Future")),
    # test_futures makes its futures on the foreign utils.TestLoop
    asyncio_module("test_futures", makes_loops=False, takes=("Future",)),
    asyncio_module("test_futures2", takes=("Future",)),
    asyncio_module("test_eager_task_factory", takes=("Task",), since=(3, 12)),
    asyncio_module("test_locks"),
    asyncio_module("test_queues"),
    asyncio_module("test_streams"),
    asyncio_module("test_subprocess"),
    asyncio_module("test_unix_events"),
    asyncio_module("test_runners"),
    asyncio_module("test_taskgroups"),
    asyncio_module("test_timeouts"),
    asyncio_module("test_waitfor"),
    asyncio_module("test_staggered", since=(3, 13)),
    asyncio_module("test_context"),
    asyncio_module("test_sock_lowlevel"),
    asyncio_module("test_ssl", quick=False),
    asyncio_module("test_sslproto"),
    asyncio_module("test_sendfile"),
    asyncio_module("test_server"),
    asyncio_module("test_buffered_proto"),
    asyncio_module("test_pep492"),
    asyncio_module("test_threads"),
    asyncio_module("test_protocols", makes_loops=False),
    asyncio_module("test_transports", makes_loops=False),
    # lock_tests, which has most of the tests of locks, is no module of its own: these two run it on their classes.
    Module(
        "test_threading",
        takes=(
            "threading.Condition",
            "threading.Event",
            "threading.Semaphore",
            "threading.BoundedSemaphore",
            "threading.Barrier",
        ),
        starts_interpreters=True,
    ),
    Module("test_thread"),
    Module("test_threading_local"),
    Module("test_threadsignals", quick=False),
    Module("test_fork1"),
    Module("test_queue", takes=("queue.Queue", "queue.LifoQueue", "queue.PriorityQueue")),
    Module("test_logging", starts_interpreters=True),
    executor_module("test_future", takes=("concurrent.futures.Future",)),
    executor_module("test_thread_pool", takes=("ThreadPoolExecutor",)),
    executor_module("test_init", takes=("ThreadPoolExecutor", "ProcessPoolExecutor")),
    executor_module("test_as_completed", takes=("ThreadPoolExecutor", "ProcessPoolExecutor")),
    executor_module("test_wait", quick=False, takes=("ThreadPoolExecutor", "ProcessPoolExecutor")),
    executor_module("test_shutdown", quick=False, takes=("ThreadPoolExecutor", "ProcessPoolExecutor")),
    executor_module("test_process_pool", quick=False, takes=("ProcessPoolExecutor",)),
    executor_module("test_deadlock", quick=False, takes=("ProcessPoolExecutor",)),
    *process_modules("fork", quick=True),
    *process_modules("forkserver", quick=False, starts_interpreters=True),
    *process_modules("spawn", quick=False, starts_interpreters=True),
    Module("test_multiprocessing_main_handling", quick=False, starts_interpreters=True),
)

PURE_PYTHON = "tests asyncio's own Python class, not the one that plait replaces"
STANDARD_CLASS = "tests a class of asyncio's by itself, with mocks around it"
ONE_POLLER = "the EPoll class again on another selector; plait has one poller"
ANOTHER_TRANSPORT = "asyncio's own pipe transport, on a foreign loop"
CHILD_WATCHERS = "asyncio's own child watchers, without a loop or on a foreign one; test_subprocess has them on plait's"

LEFT_OUT = {
    "test_tasks.PyTask_PyFuture_Tests": PURE_PYTHON,
    "test_tasks.PyTask_PyFuture_SubclassTests": PURE_PYTHON,
    "test_tasks.PyIntrospectionTests": PURE_PYTHON,
    "test_tasks.PyCurrentLoopTests": PURE_PYTHON,
    "test_futures.PyFutureTests": PURE_PYTHON,
    "test_futures.PyFutureDoneCallbackTests": PURE_PYTHON,
    "test_futures.PyFutureInheritanceTests": PURE_PYTHON,
    "test_futures2.PyFutureTests": PURE_PYTHON,
    "test_eager_task_factory.PyEagerTaskFactoryLoopTests": PURE_PYTHON,
    "test_eager_task_factory.NonEagerPyTaskTests": PURE_PYTHON,
    "test_eager_task_factory.EagerPyTaskTests": PURE_PYTHON,
    "test_events.TestPyGetEventLoop": PURE_PYTHON,
    "test_events.PollEventLoopTests": ONE_POLLER,
    "test_events.SelectEventLoopTests": ONE_POLLER,
    "test_sock_lowlevel.PollEventLoopTests": ONE_POLLER,
    "test_sock_lowlevel.SelectEventLoopTests": ONE_POLLER,
    "test_sendfile.PollEventLoopTests": ONE_POLLER,
    "test_sendfile.SelectEventLoopTests": ONE_POLLER,
    "test_unix_events.PolicyTests": STANDARD_CLASS,
    "test_unix_events.UnixReadPipeTransportTests": ANOTHER_TRANSPORT,
    "test_unix_events.UnixWritePipeTransportTests": ANOTHER_TRANSPORT,
    "test_unix_events.AbstractChildWatcherTests": CHILD_WATCHERS,
    "test_unix_events.BaseChildWatcherTests": CHILD_WATCHERS,
    "test_unix_events.SafeChildWatcherTests": CHILD_WATCHERS,
    "test_unix_events.FastChildWatcherTests": CHILD_WATCHERS,
}

# Classes and single tests.
NOT_QUICK = {
    # Native tasks on Python futures and the reverse, the long tail: the bodies of CTask_CFuture_Tests four times over
    "test_tasks.CTaskSubclass_PyFuture_Tests",
    "test_tasks.PyTask_CFutureSubclass_Tests",
    "test_tasks.CTask_PyFuture_Tests",
    "test_tasks.PyTask_CFuture_Tests",
    # The standard queues on plait's Condition: the bodies of the classes with C, which test plait's queues
    "test_queue.PyQueueTest",
    "test_queue.PyLifoQueueTest",
    "test_queue.PyPriorityQueueTest",
    "test_queue.PyFailingQueueTest",
    # Locks of the interpreter's own, which plait leaves alone
    "test_threading.LockTests",
    "test_threading.CRLockTests",
    "test_threading.PyRLockTests",
    # Seconds spent on servers that are not there
    "test_logging.SocketHandlerTest.test_noserver",
    "test_logging.UnixSocketHandlerTest.test_noserver",
}

LINE = re.compile(r"(?P<id>\w+(\.\w+){2,3})(?P<marks>(\s+py3\.\d+)*)\s+(?P<reason>(?!py3\.)\S.*)")


def for_this_python() -> list[Module]:
    return [module for module in MODULES if sys.version_info >= module.since]


def find(name: str) -> Module:
    return next(module for module in MODULES if module.name == name)


PACKAGES = sorted({module.package for module in MODULES}, key=len, reverse=True)


def short_id(test_id: str) -> str:
    """`test.test_asyncio.test_x.Class.test_y` as the lists write it: `test_x.Class.test_y`."""
    package = next((package for package in PACKAGES if test_id.startswith(package + ".")), None)
    return test_id.removeprefix(f"{package}.")


def class_of(test_id: str) -> str:
    return short_id(test_id).rpartition(".")[0]


def read_list(name: str) -> dict[str, str]:
    """The tests that skips.txt or later.txt names for the running Python, each with its reason."""
    this_python = "py{}.{}".format(*sys.version_info)
    listed = {}
    for number, line in enumerate((HERE / name).read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = LINE.fullmatch(line.strip())
        if found is None:
            raise SystemExit(f"{name}:{number}: expected 'module.Class.test [py3.N …] reason', got {line!r}")
        marks = found["marks"].split()
        if not marks or this_python in marks:
            if found["id"] in listed:
                raise SystemExit(f"{name}:{number}: {found['id']} is listed twice")
            listed[found["id"]] = found["reason"]
    return listed
