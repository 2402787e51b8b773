"""gather, turn by turn: scripts that hypothesis makes up, each played on every side, and everything seen in the same order.

A ticker counts the turns of the loop and settles, cancels and looks in each; so a callback that runs a turn, or a place in a
turn, too early or too late is seen.
"""

import asyncio
import gc
from dataclasses import dataclass
from typing import Any

import pytest
from loop_fixtures import start_the_clock
from test_gather import SIDES, Awaits

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies


@dataclass(frozen=True)
class Child:
    kind: str  # how it is given to gather
    turns: int  # after how many turns it ends
    end: str  # how
    stubborn: bool  # does not let itself be cancelled


@dataclass(frozen=True)
class Script:
    children: tuple[Child, ...]
    repeated: tuple[int, ...]  # these are given once more
    return_exceptions: bool
    cancelled: str  # who is
    at: int  # in which turn


LAST_TURN = 12
children = st.builds(
    Child,
    kind=st.sampled_from(["coroutine", "task", "stock task", "future", "Python future", "awaitable"]),
    turns=st.integers(0, 5),
    end=st.sampled_from(["result", "result", "error", "cancelled", "by a callback"]),
    stubborn=st.booleans(),
)
# Half of them with native children alone, which are counted in another way.
native_children = st.builds(
    Child,
    kind=st.sampled_from(["coroutine", "task", "future"]),
    turns=st.integers(0, 3),
    end=st.sampled_from(["result", "result", "result", "error", "cancelled"]),
    stubborn=st.booleans(),
)
scripts = st.builds(
    Script,
    children=st.lists(children, min_size=1, max_size=5).map(tuple)
    | st.lists(native_children, min_size=1, max_size=5).map(tuple),
    repeated=st.lists(st.integers(0, 4), max_size=2).map(tuple),
    return_exceptions=st.booleans(),
    cancelled=st.sampled_from(["nobody", "outer", "main", "both"]),
    at=st.integers(0, 8),
)


class Play:
    """One run of a script: all that can be seen, in order."""

    def __init__(self, script: Script, factory: Any, gather: Any) -> None:
        self.script, self.gather = script, gather
        self.seen: list[Any] = []
        self.loop = factory()
        self.loop.set_exception_handler(self.reported)
        self.outer: Any = None
        self.main: Any = None
        self.futures: list[tuple[int, Child, Any]] = []

    def note(self, *what: Any) -> None:
        self.seen.append(tuple(described(item) for item in what))

    def reported(self, _: Any, context: dict[str, Any]) -> None:
        self.note("report", context["message"], context.get("exception"))

    def run(self) -> list[Any]:
        try:
            # Before the ticks, so that the first tick finds it.
            self.main = self.loop.create_task(self.play())
            self.loop.call_soon(self.tick, 0)
            self.loop.run_forever()
            # In a fixed place, and sorted: finalizers run in no particular order.
            seen, self.seen = self.seen, []
            self.outer = self.main = None
            self.futures.clear()
            gc.collect()
            return seen + sorted(self.seen, key=repr)
        finally:
            self.loop.close()

    async def play(self) -> None:
        arguments = [self.argument(number, child) for number, child in enumerate(self.script.children)]
        arguments += [arguments[i] for i in self.script.repeated if i < len(arguments)]
        self.outer = self.gather(*arguments, return_exceptions=self.script.return_exceptions)
        self.outer.add_done_callback(lambda outer: self.note("outer is done", outer))
        try:
            self.note("main got", await self.outer)
        except BaseException as error:
            self.note("main got", error)

    def argument(self, number: int, child: Child) -> Any:
        if child.kind == "awaitable":
            return Awaits(self.body(number, child))
        if child.kind == "coroutine":
            return self.body(number, child)
        if child.kind == "task":
            argument: Any = self.loop.create_task(self.body(number, child))
        elif child.kind == "stock task":
            argument = asyncio.Task(self.body(number, child), loop=self.loop)
        else:
            native = child.kind == "future"
            argument = self.loop.create_future() if native else asyncio.futures._PyFuture(loop=self.loop)
            self.futures.append((number, child, argument))
            if child.turns == 0:
                self.settle(number, child, argument)
        argument.add_done_callback(lambda _: self.note("callback of", number))
        return argument

    async def body(self, number: int, child: Child) -> Any:
        for _ in range(child.turns):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError as error:
                self.note("child was told", number, error)
                if not child.stubborn:
                    raise
        self.note("child ends", number)
        if child.end == "error":
            raise LookupError(number)
        if child.end == "cancelled":
            raise asyncio.CancelledError("itself", number)
        if child.end == "by a callback":
            task = asyncio.current_task()
            assert task is not None
            task.cancel("by a callback")
        return number

    def settle(self, number: int, child: Child, future: Any) -> None:
        if future.done():
            return
        if child.end == "error":
            future.set_exception(LookupError(number))
        elif child.end == "result":
            future.set_result(number)
        else:
            future.cancel(child.end)

    def tick(self, turn: int) -> None:
        self.note("turn", turn, self.outer is not None and self.outer.done())
        for number, child, future in self.futures:
            if child.turns == turn:
                self.settle(number, child, future)
        if turn == self.script.at and self.outer is not None:
            if self.script.cancelled in ("outer", "both"):
                self.note("outer.cancel", self.outer.cancel("outer"), self.outer._cancel_requested)
            if self.script.cancelled in ("main", "both"):
                self.note("main.cancel", self.main.cancel("main"))
        if turn < LAST_TURN:
            self.loop.call_soon(self.tick, turn + 1)
        else:
            self.loop.stop()


def described(item: Any) -> Any:
    if isinstance(item, BaseException):
        return type(item).__name__, item.args
    if isinstance(item, list):
        return [described(each) for each in item]
    if asyncio.isfuture(item):
        return "cancelled" if item.cancelled() else described(item._exception or item._result)
    return item


@pytest.fixture(scope="module")
def small_heap():
    """A collection in each run is quick when it passes over all that is there before."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.filterwarnings("ignore:coroutine 'Play.body' was never awaited")  # cancelled before its first turn
@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(script=scripts)
def test_the_same_things_in_the_same_order(small_heap, script):
    start_the_clock()
    expected, *others = [Play(script, factory, gather).run() for factory, gather in SIDES.values()]
    for seen in others:
        assert seen == expected
