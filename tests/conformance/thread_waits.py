"""Every way in which a thread can wait for a primitive or a queue, under one interface.

What has to hold for all of them (Ctrl-C, signal handlers, fork, the interpreter's exit) is then written once. A wait is
made for so many threads at once as `crowd` says.
"""

import threading
from typing import Any

from thread_sides import OwnLock, Side, Strand

WAITS: dict[str, type["Wait"]] = {}


class Wait:
    takes_timeout = True

    def __init__(self, side: Side, crowd: int = 1) -> None:
        self.side = side
        self.crowd = crowd
        self.make()

    def __init_subclass__(cls) -> None:
        if cls.__doc__:
            WAITS[cls.__doc__] = cls

    def make(self) -> None:
        raise NotImplementedError

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it was woken."""
        raise NotImplementedError

    def wake(self) -> None:
        """Let one of those that wait go on."""
        raise NotImplementedError

    def wake_all(self) -> None:
        for _ in range(self.crowd):
            self.wake()

    def check_unharmed(self) -> None:
        """It is as when it was made, and works: whoever waited has left nothing behind."""
        raise NotImplementedError

    def check_kept(self) -> None:
        """What it was woken with has not got lost, although nobody took it."""
        self.check_unharmed()

    def check_after_fork(self) -> None:
        """In the child, where those that waited do not exist: it works, with the state that it had."""
        raise NotImplementedError


class ConditionWait(Wait):
    """Condition.wait"""

    lock: Any = staticmethod(lambda: None)

    def make(self):
        self.condition = self.side.threading.Condition(self.lock())

    def wait(self, timeout=None):
        with self.condition:
            return self.condition.wait(timeout)

    def wake(self):
        with self.condition:
            self.condition.notify()

    def check_unharmed(self):
        assert repr(self.condition).endswith(", 0)>"), repr(self.condition)
        with self.condition:
            self.condition.notify_all()
            assert self.condition.wait(0) is False
        woken = Strand(self.wait).blocked()
        self.wake()
        assert woken.result() is True

    def check_after_fork(self):
        self.condition._at_fork_reinit()
        self.check_unharmed()


class ConditionOverLock(ConditionWait):
    """Condition.wait over a Lock"""

    lock = staticmethod(threading.Lock)


class ConditionOverOwnLock(ConditionWait):
    """Condition.wait over a lock of one's own"""

    lock = OwnLock

    def check_after_fork(self):
        with self.condition:
            self.condition.notify_all()


class ConditionWaitFor(ConditionWait):
    """Condition.wait_for"""

    def make(self):
        super().make()
        self.tokens = []

    def wait(self, timeout=None):
        with self.condition:
            found = self.condition.wait_for(lambda: bool(self.tokens), timeout)
            if found:
                self.tokens.pop()
            return found

    def wake(self):
        with self.condition:
            self.tokens.append(1)
            self.condition.notify()

    def check_kept(self):
        assert self.wait(0) is True
        self.check_unharmed()


class EventWait(Wait):
    """Event.wait"""

    def make(self):
        self.event = self.side.threading.Event()

    def wait(self, timeout=None):
        return self.event.wait(timeout)

    def wake(self):
        self.event.set()

    def check_unharmed(self):
        assert not self.event.is_set() and self.event.wait(0) is False
        self.event.set()
        self.check_kept()

    def check_kept(self):
        assert self.event.is_set() and self.event.wait() is True

    def check_after_fork(self):
        assert not self.event.is_set()
        self.event._at_fork_reinit()
        woken = Strand(self.event.wait).blocked()
        self.event.set()
        assert woken.result() is True


class SemaphoreAcquire(Wait):
    """Semaphore.acquire"""

    def make(self):
        self.semaphore = self.side.threading.Semaphore(0)

    def wait(self, timeout=None):
        return self.semaphore.acquire(timeout=timeout)

    def wake(self):
        self.semaphore.release()

    def check_unharmed(self):
        assert self.semaphore.acquire(blocking=False) is False
        self.semaphore.release()
        self.check_kept()

    def check_kept(self):
        assert self.semaphore.acquire(blocking=False) is True
        assert self.semaphore.acquire(blocking=False) is False

    def check_after_fork(self):
        self.check_unharmed()
        # Each release may go to somebody who died in the fork, unless they are forgotten, as plait does.
        woken = Strand(self.semaphore.acquire).blocked()
        self.semaphore.release(1 if self.side.stricter else self.crowd + 1)
        assert woken.result() is True


