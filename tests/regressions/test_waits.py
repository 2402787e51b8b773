"""Waits, and the primitives they are at: defects that were found once, each with the test that fails when it comes back."""

import contextlib
import queue
import resource
import signal
import subprocess
import sys
import threading
import time

import plait
import plait.queue
import plait.threading
import pytest

LIMIT = 30
has_shutdown = pytest.mark.skipif(not hasattr(queue.Queue, "shutdown"), reason="shutdown came with 3.13")


def started(target, *arguments):
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def until(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.001)


def test_a_wait_inside_a_wait_leaves_the_outer_ones_wake_up_alone():
    """A condition's own lock waited in `release`, and took the notification for its own wake-up: the outer wait slept on."""
    inner, released = plait.threading.Event(), threading.Event()

    class Lock:
        def __init__(self):
            self.lock = threading.Lock()
            self.acquire = self.lock.acquire

        def release(self):
            self.lock.release()
            if threading.current_thread() is waiting:
                released.set()
                inner.wait(LIMIT)

        def __enter__(self):
            return self.acquire()

        def __exit__(self, *exception):
            self.release()

    condition = plait.threading.Condition(Lock())
    woken = []

    def wait():
        with condition:
            woken.append(condition.wait(LIMIT))

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert released.wait(LIMIT)
    with condition:
        condition.notify()
    begun = time.monotonic()
    inner.set()
    waiting.join(2 * LIMIT)
    assert woken == [True] and time.monotonic() - begun < LIMIT / 2


def test_a_signal_handler_that_waits_leaves_the_outer_waits_wake_up_alone():
    event, inner = plait.threading.Event(), plait.threading.Event()

    def handler(*_):
        event.set()
        started(inner.set)
        assert inner.wait(LIMIT)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        begun = time.monotonic()
        assert event.wait(LIMIT) and time.monotonic() - begun < LIMIT / 2
    finally:
        signal.signal(signal.SIGALRM, before)


class Slow:
    """An item whose comparison can be held up."""

    def __init__(self, number, entered=None, go_on=None):
        self.number, self.entered, self.go_on = number, entered, go_on

    def __lt__(self, other):
        for each in (self, other):
            if each.entered is not None and not each.go_on.is_set():
                each.entered.set()
                each.go_on.wait(LIMIT)
        return self.number < other.number


@pytest.fixture
def busy():
    """A queue with item 1, into which item 2 is just being put; and how that goes on."""
    q, entered, go_on = plait.queue.PriorityQueue(), threading.Event(), threading.Event()
    q.put(Slow(1))
    putting = started(q.put, Slow(2, entered, go_on))
    assert entered.wait(LIMIT)
    yield q, go_on
    go_on.set()
    putting.join(LIMIT)


def waits_for_the_heap(q, *others):
    """Until each stands in line for the comparison to end. (There is nothing to see of that.)"""
    time.sleep(0.05)
    assert all(other.is_alive() for other in others)


def test_a_priority_queue_is_opened_while_a_get_waits_for_its_turn(busy):
    """The item came out twice."""
    q, go_on = busy
    got = []
    opening = started(lambda: q.mutex)
    waits_for_the_heap(q, opening)
    getting = started(lambda: got.append(q.get(timeout=LIMIT).number))
    waits_for_the_heap(q, opening, getting)
    go_on.set()
    getting.join(LIMIT)
    assert got == [1] and [q.get_nowait().number for _ in range(q.qsize())] == [2]


def test_a_priority_queue_is_opened_while_a_put_waits_for_its_turn(busy):
    """The item stayed where nobody looked for it."""
    q, go_on = busy
    opening = started(lambda: q.mutex)
    waits_for_the_heap(q, opening)
    putting = started(q.put, Slow(0))
    waits_for_the_heap(q, opening, putting)
    go_on.set()
    putting.join(LIMIT)
    assert [q.get_nowait().number for _ in range(q.qsize())] == [0, 1, 2]


@has_shutdown
def test_a_priority_queue_is_shut_down_while_a_put_waits_for_its_turn(busy):
    """It was let through afterwards, and `join` waited for its item for ever."""
    q, go_on = busy
    refused = threading.Event()

    def put():
        try:
            q.put(Slow(0))
        except queue.ShutDown:
            refused.set()

    stopping = started(q.shutdown, True)
    waits_for_the_heap(q, stopping)
    putting = started(put)
    waits_for_the_heap(q, stopping, putting)
    go_on.set()
    putting.join(LIMIT)
    assert refused.is_set() and (q.qsize(), q.unfinished_tasks) == (0, 0)
    q.join()


