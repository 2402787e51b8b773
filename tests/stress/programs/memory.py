"""How much memory a million operations leave behind, or ten thousand and more where each is a wait.

Prints one line for each kind of operation: its name, and KiB of growth.
"""

import asyncio
import gc
import sys
import threading
import weakref
from queue import Empty, Full

import limits
from faces import make, modules, parked

assert limits.SECONDS  # the watchdog is on
MANY = 1_000_000 if sys.argv[1] == "plait" else 300_000
PAGE_KIB = 4


def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * PAGE_KIB


def uncontended(kind):
    primitive = make(kind)
    take, give = primitive.acquire, primitive.release

    def run(times):
        for _ in range(times):
            take()
            give()

    return run


def set_and_clear(_):
    event = make("Event")

    def run(times):
        for _ in range(times):
            event.set()
            event.wait()
            event.clear()

    return run


def put_and_get(kind):
    queue = make(kind)

    def run(times):
        for number in range(times):
            queue.put(number)
            queue.get()
            queue.task_done()

    return run


def burst(kind):
    """A queue that was long once."""

    def run(times):
        queue = make(kind)
        for number in range(times):
            queue.put(number)
        for _ in range(times):
            queue.get()

    return run


def times_out(kind):
    """Waits that end by their time-outs: each was parked."""
    primitive = make(kind, 2) if kind == "Barrier" else make(kind)
    if kind == "Semaphore":
        primitive.acquire()

    def run(times):
        for _ in range(times // 100):
            if "Queue" in kind:
                try:
                    primitive.get(timeout=0.000001)
                except Empty:
                    pass
            elif kind == "Semaphore":
                primitive.acquire(timeout=0.000001)
            elif kind == "Event":
                primitive.wait(0.000001)
            else:
                with primitive:
                    primitive.wait(0.000001)

    return run


def made_and_dropped(kind):
    """Each in a cycle of its own. Some are looked for afterwards."""

    def run(times):
        looked_for = []
        for number in range(times // 10):
            primitive = make(kind, 2) if kind == "Barrier" else make(kind)
            if "Queue" in kind:
                primitive.put([primitive])
            else:
                primitive.held = primitive
            if number % 100 == 0:
                looked_for.append(weakref.ref(primitive))
        del primitive
        gc.collect()
        assert not any(ref() is not None for ref in looked_for), kind

    return run


def between_threads(_):
    there, back = make("Queue", 1), make("Queue", 1)

    def run(times):
        count = times // 20

        def answer():
            for _ in range(count):
                back.put(there.get())

        thread = threading.Thread(target=answer)
        thread.start()
        for number in range(count):
            there.put(number)
            back.get()
        thread.join()

    return run


def full_and_empty(_):
    queue = make("Queue", 1)

    def run(times):
        for number in range(times // 8):
            try:
                queue.put_nowait(number)
                queue.put_nowait(number)
            except Full:
                queue.get_nowait()

    return run


def cancelled(kind):
    """Tasks that wait and are cancelled, on a plait loop."""
    import plait

    primitive = make(kind)
    if kind in ("Lock", "Semaphore"):
        primitive.acquire()
    wait = {"Lock": "aacquire", "Semaphore": "aacquire", "Event": "await_", "Queue": "aget"}[kind]

    def run(times):
        async def main():
            for _ in range(times // 10_000):
                tasks = [asyncio.ensure_future(getattr(primitive, wait)()) for _ in range(100)]
                await asyncio.sleep(0)
                parked(primitive, 100)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

        plait.run(main())

    return run


def tasks_back_and_forth(_):
    import plait

    def run(times):
        there, back = make("Queue", 1), make("Queue", 1)
        count = times // 20

        async def answer():
            for _ in range(count):
                await back.aput(await there.aget())

        async def main():
            answering = asyncio.ensure_future(answer())
            for number in range(count):
                await there.aput(number)
                assert await back.aget() == number
            await answering

        plait.run(main())

    return run


OPERATIONS = {
    "without waiting": [
        (uncontended, ["Semaphore", "BoundedSemaphore", "Condition", "Lock", "RLock"]),
        (set_and_clear, ["Event"]),
        (put_and_get, ["Queue", "LifoQueue", "PriorityQueue"]),
        (full_and_empty, ["Queue"]),
        (burst, ["Queue", "LifoQueue", "PriorityQueue"]),
    ],
    "waiting": [
        (times_out, ["Semaphore", "Event", "Condition", "Queue"]),
        (between_threads, ["Queue"]),
        (cancelled, ["Lock", "Semaphore", "Event", "Queue"]),
        (tasks_back_and_forth, ["Queue"]),
    ],
    "making": [(made_and_dropped, ["Semaphore", "Event", "Condition", "Barrier", "Queue", "PriorityQueue", "Lock", "RLock"])],
}

for operation, kinds in OPERATIONS[sys.argv[2]]:
    for kind in kinds:
        if len(modules) == 2 and (kind.endswith("Lock") or operation in (cancelled, tasks_back_and_forth)):
            continue  # plait's own alone
        run = operation(kind)
        run(MANY if operation is made_and_dropped else MANY // 10)
        before = resident()
        run(MANY // 5 if operation is burst else MANY)
        print(f"{operation.__name__} {kind}: {resident() - before}", flush=True)
