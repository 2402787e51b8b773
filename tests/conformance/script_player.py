"""Plays a script on one lock, event, queue …: tasks begin to wait on it, calls are made, tasks are cancelled, the
loop turns. After each step it is written down what can be seen from outside.

A step is a tuple of a place, a name and arguments. The place is "now", between two turns of the loop, or "soon", in a
callback of the next one: what happens there stands among the wake-ups of waiters, and may come before or after them.

A script looks at reprs and private attributes only if it is told to: an object that nobody has looked into may keep its
things elsewhere, and both ways have to be right.
"""

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from primitive_stage import TASKS, Stage, facts, plain, told

scripted = settings(max_examples=100, deadline=None, database=None)

places = st.sampled_from(["now", "now", "soon"])
numbers = st.integers(0, 4)
CANCELLED_AT_THE_END = ("cancelled by the player",)


def step(name: str, *arguments: Any) -> Any:
    return st.tuples(places, st.just(name), *arguments)


def start(*routine: Any) -> Any:
    """A task begins that runs this routine of the player's, perhaps under a time-out that can be made to expire."""
    name, *arguments = routine
    return step("start", st.sampled_from(list(TASKS)), st.booleans(), st.just(name), *arguments)


CANCELS = (step("cancel", numbers, st.integers(1, 2)), step("expire", numbers))


def scripts(*steps: Any, longest: int = 25, cancels: bool = True) -> Any:
    turn = st.just(("now", "turn"))
    return st.lists(st.one_of(*steps, turn, turn, *(CANCELS if cancels else ())), max_size=longest)


# Tests of both kinds of script: for what is done, and for what is shown besides.
looking = pytest.mark.parametrize("looks", [False, True], ids=["done", "shown"])


class Player:
    """What all scripts have in common; a subclass has the routines and calls of one kind of object."""

    idle_turns = 4  # so long a wake-up may take to come through

    def __init__(self, stage: Stage, thing: Any, looks: bool) -> None:
        self.stage = stage
        self.thing = thing
        self.looks = looks
        self.tasks: list[Any] = []
        self.routines: list[str] = []  # what they run
        self.limits: dict[int, Any] = {}
        self.paused = 0

    def play(self, script: list[Any]) -> None:
        for place, name, *arguments in script:
            if place == "now":
                self.do(name, arguments)
            else:
                self.stage.loop.call_soon(self.do, name, arguments)
            self.look()
        self.quiet()
        self.end()
        for task in self.tasks:
            task.cancel(*CANCELLED_AT_THE_END)
        self.stage.turn(6)
        self.stage.note(self.seen())

    def do(self, name: str, arguments: list[Any]) -> None:
        self.stage.note(name, *arguments)
        self.stage.attempt(getattr(self, name), *arguments)

    def look(self) -> None:
        self.stage.note(self.seen())
        if self.looks:
            self.stage.note(plain(self.thing), self.seen_inside())

    def seen(self) -> Any:
        return [task.done() for task in self.tasks], facts(self.thing)

    def seen_inside(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def end(self) -> None:
        """Asserts that nothing was lost, when the script is over and all is quiet."""

    def quiet(self) -> None:
        """Until everything that could run has run."""
        idle = 0
        while idle < self.idle_turns + len(self.tasks):  # they may go one after another
            self.stage.turn()
            idle = 0 if self.paused else idle + 1

    async def pause(self, turns: int) -> None:
        self.paused += 1
        try:
            for _ in range(turns):
                await asyncio.sleep(0)
        finally:
            self.paused -= 1

    def waiting(self) -> set[str]:
        """The routines in which a task waits."""
        return {routine for routine, task in zip(self.routines, self.tasks, strict=True) if not task.done()}

    # --- steps

    def start(self, kind: str, limited: bool, routine: str, *arguments: Any) -> None:
        number = len(self.tasks)
        worker = self.worker(number, limited, getattr(self, routine), arguments)
        self.tasks.append(TASKS[kind](self.stage.loop, worker))
        self.routines.append(routine)

    async def worker(self, number: int, limited: bool, routine: Any, arguments: tuple[Any, ...]) -> None:
        try:
            if limited:
                async with self.stage.asyncio.timeout(None) as self.limits[number]:
                    result = await routine(*arguments)
            else:
                result = await routine(*arguments)
        except asyncio.CancelledError as error:
            self.stage.note(number, told(error))
            raise
        except Exception as error:
            self.stage.note(number, told(error))
        else:
            self.stage.note(number, "got", plain(result))

    def cancel(self, which: int, times: int) -> None:
        if which < len(self.tasks):
            self.stage.note([self.tasks[which].cancel(f"cancelled {which}") for _ in range(times)])

    def expire(self, which: int) -> None:
        """The task's time is up."""
        self.stage.loop.call_soon(self.reschedule, which)

    def reschedule(self, which: int) -> None:
        if which in self.limits and not self.tasks[which].done():
            self.stage.attempt(self.limits[which].reschedule, 0)

    def turn(self) -> None:
        self.stage.turn()