@pytest.mark.parametrize("make", [plait.queue.PriorityQueue, plait.asyncio.PriorityQueue])
def test_an_opened_priority_queue_keeps_nothing_back(make):
    import gc
    import weakref

    class Item:
        def __lt__(self, other):
            return False

    q = make()
    item = Item()
    q.put_nowait(item)
    assert len(q.queue if hasattr(q, "mutex") else q._queue) == 1
    gone = weakref.ref(item)
    del item
    q.get_nowait()
    gc.collect()
    assert gone() is None


def test_a_barriers_time_out_begins_inside():
    """One that came while the others acted was out of time at the door, and broke the barrier as it came in."""
    acting, go_on = threading.Event(), threading.Event()

    def act():
        if not acting.is_set():
            acting.set()
            go_on.wait(LIMIT)

    barrier = plait.threading.Barrier(2, act)
    first = [started(barrier.wait) for _ in range(2)]
    assert acting.wait(LIMIT)
    numbers = []
    late = started(lambda: numbers.append(barrier.wait(0.2)))
    time.sleep(0.3)
    go_on.set()
    for thread in first:
        thread.join(LIMIT)
    with contextlib.suppress(threading.BrokenBarrierError):
        numbers.append(barrier.wait(LIMIT))
    late.join(LIMIT)
    assert sorted(numbers) == [0, 1] and not barrier.broken


def test_a_hubs_timer_that_is_due_with_the_wake_up_does_not_end_the_next_wait():
    """`lock.acquire()` without a time-out returned False."""
    pytest.importorskip("greenlet")
    from plait._hub import Hub

    event, lock = plait.Event(), plait.Lock()
    lock.acquire()
    seen = []

    def body():
        seen.append(event.wait(0.05))
        seen.append(lock.acquire())

    hub = Hub()
    try:
        hub.spawn(body)

        def both_at_once():
            time.sleep(0.1)  # the time-out is due when this turn ends, and so is the wake-up
            event.set()
            hub.loop.call_later(0.05, lock.release)

        hub.loop.call_later(0.01, both_at_once)
        hub.run()
    finally:
        hub.close()
    assert seen[1] is True


def test_one_slow_opening_does_not_hold_up_another():
    entered, go_on = threading.Event(), threading.Event()

    class SlowQueue(plait.queue.Queue):
        def _init(self, maxsize):
            entered.set()
            go_on.wait(LIMIT)
            super()._init(maxsize)

    slow = started(SlowQueue)
    assert entered.wait(LIMIT)
    opened = started(lambda: plait.queue.Queue().mutex)
    opened.join(LIMIT)
    assert not opened.is_alive() and slow.is_alive()
    go_on.set()
    slow.join(LIMIT)


@pytest.mark.parametrize("kind", ["threads", "tasks", "futures"])
def test_long_chains_are_let_go(kind):
    """The stack ended: each link let the next one go from within its own deallocator."""
    link = None
    loop = plait.new_event_loop()
    try:
        for _ in range(100_000):
            if kind == "futures":
                fresh = loop.create_future()
                fresh.set_result(link)
            else:
                fresh = plait.queue.Queue() if kind == "threads" else plait.asyncio.Queue()
                fresh.put_nowait(link)
            link = fresh
        del fresh
        del link
    finally:
        loop.close()


def test_a_fork_while_another_thread_waits_for_the_first_time():
    """The child waited for ever for an answer that the other thread was just asking the kernel for."""
    program = """
import os, sys, threading
import plait.threading
event = plait.threading.Event()
threading.Thread(target=event.wait, args=(10,), daemon=True).start()
child = os.fork()
if child == 0:
    plait.threading.Event().wait(0.01)
    os._exit(0)
event.set()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    for _ in range(30):
        subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=30)


@pytest.mark.parametrize("timeout", [0, -1])
def test_to_wait_for_no_time_is_not_to_sleep(timeout):
    """A sleep of no time ends when the kernel's timer says so: 60 µs later, and a hundred times that on a busy machine."""
    condition, event, queue = plait.threading.Condition(), plait.threading.Event(), plait.queue.Queue()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    for _ in range(500):
        with condition:
            assert not condition.wait(timeout)
        assert not event.wait(timeout)
        with pytest.raises(ValueError if timeout < 0 else plait.queue.Empty):
            queue.get(True, timeout)
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before < 100
