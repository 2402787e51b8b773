"""The module queue: in one thread, and between two.

In one thread nothing ever waits, which is what a queue costs by itself. `queue_producer_consumer` has room for a
hundred items, so that either side now and then waits for the other. In `queue_two_threads` two threads do what one
does in `queue`, on one queue: with the GIL that shows what it costs to be interrupted, and without it whether two
threads get more through than one.

To look at every item would cost as much as a fast queue does: what came last and what is left behind have to be right.
"""

import queue
from random import Random

from .measuring import Measurement, OnThreads, Pins, measure
from .pairs import together

SEED = 100
ROOM = 100
# An empty priority queue has nothing to order.
WAITING = 10
KEYS = 1 << 30


def queue_one_thread(_: Pins, n: int) -> Measurement:
    items: queue.Queue[int] = queue.Queue()
    last = -1

    def run() -> None:
        nonlocal last
        for i in range(n):
            items.put(i)
            last = items.get()

    measured = measure(n, run)
    _require(items, last == n - 1)
    return measured


def queue_priority(_: Pins, n: int) -> Measurement:
    random = Random(SEED)
    keys = [(random.randrange(KEYS), i) for i in range(WAITING + n)]
    items: queue.PriorityQueue[tuple[int, int]] = queue.PriorityQueue()
    for key in keys[:WAITING]:
        items.put(key)
    got: list[tuple[int, int]] = [(0, 0)] * n

    def run() -> None:
        for i in range(n):
            items.put(keys[WAITING + i])
            got[i] = items.get()

    measured = measure(n, run)
    left = [items.get() for _ in range(WAITING)]
    _require(items, left == sorted(left) and sorted(got + left) == sorted(keys))
    return measured


def queue_producer_consumer(pins: Pins, n: int) -> Measurement:
    items: queue.Queue[int] = queue.Queue(ROOM)
    last = -1

    def produce() -> None:
        for i in range(n):
            items.put(i)

    def consume() -> None:
        nonlocal last
        for _ in range(n):
            last = items.get()

    measured = measure(n, lambda: together(pins, produce, consume))
    _require(items, last == n - 1)
    return measured


def queue_two_threads(pins: Pins, n: int) -> Measurement:
    items: queue.Queue[int] = queue.Queue()

    def put_and_get(size: int) -> None:
        for i in range(size):
            items.put(i)
            items.get()

    half = n // 2
    measured = measure(n, lambda: together(pins, lambda: put_and_get(half), lambda: put_and_get(n - half)))
    _require(items, True)
    return measured


def _require(items: "queue.Queue[int] | queue.Queue[tuple[int, int]]", right: bool) -> None:
    if not right or items.qsize():
        raise RuntimeError(f"wrong data, or some left behind: {items.qsize()} items")


WORKLOADS = (
    OnThreads(
        name="queue",
        group="threads",
        run=queue_one_thread,
        n=200_000,
        per="item",
        about="put into a queue.Queue and got again by one thread",
        uses=("queue.Queue",),
    ),
    OnThreads(
        name="queue_priority",
        group="threads",
        run=queue_priority,
        n=100_000,
        per="item",
        about=f"a (number, item) put into a queue.PriorityQueue of {WAITING} others and the least got, by one thread",
        uses=("queue.PriorityQueue",),
    ),
    OnThreads(
        name="queue_producer_consumer",
        group="threads",
        run=queue_producer_consumer,
        n=100_000,
        per="item",
        about=f"put by one thread and got by another through a queue.Queue({ROOM})",
        beside=("cpu_ns",),
        uses=("queue.Queue",),
    ),
    OnThreads(
        name="queue_two_threads",
        group="threads",
        run=queue_two_threads,
        n=100_000,
        per="item",
        about="put into one queue.Queue and got again by two threads at once",
        beside=("cpu_ns",),
        uses=("queue.Queue",),
    ),
)