class BoundedSemaphoreAcquire(SemaphoreAcquire):
    """BoundedSemaphore.acquire"""

    def make(self):
        self.semaphore = self.side.threading.BoundedSemaphore(5)
        for _ in range(5):
            self.semaphore.acquire()


class WithSemaphore(SemaphoreAcquire):
    """with Semaphore"""

    takes_timeout = False

    def wait(self, timeout=None):
        return self.semaphore.__enter__()


class BarrierWait(Wait):
    """Barrier.wait"""

    def make(self):
        self.barrier = self.side.threading.Barrier(self.crowd + 1)

    def wait(self, timeout=None):
        try:
            return self.barrier.wait(timeout) is not None
        except threading.BrokenBarrierError:
            return False

    def wake(self):
        self.barrier.wait()

    def wake_all(self):
        self.barrier.wait()

    def check_unharmed(self):
        assert self.barrier.n_waiting == 0 and not self.barrier.broken
        others = [Strand(self.barrier.wait).blocked() for _ in range(self.crowd)]
        indices = {self.barrier.wait(), *(other.result() for other in others)}
        assert indices == set(range(self.crowd + 1))

    def check_after_fork(self):
        assert self.barrier.n_waiting == self.crowd
        self.barrier.abort()
        assert self.barrier.broken and self.wait() is False


class QueueGet(Wait):
    """Queue.get"""

    kind = "Queue"

    def make(self):
        self.queue = getattr(self.side.queue, self.kind)()

    def wait(self, timeout=None):
        try:
            return self.queue.get(timeout=timeout) == "item"
        except self.side.queue.Empty:
            return False

    def wake(self):
        self.queue.put("item")

    def check_unharmed(self):
        assert self.queue.qsize() == 0
        self.queue.put("item")
        self.check_kept()

    def check_kept(self):
        assert self.queue.qsize() == 1
        assert self.queue.get_nowait() == "item"
        assert self.queue.empty()

    def check_after_fork(self):
        self.check_unharmed()
        woken = Strand(self.wait).blocked()
        for _ in range(1 if self.side.stricter else self.crowd + 1):
            self.queue.put("item")
        assert woken.result() is True


class LifoQueueGet(QueueGet):
    """LifoQueue.get"""

    kind = "LifoQueue"


class PriorityQueueGet(QueueGet):
    """PriorityQueue.get"""

    kind = "PriorityQueue"


class OpenedQueueGet(QueueGet):
    """Queue.get after somebody looked inside"""

    def make(self):
        super().make()
        assert not self.queue.mutex.locked()


class QueuePut(Wait):
    """Queue.put"""

    kind = "Queue"

    def make(self):
        self.queue = getattr(self.side.queue, self.kind)(self.crowd)
        for _ in range(self.crowd):
            self.queue.put("a")

    def wait(self, timeout=None):
        try:
            self.queue.put("b", timeout=timeout)
        except self.side.queue.Full:
            return False
        return True

    def wake(self):
        assert self.queue.get() == "a"

    def check_unharmed(self):
        assert self.queue.full()
        assert [self.queue.get_nowait() for _ in range(self.crowd)] == self.crowd * ["a"]
        self.check_kept()

    def check_kept(self):
        while not self.queue.empty():
            assert self.queue.get_nowait() == "a"
        for _ in range(self.crowd):
            self.queue.put_nowait("c")
        assert self.queue.full()

    def check_after_fork(self):
        self.check_unharmed()


class PriorityQueuePut(QueuePut):
    """PriorityQueue.put"""

    kind = "PriorityQueue"


class QueueJoin(Wait):
    """Queue.join"""

    takes_timeout = False

    def make(self):
        self.queue = self.side.queue.Queue()
        self.queue.put("task")

    def wait(self, timeout=None):
        self.queue.join()
        return True

    def wake(self):
        self.queue.task_done()

    def wake_all(self):
        self.queue.task_done()

    def check_unharmed(self):
        assert self.queue.unfinished_tasks == 1
        self.queue.task_done()
        self.check_kept()

    def check_kept(self):
        assert self.queue.unfinished_tasks == 0
        self.queue.join()

    def check_after_fork(self):
        self.check_unharmed()
