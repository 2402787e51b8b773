"""Threads work at primitives without a pause, and the process forks, again and again. No child finds a lock of the engine's own
taken for ever."""

import os
import signal
import sys
import threading
from queue import Empty, Full

import limits
from faces import make, modules

FORKS = 20

semaphore = make("Semaphore", 2)
event = make("Event")
condition = make("Condition")
queue = make("Queue", 3)
heap = make("PriorityQueue", 3)
locks = [make("Lock"), make("RLock")] if len(modules) == 1 else []
stop = False


def at_semaphore():
    with semaphore:
        pass


def at_event():
    event.set()
    event.wait(0.001)
    event.clear()


def at_condition():
    with condition:
        condition.wait(0.0001)
        condition.notify()


def at_queue():
    for some in (queue, heap):
        try:
            some.put(1, timeout=0.0001)
            some.get(timeout=0.0001)
        except (Full, Empty):
            pass


def at_locks():
    for lock in locks:
        with lock:
            pass


def work(body):
    while not stop:
        body()


def in_child():
    """Whatever was under way is as it was: nothing here may block for ever."""
    for primitive in (semaphore, event, condition, queue, heap, *locks):
        assert primitive._waiting == 0, primitive
    for _ in range(3):
        if semaphore.acquire(timeout=0):
            semaphore.release()
        event.set()
        assert event.wait()
        event.clear()
        if condition.acquire(blocking=False):
            condition.wait(0.0001)
            condition.notify()
            condition.release()
        queue.qsize(), queue.full()
        try:
            queue.put_nowait(2)
        except Full:
            queue.get_nowait()
    for lock in locks:
        if lock.acquire(timeout=0):
            lock.release()
    fresh, back = make("Queue"), make("Queue")
    thread = threading.Thread(target=lambda: back.put(fresh.get()), daemon=True)
    thread.start()
    fresh.put("there and back")
    assert back.get() == "there and back"


def main():
    global stop
    bodies = [at_semaphore, at_event, at_condition, at_queue, at_locks]
    threads = [threading.Thread(target=work, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for number in range(FORKS):
        if (child := os.fork()) == 0:
            signal.alarm(limits.SECONDS)
            code = 1
            try:
                in_child()
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0, f"child {number} ended with {os.waitstatus_to_exitcode(status)}"
    stop = True
    for thread in threads:
        thread.join(limits.SECONDS / 2)
        assert not thread.is_alive()
    print("done")


main()
