"""Two hundred threads, or twenty loops, at one primitive."""

import asyncio
import gc
import itertools
from collections import Counter

import plait
import pytest
from crowds import THREAD_SIDES, UNIVERSAL, in_threads, parked
from strands import until

THREADS = 200
LOOPS = 20
TASKS = 10


@pytest.fixture(params=THREAD_SIDES)
def face(request):
    return THREAD_SIDES[request.param]


# --- threads


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_threads_at_a_lock(kind):
    lock = getattr(plait, kind)()
    shared = [0]

    def count():
        for _ in range(20):
            with lock:
                seen = shared[0]
                shared[0] = seen + 1

    in_threads([count] * THREADS)
    assert shared == [20 * THREADS] and not lock.locked() and lock._waiting == 0


@pytest.mark.parametrize("kind", ["Semaphore", "BoundedSemaphore"])
def test_threads_at_a_semaphore(face, kind):
    semaphore = getattr(face, kind)(7)
    inside, most = set(), []

    def visit(who):
        for _ in range(20):
            with semaphore:
                inside.add(who)
                most.append(len(inside))
                inside.discard(who)

    in_threads([lambda who=who: visit(who) for who in range(THREADS)])
    assert len(most) == 20 * THREADS and max(most) <= 7
    assert [semaphore.acquire(False) for _ in range(8)] == [True] * 7 + [False]


def test_threads_at_an_event(face):
    event = face.Event()
    assert in_threads([event.wait] * THREADS, lambda: [parked(event, THREADS), event.set(), event.clear()]) == [True] * THREADS
    assert event._waiting == 0 and not event.is_set()


def test_threads_at_a_condition(face):
    """They leave in the order of their numbers, and each lets the next one go."""
    condition = face.Condition()
    left = []

    def leave(who):
        with condition:
            condition.wait_for(lambda: len(left) == who)
            left.append(who)
            condition.notify_all()

    in_threads([lambda who=who: leave(who) for who in reversed(range(THREADS))])
    assert left == list(range(THREADS)) and condition._waiting == 0


def test_exact_notifications(face):
    condition = face.Condition()
    woken = []

    def wait():
        with condition:
            woken.append(condition.wait())

    def tell():
        parked(condition, THREADS)
        told = 0
        for count in (1, 2, 30, 100, 1000):
            with condition:
                condition.notify(count)
            told = min(told + count, THREADS)
            until(lambda: len(woken) == told)
            assert condition._waiting == THREADS - told

    in_threads([wait] * THREADS, tell)
    assert woken == [True] * THREADS


def test_threads_at_a_barrier(face):
    barrier = face.Barrier(THREADS)
    numbers = in_threads([lambda: [barrier.wait() for _ in range(5)]] * THREADS)
    assert [sorted(generation) for generation in zip(*numbers, strict=True)] == [list(range(THREADS))] * 5
    assert barrier.n_waiting == 0 and not barrier.broken


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
@pytest.mark.parametrize("maxsize", [0, 1, 50])
def test_threads_at_a_queue(face, kind, maxsize):
    """Half of them put, half of them get, and one waits until all is done."""
    queue = getattr(face, kind)(maxsize)
    half, items = THREADS // 2, 20

    def put(who):
        for number in range(items):
            queue.put((number, who))

    def get():
        got = []
        for _ in range(items):
            got.append(queue.get())
            queue.task_done()
        return got

    outcomes = in_threads([lambda who=who: put(who) for who in range(half)] + [get] * half)
    queue.join()
    got = list(itertools.chain.from_iterable(outcomes[half:]))
    assert sorted(got) == [(number, who) for number in range(items) for who in range(half)]
    assert queue.empty() and queue._waiting == 0 and queue.unfinished_tasks == 0


# --- loops


def on_loops(work):
    """Runs tasks on plait's loops and on stock ones, each in a thread of its own; what they returned."""

    async def main(number):
        return await asyncio.gather(*(work(number * TASKS + task) for task in range(TASKS)))

    factories = [plait.new_event_loop, asyncio.SelectorEventLoop]

    def run(number):
        with asyncio.Runner(loop_factory=factories[number % 2]) as runner:
            return runner.run(main(number))

    return list(itertools.chain.from_iterable(in_threads([lambda number=number: run(number) for number in range(LOOPS)])))


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_loops_at_a_lock(kind):
    lock = getattr(plait, kind)()
    shared = [0]

    async def count(_):
        for _ in range(10):
            async with lock:
                seen = shared[0]
                await asyncio.sleep(0)
                shared[0] = seen + 1

    on_loops(count)
    assert shared == [10 * LOOPS * TASKS] and not lock.locked() and lock._waiting == 0


def test_loops_at_a_semaphore():
    semaphore = plait.Semaphore(7)
    inside, most = set(), []

    async def visit(who):
        for _ in range(10):
            async with semaphore:
                inside.add(who)
                most.append(len(inside))
                await asyncio.sleep(0)
                inside.discard(who)

    on_loops(visit)
    assert max(most) <= 7 and semaphore.value == 7 and semaphore._waiting == 0


