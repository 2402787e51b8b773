"""The package's own names: ``plait.run``, the primitives, the mirrors of standard modules, and where the import is refused."""

import asyncio
import concurrent.futures
import inspect
import queue
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import plait
import pytest
from plait import asyncio as mirror
from same_as_python import environment


async def loop_type() -> type:
    return type(asyncio.get_running_loop())


async def nested(run: object) -> str:
    coro = loop_type()
    with pytest.raises(RuntimeError) as caught:
        run(coro)  # type: ignore[operator]
    coro.close()
    return str(caught.value)


@pytest.mark.parametrize("run", [plait.run, mirror.run], ids=["plait.run", "plait.asyncio.run"])
def test_run(run) -> None:
    policy = asyncio.events._event_loop_policy
    assert run(loop_type()) is plait.EventLoop
    assert asyncio.events._event_loop_policy is policy
    assert run(nested(run)) == "asyncio.run() cannot be called from a running event loop"
    with pytest.raises(ValueError, match="a coroutine was expected"):
        run(None)


@pytest.mark.parametrize("debug", [None, True, False])
def test_debug_is_passed_on(debug: bool | None) -> None:
    async def is_debug() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert plait.run(is_debug(), debug=debug) is (debug or False)
    assert mirror.run(is_debug(), debug=debug) is (debug or False)


