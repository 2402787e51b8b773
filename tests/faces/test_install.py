"""``plait.install()`` and ``plait.uninstall()``: what they change, and that they change it back."""

import asyncio
import concurrent.futures
import concurrent.futures.thread
import multiprocessing.spawn
import queue
import sys
import threading
import unittest
import warnings
from collections.abc import Iterator

import plait
import pytest

events = asyncio.events

FUNCTIONS = ("sleep", "gather", "wait", "wait_for", "shield", "as_completed", "timeout", "timeout_at", "TaskGroup", "wrap_future", "run_coroutine_threadsafe")
LOCKS = ("Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier")
QUEUES = ("Queue", "LifoQueue", "PriorityQueue")
POOLS = ("ThreadPoolExecutor", "wait", "as_completed")


def snapshot_of_threads() -> dict[str, object]:
    """What install may touch of threading and queue."""
    primitives = {f"threading.{name}": getattr(threading, name) for name in LOCKS if name != "Lock"}
    primitives |= {f"futures.{name}": getattr(concurrent.futures, name) for name in (*POOLS, "Future", "ProcessPoolExecutor")}
    primitives |= {f"futures.thread.{POOLS[0]}": concurrent.futures.thread.ThreadPoolExecutor}
    primitives |= {f"futures._base.{name}": getattr(concurrent.futures._base, name) for name in (*POOLS[1:], "Future")}
    return primitives | {f"queue.{name}": getattr(queue, name) for name in QUEUES}


def asyncio_names() -> dict[str, object]:
    """What install may touch of asyncio's functions, locks and queues, in each of its modules that has them."""
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "asyncio"}
    names = (*FUNCTIONS, *LOCKS, *QUEUES)
    return {f"{place}.{name}": vars(module)[name] for place, module in modules.items() for name in names if name in vars(module)}


def snapshot() -> tuple[object, ...]:
    """All that install may touch, and what it must not."""
    return (
        events._event_loop_policy,
        getattr(asyncio, "EventLoop", None),
        multiprocessing.spawn.get_preparation_data,
        asyncio_names() | snapshot_of_threads(),
        threading.Lock,
        threading.RLock,
        threading.Timer,
        threading.local,
        threading._allocate_lock,
        queue.SimpleQueue,
        queue.Empty,
        queue.Full,
        asyncio.QueueEmpty,
        asyncio.BrokenBarrierError,
        asyncio.Task,
        asyncio.Future,
        asyncio.SelectorEventLoop,
        asyncio.new_event_loop,
        threading.Thread,
    )


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    before = snapshot()
    yield
    plait.uninstall()
    asyncio.set_event_loop_policy(None)
    events._event_loop_policy = before[0]
    assert snapshot() == before


async def loop_type() -> type:
    return type(asyncio.get_running_loop())


def test_loops_made_without_a_factory_are_plaits() -> None:
    plait.install()
    assert asyncio.run(loop_type()) is plait.EventLoop
    with asyncio.Runner() as runner:
        assert runner.run(loop_type()) is plait.EventLoop
    loop = asyncio.new_event_loop()
    assert type(loop) is plait.EventLoop
    assert loop.run_until_complete(loop_type()) is plait.EventLoop
    loop.close()


def test_a_named_loop_is_respected() -> None:
    plait.install()
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(loop_type()) is asyncio.SelectorEventLoop


def test_isolated_asyncio_test_case() -> None:
    plait.install()
    seen: list[type] = []

    class Case(unittest.IsolatedAsyncioTestCase):
        async def test_it(self) -> None:
            seen.append(await loop_type())

    result = unittest.TestResult()
    Case("test_it").run(result)
    assert result.wasSuccessful(), result.errors
    assert seen == [plait.EventLoop]


def test_uninstall_restores_exactly() -> None:
    before = snapshot()
    plait.install()
    assert snapshot() != before
    assert snapshot()[4:] == before[4:]
    plait.uninstall()
    assert snapshot() == before
    assert asyncio.run(loop_type()) is asyncio.SelectorEventLoop
    after = snapshot()
    plait.uninstall()
    assert snapshot() == after


def test_twice_is_once() -> None:
    before = snapshot()
    plait.install()
    installed = snapshot()
    plait.install()
    assert snapshot() == installed
    plait.uninstall()
    assert snapshot() == before


def test_from_many_threads_at_once() -> None:
    before = snapshot()
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        for _ in range(50):
            plait.install()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert isinstance(asyncio.get_event_loop_policy(), plait.EventLoopPolicy)
    plait.uninstall()
    assert snapshot() == before


def test_a_policy_set_later_wins_and_stays() -> None:
    class Theirs(asyncio.DefaultEventLoopPolicy):
        pass

    plait.install()
    theirs = Theirs()
    asyncio.set_event_loop_policy(theirs)
    assert asyncio.run(loop_type()) is asyncio.SelectorEventLoop
    plait.uninstall()
    assert asyncio.get_event_loop_policy() is theirs


def test_install_takes_the_place_of_a_policy_set_before_and_gives_it_back() -> None:
    theirs = asyncio.DefaultEventLoopPolicy()
    asyncio.set_event_loop_policy(theirs)
    plait.install()
    assert asyncio.run(loop_type()) is plait.EventLoop
    other = asyncio.DefaultEventLoopPolicy()
    asyncio.set_event_loop_policy(other)
    plait.install()
    assert asyncio.run(loop_type()) is plait.EventLoop
    plait.uninstall()
    assert asyncio.get_event_loop_policy() is other


