"""Threads wait at each primitive, and the process forks: in the child nobody waits any more, and what they hold is as it was."""

import os
import signal
import sys
import threading

import limits
from faces import make, parked

KINDS = ["Semaphore", "BoundedSemaphore", "Event", "Condition", "Barrier"]
KINDS += ["Queue", "LifoQueue", "PriorityQueue", "full Queue", "joined Queue"]
if sys.argv[1] == "plait":
    KINDS += ["Lock", "RLock"]
WAITERS = 3


def occupied(kind):
    """A primitive at which one has to wait, and how one does."""
    if kind in ("Lock", "RLock"):
        lock = make(kind)
        lock.acquire()
        return lock, lambda: (lock.acquire(), lock.release())
    if kind == "BoundedSemaphore":
        semaphore = make(kind, 2)
        semaphore.acquire(), semaphore.acquire()
        return semaphore, semaphore.acquire
    if kind == "Semaphore":
        return (semaphore := make(kind, 0)), semaphore.acquire
    if kind == "Event":
        return (event := make(kind)), event.wait
    if kind == "Condition":
        return (condition := make(kind)), lambda: [condition.acquire(), condition.wait(), condition.release()]
    if kind == "Barrier":
        return (barrier := make(kind, WAITERS + 1)), barrier.wait
    if kind == "full Queue":
        queue = make("Queue", 2)
        queue.put("first"), queue.put("second")
        return queue, lambda: queue.put("third")
    if kind == "joined Queue":
        queue = make("Queue")
        queue.put("item")
        return queue, queue.join
    return (queue := make(kind)), queue.get


def release(kind, primitive):
    """Serves one that waits, or all where it is for all."""
    if kind in ("Lock", "RLock", "Semaphore", "BoundedSemaphore"):
        primitive.release()
    elif kind == "Event":
        primitive.set()
    elif kind == "Condition":
        with primitive:
            primitive.notify_all()
    elif kind == "Barrier":
        primitive.wait()
    elif kind == "full Queue":
        primitive.get()
    elif kind == "joined Queue":
        primitive.get(), primitive.task_done()
    else:
        primitive.put("item")


def waiters(kind):
    return 1 if kind == "BoundedSemaphore" else WAITERS


def waiting(wait, primitive, count):
    threads = [threading.Thread(target=wait, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    parked(primitive, count)
    return threads


def serve(kind, primitive, threads):
    """Lets them all go."""
    times = len(threads) if kind in ("Semaphore", "BoundedSemaphore", "Queue", "LifoQueue", "PriorityQueue", "full Queue") else 1
    for _ in range(times):
        release(kind, primitive)
    for thread in threads:
        thread.join(limits.SECONDS / 2)
        assert not thread.is_alive(), (kind, "was not served")


def in_child(everything):
    for kind, (primitive, wait) in everything.items():
        assert primitive._waiting == 0, (kind, primitive._waiting)
        if kind in ("Lock", "RLock"):
            assert primitive.locked() and (kind == "RLock" or not primitive.acquire(False))
        elif "Semaphore" in kind:
            assert not primitive.acquire(False)
        elif kind == "Event":
            assert not primitive.is_set()
        elif kind == "Barrier":
            # as in the standard library, who was there counts, though it will never leave
            assert primitive.n_waiting == WAITERS and primitive.wait() == WAITERS
            continue
        elif kind == "full Queue":
            assert primitive.full() and primitive.qsize() == 2
        elif kind == "joined Queue":
            assert primitive.qsize() == 1 and primitive.unfinished_tasks == 1
        elif "Queue" in kind:
            assert primitive.empty()
        # and threads can wait at it as before
        serve(kind, primitive, waiting(wait, primitive, waiters(kind)))


def main():
    everything = {kind: occupied(kind) for kind in KINDS}
    threads = {kind: waiting(wait, primitive, waiters(kind)) for kind, (primitive, wait) in everything.items()}
    for _ in range(3):
        if (child := os.fork()) == 0:
            signal.alarm(limits.SECONDS)  # the watchdog's thread is not in the child
            code = 1
            try:
                in_child(everything)
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0, f"the child ended with {os.waitstatus_to_exitcode(status)}"
    # the parent's own waiters never noticed
    for kind, (primitive, _) in everything.items():
        assert primitive._waiting == len(threads[kind])
        serve(kind, primitive, threads[kind])
    print("done")


main()
