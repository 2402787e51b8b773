"""``plait.install(multiprocessing=True)``: what the standard package makes is plait's, here and in children, and everything is put back."""

import importlib
import multiprocessing
import multiprocessing.pool
import multiprocessing.queues
import multiprocessing.synchronize
import subprocess
import sys

import plait
import pytest
from plait.multiprocessing._factories import NAMES

LIMIT = 60
METHODS = ["fork", "spawn", "forkserver", "zygote"]
HOMES = dict.fromkeys(NAMES, "synchronize") | dict.fromkeys(["Queue", "JoinableQueue", "SimpleQueue"], "queues") | {"Pool": "pool"}


def ours(name):
    return getattr(importlib.import_module(f"plait.multiprocessing.{HOMES[name]}"), name)


@pytest.fixture
def installed():
    plait.install(asyncio=False, threading=False, queue=False, futures=False)
    yield
    plait.uninstall()


def make(context, name):
    return getattr(context, name)(*([2] if name in ("Barrier",) else []))


def snapshot():
    modules = (multiprocessing.synchronize, multiprocessing.queues, multiprocessing.pool, multiprocessing.context, multiprocessing.spawn, multiprocessing)
    return [dict(vars(module)) for module in modules], dict(vars(multiprocessing.context.BaseContext))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "Pool"])
def test_the_package_and_its_contexts_make_plaits(installed, name):
    for context in (multiprocessing, *map(multiprocessing.get_context, METHODS)):
        assert type(make(context, name)) is ours(name)


def test_pools_are_plaits(installed):
    with multiprocessing.Pool(1) as pool, multiprocessing.get_context("fork").Pool(1) as other:
        assert type(pool) is type(other) is ours("Pool") and pool.apply(int) == other.apply(int) == 0
    assert isinstance(pool, multiprocessing.pool.Pool)


def test_contexts_and_functions_that_were_had_before():
    before = multiprocessing.get_context("spawn")
    lock = multiprocessing.Lock
    plait.install()
    try:
        assert type(before.Lock()) is ours("Lock")
        assert type(lock()) is multiprocessing.synchronize.Lock
    finally:
        plait.uninstall()
    assert type(before.Lock()) is multiprocessing.synchronize.Lock


def test_everything_is_put_back():
    before = snapshot()
    plait.install()
    plait.install()
    assert snapshot() != before
    plait.uninstall()
    assert snapshot() == before


def test_without_multiprocessing_nothing_changes():
    before = snapshot()
    plait.install(multiprocessing=False)
    try:
        assert snapshot() == before
    finally:
        plait.uninstall()


def test_thread_pools_and_classes_under_their_modules_stay(installed):
    assert multiprocessing.pool.Pool.__module__ == multiprocessing.queues.Queue.__module__.replace("queues", "pool") == "multiprocessing.pool"
    with multiprocessing.pool.ThreadPool(2) as pool:
        assert type(pool) is multiprocessing.pool.ThreadPool and pool.map(abs, [-1, -2]) == [1, 2]


def test_a_pool_of_the_standard_class_goes_on_working(installed):
    with multiprocessing.pool.Pool(2) as pool:
        assert pool.map(abs, range(-5, 0)) == [5, 4, 3, 2, 1]
        assert sorted(pool.imap_unordered(abs, range(-5, 0))) == [1, 2, 3, 4, 5]


def kinds():
    return [type(make(multiprocessing, name)).__module__ for name in NAMES if name != "Pool"]


def tell(pipe):
    pipe.send((kinds(), sys.modules["threading"].Condition.__module__))


@pytest.mark.parametrize("method", METHODS)
def test_children_make_plaits_too(method):
    plait.install()
    try:
        expected = kinds(), sys.modules["threading"].Condition.__module__
        context = multiprocessing.get_context(method)
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=tell, args=(sender,))
        child.start()
        assert receiver.poll(LIMIT) and receiver.recv() == expected
        child.join(LIMIT)
    finally:
        plait.uninstall()


def test_the_kill_switch(tmp_path):
    program = "import multiprocessing, plait\nplait.install()\nprint(type(multiprocessing.Lock()).__module__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT, env={"PLAIT_DISABLE": "1"})
    assert done.stdout == "multiprocessing.synchronize\n" and "PLAIT_DISABLE" in done.stderr


def test_the_standard_barrier_is_built_on_the_standard_one():
    """It derives from what ``threading.Barrier`` is when it is imported, and takes what is private to it."""
    program = (
        "import plait, threading; plait.install(multiprocessing=False)\n"
        "import multiprocessing as m\n"
        "barrier = m.Barrier(2)\n"
        "child = m.get_context('fork').Process(target=barrier.wait); child.start()\n"
        "print(barrier.wait() in (0, 1), child.join(), child.exitcode, type(barrier).__module__, type(barrier).__mro__[1].__module__)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=LIMIT)
    assert (done.stdout, done.stderr) == ("True None 0 multiprocessing.synchronize threading\n", "")
