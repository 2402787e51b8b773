"""Ten thousand tasks wait on one primitive, and a random half of them is cancelled while the others are served."""

import asyncio
import random
import sys

import pytest
from crowds import ASYNCIO, TASK_SIDES, on_loop

MANY = 10_000


@pytest.fixture(params=TASK_SIDES)
def side(request):
    return TASK_SIDES[request.param]


@pytest.fixture
def face(side):
    return side[0]


@pytest.fixture
def run(side):
    return lambda main: on_loop(side[1], main)


class Crowd:
    """Tasks that wait. Half of them are to be cancelled, mixed with something else that is to be done."""

    def __init__(self, wait, primitive, seed=1):
        self.random = random.Random(seed)
        self.primitive = primitive
        self.served = []
        self.left = MANY
        self.tasks = [asyncio.ensure_future(self._member(wait, number)) for number in range(MANY)]
        self.victims = set(self.random.sample(range(MANY), MANY // 2))

    async def _member(self, wait, number):
        try:
            outcome = await wait(number)
        finally:
            self.left -= 1
        self.served.append(number)
        return outcome

    async def parked(self):
        await asyncio.sleep(0)
        if hasattr(self.primitive, "_waiting"):
            assert self.primitive._waiting == MANY

    async def halved(self, serve, times):
        """Cancels the victims, in any order, and between them does what serves the others."""
        acts = [self.tasks[victim].cancel for victim in self.victims] + [serve] * times
        self.random.shuffle(acts)
        for number, act in enumerate(acts):
            act()
            if number % 97 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def serves(self, count):
        """So many have been served, in the order in which they came, and no more are."""
        while len(self.served) < count:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(self.served) == count and self.served == sorted(self.served)

    async def gone(self):
        """All are done. A victim was cancelled, or else it was served before."""
        await asyncio.wait(self.tasks)
        assert all(number in self.victims for number, task in enumerate(self.tasks) if task.cancelled())
        assert sorted(self.served) == [number for number, task in enumerate(self.tasks) if not task.cancelled()]
        assert getattr(self.primitive, "_waiting", 0) == 0
        return [task.result() for task in self.tasks if not task.cancelled()]


def test_lock(face, run):
    async def main():
        lock = face.make("Lock")
        await face.acquire(lock)

        async def wait(number):
            async with lock:
                pass

        crowd = Crowd(wait, lock)
        await crowd.parked()
        release = [lock.release]  # at some time between the cancellations, and from then on each passes it to the next
        await crowd.halved(lambda: release and release.pop()(), 100)
        await crowd.gone()
        assert crowd.served == sorted(crowd.served)
        assert not lock.locked()
        await face.acquire(lock)

    run(main)


@pytest.mark.parametrize("kind", ["Semaphore", "BoundedSemaphore"])
def test_semaphore(face, run, kind):
    async def main():
        permits = MANY // 4
        semaphore = face.make(kind, MANY)
        for _ in range(MANY):
            await face.acquire(semaphore)
        crowd = Crowd(lambda number: face.acquire(semaphore), semaphore)
        await crowd.parked()
        await crowd.halved(semaphore.release, permits)
        await crowd.serves(permits)
        while crowd.left:
            semaphore.release()
            await asyncio.sleep(0)
        await crowd.gone()

    run(main)


def test_event(face, run):
    async def main():
        event = face.make("Event")
        crowd = Crowd(lambda number: face.wait(event), event)
        await crowd.parked()
        await crowd.halved(lambda: None, 0)
        assert crowd.served == []
        event.set()
        event.clear()
        assert set(await crowd.gone()) == {True}
        assert len(crowd.served) == MANY // 2

    run(main)


def test_condition(face, run):
    async def main():
        condition = face.make("Condition", face.make("Lock"))
        notified = 0

        async def wait(number):
            async with condition:
                return await face.wait(condition)

        async def notify(count):
            async with condition:
                condition.notify(count)

        crowd = Crowd(wait, condition)
        while (len(condition._waiters) if face is ASYNCIO else condition._waiting) < MANY:
            await asyncio.sleep(0)
        victims = list(crowd.victims)
        crowd.random.shuffle(victims)
        for start in range(0, len(victims), 100):
            await notify(50)
            notified += 50
            for victim in victims[start : start + 100]:
                crowd.tasks[victim].cancel()
            await asyncio.sleep(0)
        if face is ASYNCIO:
            # up to 3.12 what the cancelled were told is lost; since then each of them wakes another, told or not
            assert sys.version_info < (3, 13) or len(crowd.served) >= notified
        else:
            await crowd.serves(notified)
        async with condition:
            condition.notify_all()
        assert set(await crowd.gone()) == {True}

    run(main)


def test_barrier(face, run):
    """One that is cancelled was never there."""

    async def main():
        barrier = face.make("Barrier", MANY + 1)
        crowd = Crowd(lambda number: face.wait(barrier), barrier)
        while barrier.n_waiting < MANY:
            await asyncio.sleep(0)
        await crowd.halved(lambda: None, 0)
        while barrier.n_waiting > MANY - len(crowd.victims):
            await asyncio.sleep(0)
        assert crowd.served == [] and not barrier.broken
        others = [asyncio.ensure_future(face.wait(barrier)) for _ in crowd.victims]
        while barrier.n_waiting < MANY:
            await asyncio.sleep(0)
        assert await face.wait(barrier) == MANY
        await asyncio.wait(others)
        await crowd.gone()
        assert len(crowd.served) == MANY - len(crowd.victims)
        assert barrier.n_waiting == 0 and not barrier.broken

    run(main)


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
def test_getters(face, run, kind):
    async def main():
        queue = face.make(kind)
        items = iter(range(MANY))
        crowd = Crowd(lambda number: face.get(queue), queue)
        await crowd.parked()
        await crowd.halved(lambda: queue.put_nowait(next(items)), MANY // 4)
        await crowd.serves(MANY // 4)
        assert queue.empty()
        while crowd.left:
            queue.put_nowait(next(items))
            await asyncio.sleep(0)
        got = await crowd.gone()
        if kind == "Queue":
            assert got == sorted(got)
        left = [queue.get_nowait() for _ in range(queue.qsize())]
        assert sorted(got + left) == list(range(next(items)))

    run(main)


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
def test_putters(face, run, kind):
    async def main():
        queue = face.make(kind, 10)
        for number in range(-10, 0):
            queue.put_nowait(number)
        crowd = Crowd(lambda number: face.put(queue, number), queue)
        await crowd.parked()
        got = []
        await crowd.halved(lambda: queue.empty() or got.append(queue.get_nowait()), MANY // 4)
        while crowd.left:
            got.append(queue.get_nowait())
            await asyncio.sleep(0)
        await crowd.gone()
        assert crowd.served == sorted(crowd.served)
        got += [queue.get_nowait() for _ in range(queue.qsize())]
        for number in range(10):  # no room was lost
            queue.put_nowait(number)
        assert sorted(got) == list(range(-10, 0)) + crowd.served
        if kind == "Queue":
            assert got == sorted(got)

    run(main)


def test_joiners(face, run):
    async def main():
        queue = face.make("Queue")
        queue.put_nowait(1)
        crowd = Crowd(lambda number: face.join(queue), queue)
        await crowd.parked()
        await crowd.halved(lambda: None, 0)
        assert crowd.served == []
        queue.get_nowait()
        queue.task_done()
        await crowd.gone()
        assert len(crowd.served) == MANY // 2

    run(main)
