"""Barrier: as many pass together as were asked for, each with a number of its own; nobody is left inside one that was
aborted or reset.
"""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primitive_stage import assert_same, assert_same_if, facts, finish, plain, told
from script_player import Player, looking, numbers, scripted, scripts, start

BROKEN = {
    "before": told(asyncio.BrokenBarrierError("Barrier aborted")),
    "inside": told(asyncio.BrokenBarrierError("Abort or reset of barrier")),
}


class BarrierPlayer(Player):
    idle_turns = 40  # one round after another

    def seen_inside(self):
        return None

    def end(self):
        inside = self.thing.n_waiting
        assert self.thing.broken or inside == sum(not task.done() for task in self.tasks)
        assert inside < self.thing.parties
        self.stage.run(self.thing.abort())
        self.quiet()
        assert not self.waiting()

    async def wait(self):
        index = await self.thing.wait()
        assert 0 <= index < self.thing.parties
        return index

    async def wait_with(self, turns):
        async with self.thing as place:
            await self.pause(turns)
        return place

    async def rounds(self, count):
        return [await self.thing.wait() for _ in range(count)]

    async def reset(self):
        return await self.thing.reset()

    async def abort(self):
        return await self.thing.abort()


waits = (start("wait"), start("wait"), start("wait"), start("wait_with", numbers), start("rounds", st.integers(1, 3)))


@looking
@scripted
@given(parties=st.integers(1, 4), script=scripts(*waits, start("abort"), longest=30, cancels=False))
def test_scripts(looks, parties, script):
    def body(stage):
        BarrierPlayer(stage, stage.asyncio.Barrier(parties), looks).play(script)

    assert_same(body)


@scripted
@given(parties=st.integers(1, 4), script=scripts(*waits, start("reset"), start("abort"), longest=30))
def test_scripts_with_cancellations_and_resets(parties, script):
    """Who is cancelled leaves its place. (primitive_stage.py says why asyncio is no judge of the turn then; and plait's
    reset, while a crowd leaves, lets those at the door in a turn later.)
    """

    def body(stage):
        BarrierPlayer(stage, stage.asyncio.Barrier(parties), False).play(script)

    assert_same_if(False, body)


# --- turn by turn


@pytest.mark.parametrize("parties", [1, 2, 5])
def test_rounds(parties):
    def body(stage):
        barrier = stage.asyncio.Barrier(parties)

        async def worker(name):
            for count in range(3):
                stage.note("passed", count, name, await barrier.wait())

        tasks = [stage.task(worker(name)) for name in range(parties)]
        for turn in range(20):
            stage.turn()
            stage.note("turn", turn, facts(barrier))
        stage.note_ends(tasks)

    passed = [one[1:] for one in assert_same(body) if one[0] == "passed"]
    assert [count for count, *_ in passed] == sorted(count for count, *_ in passed)
    for count in range(3):
        assert sorted(index for each, _, index in passed if each == count) == list(range(parties))


def test_one_more_than_the_parties_waits_for_the_next_round():
    def body(stage):
        barrier = stage.asyncio.Barrier(3)
        tasks = [stage.task(barrier.wait()) for _ in range(7)]
        for turn in range(10):
            stage.turn()
            stage.note(turn, barrier.n_waiting, [task.done() for task in tasks])
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert trace[9][1:] == (1, [True] * 6 + [False])


def test_one_that_comes_while_it_drains():
    """Between the wake-up of all and the leaving of the last it lets nobody in, and has nobody waiting."""

    def body(stage):
        barrier = stage.asyncio.Barrier(2)

        async def worker(name):
            stage.note(name, await barrier.wait(), barrier.n_waiting)

        tasks = stage.blocked(worker("first"))
        stage.note(barrier.n_waiting)
        tasks.append(stage.task(barrier.wait()))
        tasks.append(stage.task(worker("while it drains")))
        for _ in range(5):
            stage.turn()
            stage.note(barrier.n_waiting, [task.done() for task in tasks])
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert trace[1:3] == [(0, [False, True, False]), ("first", 0, 0)]


def test_the_last_one_does_not_wait():
    def body(stage):
        barrier = stage.asyncio.Barrier(1)
        stage.attempt(finish, barrier.wait())
        stage.attempt(lambda: finish(barrier.__aenter__()))
        stage.attempt(lambda: finish(barrier.__aexit__(LookupError, LookupError(), None)))
        stage.note(plain(barrier))

    assert assert_same(body)[:2] == [("returned", "int", "0")] * 2


