"""A task is cancelled at each of its awaits in turn, at once or some turns of the loop later; what it shared is whole afterwards.

The await at which it happens is counted from outside, so it lies in the primitive as well as between two calls of it. The other
tasks do not depend on the cancelled one: they come to their end, or something was lost.
"""

import asyncio
import queue
import random
from contextlib import suppress

import pytest
from crowds import TASK_SIDES, on_loop

# More turns of the loop than any of these scenes takes.
FOR_EVER = 2_000

# How many turns after the await the cancellation comes; 0 is before the task's step has ended.
LATER = [0, 1, 2, 3]


@pytest.fixture(params=TASK_SIDES)
def side(request):
    return TASK_SIDES[request.param]


class Struck:
    """Awaits a coroutine, and has the task cancelled at one of its awaits. ``reached`` tells whether it came so far."""

    def __init__(self, coroutine, at, later):
        self._coroutine = coroutine
        self._at = at
        self._later = later
        self.reached = False

    def __await__(self):
        task, loop = asyncio.current_task(), asyncio.get_running_loop()

        def strike(turns):
            if turns:
                loop.call_soon(strike, turns - 1)
            else:
                task.cancel()

        error = None
        count = 0
        while True:
            try:
                yielded = self._coroutine.throw(error) if error else self._coroutine.send(None)
            except StopIteration as end:
                return end.value
            if count == self._at:
                self.reached = True
                strike(self._later)
            count += 1
            error = None
            try:
                yield yielded
            except BaseException as thrown:
                error = thrown

    async def run(self):
        return await self


async def some_turns(chance):
    for _ in range(chance.randrange(1, 4)):
        await asyncio.sleep(0)


class Scene:
    """A shared primitive, a victim and others. The victim's coroutine comes first."""

    def __init__(self, face, seed):
        self.face = face
        self.seed = seed

    def chance(self, who):
        return random.Random(f"{self.seed} {who}")


class OfLock(Scene):
    def cast(self):
        self.lock = self.face.make("Lock")
        self.inside = 0
        return [self.work(who) for who in range(3)]

    async def work(self, who):
        chance = self.chance(who)
        for _ in range(3):
            async with self.lock:
                self.inside += 1
                assert self.inside == 1
                try:
                    await some_turns(chance)
                finally:
                    self.inside -= 1
            await some_turns(chance)

    async def check(self):
        assert not self.lock.locked()
        await self.face.acquire(self.lock)


class OfSemaphore(Scene):
    def cast(self):
        self.semaphore = self.face.make("Semaphore", 2)
        self.inside = 0
        return [self.work(who) for who in range(4)]

    async def work(self, who):
        chance = self.chance(who)
        for _ in range(3):
            async with self.semaphore:
                self.inside += 1
                assert self.inside <= 2
                try:
                    await some_turns(chance)
                finally:
                    self.inside -= 1

    async def check(self):
        for _ in range(2):
            await self.face.acquire(self.semaphore)
        another = asyncio.ensure_future(self.face.acquire(self.semaphore))
        await some_turns(self.chance("nobody"))
        assert not another.done()
        another.cancel()


class OfCondition(Scene):
    """Tokens lie under a condition, and each is announced to one waiter. A swallowed announcement leaves a token behind."""

    TOKENS = 6

    def cast(self):
        self.condition = self.face.make("Condition", self.face.make("Lock"))
        self.tokens = self.made = self.taken = 0
        return [self.take(), self.take(), self.take(), self.make()]

    async def take(self):
        while True:
            async with self.condition:
                while not self.tokens and self.made < self.TOKENS:
                    await self.face.wait(self.condition)
                if not self.tokens:
                    return
                self.tokens -= 1
                self.taken += 1

    async def make(self):
        chance = self.chance("maker")
        while self.made < self.TOKENS:
            await some_turns(chance)
            async with self.condition:
                self.tokens += 1
                self.made += 1
                self.condition.notify()
            # only when it has been taken comes the next one
            turns = 0
            while self.tokens:
                await asyncio.sleep(0)
                turns += 1
                assert turns < FOR_EVER, "nobody was told of the token"
        async with self.condition:
            self.condition.notify_all()

    async def check(self):
        assert self.taken == self.made == self.TOKENS and not self.tokens
        async with self.condition:
            pass


class OfQueue(Scene):
    """Three put and three get. Where one is cancelled, somebody else does the rest of its work, so that the others come to their end."""

    ITEMS = 5

    def cast(self):
        self.queue = self.face.make("Queue", 2)
        self.sent, self.got = [], []
        self.left = self.ITEMS  # for the one that may be cancelled
        return self.order([self.get(who) for who in range(3)], [self.put(who) for who in range(3)]) + [self.help_out()]

    async def get(self, who):
        chance = self.chance(who)
        for _ in range(self.ITEMS):
            await some_turns(chance)
            item = await self.face.get(self.queue)
            self.got.append(item)
            self.did("getters", who)

    async def put(self, who):
        chance = self.chance(-who)
        for number in range(self.ITEMS):
            await some_turns(chance)
            await self.face.put(self.queue, (number, who))
            self.sent.append((number, who))
            self.did("putters", who)

    def did(self, which, who):
        self.left -= which == self.struck and who == 0

    async def help_out(self):
        while not self.victim.done():
            await asyncio.sleep(0)
        while self.left:
            with suppress(asyncio.QueueEmpty, asyncio.QueueFull, queue.Empty, queue.Full):
                self.do_one()
                self.left -= 1
            await asyncio.sleep(0)

    async def check(self):
        assert sorted(map(str, self.got)) == sorted(map(str, self.sent))
        assert self.queue.empty()
        for number in range(2):  # no room was lost
            self.queue.put_nowait(number)
        for who in range(3):
            numbers = [number for number, putter in self.got if putter == who]
            assert numbers == sorted(numbers)


class OfGetters(OfQueue):
    struck = "getters"

    def order(self, getters, putters):
        return getters + putters

    def do_one(self):
        self.got.append(self.queue.get_nowait())


class OfPutters(OfQueue):
    struck = "putters"

    def order(self, getters, putters):
        return putters + getters

    def do_one(self):
        item = (self.left, "in its place")
        self.queue.put_nowait(item)
        self.sent.append(item)


SCENES = {"Lock": OfLock, "Semaphore": OfSemaphore, "Condition": OfCondition, "Queue, getting": OfGetters, "Queue, putting": OfPutters}


def played(scene, at, later):
    """Plays a scene once. Whether the victim had so many awaits."""

    async def main():
        first, *others = scene.cast()
        struck = Struck(first, at, later)
        scene.victim = asyncio.ensure_future(struck.run())
        tasks = [scene.victim, *map(asyncio.ensure_future, others)]
        for _ in range(FOR_EVER):
            if all(task.done() for task in tasks):
                break
            await asyncio.sleep(0)
        else:
            raise AssertionError(f"lost something: {tasks}")
        for task in tasks:
            if not task.cancelled():
                task.result()
        await scene.check()
        return struck.reached

    return main()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scene", SCENES)
def test_at_every_await(side, scene, seed):
    face, factory = side

    async def main():
        for later in LATER:
            at = 0
            while await played(SCENES[scene](face, seed), at, later):
                at += 1
            assert at >= 2

    on_loop(factory, main)
