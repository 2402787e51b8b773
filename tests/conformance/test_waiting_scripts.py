"""wait, wait_for, timeout, shield and TaskGroup, nested, turn by turn: programs that hypothesis makes up, each played on every side, and
everything seen in the same order.

A ticker counts the turns of the loop, and in each it settles futures, lets time-outs pass and cancels. So a callback that runs a turn,
or a place in a turn, too early or too late is seen, and so is a cancellation that is lost, or counted wrongly.
"""

import asyncio
import gc
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from loop_fixtures import start_the_clock
from waiting_sides import SIDES

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

LAST_TURN = 25
NEVER, FAR_AWAY = None, 3600


@dataclass(frozen=True)
class Block:
    """A piece of a program. What the fields mean depends on the kind."""

    kind: str
    number: int = 0
    inner: tuple["Block", ...] = ()
    option: Any = None


@dataclass(frozen=True)
class Script:
    main: Block
    cancels: tuple[int, ...]  # the turns in which main is cancelled
    uncancels: bool  # main takes them back at the end
    eager: bool


def block(kind, inner=st.just(()), number=st.just(0), option=st.none()):
    return st.builds(Block, kind=st.just(kind), inner=inner, number=number, option=option)


# What ends well: groups of several tasks cancel them in the order of a set, and then it is open which of them fails first.
harmless = st.one_of(
    block("turns", number=st.integers(0, 4)), block("future", number=st.integers(0, 6), option=st.just("result"))
)
leaves = st.one_of(
    block("turns", number=st.integers(0, 4)),
    block("future", number=st.integers(0, 6), option=st.sampled_from(["result", "error", "cancelled"])),
    block("stock future", number=st.integers(0, 6), option=st.sampled_from(["result", "error", "cancelled"])),
    block("error", option=st.sampled_from([LookupError, asyncio.CancelledError, SystemError])),
    block("forever"),
)


def composites(blocks):
    one, some = blocks.map(lambda b: (b,)), st.lists(blocks, max_size=3).map(tuple)
    some_first = st.lists(blocks, min_size=1, max_size=3).map(tuple)
    turns = st.integers(0, 8)
    return st.one_of(
        block("timeout", one, number=turns, option=st.sampled_from([NEVER, 0, -1, FAR_AWAY, "in a turn", "moved"])),
        block("wait_for", one, number=turns, option=st.sampled_from([NEVER, 0, -1, FAR_AWAY])),
        block("wait_for task", one, number=turns, option=st.sampled_from([NEVER, 0, -1, FAR_AWAY])),
        block("group", st.lists(blocks, min_size=1, max_size=2).map(tuple), number=turns),
        block("group", st.lists(harmless, min_size=3, max_size=5).map(tuple), number=turns),
        block("wait", some_first, option=st.sampled_from(["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"])),
        block("as_completed", some_first, number=st.integers(0, 1)),
        block("shield", one),
        block("stubborn", one),
        block("catching", one),
        block("after an error", one),
        block("one after another", some),
    )


scripts = st.builds(
    Script,
    main=st.recursive(leaves, composites, max_leaves=8),
    cancels=st.lists(st.integers(0, 10), max_size=3).map(tuple),
    uncancels=st.booleans(),
    eager=st.booleans() if sys.version_info >= (3, 12) else st.just(False),
)


