"""Which of CPython's asyncio tests are run here, and which are not.

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

PACKAGE = "test.test_asyncio"
HERE = Path(__file__).resolve().parent


class Module(NamedTuple):
    """A test module, and what must have happened in it for its result to mean anything."""

    name: str
    makes_loops: bool = True
    takes_natives: bool = False  # builds its cases on asyncio's C Task or Future
    makes_streams: bool = False  # then all of them are plait's
    since: tuple[int, int] = (3, 11)


MODULES = (
    Module("test_base_events"),
    Module("test_events"),
    Module("test_tasks", takes_natives=True),
    # test_futures makes its futures on the foreign utils.TestLoop
    Module("test_futures", makes_loops=False, takes_natives=True),
    Module("test_futures2", takes_natives=True),
    Module("test_eager_task_factory", takes_natives=True, since=(3, 12)),
    Module("test_locks"),
    Module("test_queues"),
    Module("test_streams", makes_streams=True),
    Module("test_runners"),
    Module("test_taskgroups"),
    Module("test_timeouts"),
    Module("test_waitfor"),
    Module("test_staggered", since=(3, 13)),
    Module("test_context"),
    Module("test_sock_lowlevel"),
    Module("test_server"),
    Module("test_buffered_proto"),
    Module("test_pep492"),
    Module("test_threads"),
    Module("test_protocols", makes_loops=False),
    Module("test_transports", makes_loops=False),
)

PURE_PYTHON = "tests asyncio's own Python class, not the one that plait replaces"
ONE_POLLER = "the EPoll class again on another selector; plait has one poller"

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
}

# Native tasks on Python futures and the reverse are the long tail: the bodies of CTask_CFuture_Tests, four times more.
NOT_QUICK = {
    "test_tasks.CTaskSubclass_PyFuture_Tests",
    "test_tasks.PyTask_CFutureSubclass_Tests",
    "test_tasks.CTask_PyFuture_Tests",
    "test_tasks.PyTask_CFuture_Tests",
}

LINE = re.compile(r"(?P<id>\w+\.\w+\.\w+)(?P<marks>(\s+py3\.\d+)*)\s+(?P<reason>(?!py3\.)\S.*)")


def for_this_python() -> list[Module]:
    return [module for module in MODULES if sys.version_info >= module.since]


def short_id(test_id: str) -> str:
    """`test.test_asyncio.test_x.Class.test_y` as the lists write it: `test_x.Class.test_y`."""
    return test_id.removeprefix(PACKAGE + ".")


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
