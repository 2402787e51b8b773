"""Section 11 of the feature list: locks, events, queues, semaphores of asyncio."""

import asyncio as standard
import signal

import plait
import programs
import pytest
from plait import _native

NAMES = ["Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier", "Queue", "LifoQueue", "PriorityQueue"]


@pytest.mark.parametrize("name", NAMES)
def test_11_the_implementation_that_runs(aio, name):
    native = getattr(_native, f"Asyncio{name}")
    made = getattr(aio, name)(*([1] if name == "Barrier" else []))
    assert getattr(aio, name) is type(made) is native is getattr(plait.asyncio, name)
    assert native.__module__ == "plait.asyncio" and isinstance(made, getattr(aio, name))


def test_11_the_implementation_that_runs_in_a_program(tmp_path):
    source = """
        import asyncio
        async def main():
            own = asyncio.Lock(), asyncio.Event(), asyncio.Semaphore(), asyncio.Queue(), asyncio.Condition()
            print(*(type(each).__module__ for each in own))
        asyncio.run(main())
    """
    said = {way: programs.run_as(way, tmp_path, source).stdout.split() for way in programs.WAYS}
    assert said["run"] == said["mirror"] == ["plait.asyncio"] * 5
    assert said["host"] == ["asyncio.locks"] * 3 + ["asyncio.queues", "asyncio.locks"]


def test_11_objects_pass_for_the_standard_ones():
    theirs = {name: getattr(standard, name) for name in NAMES}
    for name, cls in theirs.items():
        own = getattr(plait.asyncio, name)(*([1] if name == "Barrier" else []))
        assert isinstance(own, cls), name


def test_11_1_lock_is_first_in_first_out(aio):
    order = []

    async def worker(lock, i):
        async with lock:
            order.append(f"{i} in")
            await aio.sleep(0)
            order.append(f"{i} out")

    async def main():
        lock = aio.Lock()
        await aio.gather(*(worker(lock, i) for i in range(5)))
        assert not lock.locked()

    aio.run(main())
    assert order == [f"{i} {way}" for i in range(5) for way in ("in", "out")]


def test_11_1_a_cancelled_waiter_does_not_break_the_order(aio):
    order = []

    async def worker(lock, i):
        async with lock:
            order.append(i)
            await aio.sleep(0)

    async def main():
        lock = aio.Lock()
        tasks = [aio.create_task(worker(lock, i)) for i in range(6)]
        await aio.sleep(0)
        tasks[1].cancel()
        tasks[4].cancel()
        outcomes = await aio.gather(*tasks, return_exceptions=True)
        assert [i for i, outcome in enumerate(outcomes) if isinstance(outcome, aio.CancelledError)] == [1, 4]
        assert not lock.locked()
        with pytest.raises(RuntimeError, match=r"^Lock is not acquired\.$"):
            lock.release()

    aio.run(main())
    assert order == [0, 2, 3, 5]


def test_11_2_event(aio):
    order = []

    async def waiter(event, name):
        order.append(f"{name} waits")
        await event.wait()
        order.append(f"{name} goes on")

    async def main():
        event = aio.Event()
        tasks = [aio.create_task(waiter(event, name)) for name in "ab"]
        await aio.sleep(0)
        for _ in range(10):
            await aio.sleep(0)
        order.append("set")
        event.set()
        await aio.gather(*tasks)
        assert event.is_set()
        event.clear()
        blocked = aio.create_task(event.wait())
        for _ in range(10):
            await aio.sleep(0)
        assert not blocked.done()
        blocked.cancel()

    aio.run(main())
    assert order == ["a waits", "b waits", "set", "a goes on", "b goes on"]


def test_11_3_queue_with_five_workers(aio):
    got = []
    rounds = []

    async def worker(queue):
        while True:
            got.append(await queue.get())
            await aio.sleep(0)
            queue.task_done()

    async def main():
        queue = aio.Queue(maxsize=5)
        workers = [aio.create_task(worker(queue)) for _ in range(5)]
        for i in range(50):
            await queue.put(i)
            if i % 5 == 4:
                rounds.append(await queue.join())
        for task in workers:
            task.cancel()

    aio.run(main())
    assert got == list(range(50)) and len(rounds) == 10