class Play:
    """One run of a script: all that can be seen, in order."""

    def __init__(self, script: Script, factory: Any, functions: Any) -> None:
        self.script, self.f = script, functions
        self.seen: list[Any] = []
        self.at: dict[int, list[Any]] = {}  # what is to be done in later turns
        self.turn = 0
        self.loop = factory()
        self.loop.set_exception_handler(self.reported)
        self.labels = 0

    def note(self, *what: Any) -> None:
        self.seen.append((self.turn, *(described(item) for item in what)))

    def reported(self, _: Any, context: dict[str, Any]) -> None:
        self.note("report", context["message"].split(" <")[0], context.get("exception"))

    def run(self) -> list[Any]:
        try:
            if self.script.eager:
                self.loop.set_task_factory(asyncio.eager_task_factory)
            main = self.loop.create_task(self.main())
            self.loop.call_soon(self.tick, main)
            self.loop.run_forever()
            seen, self.seen = self.seen, []
            # What is left is ended in no particular order.
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
                task._log_destroy_pending = False
            for _ in range(5):
                self.loop.call_soon(self.loop.stop)
                self.loop.run_forever()
            del main
            self.at.clear()
            gc.collect()
            return seen if orderly(self.script.main) else sorted(seen, key=lambda noted: (noted[0], repr(noted)))
        finally:
            self.loop.close()

    def tick(self, main: Any) -> None:
        self.turn += 1
        self.note("turn", main.done(), main.cancelling())
        for action in self.at.pop(self.turn, ()):
            action()
        for number, turn in enumerate(self.script.cancels):
            if turn == self.turn:
                self.note("cancel", main.cancel(f"number {number}"))
        if self.turn < LAST_TURN:
            self.loop.call_soon(self.tick, main)
        else:
            self.loop.stop()

    def later(self, turns: int, action: Any) -> None:
        self.at.setdefault(self.turn + 1 + turns, []).append(action)

    async def main(self) -> None:
        task: Any = asyncio.current_task()
        try:
            self.note("result", await self.play(self.script.main))
        except BaseException as error:
            self.note("failed", error, task.cancelling())
        if self.script.uncancels:
            while task.cancelling():
                self.note("uncancel", task.uncancel())
        await self.f.sleep(0)
        self.note("end")

    async def play(self, this: Block) -> Any:
        self.labels += 1
        label = f"{self.labels} {this.kind}"
        self.note("begins", label)
        task: Any = asyncio.current_task()
        try:
            result = await getattr(self, "play_" + this.kind.replace(" ", "_"))(this, label)
        except BaseException as error:
            self.note("fails", label, error, task.cancelling())
            raise
        self.note("ends", label, result, task.cancelling())
        return result

    async def play_turns(self, this: Block, label: str) -> Any:
        for _ in range(this.number):
            await self.f.sleep(0)
        return label

    async def play_future(self, this: Block, label: str) -> Any:
        return await self.future(this, label, self.loop.create_future())

    async def play_stock_future(self, this: Block, label: str) -> Any:
        return await self.future(this, label, asyncio.futures._PyFuture(loop=self.loop))

    def future(self, this: Block, label: str, future: Any) -> Any:
        def settle() -> None:
            if future.done():
                return
            if this.option == "error":
                future.set_exception(LookupError(label))
            elif this.option == "result":
                future.set_result(label)
            else:
                future.cancel(label)

        future.add_done_callback(lambda _: self.note("callback", label))
        self.later(this.number, settle) if this.number else settle()
        return future

    async def play_error(self, this: Block, label: str) -> Any:
        raise this.option(label)

    async def play_forever(self, this: Block, label: str) -> Any:
        await self.loop.create_future()

    async def play_timeout(self, this: Block, label: str) -> Any:
        delay = FAR_AWAY if isinstance(this.option, str) else this.option
        limit = self.f.timeout(delay)
        try:
            async with limit as same:
                assert same is limit
                if this.option == "in a turn":
                    self.later(this.number, lambda: self.reschedule(limit, label, -1))
                elif this.option == "moved":
                    limit.reschedule(self.loop.time() - 1)
                    limit.reschedule(None if this.number % 2 else self.loop.time() + FAR_AWAY)
                return await self.play(this.inner[0])
        finally:
            self.note("timeout", label, limit.expired(), repr(limit))

    def reschedule(self, limit: Any, label: str, delay: float) -> None:
        try:
            limit.reschedule(self.loop.time() + delay)
        except RuntimeError as error:
            self.note("reschedule", label, error)

    async def play_wait_for(self, this: Block, label: str) -> Any:
        return await self.f.wait_for(self.play(this.inner[0]), this.option)

    async def play_wait_for_task(self, this: Block, label: str) -> Any:
        return await self.f.wait_for(self.loop.create_task(self.play(this.inner[0])), this.option)

    async def play_group(self, this: Block, label: str) -> Any:
        group = self.f.TaskGroup()
        try:
            async with group as same:
                assert same is group
                own, *tasks = this.inner
                made = [group.create_task(self.play(each)) for each in tasks]
                if len(made) != 1:
                    self.later(this.number, lambda: self.one_more(group, label))
                await self.play(own)
            return [task for task in made]
        finally:
            self.note("group", label, repr(group))

    def one_more(self, group: Any, label: str) -> None:
        coroutine = self.play(Block("turns", 1))
        try:
            group.create_task(coroutine)
        except RuntimeError as error:
            coroutine.close()
            self.note("one more", label, error)

    async def play_wait(self, this: Block, label: str) -> Any:
        futures = [self.loop.create_task(self.play(each)) for each in this.inner]
        known = {future: number for number, future in enumerate(futures)}
        try:
            sets = await self.f.wait(futures, return_when=this.option)
            return [sorted(known[future] for future in each) for each in sets]
        finally:
            self.note("waited", label, futures)

    async def play_as_completed(self, this: Block, label: str) -> Any:
        futures = [self.loop.create_task(self.play(each)) for each in this.inner]
        if any(future.done() for future in futures):  # they would come in the order of a set
            futures = futures[:1]
        got = []
        try:
            if this.number and sys.version_info >= (3, 13):
                async for future in self.f.as_completed(futures):
                    got.append(future)
            else:
                for coroutine in self.f.as_completed(futures, timeout=FAR_AWAY):
                    got.append(await coroutine)
        finally:
            self.note("completed", label, got, futures)

    async def play_shield(self, this: Block, label: str) -> Any:
        inner = self.loop.create_task(self.play(this.inner[0]))
        try:
            return await self.f.shield(inner)
        finally:
            self.note("shielded", label, inner)

    async def play_stubborn(self, this: Block, label: str) -> Any:
        try:
            return await self.play(this.inner[0])
        except asyncio.CancelledError as error:
            self.note("swallowed", label, error)
            return label

    async def play_catching(self, this: Block, label: str) -> Any:
        try:
            return await self.play(this.inner[0])
        except BaseException as error:
            raise SystemError(label) from error

    async def play_after_an_error(self, this: Block, label: str) -> Any:
        try:
            raise ZeroDivisionError(label)
        except ZeroDivisionError:
            return await self.play(this.inner[0])

    async def play_one_after_another(self, this: Block, label: str) -> Any:
        return [await self.play(each) for each in this.inner]


