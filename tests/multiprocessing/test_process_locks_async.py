"""Tasks and greenlets that wait for what other processes have."""

import asyncio
import contextlib
import gc
import multiprocessing
import multiprocessing.sharedctypes
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest
from process_lock_stage import LIMIT, child, ctx, forks_with_threads, never_hang, until

import plait
from plait.multiprocessing import synchronize

__all__ = ["child", "ctx", "never_hang"]
pytestmark = forks_with_threads
FORK = multiprocessing.get_context("fork")
RUNS = {"plait": plait.run, "asyncio": asyncio.run}


@pytest.fixture(params=RUNS)
def run(request):
    """Runs a coroutine on one loop or the other, with a limit."""

    def run(coroutine):
        return RUNS[request.param](asyncio.wait_for(coroutine, LIMIT))

    return run


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("name", ["Lock", "RLock", "Semaphore", "BoundedSemaphore"])
def test_a_task_waits_for_a_process(run, ctx, child, name):
    lock = getattr(synchronize, name)(ctx=ctx)
    other = child(lock=lock)
    other.do("lock", "acquire")

    async def main():
        ticks = 0
        task = asyncio.ensure_future(lock.aacquire())
        for ticks in range(20):
            await asyncio.sleep(0)
        assert not task.done() and ticks == 19
        other.do("lock", "release")
        assert await task is True
        assert lock._semlock._get_value() == 0

    run(main())


def test_tasks_are_served_in_the_order_of_their_coming(run, child):
    lock = synchronize.Lock(ctx=FORK)
    other = child(lock=lock)
    other.do("lock", "acquire")
    served = []

    async def wait(number):
        async with lock:
            served.append(number)
            await asyncio.sleep(0)

    async def main():
        tasks = [asyncio.ensure_future(wait(number)) for number in range(10)]
        await turns()
        tasks[3].cancel()
        other.do("lock", "release")
        await asyncio.gather(*tasks, return_exceptions=True)
        assert served == [0, 1, 2, 4, 5, 6, 7, 8, 9]
        assert lock.acquire(False)

    run(main())


def test_one_that_is_cancelled_takes_nothing(run, child):
    lock = synchronize.Lock(ctx=FORK)
    other = child(lock=lock)

    async def main():
        for _ in range(50):
            other.do("lock", "acquire")
            first, second = (asyncio.ensure_future(lock.aacquire()) for _ in range(2))
            await turns()
            other.start("lock", "release")
            first.cancel()
            assert (await asyncio.gather(first, return_exceptions=True))[0] is True or first.cancelled()
            other.value()
            if first.cancelled():
                assert await second is True
            else:
                second.cancel()
                await asyncio.gather(second, return_exceptions=True)
            lock.release()
        assert lock.acquire(False)

    run(main())


def test_more_locks_than_one_sleep_can_watch(run, child):
    locks = [synchronize.Lock(ctx=FORK) for _ in range(200)]
    other = child(**{str(number): lock for number, lock in enumerate(locks)})
    for number in range(200):
        other.do(str(number), "acquire")

    async def main():
        tasks = [asyncio.ensure_future(lock.aacquire()) for lock in locks]
        await turns()
        for number in reversed(range(200)):
            other.do(str(number), "release")
            assert await tasks[number] is True

    run(main())


def test_a_recursive_lock_is_a_tasks(run):
    lock = synchronize.RLock(ctx=FORK)

    async def take_twice(log):
        async with lock:
            async with lock:
                log.append("in")
                await asyncio.sleep(0)
            log.append("out")

    async def main():
        log = []
        await asyncio.gather(*(take_twice(log) for _ in range(3)))
        assert log == ["in", "out"] * 3
        assert lock._semlock._get_value() == 1
        async with lock:
            with pytest.raises(AssertionError, match="not owned by thread"):
                await asyncio.to_thread(lock.release)

    run(main())


