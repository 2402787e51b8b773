"""``plait.install()`` and ``plait.uninstall()``: what they change, and that they change it back."""

import asyncio
import multiprocessing.spawn
import sys
import threading
import unittest
import warnings
from collections.abc import Iterator

import plait
import pytest

events = asyncio.events


def snapshot() -> tuple[object, ...]:
    """All that install may touch, and what it must not."""
    return (
        events._event_loop_policy,
        getattr(asyncio, "EventLoop", None),
        multiprocessing.spawn.get_preparation_data,
        [
            vars(module).get(name)
            for module in (asyncio, asyncio.tasks, asyncio.streams, asyncio.timeouts, asyncio.taskgroups)
            for name in ("sleep", "gather", "wait", "wait_for", "shield", "as_completed", "timeout", "timeout_at", "TaskGroup")
        ],
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


def test_asyncio_false_leaves_asyncio_alone() -> None:
    before = snapshot()
    plait.install(asyncio=False, multiprocessing=False)
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