def test_loops_at_a_barrier():
    barrier = plait.Barrier(LOOPS * TASKS)

    async def meet(_):
        return [await barrier.await_() for _ in range(5)]

    numbers = on_loops(meet)
    assert [sorted(generation) for generation in zip(*numbers, strict=True)] == [list(range(LOOPS * TASKS))] * 5


def test_loops_at_a_condition():
    condition = plait.Condition()
    left = []

    async def leave(who):
        async with condition:
            await condition.await_for(lambda: len(left) == who)
            left.append(who)
            condition.notify_all()

    on_loops(leave)
    assert left == list(range(LOOPS * TASKS)) and condition._waiting == 0


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
@pytest.mark.parametrize("maxsize", [0, 1, 50])
def test_loops_at_a_queue(kind, maxsize):
    queue = getattr(plait, kind)(maxsize)
    items = 10

    async def work(who):
        got = []
        for number in range(items):
            if who % 2:
                await queue.aput((number, who))
            else:
                got.append(await queue.aget())
        return got

    got = list(itertools.chain.from_iterable(on_loops(work)))
    assert Counter(got) == Counter((number, who) for number in range(items) for who in range(1, LOOPS * TASKS, 2))
    assert queue.empty() and queue._waiting == 0


def test_loops_that_end_while_their_tasks_wait():
    """asyncio.Runner cancels them; those of the other loops are served."""
    lock = plait.Lock()
    lock.acquire()
    served = []

    async def take(who):
        async with lock:
            served.append(who)

    async def leave_early():
        tasks = [asyncio.ensure_future(take("never")) for _ in range(TASKS)]
        await asyncio.sleep(0)
        assert lock._waiting >= TASKS
        del tasks

    async def stay(number):
        await asyncio.gather(*(take(number) for _ in range(TASKS)))

    def run(number):
        with asyncio.Runner(loop_factory=plait.new_event_loop) as runner:
            runner.run(stay(number) if number % 2 else leave_early())

    def meanwhile():
        until(lambda: lock._waiting == LOOPS // 2 * TASKS)
        lock.release()

    in_threads([lambda number=number: run(number) for number in range(LOOPS)], meanwhile)
    assert Counter(served) == {number: TASKS for number in range(1, LOOPS, 2)}
    assert not lock.locked() and lock._waiting == 0


# --- waits that are dropped

DROPPED = {
    "Lock": (lambda: plait.Lock(), lambda lock: lock.acquire(), lambda lock: lock.release(), "acquire"),
    "Semaphore": (lambda: plait.Semaphore(1), lambda some: some.acquire(), lambda some: some.release(), "acquire"),
    "Queue": (lambda: plait.Queue(), lambda queue: None, lambda queue: queue.put(1), "get"),
}


@pytest.mark.parametrize("handed", [False, True], ids=["parked", "handed"])
@pytest.mark.parametrize("kind", DROPPED)
def test_a_coroutine_that_is_closed_while_it_waits(kind, handed):
    """Closed before or after it was handed something: the next one gets it."""
    make, occupy, give, name = DROPPED[kind]
    primitive = make()
    occupy(primitive)

    async def main():
        wait = getattr(UNIVERSAL, name)

        async def waits():
            return await wait(primitive)

        dropped = waits()
        dropped.send(None)  # no task has it: it is parked, and nobody will ever go on with it
        second = asyncio.ensure_future(waits())
        await asyncio.sleep(0)
        assert primitive._waiting == 2
        if handed:
            give(primitive)
            dropped.close()
        else:
            dropped.close()
            assert primitive._waiting == 1
            give(primitive)
        return await second

    assert plait.run(main()) in (True, 1)
    assert primitive._waiting == 0


@pytest.mark.parametrize("handed", [False, True], ids=["parked", "handed"])
@pytest.mark.parametrize("stock", [False, True], ids=["plait", "stock"])
@pytest.mark.parametrize("kind", DROPPED)
def test_a_loop_that_is_closed_with_a_task_that_waits(kind, stock, handed):
    """It will never run again: what it would be handed, or was and could not take any more, goes to the next."""
    make, occupy, give, name = DROPPED[kind]
    primitive = make()
    occupy(primitive)

    async def waits():
        return await getattr(UNIVERSAL, name)(primitive)

    loop = asyncio.SelectorEventLoop() if stock else plait.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # "Task was destroyed but it is pending!"
    task = loop.create_task(waits())
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()
    assert primitive._waiting == 1
    if handed:
        give(primitive)
    loop.close()

    def then():
        nonlocal loop, task
        until(lambda: primitive._waiting == (1 if handed else 2))
        if not handed:
            give(primitive)
        del loop, task
        gc.collect()

    assert in_threads([getattr(primitive, name)], then)[0] in (True, 1)
    assert primitive._waiting == 0
