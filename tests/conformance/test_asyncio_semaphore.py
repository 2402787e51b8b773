"""Semaphore and BoundedSemaphore: permits are never lost and never made, whoever is cancelled."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primitive_stage import SEMAPHORE_IS_MENDED, assert_same, assert_same_if, facts, finish, plain, still_waiting, told
from script_player import Player, looking, numbers, scripted, scripts, start, step

KINDS = ("Semaphore", "BoundedSemaphore")


class SemaphorePlayer(Player):
    def __init__(self, stage, semaphore, looks):
        super().__init__(stage, semaphore, looks)
        self.permits = semaphore._value if looks else None
        self.given = 0  # released minus acquired
        self.keeps = stage.keeps(SEMAPHORE_IS_MENDED)

    def seen_inside(self):
        semaphore = self.thing
        bound = getattr(semaphore, "_bound_value", None)
        return semaphore._value, bound, still_waiting(semaphore._waiters), semaphore._loop is self.stage.loop

    def end(self):
        if not self.keeps:
            return
        assert self.thing.locked() or not self.waiting(), "there is a permit, and somebody waits for one"
        bounded = plain(self.thing).startswith("<Bounded")
        while self.waiting() and not bounded:
            before = [task.done() for task in self.tasks]
            self.do("release", [])
            self.quiet()
            assert [task.done() for task in self.tasks] != before, "a permit was lost"
        assert self.permits is None or self.thing._value == self.permits + self.given

    async def acquire(self):
        result = await self.thing.acquire()
        self.given -= 1
        return result

    async def hold(self, turns):
        holds = False
        try:
            async with self.thing as entered:
                holds = True
                self.given -= 1
                await self.pause(turns)
        except ValueError:
            holds = False  # somebody released too many before
            raise
        finally:
            self.given += holds
        return entered

    def release(self):
        self.thing.release()
        self.given += 1


holds = start("hold", numbers)


@looking
@pytest.mark.parametrize("kind", KINDS)
@scripted
@given(
    value=st.integers(0, 3),
    script=scripts(start("acquire"), start("acquire"), holds, step("release"), step("release")),
)
def test_scripts(looks, kind, value, script):
    def body(stage):
        SemaphorePlayer(stage, getattr(stage.asyncio, kind)(value), looks).play(script)

    assert_same_if(SEMAPHORE_IS_MENDED and not looks, body)


@scripted
@given(value=st.integers(1, 3), script=scripts(holds, holds, longest=40))
def test_holders_only(value, script):
    """Each task that gets a permit gives it back, and in the end all are there."""

    def body(stage):
        player = SemaphorePlayer(stage, stage.asyncio.BoundedSemaphore(value), False)
        player.play(script)
        stage.attempt(player.thing.release)
        assert not player.keeps or player.thing._value == value

    assert_same_if(SEMAPHORE_IS_MENDED, body)


# --- turn by turn


@pytest.mark.parametrize("permits", [1, 2, 3])
def test_in_the_order_of_arrival(permits):
    def body(stage):
        semaphore = stage.asyncio.Semaphore(permits)

        async def worker(name):
            async with semaphore:
                stage.note("in", name)
                await asyncio.sleep(0)
                stage.note("out", name)

        tasks = [stage.task(worker(name)) for name in range(8)]
        for turn in range(18):
            stage.turn()
            stage.note("turn", turn, facts(semaphore))
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert [name for what, name, *_ in trace if what == "in"] == list(range(8))


def test_a_newcomer_does_not_overtake_the_one_that_was_woken():
    def body(stage):
        semaphore = stage.asyncio.Semaphore(0)
        (waited,) = stage.blocked(semaphore.acquire())
        newcomer = stage.task(semaphore.acquire())
        semaphore.release()
        semaphore.release()
        stage.note(semaphore.locked())  # though a permit is left: the queue comes first
        for _ in range(3):
            stage.turn()
            stage.note(waited.done(), newcomer.done(), semaphore.locked())

    trace = assert_same(body)
    assert trace[0] == (True,)
    assert trace[1][:2] == (True, False) and trace[-1][:2] == (True, True)


def test_many_permits_at_once_wake_as_many():
    def body(stage):
        semaphore = stage.asyncio.Semaphore(0)
        tasks = stage.blocked(*(semaphore.acquire() for _ in range(5)))
        for _ in range(3):
            semaphore.release()
        stage.note(semaphore._value, semaphore.locked())
        stage.turn()
        stage.note([task.done() for task in tasks], semaphore.locked())
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert trace[1][0] == [True] * 3 + [False] * 2


def test_newcomers_behind_a_woken_one_are_let_in_together():
    """By the one that was woken, as many as there are permits for."""

    def body(stage):
        semaphore = stage.asyncio.Semaphore(0)
        tasks = stage.blocked(semaphore.acquire())
        tasks += [stage.task(semaphore.acquire()) for _ in range(3)]
        for _ in range(3):
            semaphore.release()
        for _ in range(4):
            stage.turn()
            stage.note([task.done() for task in tasks], semaphore.locked())
        stage.note_ends(tasks)

    assert_same_if(SEMAPHORE_IS_MENDED, body)


def test_a_permit_whose_receiver_is_cancelled_goes_to_the_next():
    def body(stage):
        semaphore = stage.asyncio.Semaphore(0)
        tasks = stage.blocked(*(semaphore.acquire() for _ in range(4)))
        semaphore.release()
        tasks[0].cancel()
        tasks[1].cancel()
        stage.turn(2)
        stage.note([task.done() for task in tasks], facts(semaphore))
        semaphore.release()
        tasks[3].cancel()
        stage.turn(2)
        stage.note([task.done() for task in tasks], facts(semaphore))
        stage.attempt(finish, semaphore.acquire()) if not semaphore.locked() else stage.note("locked")
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert trace[0][0] == [True, True, True, False]


# --- values


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0, 1, 2])
def test_values(kind, value):

    def body(stage):
        semaphore = getattr(stage.asyncio, kind)(value)
        stage.note(semaphore._value, plain(semaphore), semaphore.locked())
        if not semaphore.locked():
            stage.attempt(finish, semaphore.acquire())
            stage.note(semaphore._value, plain(semaphore))
        stage.attempt(semaphore.release)
        stage.attempt(semaphore.release)
        stage.note(semaphore._value, plain(semaphore))

    assert_same(body)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [2.0, math.inf, 10**30], ids=repr)
def test_values_that_are_no_small_ints(kind, value):
    """What compares with 0 and can be counted down will do: `math.inf` says "no limit" in programs."""

    def body(stage):
        semaphore = getattr(stage.asyncio, kind)(value)
        stage.note(semaphore.locked())
        for _ in range(2):
            stage.attempt(finish, semaphore.acquire())
        stage.note(semaphore.locked())
        for _ in range(2 if value < math.inf else 0):
            stage.attempt(semaphore.release)
        stage.note(semaphore.locked())

    assert assert_same(body)[0] == (False,)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [-1, -0.5, -math.inf, None, "1", b"1", [], object()], ids=repr)
def test_values_that_are_refused(kind, value):
    def body(stage):
        stage.attempt(getattr(stage.asyncio, kind), value)
        stage.attempt(lambda: getattr(stage.asyncio, kind)(value=value))

    trace = assert_same(body)
    negative = told(ValueError("Semaphore initial value must be >= 0"))
    assert trace == [("raised", negative if isinstance(value, (int, float)) else ("TypeError", (), {}))] * 2


def test_a_bounded_one_released_too_often():
    def body(stage):
        semaphore = stage.asyncio.BoundedSemaphore(2)
        stage.attempt(semaphore.release)
        finish(semaphore.acquire())
        stage.attempt(semaphore.release)
        stage.attempt(semaphore.release)
        finish(semaphore.acquire())
        finish(semaphore.acquire())
        (task,) = stage.blocked(semaphore.acquire())
        for _ in range(3):
            stage.attempt(semaphore.release)
            stage.note(semaphore._value, semaphore._bound_value)
        stage.turn()
        stage.note_end("task", task)
        stage.note(plain(semaphore), semaphore._value)

    assert ("raised", told(ValueError("BoundedSemaphore released too many times"))) in assert_same(body)


def test_reprs():
    def body(stage):
        for kind in KINDS:
            semaphore = getattr(stage.asyncio, kind)(2)
            stage.note(plain(semaphore), hex(id(semaphore)) in repr(semaphore))
            finish(semaphore.acquire())
            stage.note(plain(semaphore))
            finish(semaphore.acquire())
            stage.note(plain(semaphore))
            tasks = stage.blocked(semaphore.acquire(), semaphore.acquire())
            stage.note(plain(semaphore))
            tasks[1].cancel()
            semaphore.release()
            stage.note(plain(semaphore))
            stage.turn()
            semaphore.release()
            stage.note(plain(semaphore))

    trace = assert_same(body)
    assert trace[0][0] == "<Semaphore object at 0x [unlocked, value:2]>"
    assert ("<BoundedSemaphore object at 0x [locked, waiters:2]>",) in trace


def test_private_attributes():
    def body(stage):
        semaphore = stage.asyncio.BoundedSemaphore(1)
        stage.note(semaphore._value, semaphore._bound_value, semaphore._waiters, semaphore._loop)
        finish(semaphore.acquire())
        stage.note(semaphore._value, semaphore._waiters, semaphore._loop)
        tasks = stage.blocked(semaphore.acquire(), semaphore.acquire())
        stage.note(semaphore._value, still_waiting(semaphore._waiters), semaphore._loop is stage.loop)
        tasks[0].cancel()
        semaphore.release()
        stage.note(semaphore._value, still_waiting(semaphore._waiters))
        stage.turn()
        stage.note(semaphore._value, still_waiting(semaphore._waiters))

    trace = assert_same(body)
    assert trace[0] == (1, 1, None, None) and trace[3] == (0, 0)


def test_a_limit_that_is_changed():
    """Programs resize a semaphore by its private numbers, for want of a public way."""

    def body(stage):
        semaphore = stage.asyncio.BoundedSemaphore(1)
        semaphore._value += 1
        semaphore._bound_value += 1
        for _ in range(2):
            stage.attempt(finish, semaphore.acquire())
        (task,) = stage.blocked(semaphore.acquire())
        for _ in range(4):
            stage.attempt(semaphore.release)
        stage.turn()
        stage.note_end("task", task)
        stage.note(semaphore._value, semaphore._bound_value, plain(semaphore))

    assert_same(body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_subclass_that_overrides_what_async_with_calls(kind):
    def body(stage):
        class Mine(getattr(stage.asyncio, kind)):
            async def acquire(self):
                stage.note("acquire")
                return await super().acquire()

            def release(self):
                stage.note("release")
                super().release()

        async def main():
            async with semaphore:
                stage.note(semaphore._value)

        semaphore = Mine(2)
        stage.run(main())

    assert assert_same(body) == [("acquire",), (1,), ("release",)]