def test_run_in_several_threads() -> None:
    seen: list[type] = []
    threads = [threading.Thread(target=lambda: seen.append(plait.run(loop_type()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [plait.EventLoop] * 4


def test_new_event_loop() -> None:
    loop = plait.new_event_loop()
    assert type(loop) is plait.EventLoop and isinstance(loop, asyncio.BaseEventLoop)
    with asyncio.Runner(loop_factory=plait.new_event_loop) as runner:
        assert runner.run(loop_type()) is plait.EventLoop
    loop.close()


def test_version_is_that_of_the_project() -> None:
    import tomllib

    project = Path(__file__, "../../../pyproject.toml").resolve()
    assert plait.__version__ == tomllib.loads(project.read_text())["project"]["version"]


def test_every_public_name_is_there() -> None:
    assert set(plait.__all__) <= set(dir(plait))
    assert plait.asyncio is mirror and mirror is not asyncio
    assert plait.threading is not threading and plait.queue is not queue
    namespace: dict[str, object] = {}
    exec("from plait import *", namespace)
    assert set(plait.__all__) <= set(namespace)


def test_what_is_seldom_used_is_imported_when_it_is_named() -> None:
    later = {"Cluster", "WorkersFailed", "executor", "fs", "gil", "multiprocessing", "watchdog", "workers"}
    assert later <= set(dir(plait)) and all(getattr(plait, name) is not None for name in later)
    code = "import plait, sys; print([name for name in sys.modules if name.startswith(('plait._executor', 'plait._cluster', 'plait._workers', 'plait.fs', 'multiprocessing'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


UNIVERSAL = {
    "Lock": {"acquire": "aacquire"},
    "RLock": {"acquire": "aacquire"},
    "Semaphore": {"acquire": "aacquire"},
    "BoundedSemaphore": {"acquire": "aacquire"},
    "Event": {"wait": "await_"},
    "Condition": {"acquire": "aacquire", "wait": "await_", "wait_for": "await_for"},
    "Barrier": {"wait": "await_"},
    "Queue": {"put": "aput", "get": "aget", "join": "ajoin"},
    "LifoQueue": {"put": "aput", "get": "aget", "join": "ajoin"},
    "PriorityQueue": {"put": "aput", "get": "aget", "join": "ajoin"},
}


@pytest.mark.parametrize("name", UNIVERSAL)
def test_universal_primitives_are_native_and_have_a_twin_for_each_method_that_waits(name: str) -> None:
    cls = getattr(plait, name)
    assert name in plait.__all__ and cls is getattr(plait._native, name) and (cls.__module__, cls.__qualname__) == ("plait", name)
    made = cls(2) if name == "Barrier" else cls()
    assert type(made) is made.__class__ is cls
    for method, twin in UNIVERSAL[name].items():
        assert callable(getattr(made, method)) and not inspect.iscoroutinefunction(getattr(made, method))
        assert inspect.iscoroutinefunction(getattr(made, twin)), twin
    assert cls.__doc__ and all(getattr(made, method).__doc__ for twins in UNIVERSAL[name].items() for method in twins)


def test_what_a_queue_that_was_shut_down_raises() -> None:
    if sys.version_info >= (3, 13):
        assert plait.ShutDown is queue.ShutDown
    else:
        assert plait.ShutDown.__module__ == "plait" and not hasattr(plait.queue, "ShutDown")
    items: plait.Queue[int] = plait.Queue()
    items.shutdown()
    with pytest.raises(plait.ShutDown):
        items.get()


def test_queues_can_be_subscribed() -> None:
    for module in (plait, plait.queue, plait.asyncio):
        for name in ("Queue", "LifoQueue", "PriorityQueue"):
            cls = getattr(module, name)
            assert cls[int].__origin__ is cls and cls[int].__args__ == (int,)
            assert type(cls[int]()) is cls


def test_mirror_has_every_name() -> None:
    assert list(mirror.__all__) == list(asyncio.__all__)
    ours = {"run", "Runner", "new_event_loop", "get_event_loop", "EventLoop", "DefaultEventLoopPolicy"}
    ours |= {"StreamReader", "StreamReaderProtocol", "StreamWriter", "open_connection", "start_server"}
    ours |= {"create_subprocess_exec", "create_subprocess_shell"}
    ours |= {"open_unix_connection", "start_unix_server", "sleep", "gather"}
    ours |= {"wrap_future", "run_coroutine_threadsafe"}
    ours |= {"wait", "shield", "as_completed", "timeout", "timeout_at", "TaskGroup"}
    ours |= {"Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier", "Queue", "LifoQueue", "PriorityQueue"}
    if sys.version_info >= (3, 12):
        ours.add("wait_for")
    for name in asyncio.__all__:
        assert (getattr(mirror, name) is getattr(asyncio, name)) is (name not in ours), name
    namespace: dict[str, object] = {}
    exec("from plait.asyncio import *", namespace)
    assert set(asyncio.__all__) <= set(namespace)


MIRRORS = {
    "threading": (threading, plait.threading, {"Condition", "Event", "Semaphore", "BoundedSemaphore", "Barrier", "Timer"}),
    "queue": (queue, plait.queue, {"Queue", "LifoQueue", "PriorityQueue"}),
    "concurrent.futures": (concurrent.futures, plait.concurrent.futures, {"Future", "ThreadPoolExecutor", "ProcessPoolExecutor", "wait", "as_completed"}),
}


@pytest.mark.parametrize("name", MIRRORS)
def test_other_mirrors_have_every_name(name: str) -> None:
    standard, mirrored, ours = MIRRORS[name]
    assert list(mirrored.__all__) == list(standard.__all__)
    for public in standard.__all__:
        assert (getattr(mirrored, public) is getattr(standard, public)) is (public not in ours), public
    for public in ours:
        assert getattr(mirrored, public).__module__ == f"plait.{name}"
    namespace: dict[str, object] = {}
    exec(f"from plait.{name} import *", namespace)
    assert set(standard.__all__) <= set(namespace)
    assert set(dir(standard)) <= set(dir(mirrored))
    with pytest.raises(AttributeError, match="no_such_name"):
        mirrored.no_such_name  # noqa: B018


def test_mirror_of_threading_shows_what_is_not_in_all() -> None:
    """Names that programs import all the same, and one that the standard module changes as it runs."""
    assert plait.threading._DummyThread is threading._DummyThread
    before = threading.excepthook
    threading.excepthook = hook = lambda arguments: None
    try:
        assert plait.threading.excepthook is hook
    finally:
        threading.excepthook = before


def test_instances_are_of_the_standard_classes() -> None:
    """As far as isinstance is asked: that is the contract."""
    for name in ("Event", "Condition", "Semaphore", "BoundedSemaphore"):
        assert isinstance(getattr(plait.threading, name)(), getattr(threading, name))
        assert isinstance(getattr(mirror, name)(), getattr(asyncio, name))
    for name in ("Queue", "LifoQueue", "PriorityQueue"):
        assert isinstance(getattr(plait.queue, name)(), getattr(queue, name))
        assert isinstance(getattr(mirror, name)(), getattr(asyncio, name))
    assert isinstance(mirror.Lock(), asyncio.Lock) and isinstance(mirror.Barrier(2), asyncio.Barrier)
    assert isinstance(plait.threading.Barrier(2), threading.Barrier)
    assert not isinstance(plait.Event(), threading.Event) and not isinstance(plait.Event(), asyncio.Event)


def test_mirror_has_the_submodules() -> None:
    for name in ("subprocess", "events", "base_events", "locks", "queues", "exceptions", "sslproto"):
        __import__(f"asyncio.{name}")
        assert getattr(mirror, name) is sys.modules[f"asyncio.{name}"]
        assert name in dir(mirror)
    with pytest.raises(AttributeError, match="no_such_name"):
        mirror.no_such_name  # noqa: B018


def test_mirror_runner() -> None:
    with mirror.Runner() as runner:
        assert isinstance(runner, asyncio.Runner)
        assert runner.run(loop_type()) is plait.EventLoop
    with mirror.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(loop_type()) is asyncio.SelectorEventLoop
    assert mirror.run(loop_type(), loop_factory=asyncio.SelectorEventLoop) is asyncio.SelectorEventLoop


def test_mirror_get_event_loop() -> None:
    async def running() -> bool:
        return mirror.get_event_loop() is asyncio.get_running_loop()

    assert asyncio.run(running())
    before = asyncio.events._event_loop_policy
    asyncio.set_event_loop_policy(None)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loop = mirror.get_event_loop()
        assert type(loop) is plait.EventLoop and asyncio.get_event_loop() is loop is mirror.get_event_loop()
        assert [w.category for w in caught] == ([DeprecationWarning] if sys.version_info >= (3, 12) else [])
        assert all(w.filename == __file__ for w in caught)
        asyncio.set_event_loop(None)
        loop.close()
        with pytest.raises(RuntimeError, match="There is no current event loop in thread 'MainThread'"):
            mirror.get_event_loop()
    finally:
        asyncio.set_event_loop_policy(None)
        asyncio.events._event_loop_policy = before


def python(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, env=environment(), timeout=60)


def test_refuses_other_systems() -> None:
    refused = python("import sys; sys.platform = 'darwin'; import plait")
    assert refused.returncode == 1
    assert refused.stderr.endswith("ImportError: plait runs on Linux only for now.\n")


def test_refuses_subinterpreters() -> None:
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    refused = python(
        f"import {name} as interpreters, plait\n"
        "i = interpreters.create()\n"
        "code = 'try:\\n import plait\\nexcept ImportError as e:\\n print(\"refused:\", e, flush=True)'\n"
        "interpreters.run_string(i, code)\n"
    )
    assert refused.returncode == 0, refused.stderr
    assert refused.stdout.startswith("refused:")


def test_import_patches_nothing_and_warns_of_nothing() -> None:
    source = (
        "import asyncio, queue, sys, threading\n"
        "modules = [asyncio, asyncio.locks, asyncio.queues, asyncio.tasks, queue, threading]\n"
        "before = [dict(vars(module)) for module in modules]\n"
        "import plait\n"
        "unchanged = before == [vars(module) for module in modules]\n"
        "print(unchanged, asyncio.events._event_loop_policy, 'multiprocessing' in sys.modules, 'greenlet' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, env=environment(), timeout=60
    )
    assert (done.stdout, done.stderr) == ("True None False False\n", "")


def test_command_line() -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "plait", *arguments]
        return subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=60)

    assert command("version").stdout.startswith(f"plait {plait.__version__} (CPython {sys.version.split()[0]}")
    assert command("version").stdout == command("--version").stdout
    for arguments in (["--help"], ["run", "--help"], ["bench", "--help"]):
        shown = command(*arguments)
        assert shown.returncode == 0 and "usage: plait" in shown.stdout, shown.stderr
    assert command().returncode == command("nonsense").returncode == 2