def test_11_3_puts_and_gets_that_wait_are_served_in_order(aio):
    async def main():
        queue = aio.Queue(1)
        putting = [aio.create_task(queue.put(i)) for i in range(5)]
        await aio.sleep(0)
        assert queue.full() and [task.done() for task in putting] == [True] + [False] * 4
        got = [await queue.get() for _ in range(5)]
        getting = [aio.create_task(queue.get()) for _ in range(3)]
        await aio.sleep(0)
        for i in "abc":
            await queue.put(i)
        return got, await aio.gather(*getting), await aio.gather(*putting)

    assert aio.run(main()) == ([0, 1, 2, 3, 4], ["a", "b", "c"], [None] * 5)


@pytest.mark.parametrize("maxsize", [0, -1])
def test_11_3_unlimited_queues(aio, maxsize):
    async def main():
        queue = aio.Queue(maxsize)
        for i in range(1000):
            queue.put_nowait(i)
        assert not queue.full() and queue.qsize() == 1000
        assert [queue.get_nowait() for _ in range(1000)] == list(range(1000))
        with pytest.raises(aio.QueueEmpty):
            queue.get_nowait()
        limited = aio.Queue(1)
        limited.put_nowait(1)
        with pytest.raises(aio.QueueFull):
            limited.put_nowait(2)
        limited.task_done()
        with pytest.raises(ValueError, match="called too many times"):
            limited.task_done()

    aio.run(main())


def test_11_4_a_queue_program_that_never_ends_is_ended_by_control_c(tmp_path):
    program = programs.start(
        tmp_path,
        """
        import asyncio
        async def producer(queue):
            for i in range(3):
                await queue.put(i)
                print("put", i, flush=True)
        async def consumer(queue):
            while True:
                print("got", await queue.get(), flush=True)
                queue.task_done()
        async def main():
            queue = asyncio.Queue(1)
            await asyncio.gather(producer(queue), consumer(queue), consumer(queue))
        asyncio.run(main())
        """,
    )
    with program:
        try:
            lines = [program.stdout.readline() for _ in range(6)]
            assert sorted(lines) == sorted(f"{way} {i}\n".encode() for i in range(3) for way in ("put", "got"))
            program.send_signal(signal.SIGINT)
            _, errors = program.communicate(timeout=60)
        finally:
            program.kill()
    assert program.returncode != 0
    assert errors.rstrip().endswith(b"KeyboardInterrupt")


def test_11_5_semaphore(aio):
    order = []

    async def worker(semaphore, name):
        async with semaphore:
            order.append(name)
            await aio.sleep(0)
            await aio.sleep(0)

    async def main():
        semaphore = aio.Semaphore(2)
        await aio.gather(*(worker(semaphore, name) for name in "ABCD"))

    aio.run(main())
    assert order == ["A", "B", "C", "D"]


def test_11_5_ab_then_cd(aio):
    order = []

    async def worker(semaphore, name):
        async with semaphore:
            order.append(f"{name} in")
            await aio.sleep(0)
            order.append(f"{name} out")

    async def main():
        semaphore = aio.Semaphore(2)
        assert not semaphore.locked()
        await aio.gather(*(worker(semaphore, name) for name in "ABCD"))
        bounded = aio.BoundedSemaphore(2)
        with pytest.raises(ValueError, match="^BoundedSemaphore released too many times$"):
            bounded.release()

    aio.run(main())
    assert order == [f"{name} {way}" for pair in ("AB", "CD") for way in ("in", "out") for name in pair]


def test_11_5_at_most_five_at_a_time(aio):
    inside = most = 0

    async def request(semaphore):
        nonlocal inside, most
        async with semaphore:
            inside += 1
            most = max(most, inside)
            await aio.sleep(0)
            inside -= 1

    async def main():
        semaphore = aio.Semaphore(5)
        await aio.gather(*(request(semaphore) for _ in range(100)))

    aio.run(main())
    assert (inside, most) == (0, 5)


def test_11_6_a_hundred_thousand_tasks_behind_a_semaphore(aio):
    done = 0

    async def request(semaphore):
        nonlocal done
        async with semaphore:
            await aio.sleep(0)
            done += 1

    async def main():
        semaphore = aio.Semaphore(5)
        tasks = [aio.create_task(request(semaphore)) for _ in range(100_000)]
        await aio.gather(*tasks)

    aio.run(main())
    assert done == 100_000
