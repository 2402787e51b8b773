"""Plays scripts on the queues: producers, consumers and joiners, which are cancelled and timed out.

What went in is what comes out, once, and nobody waits for an item that is there or for room that is free.
"""

import asyncio
from typing import Any

from hypothesis import strategies as st
from primitive_stage import Stage, waiters
from script_player import Player, numbers, start, step

HAS_SHUTDOWN = hasattr(asyncio.Queue, "shutdown")
# Read for the first time they show the queue's inside, and from then on they have to tell the truth.
ATTRIBUTES = ("_queue", "_getters", "_putters", "_finished", "_unfinished_tasks", "_maxsize")


class QueuePlayer(Player):
    idle_turns = 15  # one item after another

    def __init__(self, stage: Stage, queue: Any, looks: bool) -> None:
        super().__init__(stage, queue, looks)
        self.serial = 0
        self.inside: list[Any] = []  # what was put and not got yet
        self.bent = False  # something was done that items or waiters may not survive

    def seen_inside(self) -> dict[str, Any]:
        return {name: self.shown(name) for name in ATTRIBUTES}

    def shown(self, name: str) -> Any:
        value = getattr(self.thing, name)
        if name == "_queue":
            return list(value)
        if name == "_finished":
            return value.is_set()
        return waiters(value) if name in ("_getters", "_putters") else value

    def end(self) -> None:
        queue, waiting = self.thing, self.waiting()
        if not self.bent:
            assert queue.qsize() == len(self.inside)
            assert queue.empty() or not {"get", "consume"} & waiting, "there is an item, and somebody waits for one"
            assert not {"put", "produce"} & waiting or queue.full(), "there is room, and somebody waits for it"
        while not queue.empty():
            self.do("get_nowait", [])
            self.quiet()
        while queue._unfinished_tasks > 0:
            self.do("task_done", [])
            self.quiet()
        assert self.bent or not self.inside
        assert self.bent or self.waiting() <= {"get", "consume"}

    def item(self, priority: int) -> Any:
        self.serial += 1
        return priority, self.serial

    # --- tasks

    async def put(self, priority: int) -> Any:
        item = self.item(priority)
        result = await self.thing.put(item)
        self.inside.append(item)
        return item, result

    async def get(self) -> Any:
        return self.took(await self.thing.get())

    async def produce(self, count: int) -> None:
        for priority in range(count):
            await self.put(priority)

    async def consume(self, count: int) -> Any:
        got = []
        for _ in range(count):
            got.append(await self.get())
            await self.pause(1)
            self.thing.task_done()
        return got

    async def join(self) -> Any:
        return await self.thing.join()

    def took(self, item: Any) -> Any:
        expected = {"Q": lambda items: items[0], "L": lambda items: items[-1], "P": min}[str(self.thing)[1]]
        assert self.bent or item == expected(self.inside)
        if item in self.inside:
            self.inside.remove(item)
        return item

    # --- calls

    def put_nowait(self, priority: int) -> None:
        item = self.item(priority)
        self.thing.put_nowait(item)
        self.inside.append(item)

    def get_nowait(self) -> Any:
        return self.took(self.thing.get_nowait())

    def task_done(self) -> Any:
        return self.thing.task_done()

    def peek(self, name: str) -> None:
        """Not noted: who waits may be on the way from one list to another, when nobody has looked before."""
        self.shown(name)

    def resize(self, maxsize: int) -> None:
        self.thing._maxsize = maxsize
        self.bent = True

    def shutdown(self, immediate: bool) -> Any:
        self.bent = True
        return self.thing.shutdown(immediate)


STEPS = (
    start("put", numbers),
    start("put", numbers),
    start("get"),
    start("get"),
    start("produce", numbers),
    start("consume", numbers),
    start("join"),
    step("put_nowait", numbers),
    step("get_nowait"),
    step("task_done"),
)
PEEK = step("peek", st.sampled_from(ATTRIBUTES))
RESIZE = step("resize", st.integers(-1, 4))
SHUTDOWN = step("shutdown", st.booleans())
