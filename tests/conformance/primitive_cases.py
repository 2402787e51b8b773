"""Every wait of asyncio's locks and queues in one form, for tests of what all of them have in common.

A case makes an object on which its wait blocks, waits, and lets the one go that has waited longest (or all, where the
object knows no other way).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from primitive_stage import SEMAPHORE_IS_MENDED, finish


@dataclass(frozen=True)
class Case:
    kind: str  # the class
    method: str  # the method that waits
    make: Callable[[Any], Any]  # the object, of this class or a subclass
    wake: Callable[[Any], Any]
    wait: Callable[[Any], Any]
    exact: bool = True  # whether the standard class is the judge of each turn (primitive_stage.py says why not)
    exact_when_cancelled: bool = True

    def __str__(self) -> str:
        return f"{self.kind}.{self.method}"

    def new(self, stage: Any) -> Any:
        return self.make(getattr(stage.asyncio, self.kind))


def _taken(cls: Any) -> Any:
    lock = cls()
    finish(lock.acquire())
    return lock


def _all_taken(cls: Any) -> Any:
    semaphore = cls(3)
    for _ in range(3):
        finish(semaphore.acquire())
    return semaphore


async def _wait_with_the_lock(condition: Any) -> Any:
    async with condition:
        return await condition.wait()


def _notify(condition: Any) -> None:
    if condition.locked():
        condition.notify()
    else:
        finish(condition.acquire())
        condition.notify()
        condition.release()


def _full(cls: Any) -> Any:
    queue = cls(1)
    queue.put_nowait(0)
    return queue


def _unfinished(cls: Any) -> Any:
    queue = _full(cls)
    queue.get_nowait()
    return queue


def _finish_a_task(queue: Any) -> None:
    if queue._unfinished_tasks:
        queue.task_done()


def _get(queue: Any) -> None:
    if not queue.empty():
        queue.get_nowait()


def _method(name: str, *arguments: Any) -> Callable[[Any], Any]:
    return lambda thing: getattr(thing, name)(*arguments)


def _reset(barrier: Any) -> None:
    finish(barrier.reset())


def _release(lock: Any) -> None:
    if lock.locked():
        lock.release()


def _case(kind: str, method: str, make: Any, wake: Any, *arguments: Any, wait: Any = None, **exact: bool) -> Case:
    return Case(kind, method, make, wake, wait or _method(method, *arguments), **exact)


SEMAPHORE = {"exact": SEMAPHORE_IS_MENDED, "exact_when_cancelled": SEMAPHORE_IS_MENDED}


CASES = [
    _case("Lock", "acquire", _taken, _release, exact_when_cancelled=False),
    _case("Event", "wait", lambda cls: cls(), _method("set")),
    _case("Condition", "acquire", _taken, _release, exact_when_cancelled=False),
    _case("Condition", "wait", lambda cls: cls(), _notify, wait=_wait_with_the_lock, exact_when_cancelled=False),
    _case("Semaphore", "acquire", lambda cls: cls(0), _method("release"), **SEMAPHORE),
    _case("BoundedSemaphore", "acquire", _all_taken, _method("release"), **SEMAPHORE),
    _case("Barrier", "wait", lambda cls: cls(99_999), _reset, exact_when_cancelled=False),
    _case("Queue", "get", lambda cls: cls(), _method("put_nowait", 1)),
    _case("Queue", "put", _full, _get, 2),
    _case("Queue", "join", _unfinished, _finish_a_task),
    _case("LifoQueue", "get", lambda cls: cls(), _method("put_nowait", 1)),
    _case("LifoQueue", "put", _full, _get, 2),
    _case("PriorityQueue", "get", lambda cls: cls(), _method("put_nowait", 1)),
    _case("PriorityQueue", "put", _full, _get, 2),
]

# One object of each class, ready to be used.
NEW: dict[str, Callable[[Any], Any]] = {
    "Lock": lambda cls: cls(),
    "Event": lambda cls: cls(),
    "Condition": lambda cls: cls(),
    "Semaphore": lambda cls: cls(2),
    "BoundedSemaphore": lambda cls: cls(2),
    "Barrier": lambda cls: cls(2),
    "Queue": lambda cls: cls(2),
    "LifoQueue": lambda cls: cls(2),
    "PriorityQueue": lambda cls: cls(2),
}
