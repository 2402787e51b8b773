"""Put plait where CPython's suites take asyncio, threading and queue.

It begins with `plait.install()`, as in a program: streams, locks, queues, `asyncio.sleep`, `threading.Condition` and
others are plait's by their standard names, also in the interpreters that the suites start (in_children/). What the
suites reach in other ways, since they test one implementation among several, is added to that:

- a loop through the policy (`asyncio.new_event_loop`, `asyncio.run`, `IsolatedAsyncioTestCase`): the default policy is
  plait's. `set_event_loop_policy(None)`, which nearly every suite calls when it ends, then comes back to plait too.
- a loop by the name `asyncio.SelectorEventLoop` or `asyncio.EventLoop`: a stand-in class that makes plait's loop.
- `asyncio.tasks._CTask` and `asyncio.futures._CFuture`, which the suites read while they are imported and subclass
  on the spot: the native classes, put there before the import. `asyncio.Task` and `asyncio.Future` stay what they are,
  since plait promises not to rebind them: suites that use those names check stock tasks and futures on plait's loop.
- `BaseEventLoop()` with a mocked selector: a few set-ups, replaced one by one after the import. `utils.TestLoop`,
  also a BaseEventLoop, stays: it is the foreign loop on which native tasks and futures have to work.
- `concurrent.futures._base.Future`, which the suites of executors import by that name and make futures of: the native class. The
  executors they get by the installed names.
- a queue module of test_queue's own, with and without C: the first becomes the installed one, see `patch_test_queue`.

Nothing here hides a difference. What plait's loop lacks is not added to it, but for `_run_once`, which the suites use
as "run one iteration" and which has a public spelling.
"""

import asyncio
import asyncio.base_events
import asyncio.futures
import asyncio.tasks
import concurrent.futures
import functools
import multiprocessing
import os
import queue
import types

import plait
import standard
from plait import _executors, _native, _process_pool
from plait.multiprocessing import _factories
from report import Report
from selection import HERE, Module

# What really ran, for `check_that_plait_ran`.
loops_made = 0
made_by_contexts: set[str] = set()


def new_loop() -> plait.EventLoop:
    global loops_made
    loops_made += 1
    return plait.new_event_loop()


class CountingPolicy(plait.EventLoopPolicy):
    def new_event_loop(self):
        global loops_made
        loops_made += 1
        return super().new_event_loop()


class StandInMeta(type):
    """Calling the class gives an exact `plait.EventLoop`: a subclass would take slower paths than users do."""

    def __call__(cls, selector=None):
        if selector is not None:
            selector.close()  # plait polls on its own, and nobody else is going to close this one
        return new_loop()

    def __instancecheck__(cls, instance):
        return isinstance(instance, plait.EventLoop)


class SelectorEventLoop(metaclass=StandInMeta):
    """What the suites find under the names `asyncio.SelectorEventLoop` and `asyncio.EventLoop`."""


class RunOnceLoop(plait.EventLoop):
    """For the tests that derive a loop from `base_events.BaseEventLoop` and step it."""

    def __new__(cls, *args, **kwargs):
        global loops_made
        loops_made += 1
        return super().__new__(cls, *args, **kwargs)

    def _run_once(self):
        run_once(self)


def run_once(loop) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


def before_import(report: Report) -> None:
    """What the suites look up while they are imported, or later by a standard name."""
    plait.install()
    standard.watch(lambda name, place: report.note("standard", name=name, place=place))
    asyncio.tasks._CTask = _native.Task
    asyncio.futures._CFuture = _native.Future
    concurrent.futures._base.Future = _native.ConcurrentFuture
    asyncio.SelectorEventLoop = SelectorEventLoop
    if hasattr(asyncio, "EventLoop"):
        asyncio.EventLoop = SelectorEventLoop
    asyncio.DefaultEventLoopPolicy = CountingPolicy
    asyncio.set_event_loop_policy(None)
    note_what_contexts_make()
    install_in_children(report)


def note_what_contexts_make() -> None:
    """The suites make locks, queues and pools of processes by the contexts' factories, which `install` has replaced, and which ask for a class by name."""
    find = _factories._class

    def noting(module: str, name: str):
        found = find(module, name)
        if found.__module__.partition(".")[0] == "plait":
            made_by_contexts.add(name)
        return found

    _factories._class = noting


def install_in_children(report: Report) -> None:
    """Interpreters that the suites start find in_children/sitecustomize.py."""
    from test.support import script_helper

    path = [str(HERE / "in_children"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, path)), PLAIT_CPYTHON_REPORT=report.path)
    # What interpreter_requires_environment() answers, for interpreters that do not run without variables like these:
    # without it the helpers start nearly all of theirs with -I or -E.
    script_helper.__cached_interp_requires_environment = True


def after_import(module: types.ModuleType) -> None:
    """Replace the set-ups that build a `BaseEventLoop` by hand."""
    patch = MODULE_PATCHES.get(module.__name__.rpartition(".")[2])
    if patch is not None:
        patch(module)


def patch_test_base_events(module) -> None:
    base_events = types.ModuleType("asyncio.base_events")
    vars(base_events).update(vars(asyncio.base_events), BaseEventLoop=RunOnceLoop)
    module.base_events = base_events

    def set_up_steppable(self):
        super(module.BaseEventLoopTests, self).setUp()
        self.loop = new_loop()
        self.loop._run_once = functools.partial(run_once, self.loop)
        self.set_event_loop(self.loop)

    module.BaseEventLoopTests.setUp = set_up_steppable
    patch_sendfile_set_up(module)

    # The tests of PYTHONASYNCIODEBUG and -X dev start an interpreter, in which nothing is patched.
    assert_python_ok = module.assert_python_ok

    def assert_python_ok_on_plait(*args, **env):
        args = [arg.replace("asyncio.new_event_loop()", "__import__('plait').new_event_loop()") for arg in args]
        return assert_python_ok(*args, **env)

    module.assert_python_ok = assert_python_ok_on_plait


