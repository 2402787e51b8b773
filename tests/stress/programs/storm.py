"""A storm of signals whose handler raises, over a main thread that waits. What it was handed when it was interrupted is not lost.

Whether a call returned or raised has to be told exactly, but a handler may also run between the call's return and the next line.
Hence ``take``: it is in C code from the call to the list, where no handler runs. What the call returned is in the list, or else
it raised.
"""

import signal
import sys
import threading
from contextlib import suppress

import limits
from faces import make, until

INTERRUPTS = 200
EVERY = 0.0007


class Struck(Exception):
    pass


struck = 0


def take(method, into, *arguments):
    into.extend(map(method, *([argument] for argument in arguments or (True,))))


def strike(_, frame):
    """Only within ``take``: the rest of the program need not stand being left anywhere."""
    global struck
    if frame.f_code is take.__code__:
        struck += 1
        raise Struck


def stormy(attempt):
    """Attempts again and again, while the storm lasts."""
    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
    while struck < INTERRUPTS:
        with suppress(Struck):
            attempt()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)


def in_background(body):
    """Does it until it is told to stop; the number of times."""
    done, stop = [], threading.Event()

    def run():
        while not stop.is_set():
            body(len(done))
            done.append(1)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def end():
        stop.set()
        thread.join(limits.SECONDS / 2)
        assert not thread.is_alive()
        return len(done)

    return end


def storm_on_acquire(kind):
    """A thread releases, one permit at a time; the main thread acquires."""
    primitive = make(kind, 0) if kind == "Semaphore" else make(kind)
    if kind == "Lock":
        primitive.acquire()
    got, given = [], []

    def give(_):
        until(lambda: struck >= INTERRUPTS or (kind == "Semaphore" or len(got) == len(given)) and primitive._waiting)
        if struck < INTERRUPTS:
            given.append(1)
            primitive.release()

    end = in_background(give)
    stormy(lambda: take(primitive.acquire, got))
    end()
    left = 0
    while primitive.acquire(False):
        left += 1
    assert got and len(got) + left == len(given), (len(got), left, len(given))
    assert primitive._waiting == 0


def storm_on_get(kind):
    """A thread puts numbers, the main thread gets them: each once, and of a first-in-first-out queue in order."""
    queue = make(kind, 2)
    got, last = [], []

    def put(number):
        queue.put(number)
        last.append(number)

    end = in_background(put)
    stormy(lambda: take(queue.get, got))
    stopping = threading.Thread(target=end, daemon=True)
    stopping.start()
    while stopping.is_alive() or not queue.empty():
        if not queue.empty():
            got.append(queue.get())
    assert sorted(got) == last, (len(got), len(last))
    assert kind != "Queue" or got == last
    assert queue._waiting == 0


def storm_on_put(kind):
    """The main thread puts 0, 1, 2 … and goes on to the next number only when put returned; a thread gets each of them once."""
    queue = make(kind.split()[1], 1)
    put, got = [], []

    def get():
        while (number := queue.get()) >= 0:
            got.append(number)

    thread = threading.Thread(target=get, daemon=True)
    thread.start()
    stormy(lambda: take(queue.put, put, len(put)))
    until(queue.empty)
    queue.put(-1)
    thread.join(limits.SECONDS / 2)
    assert got == list(range(len(put))) and got, (len(got), len(put))
    assert queue.empty() and queue._waiting == 0


def storm_on_wait(kind):
    """Nothing comes, or for all: the waits end by the signal, and nobody is left behind in the queue."""
    event, seen = make(kind), []
    stormy(lambda: take(event.wait, seen, None))
    assert seen == [] and event._waiting == 0
    event.set()
    assert event.wait() is True


def storm_on_condition(kind):
    """Each interrupted wait has the lock again, at the depth at which it was held."""
    condition = make(kind)
    seen = []

    def attempt():
        with condition:
            with condition:
                with suppress(Struck):
                    take(condition.wait, seen, None)
                condition.notify_all()  # would be refused without the lock

    stormy(attempt)
    assert seen == [] and condition._waiting == 0
    thread = threading.Thread(target=lambda: [condition.acquire(), seen.append(True), condition.release()], daemon=True)
    thread.start()
    thread.join(limits.SECONDS / 2)
    assert seen == [True], "the lock was left locked"


def storm_on_barrier(kind):
    """An interrupted party was never there; the one that waits with it goes on waiting."""
    barrier, numbers, others = make(kind, 3), [], []
    threads = [threading.Thread(target=lambda: others.append(barrier.wait()), daemon=True) for _ in range(2)]
    threads[0].start()
    stormy(lambda: take(barrier.wait, numbers, None))
    assert numbers == others == [] and barrier.n_waiting == barrier._waiting == 1 and not barrier.broken
    threads[1].start()
    take(barrier.wait, numbers, None)
    for thread in threads:
        thread.join(limits.SECONDS / 2)
    assert sorted(numbers + others) == [0, 1, 2] and barrier.n_waiting == 0


def helpful_storm(wait, serve):
    """The handler does not raise: it serves the main thread, which waits below it on the stack, and nobody else is there to do so.

    The timer goes on, for the sake of a signal that comes after Python has looked for signals and before the thread sleeps.
    """
    waits, served = [], []

    def help_out(*_):
        if len(served) < len(waits):
            served.append(1)
            serve(len(served))

    signal.signal(signal.SIGALRM, help_out)
    signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
    for number in range(INTERRUPTS):
        waits.append(number)
        wait()
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(served) == INTERRUPTS


def helpful_storm_on_semaphore(_):
    semaphore = make("Semaphore", 0)
    helpful_storm(semaphore.acquire, lambda _: semaphore.release())
    assert not semaphore.acquire(False)


def helpful_storm_on_queue(_):
    queue = make("Queue")
    got = []
    helpful_storm(lambda: got.append(queue.get()), queue.put)
    assert got == list(range(1, INTERRUPTS + 1))


def helpful_storm_on_event(_):
    event = make("Event")
    helpful_storm(lambda: [event.wait(), event.clear()], lambda _: event.set())


STORMS = {
    "Lock": storm_on_acquire,
    "Semaphore": storm_on_acquire,
    "Queue": storm_on_get,
    "LifoQueue": storm_on_get,
    "PriorityQueue": storm_on_get,
    "Event": storm_on_wait,
    "Condition": storm_on_condition,
    "Barrier": storm_on_barrier,
    "full Queue": storm_on_put,
    "full LifoQueue": storm_on_put,
    "full PriorityQueue": storm_on_put,
    "helpful: Semaphore": helpful_storm_on_semaphore,
    "helpful: Queue": helpful_storm_on_queue,
    "helpful: Event": helpful_storm_on_event,
}

for name in sys.argv[2:]:
    struck = 0
    STORMS[name](name)
    print(name)