def test_threads_tasks_and_another_process(run):
    """All of them count, and nobody loses one."""
    lock, counter = synchronize.Lock(ctx=FORK), multiprocessing.sharedctypes.RawValue("i", 0)
    rounds = 300

    def count():
        for _ in range(rounds):
            with lock:
                counter.value = counter.value + 1

    async def acount():
        for _ in range(rounds):
            async with lock:
                value = counter.value
                await asyncio.sleep(0)
                counter.value = value + 1

    async def main():
        threads = [threading.Thread(target=count, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        await asyncio.gather(*(acount() for _ in range(3)))
        for thread in threads:
            await asyncio.to_thread(thread.join, LIMIT)

    process = FORK.Process(target=count, daemon=True)
    process.start()
    run(main())
    process.join(LIMIT)
    assert counter.value == 6 * rounds


def test_an_event(run, ctx, child):
    event = synchronize.Event(ctx=ctx)
    other = child(event=event)

    async def main():
        tasks = [asyncio.ensure_future(event.await_()) for _ in range(3)]
        await turns()
        other.do("event", "set")
        assert await asyncio.gather(*tasks) == [True] * 3
        assert await event.await_() is True
        other.do("event", "clear")
        task = asyncio.ensure_future(event.await_())
        await turns()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    run(main())


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_condition(run, ctx, child, kind):
    condition = synchronize.Condition(getattr(synchronize, kind)(ctx=ctx), ctx=ctx)
    value = multiprocessing.sharedctypes.RawValue("i", 0)
    other = child(condition=condition, value=value)

    async def wait_for(number):
        async with condition:
            assert await condition.await_for(lambda: value.value >= number)
            return number

    def waiting():
        return sum(condition._waiting())

    async def main():
        tasks = [asyncio.ensure_future(wait_for(number)) for number in (1, 2, 3)]
        while waiting() < 3:
            await asyncio.sleep(0)
        for number in (1, 2, 3):
            async with condition:
                value.value = number
            other.do("condition", "acquire")
            other.do("condition", "notify_all")
            other.do("condition", "release")
            assert await tasks[number - 1] == number

    run(main())


def test_a_notification_of_a_task_that_is_cancelled_goes_to_the_next(run, child):
    condition = synchronize.Condition(ctx=FORK)
    other = child(condition=condition)

    async def wait():
        async with condition:
            return await condition.await_()

    async def main():
        for _ in range(20):
            first, second = (asyncio.ensure_future(wait()) for _ in range(2))
            while sum(condition._waiting()) < 2:
                await asyncio.sleep(0)
            other.do("condition", "acquire")
            other.do("condition", "notify", 1)
            first.cancel()
            other.do("condition", "release")
            results = await asyncio.gather(first, return_exceptions=True)
            if results == [True]:
                async with condition:
                    condition.notify()
            assert await second is True
            assert condition._waiting() == (0, 0)

    run(main())


def test_a_barrier(run, ctx, child):
    barrier = synchronize.Barrier(3, ctx=ctx)
    other = child(barrier=barrier)

    async def main():
        for _ in range(20):
            other.start("barrier", "wait")
            numbers = await asyncio.gather(barrier.await_(), barrier.await_())
            assert sorted([*numbers, other.value()]) == [0, 1, 2]
        task = asyncio.ensure_future(barrier.await_())
        await turns()
        assert barrier.n_waiting == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert barrier.n_waiting == 0 and not barrier.broken
        task = asyncio.ensure_future(barrier.await_())
        await turns()
        other.do("barrier", "abort")
        with pytest.raises(threading.BrokenBarrierError):
            await task

    run(main())


def test_a_task_that_was_let_through_and_is_cancelled_is_counted_out_once(run):
    async def main():
        barrier = synchronize.Barrier(3, ctx=FORK)
        task = asyncio.ensure_future(barrier.await_())
        await turns()
        until(helpers)
        assert barrier._begin(None) == (1,)
        task.cancel()
        assert barrier._begin(None) == 2
        # The helper has nothing to do any more: it has let the task through, which has not run since.
        until(lambda: not helpers())
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        # The crowd has not left.
        assert barrier._begin(1) == 1
        assert barrier._begin(None) == (0,)

    run(main())


class Thrown(Exception):
    pass


def test_a_greenlet_that_was_let_through_and_is_thrown_into_is_counted_out_once():
    greenlet = pytest.importorskip("greenlet")
    from plait._hub import Hub

    barrier = synchronize.Barrier(3, ctx=FORK)
    log = []

    def waits():
        try:
            barrier.wait()
        except Thrown:
            log.append("thrown")

    def throws():
        until(helpers)
        assert barrier._begin(None) == (1,)
        assert barrier._begin(None) == 2
        # The helper has nothing to do any more: it has let the other through, which has not run since.
        until(lambda: not helpers())
        hub.loop.call_soon(greenlet.getcurrent().switch)
        first.throw(Thrown)
        # The crowd has not left.
        log.append(barrier._begin(1))
        log.append(barrier._begin(None))

    with Hub() as hub:
        first = hub.spawn(waits)
        hub.spawn(throws)
        hub.run()
    assert log == ["thrown", 1, (0,)]


def test_without_a_loop_it_says_so():
    lock = synchronize.Lock(ctx=FORK)
    lock.acquire()
    waits = lock.aacquire()
    with pytest.raises(RuntimeError, match="no running event loop"):
        waits.send(None)


def helpers():
    found = 0
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found += Path(f"/proc/self/task/{task}/comm").read_text() == "plait-locks\n"
    return found


def test_the_helper_ends_and_a_child_has_its_own(child):
    lock = synchronize.Lock(ctx=FORK)
    lock.acquire()

    async def wait():
        task = asyncio.ensure_future(lock.aacquire())
        await turns()
        until(helpers)
        lock.release()
        assert await asyncio.wait_for(task, LIMIT)

    plait.run(wait())
    process = FORK.Process(target=run_again, args=(lock,))
    process.start()
    process.join(LIMIT)
    assert process.exitcode == 0
    until(lambda: not helpers())
    lock.release()


def run_again(lock):
    plait.run(wait_again(lock))


async def wait_again(lock):
    assert not lock.acquire(False)
    task = asyncio.ensure_future(lock.aacquire())
    await turns()
    until(helpers)
    lock.release()
    assert await asyncio.wait_for(task, LIMIT)
    # Its parent holds it, to release it.
    assert lock._semlock._get_value() == 0


NO_THREAD_FOR_ONE = """
    import asyncio, ctypes, multiprocessing, platform, struct, threading
    from plait.multiprocessing import synchronize

    CLONE, CLONE3, EAGAIN = {"x86_64": 56, "aarch64": 220}[platform.machine()], 435, 11
    LOAD, EQUALS, RETURN, ALLOW, ERROR = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
    steps = [(LOAD, 0, 0, 0), (EQUALS, 1, 0, CLONE), (EQUALS, 0, 1, CLONE3), (RETURN, 0, 0, ERROR | EAGAIN), (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    prctl = ctypes.CDLL(None).prctl
    NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2

    locks = [synchronize.Lock(ctx=multiprocessing.get_context("fork")) for _ in range(200)]
    for lock in locks:
        lock.acquire()
    waits = threading.Event()

    async def some():
        tasks = [asyncio.ensure_future(lock.aacquire()) for lock in locks[1:]]
        await asyncio.sleep(0)
        waits.set()
        assert await asyncio.gather(*tasks) == [True] * 199

    def in_a_thread_that_can_start_none():
        assert prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
        assert prctl(SECCOMP, FILTER, program) == 0
        asyncio.run(asyncio.wait_for(some(), 60))
        print("those before")

    async def one():
        task = asyncio.ensure_future(locks[0].aacquire())
        await asyncio.sleep(0)
        for lock in locks:
            lock.release()
        assert await task

    thread = threading.Thread(target=in_a_thread_that_can_start_none)
    thread.start()
    waits.wait()
    asyncio.run(asyncio.wait_for(one(), 60))
    thread.join()
    print("and the next")
"""


def test_when_no_thread_can_be_started_the_next_one_to_wait_tries_again():
    output = subprocess.run([sys.executable, "-c", textwrap.dedent(NO_THREAD_FOR_ONE)], capture_output=True, text=True, timeout=2 * LIMIT, check=False)
    said = "plait: no thread can be started for the tasks that wait for locks of other processes"
    assert (output.stdout, set(output.stderr.splitlines()), output.returncode) == ("those before\nand the next\n", {said}, 0)


def test_a_lock_that_nobody_will_release_is_collected_with_its_waiter(child):
    loop = plait.new_event_loop()
    lock = synchronize.Lock(ctx=FORK)
    lock.acquire()
    gone = weakref.ref(lock)

    async def wait(lock):
        await lock.aacquire()

    task = loop.create_task(wait(lock))
    loop.run_until_complete(turns())
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    del lock, task
    until(lambda: (gc.collect(), gone() is None)[1])


def test_a_greenlet_waits_and_its_thread_goes_on(child):
    pytest.importorskip("greenlet")
    from plait._hub import Hub

    lock = synchronize.Lock(ctx=FORK)
    other = child(lock=lock)
    other.do("lock", "acquire")
    log = []

    def waits():
        with lock:
            log.append("got")

    def goes_on():
        log.append("goes on")
        other.do("lock", "release")

    with Hub() as hub:
        hub.spawn(waits)
        hub.spawn(goes_on)
        hub.run()
    assert log == ["goes on", "got"]


ON_AN_OLD_KERNEL = """
    import asyncio, ctypes, multiprocessing, os, struct
    from plait.multiprocessing import synchronize

    FUTEX_WAITV, ENOSYS = 449, 38
    LOAD, EQUALS, RETURN, ALLOW, ERROR = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
    steps = [(LOAD, 0, 0, 0), (EQUALS, 0, 1, FUTEX_WAITV), (RETURN, 0, 0, ERROR | ENOSYS), (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    prctl = ctypes.CDLL(None).prctl
    NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2
    assert prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    assert prctl(SECCOMP, FILTER, program) == 0

    def helpers():
        return sum(open(f"/proc/self/task/{task}/comm").read() == "plait-locks\\n" for task in os.listdir("/proc/self/task"))

    async def main():
        locks = [synchronize.Lock(ctx=multiprocessing.get_context("fork")) for _ in range(5)]
        for lock in locks:
            lock.acquire()
        for _ in range(3):
            tasks = [asyncio.ensure_future(lock.aacquire()) for lock in locks]
            while helpers() < 5:
                await asyncio.sleep(0.001)
            for lock in reversed(locks):
                lock.release()
            assert await asyncio.gather(*tasks) == [True] * 5
        print("each with a thread of its own")

    asyncio.run(asyncio.wait_for(main(), 60))
"""


def test_on_a_kernel_that_cannot_sleep_on_many_words():
    output = subprocess.run([sys.executable, "-c", textwrap.dedent(ON_AN_OLD_KERNEL)], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (output.stdout, output.stderr, output.returncode) == ("each with a thread of its own\n", "", 0)
