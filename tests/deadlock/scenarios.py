"""Programs that deadlock for good, one a function: the argument says which one is run. A record that is logged is printed as one line on stdout.

Nothing is left to chance: whoever takes a first lock waits until the others have theirs.
"""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import plait


class Tell(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print("logged:", record.name, record.levelname, repr(record.getMessage()), flush=True)


def in_threads(*targets: Callable[[], Any]) -> None:
    """Each in a thread of its own, which has its name."""
    threads = [threading.Thread(target=target, name=target.__name__) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def in_tasks(*functions: Callable[[], Any]) -> None:
    await asyncio.gather(*(asyncio.create_task(function(), name=function.__name__) for function in functions))


def until_parked(lock: Any) -> None:
    while not lock._waiting:
        time.sleep(0.001)


def threads(make: Callable[[], Any] = lambda: threading.Lock()) -> None:
    left, right, both = make(), make(), threading.Barrier(2)

    def ada() -> None:
        with left:
            both.wait()
            with right:
                pass

    def ben() -> None:
        with right:
            both.wait()
            with left:
                pass

    in_threads(ada, ben)


def reentrant() -> None:
    threads(lambda: threading.RLock())


def universal() -> None:
    threads(plait.Lock)


def universal_reentrant() -> None:
    threads(plait.RLock)


def conditions() -> None:
    threads(threading.Condition)


def tasks(make: Callable[[], Any] = lambda: asyncio.Lock(), factory: Any = None) -> None:
    left, right = make(), make()

    async def ada() -> None:
        async with left:
            await asyncio.sleep(0)
            async with right:
                pass

    async def ben() -> None:
        async with right:
            await asyncio.sleep(0)
            acquire = left.acquire if isinstance(left, asyncio.Lock) else left.aacquire
            await acquire()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(in_tasks(ada, ben))


def universal_tasks() -> None:
    tasks(plait.RLock)


def tasks_of_a_stock_loop() -> None:
    tasks(factory=asyncio.SelectorEventLoop)


def tasks_of_two_loops() -> None:
    left, right, both = plait.Lock(), plait.Lock(), threading.Barrier(2)

    async def takes(first: Any, second: Any) -> None:
        async with first:
            both.wait()
            async with second:
                pass

    def ada() -> None:
        async def anna() -> None:
            await takes(left, right)

        asyncio.run(in_tasks(anna))

    def ben() -> None:
        async def bert() -> None:
            await takes(right, left)

        asyncio.run(in_tasks(bert))

    in_threads(ada, ben)


def thread_and_task() -> None:
    left, right, both = plait.Lock(), threading.Lock(), threading.Barrier(2)

    def ada() -> None:
        with left:
            both.wait()
            with right:
                pass

    async def bert() -> None:
        with right:
            both.wait()
            async with left:
                pass

    def ben() -> None:
        asyncio.run(in_tasks(bert))

    in_threads(ada, ben)


def blocked_loop() -> None:
    lock = threading.Lock()

    async def sleeper() -> None:
        with lock:
            await asyncio.sleep(3600)

    async def blocker() -> None:
        lock.acquire()

    asyncio.run(in_tasks(sleeper, blocker))


def blocked_by_a_callback() -> None:
    lock = plait.Lock()

    async def sleeper() -> None:
        async with lock:
            asyncio.get_running_loop().call_soon(lock.acquire)
            await asyncio.sleep(3600)

    asyncio.run(in_tasks(sleeper))


def around_the_loop() -> None:
    lock = threading.Lock()

    async def inside() -> None:
        lock.acquire()

    with lock:
        asyncio.run(in_tasks(inside))


def handed_in_vain() -> None:
    """A task is handed the lock, and cannot come to use it, since another one blocks its loop for the same lock."""
    lock = plait.Lock()
    taken = threading.Event()

    def holder() -> None:
        with lock:
            taken.set()
            while lock._waiting < 2:
                time.sleep(0.001)

    async def patient() -> None:
        async with lock:
            pass

    async def blocker() -> None:
        lock.acquire()

    def loop() -> None:
        taken.wait()
        asyncio.run(in_tasks(patient, blocker))

    in_threads(holder, loop)


def greenlet_and_thread() -> None:
    from plait._hub import Hub

    left, right, both = plait.Lock(), plait.Lock(), threading.Barrier(2)

    def ada() -> None:
        with left:
            both.wait()
            with right:
                pass

    def green() -> None:
        with right:
            both.wait()
            with left:
                pass

    def hub() -> None:
        with Hub() as hub:
            hub.spawn(green)
            hub.run()

    in_threads(ada, hub)


def two_greenlets() -> None:
    from plait._hub import Hub

    left, right = plait.Lock(), plait.Lock()

    def first() -> None:
        with left, right:
            pass

    def second() -> None:
        with right:
            hub.spawn(first)
            until = plait.Event()
            hub.loop.call_later(0.01, until.set)
            until.wait()
            with left:
                pass

    with Hub() as hub:
        hub.spawn(second)
        hub.run()


def alone() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def task_alone() -> None:
    async def alone() -> None:
        lock = asyncio.Lock()
        async with lock, lock:
            pass

    asyncio.run(in_tasks(alone))


def three() -> None:
    one, two, three = plait.Lock(), plait.Lock(), plait.Lock()
    all_have_one = threading.Barrier(3)

    def takes(first: Any, second: Any) -> None:
        with first:
            all_have_one.wait()
            with second:
                pass

    def ada() -> None:
        takes(one, two)

    def ben() -> None:
        takes(two, three)

    async def cleo() -> None:
        async with three:
            all_have_one.wait()
            async with one:
                pass

    def loop() -> None:
        asyncio.run(in_tasks(cleo))

    in_threads(ada, ben, loop)


def crowd() -> None:
    """A deadlock of two, for whose locks others wait as well."""
    left, right, both = plait.Lock(), plait.Lock(), threading.Barrier(2)

    def ada() -> None:
        with left:
            both.wait()
            with right:
                pass

    def ben() -> None:
        with right:
            both.wait()
            with left:
                pass

    def onlooker() -> None:
        until_parked(left)
        until_parked(right)
        with left:
            pass

    def reporter() -> None:
        while left._waiting < 2:
            time.sleep(0.001)
        print("joined", flush=True)

    in_threads(ada, ben, onlooker, reporter)


class Unspeakable(plait.Lock):  # type: ignore[misc]
    def __repr__(self) -> str:
        with self:
            raise RuntimeError("not to be called")


def unspeakable() -> None:
    threads(Unspeakable)


def within_logging() -> None:
    """The handler's own lock is one of the two. Nothing can be logged any more."""
    lock, both = threading.Lock(), threading.Barrier(2)

    class Careful(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            both.wait()
            with lock:
                pass

    logger = logging.getLogger()
    logger.handlers[:] = [Careful()]

    def ada() -> None:
        logger.error("for the careful one")

    def ben() -> None:
        with lock:
            both.wait()
            logger.error("waits for the handler")

    in_threads(ada, ben)


if __name__ == "__main__":
    logging.getLogger().addHandler(Tell())
    globals()[sys.argv[1]]()
