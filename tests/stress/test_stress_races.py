"""Threads whose time-outs are as short as the waits: time-out and wake-up come at the same moment, again and again; all is counted."""

import queue
import random
from threading import BrokenBarrierError

import pytest
from crowds import THREAD_SIDES, in_threads
from strands import until

# The longest time-out, in seconds: about a switch between two threads.
TINY = 0.0005


@pytest.fixture(params=THREAD_SIDES)
def face(request):
    return THREAD_SIDES[request.param]


@pytest.mark.parametrize("kind", ["Semaphore", "BoundedSemaphore"])
def test_permits(face, kind):
    permits, inside = 3, []
    semaphore = getattr(face, kind)(permits)
    most = []

    def visit(who):
        chance = random.Random(who)
        got = 0
        for _ in range(300):
            if semaphore.acquire(timeout=chance.uniform(0, TINY)):
                inside.append(who)
                most.append(len(inside))
                inside.remove(who)
                got += 1
                semaphore.release()
        return got

    got = in_threads([lambda who=who: visit(who) for who in range(8)])
    assert max(most) <= permits and sum(got) == len(most) > 0
    assert [semaphore.acquire(False) for _ in range(permits + 1)] == [True] * permits + [False]
    assert semaphore._waiting == 0


def test_permits_that_are_released_one_by_one(face):
    """Every wait is on an empty semaphore, so every permit meets somebody who is about to give up."""
    semaphore = face.Semaphore(0)
    total = 1000
    released = []

    def take(who):
        chance = random.Random(who)
        got = 0
        while len(released) < total:
            got += semaphore.acquire(timeout=chance.uniform(0, TINY))
        return got

    def give():
        for number in range(total):
            until(lambda: semaphore._waiting)
            semaphore.release()
            released.append(number)

    got = in_threads([give, *(lambda who=who: take(who) for who in range(4))])[1:]
    left = 0
    while semaphore.acquire(False):
        left += 1
    assert sum(got) + left == total and semaphore._waiting == 0


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_locks(kind):
    lock = getattr(THREAD_SIDES["plait"], kind)()
    shared = [0]

    def count(who):
        chance = random.Random(who)
        got = 0
        for _ in range(300):
            if lock.acquire(timeout=chance.uniform(0, TINY)):
                seen = shared[0]
                got += 1
                shared[0] = seen + 1
                lock.release()
        return got

    assert sum(in_threads([lambda who=who: count(who) for who in range(8)])) == shared[0] > 0
    assert not lock.locked() and lock._waiting == 0


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
@pytest.mark.parametrize("maxsize", [0, 1, 5])
def test_items(face, kind, maxsize):
    """What was put without Full comes out once; what met with Full does not come out."""
    some = getattr(face, kind)(maxsize)
    done = []

    def produce(who):
        chance = random.Random(who)
        sent = []
        for number in range(200):
            try:
                some.put((number, who), timeout=chance.uniform(0, TINY))
            except queue.Full:
                pass
            else:
                sent.append((number, who))
        done.append(who)
        return sent

    def consume(who):
        chance = random.Random(-who)
        got = []
        while len(done) < 4 or some.qsize():
            try:
                got.append(some.get(timeout=chance.uniform(0, TINY)))
            except queue.Empty:
                pass
        return got

    outcomes = in_threads([lambda who=who: produce(who) for who in range(4)] + [lambda who=who: consume(who) for who in range(1, 5)])
    sent, batches = sum(outcomes[:4], []), outcomes[4:]
    assert sorted(sum(batches, [])) == sorted(sent) and sent
    assert some.empty() and some._waiting == 0
    assert some.unfinished_tasks == len(sent)
    if kind == "Queue":
        for batch in batches:
            for who in range(4):
                numbers = [number for number, producer in batch if producer == who]
                assert numbers == sorted(numbers)


def test_notifications(face):
    """Each token is announced to one waiter. The hasty give up all the time and only look when they were told; one that swallows what it
    was told leaves a token behind, and the patient waiting."""
    condition = face.Condition()
    tokens, taken, total = [], [], 400

    def take():
        while len(taken) < total:
            with condition:
                while not tokens and len(taken) < total:
                    condition.wait()
                if tokens:
                    taken.append(tokens.pop())
        with condition:
            condition.notify_all()

    def take_hastily(who):
        chance = random.Random(who)
        while len(taken) < total:
            with condition:
                if condition.wait(chance.uniform(0, TINY)) and tokens:
                    taken.append(tokens.pop())
        with condition:
            condition.notify_all()

    def make():
        for number in range(total):
            with condition:
                tokens.append(number)
                condition.notify()
            until(lambda: not tokens, "a token was announced, and nobody came for it")

    in_threads([make, take, take, *(lambda who=who: take_hastily(who) for who in range(3))])
    assert taken == list(range(total)) and condition._waiting == 0


def test_events(face):
    """Whoever waits sees each event in the end, and at once if it was set before."""
    events = [face.Event() for _ in range(300)]
    arrived = [[] for _ in events]

    def wait(who):
        chance = random.Random(who)
        for event, here in zip(events, arrived, strict=True):
            if who % 2:
                assert event.wait() is True
            else:
                was_set = event.is_set()
                while not event.wait(chance.uniform(0, TINY)):
                    assert not was_set
                    was_set = event.is_set()
            here.append(who)

    def tell():
        for event, here in zip(events, arrived, strict=True):
            event.set()
            until(lambda: len(here) == 4, "somebody never saw the event")

    in_threads([tell, *(lambda who=who: wait(who) for who in range(4))])
    assert not any(event._waiting for event in events)


def test_barriers(face):
    """Of one generation all go through, each with its own number, or all are sent away."""
    parties, rounds = 4, 150
    barriers = [face.Barrier(parties) for _ in range(rounds)]
    outcomes = [[] for _ in range(rounds)]

    def meet(who):
        chance = random.Random(who)
        for barrier, met in zip(barriers, outcomes, strict=True):
            try:
                met.append(barrier.wait(chance.uniform(0, 4 * TINY)))
            except BrokenBarrierError:
                met.append("broken")
            until(lambda: len(met) == parties)

    in_threads([lambda who=who: meet(who) for who in range(parties)])
    for barrier, met in zip(barriers, outcomes, strict=True):
        if barrier.broken:
            assert met == ["broken"] * parties
        else:
            assert sorted(met) == list(range(parties))
        assert barrier.n_waiting == 0
