"""Section 11 of the feature list: locks, events, queues, semaphores of asyncio."""

import signal

import programs
import pytest


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
            _, errors = program.communicate(timeout=10)
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