def orderly(block: Block) -> bool:
    """Whether no group has several tasks, which it cancels in the order of a set."""
    return (block.kind != "group" or len(block.inner) < 3) and all(orderly(each) for each in block.inner)


def described(item: Any, depth: int = 0) -> Any:
    if isinstance(item, BaseException):
        inner = [described(each, depth + 1) for each in getattr(item, "exceptions", ())]
        chain = [type(item).__name__, str(item).split(" <")[0], *inner, item.__suppress_context__]
        if depth < 4:
            chain += [described(item.__cause__, depth + 1), described(item.__context__, depth + 1)]
        return chain
    if isinstance(item, (list, tuple)):
        return [described(each, depth) for each in item]
    if asyncio.isfuture(item):
        if not item.done():
            return "pending"
        return "cancelled" if item.cancelled() else described(item._exception or item._result, depth)
    return item


@pytest.fixture(scope="module")
def small_heap():
    """A collection in each run is quick when it passes over all that is there before."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.filterwarnings("ignore:coroutine '.*' was never awaited")  # cancelled before its first turn
@hypothesis.settings(max_examples=400, deadline=None)
@hypothesis.given(script=scripts)
def test_the_same_things_in_the_same_order(small_heap, script):
    start_the_clock()
    expected, *others = [Play(script, factory, functions).run() for factory, functions in SIDES.values()]
    for seen in others:
        assert seen == expected
