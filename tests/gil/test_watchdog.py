"""The watchdog: what it reports of each kind of stall, and of what it says nothing."""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import plait
import plait.gil
import plait.watchdog
import pytest
from plait.concurrent.futures import ThreadPoolExecutor
from plait.watchdog import Stall

THRESHOLD = 0.1
Stalls = list[Stall]


@pytest.fixture
def stalls() -> Iterator[Stalls]:
    """Of loops that run in the test. They have to be plait's for there to be any."""
    seen: Stalls = []
    plait.watchdog.add_hook(seen.append)
    plait.watchdog.start(threshold=THRESHOLD)
    yield seen
    plait.watchdog.stop()
    plait.watchdog.remove_hook(seen.append)


def run(body: Callable[[], Coroutine[Any, Any, None]], name: str = "the culprit") -> None:
    async def main() -> None:
        assert type(asyncio.get_running_loop()) is plait.EventLoop
        # A turn of its own for the task, and one to hear of its end.
        await asyncio.create_task(body(), name=name)
        await asyncio.sleep(0)

    plait.run(main())


def line_of(function: Any, text: str) -> int:
    """The number of the line in `function` that contains `text`."""
    import inspect

    lines, first = inspect.getsourcelines(function)
    return first + next(index for index, line in enumerate(lines) if text in line)


def test_a_sleep_is_a_system_call(stalls: Stalls) -> None:
    async def blocks() -> None:
        def inner() -> None:
            time.sleep(0.3)

        inner()

    run(blocks)
    [stall] = stalls
    assert stall.task == "the culprit"
    assert stall.what == f"task 'the culprit' ({blocks.__qualname__})"
    assert stall.cause in ("in the system call clock_nanosleep", "in the system call nanosleep")
    assert 0.2 < stall.seconds < 5
    assert stall.causes[stall.cause] > 0.8
    assert not stall.lasts
    assert stall.thread == "MainThread"
    # The stack while it blocked, from the loop's call on.
    assert [frame.function for frame in stall.stack] == [blocks.__qualname__, f"{blocks.__qualname__}.<locals>.inner"]
    assert (stall.stack[-1].file, stall.stack[-1].line) == (__file__, line_of(blocks, "time.sleep"))
    assert "time.sleep(0.3)" in stall.text()


def test_a_busy_loop_computes(stalls: Stalls) -> None:
    async def computes() -> None:
        until = time.thread_time() + 0.3
        while time.thread_time() < until:
            sum(range(1000))

    run(computes)
    [stall] = [stall for stall in stalls if stall.task]
    # On a machine that does other work it may have to wait for a processor, too.
    assert stall.causes["computing"] + stall.causes.get("waiting for a processor", 0) > 0.8
    assert stall.causes["computing"] > 0.2
    assert stall.cpu is not None and stall.cpu > 0.1
    assert stall.stack[-1].function.endswith("computes")


def test_a_long_collection_is_told(stalls: Stalls) -> None:
    async def collects() -> None:
        garbage: list[Any] = [[] for _ in range(400_000)]
        for item in garbage:
            item.append(item)
        until = time.thread_time() + 0.4
        while time.thread_time() < until:
            gc.collect()

    gc.disable()
    try:
        run(collects)
    finally:
        gc.enable()
    [stall] = [stall for stall in stalls if stall.task]
    assert stall.causes["collecting garbage"] > 0.3
    assert stall.stack[-1].function.endswith("collects")


@pytest.mark.skipif(not plait.gil.exists(), reason="this Python has no GIL")
def test_a_wait_for_the_gil_names_who_has_it(stalls: Stalls) -> None:
    begun = threading.Event()

    def hogs() -> None:
        items = [float(number * 7919 % 1_000_003) for number in range(1_500_000)]
        begun.set()
        for _ in range(3):
            sorted(items)  # C code that does not release it

    async def waits() -> None:
        hog = threading.Thread(target=hogs, name="the hog")
        hog.start()
        while not begun.is_set():
            await asyncio.sleep(0.001)
        while hog.is_alive():
            await asyncio.sleep(0.001)

    run(waits)
    found = [stall for stall in stalls if stall.holder]
    assert found, stalls
    stall = max(found, key=lambda stall: stall.causes.get("waiting for the GIL", 0))
    assert stall.cause == "waiting for the GIL"
    assert stall.holder is not None and stall.holder.startswith("thread 'the hog'") and "hogs" in stall.holder
    assert "the GIL was held by thread 'the hog'" in stall.text()


def test_a_blocking_read_is_told_with_its_socket(stalls: Stalls) -> None:
    here, there = socket.socketpair()
    inode = os.fstat(here.fileno()).st_ino

    async def reads() -> None:
        answer = threading.Timer(0.3, there.send, (b"x",))
        answer.start()
        assert here.recv(1) == b"x"
        answer.join()

    with here, there:
        run(reads)
    [stall] = stalls
    assert stall.cause == "in the system call recvfrom"
    assert stall.target == f"socket:[{inode}]"