def test_the_current_loop_of_a_thread_carries_over() -> None:
    loop = asyncio.SelectorEventLoop()
    asyncio.set_event_loop(loop)
    try:
        plait.install()
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
        plait.uninstall()
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_get_event_loop_without_one() -> None:
    """The main thread gets a loop of itself up to 3.13 (with a warning from 3.12), other threads never do."""
    asyncio.set_event_loop_policy(None)
    plait.install()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop = asyncio.get_event_loop()
    assert type(loop) is plait.EventLoop and asyncio.get_event_loop() is loop
    assert [w.category for w in caught] == ([DeprecationWarning] if sys.version_info >= (3, 12) else [])
    assert all(w.filename == __file__ for w in caught)
    loop.close()
    assert in_a_thread(asyncio.get_event_loop) == "There is no current event loop in thread 'NAME'."


def in_a_thread(call: object) -> str:
    said: list[str] = []

    def work() -> None:
        with pytest.raises(RuntimeError) as caught:
            call()  # type: ignore[operator]
        said.append(str(caught.value))

    thread = threading.Thread(target=work, name="NAME")
    thread.start()
    thread.join()
    return said[0]


def test_asyncios_locks_and_queues_are_plaits_wherever_asyncio_has_them() -> None:
    import asyncio.base_events
    import asyncio.staggered  # uses locks.Event by the module's name

    before = asyncio_names()
    plait.install(threading=False, queue=False)
    after = asyncio_names()
    assert before.keys() == after.keys()
    for place, now in after.items():
        module, _, name = place.rpartition(".")
        if name in LOCKS or name in QUEUES:
            assert now is getattr(plait.asyncio, name), place
    homes = {place.rpartition(".")[0] for place in after if place.endswith((".Lock", ".Queue"))}
    assert homes >= {"asyncio", "asyncio.locks", "asyncio.queues"}


@pytest.mark.parametrize("name", LOCKS[1:])
def test_threadings_primitives_are_plaits(name: str) -> None:
    plait.install()
    assert getattr(threading, name) is getattr(plait.threading, name)
    assert getattr(threading, name).__module__ == "plait.threading"


@pytest.mark.parametrize("name", QUEUES)
def test_queues_are_plaits(name: str) -> None:
    plait.install()
    assert getattr(queue, name) is getattr(plait.queue, name)
    assert getattr(queue, name).__module__ == "plait.queue"


def test_pools_are_plaits() -> None:
    future = concurrent.futures.Future
    plait.install()
    for name in POOLS:
        assert getattr(concurrent.futures, name) is getattr(plait.concurrent.futures, name)
        assert getattr(concurrent.futures, name).__module__ == "plait.concurrent.futures"
    assert concurrent.futures.Future is concurrent.futures._base.Future is future, "it is never rebound"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert type(pool.submit(int)) is plait.concurrent.futures.Future and isinstance(pool.submit(int), future)


def test_threads_and_timers_made_while_installed_wait_on_native_events() -> None:
    plait.install()
    timer = threading.Timer(3600, print)
    assert type(timer.finished) is type(timer._started) is plait.threading.Event
    ran: list[bool] = []
    thread = threading.Thread(target=lambda: ran.append(True))
    thread.start()
    thread.join()
    assert ran == [True]


def test_objects_made_before_go_on() -> None:
    event, items = threading.Event(), queue.Queue[int]()
    kind = type(event)
    plait.install()
    thread = threading.Thread(target=lambda: (event.wait(), items.put(1)))
    thread.start()
    event.set()
    assert items.get() == 1
    thread.join()
    assert type(event) is kind is not threading.Event


@pytest.mark.parametrize("left_out", ["asyncio", "threading", "queue", "futures"])
def test_what_is_left_out_stays_the_standard_one(left_out: str) -> None:
    before = {**asyncio_names(), **snapshot_of_threads()}
    plait.install(**{left_out: False}, multiprocessing=False)
    after = {**asyncio_names(), **snapshot_of_threads()}
    changed = {place.partition(".")[0] for place in before if before[place] is not after[place]}
    assert changed == {"asyncio", "threading", "queue", "futures"} - {left_out}


def test_nothing_chosen_changes_nothing() -> None:
    before = snapshot()
    plait.install(asyncio=False, threading=False, queue=False, futures=False, multiprocessing=False)
    assert snapshot() == before


def test_a_class_that_somebody_put_in_place_is_theirs() -> None:
    class Theirs(queue.Queue):  # type: ignore[type-arg]
        pass

    standard = queue.Queue
    plait.install()
    queue.Queue = Theirs  # type: ignore[misc]
    try:
        plait.uninstall()
        assert queue.Queue is Theirs and queue.LifoQueue.__module__ == "queue"
    finally:
        queue.Queue = standard  # type: ignore[misc]


def test_asyncio_false_leaves_asyncio_alone() -> None:
    before = snapshot()
    plait.install(asyncio=False, threading=False, queue=False, futures=False, multiprocessing=False)
    assert snapshot() == before
    plait.install(multiprocessing=False)
    assert asyncio.run(loop_type()) is plait.EventLoop
    assert snapshot()[2] == before[2]


def test_uvloops_own_install_wins_over_ours() -> None:
    uvloop = pytest.importorskip("uvloop")
    plait.install()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    assert asyncio.run(loop_type()).__module__.startswith("uvloop")


def test_disabled_install_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot()
    monkeypatch.setenv("PLAIT_DISABLE", "1")
    plait.install()
    assert snapshot() == before


def test_a_policy_of_the_users_own_making() -> None:
    class Mine(plait.EventLoopPolicy):
        pass

    asyncio.set_event_loop_policy(Mine())
    assert asyncio.run(loop_type()) is plait.EventLoop
    assert isinstance(asyncio.get_event_loop_policy(), asyncio.DefaultEventLoopPolicy)