@pytest.mark.parametrize("end", ["abort", "reset", "abort and reset", "reset and abort", "reset twice"])
def test_those_inside_are_told(end):
    def body(stage):
        barrier = stage.asyncio.Barrier(4)
        tasks = stage.blocked(*(barrier.wait() for _ in range(3)))
        for name in end.replace("reset twice", "reset and reset").split(" and "):
            stage.attempt(stage.run, getattr(barrier, name)())
            stage.note(facts(barrier), [task.done() for task in tasks])
        late = [stage.task(barrier.wait()) for _ in range(2)]
        for _ in range(4):
            stage.turn()
            stage.note(facts(barrier), [task.done() for task in (*tasks, *late)])
        stage.note_ends([*tasks, *late])
        stage.note(plain(barrier))

    trace = assert_same(body)
    if "and" not in end and "twice" not in end:
        assert [one[1] for one in trace if one[0] in (0, 1, 2)][:3] == [BROKEN["inside"]] * 3


def test_an_aborted_one_stays_so_until_it_is_reset():
    def body(stage):
        barrier = stage.asyncio.Barrier(2)
        stage.attempt(finish, barrier.abort())
        stage.note(plain(barrier), barrier.broken, barrier.n_waiting)
        for _ in range(2):
            stage.attempt(finish, barrier.wait())
        stage.attempt(finish, barrier.reset())
        stage.note(plain(barrier), barrier.broken)
        tasks = [stage.task(barrier.wait()) for _ in range(2)]
        stage.turn(4)
        stage.note_ends(tasks)

    assert assert_same(body)[2] == ("raised", BROKEN["before"])


@pytest.mark.parametrize("moment", ["filling", "draining"])
def test_a_cancelled_one_leaves_its_place(moment):
    def body(stage):
        barrier = stage.asyncio.Barrier(3)
        tasks = stage.blocked(barrier.wait(), barrier.wait())
        if moment == "draining":
            finish(barrier.wait())
        tasks[0].cancel()
        stage.turn(4)
        stage.note(barrier.n_waiting, [task.done() for task in tasks])
        tasks += [stage.task(barrier.wait()), stage.task(barrier.wait())]
        stage.turn(8)
        stage.note(barrier.n_waiting, [task.done() for task in tasks])
        for task in tasks:
            stage.note("pending" if not task.done() else "cancelled" if task.cancelled() else task.result())

    trace = assert_same(body)
    assert trace[0][0] == (1 if moment == "filling" else 0)


# --- arguments and looks


@pytest.mark.parametrize("parties", [0, -1, -(10**30), None, "1", [], object()], ids=repr)
def test_parties_that_are_refused(parties):
    def body(stage):
        stage.attempt(stage.asyncio.Barrier, parties)
        stage.attempt(lambda: stage.asyncio.Barrier(parties=parties))

    refused = "ValueError" if isinstance(parties, int) else "TypeError"
    assert [(how, error[0]) for how, error in assert_same(body)] == [("raised", refused)] * 2


def test_parties_have_to_be_given():
    def body(stage):
        stage.attempt(stage.asyncio.Barrier)

    assert assert_same(body) == [("raised", ("TypeError", (), {}))]


def test_what_cannot_be_set():
    def body(stage):
        barrier = stage.asyncio.Barrier(2)
        for name in ("parties", "n_waiting", "broken"):
            stage.attempt(setattr, barrier, name, 1)
            stage.note(getattr(barrier, name))

    assert assert_same(body)[::2] == [("raised", ("AttributeError", (), {}))] * 3


def test_reprs():
    def body(stage):
        barrier = stage.asyncio.Barrier(3)
        stage.note(plain(barrier), hex(id(barrier)) in repr(barrier))
        tasks = stage.blocked(barrier.wait(), barrier.wait())
        stage.note(plain(barrier))
        finish(barrier.wait())
        stage.note(plain(barrier))
        stage.turn(3)
        stage.note(plain(barrier))
        tasks += stage.blocked(barrier.wait())
        finish(barrier.reset())
        stage.note(plain(barrier))
        stage.turn(2)
        finish(barrier.abort())
        stage.note(plain(barrier))
        stage.note_ends(tasks)

    shown = [one[0] for one in assert_same(body)[:6]]
    states = ["filling, waiters:0/3", "filling, waiters:2/3", "draining, waiters:0/3", "filling, waiters:0/3"]
    states += ["resetting, waiters:0/3", "broken"]
    assert shown == [f"<Barrier object at 0x [{state}]>" for state in states]


def test_a_subclass_that_overrides_what_async_with_calls():
    def body(stage):
        class Mine(stage.asyncio.Barrier):
            async def wait(self):
                stage.note("wait")
                return "place", await super().wait()

        async def main():
            async with Mine(1) as place:
                stage.note(place)

        stage.run(main())

    assert assert_same(body) == [("wait",), (("place", 0),)]