def test_a_held_lock_is_a_lock(stalls: Stalls) -> None:
    lock = threading.Lock()
    lock.acquire()

    async def locks() -> None:
        release = threading.Timer(0.3, lock.release)
        release.start()
        lock.acquire()
        release.join()

    run(locks)
    [stall] = stalls
    assert stall.cause == "waiting for a lock (futex)"


def test_a_wait_for_what_a_pool_has_in_its_queue_is_told_with_its_line(stalls: Stalls) -> None:
    async def waits() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(time.sleep, 0.3)
            assert pool.submit(int).result() == 0

    run(waits)
    [stall] = stalls
    assert stall.cause == "waiting for a lock (futex)"
    assert (stall.stack[-1].file, stall.stack[-1].line) == (__file__, line_of(waits, "submit(int)"))


def test_a_callback_has_its_name_and_a_transport_its_protocol(stalls: Stalls) -> None:
    class Slow(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            time.sleep(0.2)

    def slow_callback() -> None:
        time.sleep(0.2)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        with there:
            transport, _ = await loop.create_connection(Slow, sock=here)
            there.send(b"x")
            while not stalls:
                await asyncio.sleep(0.001)
            transport.close()
        loop.call_soon(slow_callback)
        await asyncio.sleep(0.001)
        future = loop.create_future()
        future.add_done_callback(lambda _: slow_callback())
        future.set_result(None)
        await asyncio.sleep(0.001)

    plait.run(main())
    first, second, third = stalls
    assert first.what == "Slow of a transport" and first.task is None
    assert second.what.startswith(f"callback {slow_callback.__qualname__} ({os.path.relpath(__file__)}:")
    assert "<lambda>" in third.what
    assert [frame.function.rpartition(".")[2] for frame in third.stack] == ["<lambda>", "slow_callback"]


def test_a_mock_for_a_callback_is_named(stalls: Stalls) -> None:
    """It has every attribute that it is asked for, `func` among them."""
    async def body() -> None:
        loop, called = asyncio.get_running_loop(), asyncio.Event()

        def blocks() -> None:
            called.set()
            time.sleep(0.2)

        loop.call_soon(Mock(name="endless", side_effect=blocks))
        loop.call_soon(functools.partial(functools.partial(time.sleep), 0.2))
        await called.wait()

    run(body)
    assert [stall.what for stall in stalls][1:] == ["callback sleep"]
    assert stalls[0].what.startswith("callback <Mock name='endless' id=")


def test_a_name_that_cannot_be_told_costs_no_report(stalls: Stalls) -> None:
    class Wordless:
        def __call__(self) -> None:
            time.sleep(0.2)

        def __repr__(self) -> str:
            raise RuntimeError("no words")

    async def body() -> None:
        asyncio.get_running_loop().call_soon(Wordless())
        await asyncio.sleep(0)

    run(body)
    [stall] = stalls
    assert stall.what.startswith("an object of the type ") and stall.stack[-1].function.endswith("Wordless.__call__")


def test_the_same_place_is_counted(stalls: Stalls) -> None:
    async def blocks() -> None:
        for _ in range(3):
            time.sleep(0.3)
            await asyncio.sleep(0)

    run(blocks)
    assert [stall.count for stall in stalls] == [1, 2, 3]
    assert "3rd time in this place" in stalls[-1].text()


def test_one_that_lasts_is_told_once_and_meanwhile(stalls: Stalls) -> None:
    told = threading.Event()
    hook = lambda stall: told.set()  # noqa: E731
    plait.watchdog.add_hook(hook)

    async def hangs() -> None:
        assert told.wait(30), "the report did not come while it hung"

    try:
        run(hangs, "the hung one")
    finally:
        plait.watchdog.remove_hook(hook)
    [stall] = stalls
    assert stall.lasts and stall.task == "the hung one" and stall.seconds >= 1
    assert "still is" in stall.text()
    # The thread that told it has left nothing behind.
    while any(name.startswith("Dummy") for name in (thread.name for thread in threading.enumerate())):
        time.sleep(0.001)


def test_two_loops_in_two_threads(stalls: Stalls) -> None:
    async def blocks() -> None:
        time.sleep(0.2)

    threads = [threading.Thread(target=run, args=(blocks, f"task {n}"), name=f"thread {n}") for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((stall.thread, stall.task) for stall in stalls) == [("thread 0", "task 0"), ("thread 1", "task 1")]


# ---- of what it says nothing


def test_a_loop_that_sleeps_is_none(stalls: Stalls) -> None:
    plait.run(asyncio.sleep(0.5))
    assert stalls == []


def test_many_short_callbacks_are_none(stalls: Stalls) -> None:
    plait.watchdog.start(threshold=0.4)

    async def chops() -> None:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            time.sleep(0.01)
            await asyncio.sleep(0)

    run(chops)
    assert stalls == []


def test_nested_runs_are_none(stalls: Stalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "_nest_patched", True, raising=False)

    async def nests() -> None:
        asyncio.get_running_loop().run_until_complete(asyncio.sleep(0.4))
        other = plait.new_event_loop()
        other.run_until_complete(asyncio.sleep(0.4))
        other.close()

    run(nests)
    assert stalls == []


def test_a_stall_within_a_nested_run_is_told(stalls: Stalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "_nest_patched", True, raising=False)

    async def blocks() -> None:
        time.sleep(0.2)

    async def nests() -> None:
        asyncio.get_running_loop().run_until_complete(blocks())
        time.sleep(0.2)

    run(nests, "outside")
    assert [stall.stack[-1].function.rpartition(".")[2] for stall in stalls] == ["blocks", "nests"]
    assert stalls[1].task == "outside"


def test_off_it_says_nothing_and_has_no_thread(stalls: Stalls) -> None:
    plait.watchdog.stop()
    assert plait.watchdog.threshold() is None
    assert watchdog_threads() == []

    async def blocks() -> None:
        time.sleep(0.2)

    run(blocks)
    assert stalls == []
    assert watchdog_threads() == []


def watchdog_threads() -> list[str]:
    """The native threads of that name."""
    found = []
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            if (thread / "comm").read_text().strip() == "plait-watchdog":
                found.append(thread.name)
    return found


def wakes_of(thread: str) -> int:
    text = Path(f"/proc/self/task/{thread}/status").read_text()
    return int(text.partition("voluntary_ctxt_switches:")[2].split()[0])


def until_it_sleeps(thread: str) -> None:
    """Seen from a thread: a loop that looked would wake it."""
    before = -1
    while (now := wakes_of(thread)) != before:
        before = now
        time.sleep(0.5)


def test_a_sleeping_loop_costs_nothing_and_wakes_it(stalls: Stalls) -> None:
    async def main() -> None:
        while not (found := watchdog_threads()):  # a new thread gives itself its name
            await asyncio.sleep(0.001)
        await asyncio.to_thread(until_it_sleeps, *found)
        time.sleep(0.3)
        await asyncio.sleep(0)

    plait.run(main())
    assert [stall.stack[-1].line for stall in stalls] == [line_of(test_a_sleeping_loop_costs_nothing_and_wakes_it, "time.sleep(0.3)")]


# ---- the interface


@pytest.mark.parametrize("threshold", [0, -1, 0.0001, 3601, float("nan"), float("inf")])
def test_a_threshold_that_is_none(threshold: float) -> None:
    with pytest.raises(ValueError, match="is no threshold"):
        plait.watchdog.start(threshold=threshold)


def test_the_threshold_is_what_was_set(stalls: Stalls) -> None:
    assert plait.watchdog.threshold() == THRESHOLD
    plait.watchdog.start(threshold=0.5)
    assert plait.watchdog.threshold() == 0.5

    async def blocks() -> None:
        time.sleep(0.25)

    run(blocks)
    assert stalls == []


def test_it_can_be_started_while_a_loop_runs() -> None:
    seen: Stalls = []
    plait.watchdog.add_hook(seen.append)

    async def main() -> None:
        plait.watchdog.start(threshold=THRESHOLD)
        await asyncio.sleep(0)
        time.sleep(0.3)

    try:
        plait.run(main())
    finally:
        plait.watchdog.stop()
        plait.watchdog.remove_hook(seen.append)
    assert len(seen) == 1


def test_a_hook_that_was_not_added() -> None:
    with pytest.raises(ValueError):
        plait.watchdog.remove_hook(print)


def test_a_hook_that_raises_is_shown_and_the_others_are_called(
    stalls: Stalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)

    def raises(stall: Stall) -> None:
        raise ValueError("hook")

    plait.watchdog.remove_hook(stalls.append)
    plait.watchdog.add_hook(raises)
    plait.watchdog.add_hook(stalls.append)

    async def blocks() -> None:
        time.sleep(0.2)

    try:
        run(blocks)
    finally:
        plait.watchdog.remove_hook(raises)
    assert [(type(one.exc_value), one.object) for one in shown] == [(ValueError, raises)]
    assert len(stalls) == 1


def test_the_log_is_limited_and_says_what_it_left_out(
    stalls: Stalls, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plait.watchdog, "_log_limit", plait.watchdog._LogLimit())
    monkeypatch.setattr(plait.watchdog, "LOG_EVERY", 0.5)

    async def blocks() -> None:
        for _ in range(3):
            time.sleep(0.12)
            await asyncio.sleep(0)

    async def elsewhere() -> None:
        time.sleep(0.6)

    with caplog.at_level(logging.WARNING, "plait.watchdog"):
        run(blocks)
        run(elsewhere)
    assert len(stalls) == 4
    first, second = (record.getMessage() for record in caplog.records)
    assert "more since" not in first and "(2 more since the last report)" in second
    assert {record.name for record in caplog.records} == {"plait.watchdog"}


def test_ctrl_c_in_a_hook_ends_the_loop(stalls: Stalls) -> None:
    def interrupts(stall: Stall) -> None:
        raise KeyboardInterrupt

    async def blocks() -> None:
        time.sleep(0.2)

    plait.watchdog.add_hook(interrupts)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(blocks)
    finally:
        plait.watchdog.remove_hook(interrupts)
