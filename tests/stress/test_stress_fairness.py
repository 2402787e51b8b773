"""A hot loop that takes and gives back without a pause may overtake a thread that waits, but not for ever. Tasks and greenlets it
never overtakes.

How often it overtakes is counted, from when the other is parked: no clock is asked. The bound for threads is generous, since a woken
thread has to get a processor and the interpreter before it can so much as find out that it came too late; a loop that starves it goes on
to the bound at once.
"""

import asyncio
import sys

import plait
import pytest
from crowds import THREAD_SIDES, in_threads
from homes import HAS_GREENLETS
from strands import until

# So many acquisitions of the hot loop, at most, while one thread waits.
BOUND = 1_000_000
TURNS = 20


@pytest.fixture(autouse=True)
def frequent_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(before)


class Lockable:
    """A thing that one can have, by whichever name its methods go."""

    def __init__(self, primitive, take, give, atake=None):
        self.primitive, self.take, self.give, self.atake = primitive, take, give, atake

    def waiting(self):
        return self.primitive._waiting


def lock(face):
    lock = plait.Lock()
    return Lockable(lock, lock.acquire, lock.release, lock.aacquire)


def rlock(face):
    lock = plait.RLock()
    return Lockable(lock, lock.acquire, lock.release, lock.aacquire)


def semaphore(face):
    semaphore = face.Semaphore(1)
    return Lockable(semaphore, semaphore.acquire, semaphore.release, getattr(semaphore, "aacquire", None))


def queue(face):
    queue = face.Queue()
    queue.put("the only item")
    return Lockable(queue, queue.get, lambda: queue.put("the only item"), getattr(queue, "aget", None))


def full_queue(face):
    queue = face.Queue(1)
    return Lockable(queue, lambda: queue.put("mine"), queue.get, (lambda: queue.aput("mine")) if hasattr(queue, "aput") else None)


THINGS = [lock, rlock, semaphore, queue, full_queue]


def race(thing, waiters, *others):
    """Turn by turn: it takes the thing, sees all others parked, and becomes hot until they had their turn. How often it overtook at most.

    ``others`` are run in threads; they get a list of the turns that have begun, and one to note that they were served.
    """
    begun, served = [], []

    def hot_loop():
        most = 0
        for turn in range(TURNS):
            thing.take()
            begun.append(turn)
            until(lambda: thing.waiting() == waiters)
            thing.give()
            for overtaken in range(BOUND):
                thing.take()
                all_served = len(served) == (turn + 1) * waiters
                thing.give()
                if all_served:
                    break
            else:
                raise AssertionError(f"starved: {thing.primitive!r}")
            most = max(most, overtaken)
        return most

    return in_threads([hot_loop, *(lambda other=other: other(begun, served) for other in others)])[0]


def blocking(thing):
    def wait(begun, served):
        for turn in range(TURNS):
            until(lambda: len(begun) > turn)
            thing.take()
            served.append(turn)
            thing.give()

    return wait


@pytest.mark.parametrize("face", THREAD_SIDES)
@pytest.mark.parametrize("make", THINGS)
def test_a_thread_is_not_starved(make, face):
    thing = make(THREAD_SIDES[face])
    assert race(thing, 1, blocking(thing)) < BOUND


@pytest.mark.parametrize("make", THINGS)
def test_four_threads_are_not_starved(make):
    thing = make(THREAD_SIDES["plait"])
    assert race(thing, 4, *[blocking(thing)] * 4) < BOUND


@pytest.mark.parametrize("factory", [plait.new_event_loop, asyncio.SelectorEventLoop])
@pytest.mark.parametrize("make", THINGS)
def test_a_task_is_not_overtaken(make, factory):
    thing = make(THREAD_SIDES["plait"])

    def wait(begun, served):
        async def main():
            for turn in range(TURNS):
                while len(begun) == turn:
                    await asyncio.sleep(0)
                await thing.atake()
                served.append(turn)
                thing.give()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())

    assert race(thing, 1, wait) == 0


if HAS_GREENLETS:

    @pytest.mark.parametrize("make", THINGS)
    def test_a_greenlet_is_not_overtaken(make):
        from plait._hub import Hub

        thing = make(THREAD_SIDES["plait"])

        def wait(begun, served):
            with Hub() as hub:
                hub.spawn(blocking(thing), begun, served)
                hub.run()

        assert race(thing, 1, wait) == 0


def test_a_condition_does_not_starve_its_lock():
    """A thread that only wants the lock gets it from two that notify each other all the time."""
    condition = plait.Condition()
    turn, count, over = [0], [0], []

    def play(mine):
        while not over:
            with condition:
                condition.wait_for(lambda: turn[0] == mine or over)
                turn[0] = 1 - mine
                count[0] += 1
                if count[0] > BOUND:
                    over.append("starved")
                condition.notify()
        with condition:
            condition.notify_all()

    def want():
        for _ in range(TURNS):
            with condition:
                count[0] = 0
        over.append("had it")

    in_threads([lambda: play(0), lambda: play(1), want])
    assert over[0] == "had it"
