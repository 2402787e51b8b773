"""Threads, tasks of several loops and greenlets at one primitive, all at once.

Half of them give up, by a tiny time-out or by being cancelled; the others wait without limit. All is counted at the end, and those
that wait without limit have come to theirs. When who gives up is decided by seeds.
"""

import asyncio
import itertools
import random

import plait
import pytest
from crowds import in_threads
from homes import HAS_GREENLETS
from steps import GAVE_UP, acall, aperform, call, perform, raced, step

TINY = 0.0005
THREADS = GREENLETS = 4
TASKS = 5
STEPS = 200


class Member:
    """One of the crowd. Its script yields a method, its arguments, and whether it may give up; it is sent what came of the wait."""

    def __init__(self, seed, number, body):
        self.chance = random.Random(f"{seed} {number}")
        self.patient = number % 2 == 0
        self.number = number
        self.script = body(self)

    def block(self):
        """Performs the script in a thread or a greenlet."""
        return perform(self.script, self.step)

    def step(self, wanted):
        hasty = wanted.raced and not self.patient
        return call(wanted, self.chance.uniform(0, TINY) if hasty else None)

    async def run(self):
        """Performs it in a task."""
        return await aperform(self.script, self.astep)

    async def astep(self, wanted):
        """Gives up by one of asyncio's time-outs, or is cancelled from outside."""
        if self.patient or not wanted.raced:
            return await acall(wanted, None)
        if self.chance.random() < 0.5:
            return await acall(wanted, self.chance.uniform(0, TINY))
        waiting = asyncio.ensure_future(acall(wanted, None))
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        waiting.cancel()
        try:
            return await waiting
        except asyncio.CancelledError:
            return GAVE_UP


def everybody(seed, body):
    """The whole crowd performs the body's scripts; what they returned."""
    numbers = itertools.count()

    def member():
        return Member(seed, next(numbers), body)

    async def many(members):
        return await asyncio.gather(*(member.run() for member in members))

    def on_loop(factory, members):
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(many(members))

    def at_hub(members, tasks):
        from plait._hub import Hub

        results = []
        with Hub() as hub:
            for each in members:
                hub.spawn(lambda each=each: results.append(each.block()))
            together = [hub.loop.create_task(each.run()) for each in tasks]

            def until_tasks_are_done():
                # a greenlet of the hub keeps it running until its tasks are done, too
                done = plait.Semaphore(0)
                for task in together:
                    task.add_done_callback(lambda _: done.release())
                for _ in together:
                    done.acquire()

            hub.spawn(until_tasks_are_done)
            hub.run()
        return results + [task.result() for task in together]

    bodies = [lambda each=member(): [each.block()] for _ in range(THREADS)]
    for factory in (plait.new_event_loop, asyncio.SelectorEventLoop, plait.new_event_loop):
        bodies.append(lambda factory=factory, members=[member() for _ in range(TASKS)]: on_loop(factory, members))
    if HAS_GREENLETS:
        for _ in range(2):
            crowd = [member() for _ in range(GREENLETS)], [member() for _ in range(TASKS)]
            bodies.append(lambda crowd=crowd: at_hub(*crowd))
    return list(itertools.chain.from_iterable(in_threads(bodies)))


@pytest.fixture(params=range(3))
def seed(request):
    return request.param


def test_lock(seed):
    lock = plait.Lock()
    shared = [0]

    def body(member):
        got = 0
        for _ in range(STEPS):
            if (yield raced(lock.acquire)) is not GAVE_UP:
                seen = shared[0]
                got += 1
                shared[0] = seen + 1
                lock.release()
        return got

    assert sum(everybody(seed, body)) == shared[0] > 0
    assert not lock.locked() and lock._waiting == 0


def test_semaphore(seed):
    semaphore = plait.BoundedSemaphore(3)
    inside, most = set(), []

    def body(member):
        got = 0
        for _ in range(STEPS):
            if (yield raced(semaphore.acquire)) is not GAVE_UP:
                inside.add(member.number)
                most.append(len(inside))
                inside.discard(member.number)
                got += 1
                semaphore.release()
        return got

    assert sum(everybody(seed, body)) == len(most) > 0
    assert max(most) <= 3 and semaphore.value == 3 and semaphore._waiting == 0


def test_condition(seed):
    """A token under the condition goes round: who takes it brings it back, and tells one other."""
    condition = plait.Condition(plait.Lock())
    tokens = [1]

    def body(member):
        taken = 0
        for _ in range(STEPS // 2):
            yield condition.acquire
            outcome = None
            while not tokens and outcome is not GAVE_UP:
                outcome = yield raced(condition.wait)
            took = tokens.pop() if tokens and outcome is not GAVE_UP else 0
            condition.release()
            if took:
                taken += took
                yield condition.acquire
                tokens.append(took)
                condition.notify()
                condition.release()
        return taken

    assert sum(everybody(seed, body)) > 0
    assert tokens == [1] and condition._waiting == 0


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
@pytest.mark.parametrize("maxsize", [0, 3])
def test_items_that_go_round(kind, maxsize, seed):
    """Three items for all: who gets one puts it back."""
    some = getattr(plait, kind)(maxsize)
    for item in range(3):
        some.put(item)

    def body(member):
        got = 0
        for _ in range(STEPS):
            item = yield raced(some.get)
            if item is not GAVE_UP:
                got += 1
                yield step(some.put, item)
        return got

    assert sum(everybody(seed, body)) > 0
    assert sorted(some.get_nowait() for _ in range(some.qsize())) == [0, 1, 2]
    assert some._waiting == 0


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
def test_places_that_go_round(kind, seed):
    """A queue with one free place: who puts something gets something out."""
    some = getattr(plait, kind)(4)
    first = [(-1, number) for number in range(3)]
    for item in first:
        some.put(item)

    def body(member):
        sent, got = [], []
        for number in range(STEPS):
            item = (number, member.number)
            if (yield raced(some.put, item)) is not GAVE_UP:
                sent.append(item)
                got.append((yield some.get))
        return sent, got

    results = everybody(seed, body)
    sent = [item for sent, _ in results for item in sent]
    got = [item for _, got in results for item in got]
    got += [some.get_nowait() for _ in range(3)]
    assert sorted(got) == sorted(first + sent) and some.empty()
    assert some._waiting == 0