def patch_sendfile_set_up(module) -> None:
    cls = module.BaseLoopSockSendfileTests

    def set_up(self):
        self.loop = new_loop()
        self.set_event_loop(self.loop)
        self.file = open(module.os_helper.TESTFN, "rb")
        self.addCleanup(self.file.close)
        super(cls, self).setUp()

    cls.setUp = set_up


def patch_test_runners(module) -> None:
    def make_loop(self):
        loop = new_loop()
        loop.shutdown_ag_run = False

        async def shutdown_asyncgens():
            loop.shutdown_ag_run = True

        loop.shutdown_asyncgens = shutdown_asyncgens
        return loop

    module.BaseTest.new_loop = make_loop


def patch_test_pep492(module) -> None:
    def set_up(self):
        super(module.BaseTest, self).setUp()
        self.loop = new_loop()
        self.set_event_loop(self.loop)

    module.BaseTest.setUp = set_up


def patch_test_queue(module) -> None:
    """Where the suite tests a fresh queue module with C, it shall test the one that programs get, with plait's classes.

    Its fresh module without C is left as it is: there the standard Queue runs, on plait's Condition.
    """
    for case in vars(module).values():
        if isinstance(case, type) and getattr(case, "queue", None) is module.c_queue:
            case.queue = queue


def patch_test_future(module) -> None:
    module.FutureTests.Future = module.Future  # what the cases are about, for `natives_tested`


MODULE_PATCHES = {
    "test_future": patch_test_future,
    "test_queue": patch_test_queue,
    "test_base_events": patch_test_base_events,
    "test_runners": patch_test_runners,
    "test_pep492": patch_test_pep492,
}


# The attributes in which the suites keep the class that a test is about.
TESTED_CLASS = ("Task", "Future", "cls", "locktype", "condtype", "eventtype", "semtype", "barriertype", "type2test", "executor_type")


def natives_tested(test) -> set[str]:
    """plait's classes that a test was about, itself or by a subclass: "Task", "threading.Event"."""
    natives = {_native.Task: "Task", _native.Future: "Future"}
    natives |= {_native.ConcurrentFuture: "concurrent.futures.Future", _executors.ThreadPoolExecutor: "ThreadPoolExecutor"}
    natives[_process_pool.ProcessPoolExecutor] = "ProcessPoolExecutor"
    natives |= {face: name for name, face in standard.FACES.items()}
    tested = [getattr(test, name, None) for name in TESTED_CLASS]
    ancestors = {ancestor for item in tested if isinstance(item, type) for ancestor in item.__mro__}
    return {name for native, name in natives.items() if native in ancestors}


def check_that_plait_ran(module: Module, natives: set[str], report: Report) -> list[str]:
    """Why the result of a whole module would mean nothing; empty if plait really ran."""
    faults = []
    if module.makes_loops and not loops_made:
        faults.append("the suite made no plait loop")
    if module.starts_interpreters and not any(note["kind"] == "child" for note in report.notes()):
        faults.append("plait was installed in none of the interpreters that the suite started")
    faults += [f"no test was about plait's {name}" for name in module.takes if name not in natives]
    faults += [f"no context made plait's {name}" for name in module.makes if name not in made_by_contexts]
    return faults + standard.check_faces() + check_types() + check_functions() + check_executors() + check_contexts()


def check_types() -> list[str]:
    """Make a loop as the suites do, and see that it, its tasks and its futures are plait's own."""
    seen = []

    async def note(loop):
        seen.extend([type(loop), type(asyncio.current_task()), type(loop.create_future())])

    asyncio.set_event_loop_policy(None)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(note(loop))
    finally:
        loop.close()
    expected = [plait.EventLoop, _native.Task, _native.Future]
    return [] if seen == expected else [f"a new loop, its task and its future were {seen}, not {expected}"]


def check_executors() -> list[str]:
    """The pool that programs find is plait's still, and so is what comes out of it."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        seen = [type(pool), type(pool._work_queue), type(pool.submit(int))]
    expected = [_executors.ThreadPoolExecutor, _native.WorkQueue, _native.ConcurrentFuture]
    return [] if seen == expected else [f"a pool, its queue and a future of it were {seen}, not {expected}"]


def check_contexts() -> list[str]:
    """The factories of multiprocessing and its contexts are plait's still."""
    replaced = [vars(multiprocessing.context.BaseContext)[name] is vars(_factories.Factories)[name] for name in _factories.NAMES]
    replaced += [getattr(multiprocessing, name).__func__ is vars(_factories.Factories)[name] for name in _factories.NAMES]
    return [] if all(replaced) else ["multiprocessing's contexts make standard objects again"]


def check_functions() -> list[str]:
    """After the suite, sleep and gather are still plait's, and what they wait for is native, on any loop."""
    seen = []

    async def note(loop):
        sleeper = loop.create_task(asyncio.sleep(3600))
        future = asyncio.futures._PyFuture(loop=loop)
        future.set_result(None)
        outer = asyncio.gather(asyncio.tasks.sleep(0), future)
        await outer
        seen.append((type(sleeper._fut_waiter), type(outer)))
        sleeper.cancel()
        await asyncio.wait([sleeper])

    for loop in (new_loop(), asyncio.unix_events._UnixSelectorEventLoop()):
        try:
            loop.run_until_complete(note(loop))
        finally:
            loop.close()
    expected = [(_native.TimerFuture, _native._GatheringFuture), (asyncio.Future, _native._GatheringFuture)]
    return [] if seen == expected else [f"a sleep waited for, and gather returned, {seen}, not {expected}"]
