"""Condition: exactly as many are woken as were to be, each has the lock when it goes on, and a notification whose
receiver is cancelled goes to the next.
"""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primitive_stage import (
    CONDITION_IS_MENDED,
    assert_same,
    assert_same_if,
    facts,
    finish,
    observe,
    plain,
    still_waiting,
    told,
)
from script_player import Player, looking, numbers, scripted, scripts, start, step


class ConditionPlayer(Player):
    level = 0

    def seen(self):
        return super().seen(), self.level

    def seen_inside(self):
        condition = self.thing
        waiting = still_waiting(condition._waiters), still_waiting(condition._lock._waiters)
        return waiting, condition._lock.locked(), condition._loop is self.stage.loop

    def end(self):
        """A last notification of all, and nobody is left behind."""
        if self.thing.locked():
            self.do("release", [])
            self.quiet()
        self.level = 99
        for _ in range(2):  # there are tasks that wait twice
            self.stage.run(self.notify_all())
            self.quiet()
        assert not self.waiting()
        assert not self.thing.locked()

    async def wait(self, turns):
        async with self.thing:
            result = await self.thing.wait()
            assert self.thing.locked()
            await self.pause(turns)
        return result

    async def wait_for(self, level):
        async with self.thing:
            return await self.thing.wait_for(lambda: self.level >= level and f"level {self.level}")

    async def wait_twice(self):
        async with self.thing:
            first = await self.thing.wait()
            return first, await self.thing.wait()

    async def hold(self, turns):
        async with self.thing:
            await self.pause(turns)

    async def notify(self, count):
        async with self.thing:
            self.level += 1
            return self.thing.notify(count)

    async def notify_all(self):
        async with self.thing:
            return self.thing.notify_all()

    async def acquire(self):
        """The lock stays with whoever runs the script."""
        return await self.thing.acquire()

    def release(self):
        self.thing.release()

    def notify_now(self, count):
        self.thing.notify(count)


steps = (
    start("wait", numbers),
    start("wait", numbers),
    start("wait_for", numbers),
    start("wait_twice"),
    start("hold", numbers),
    start("notify", numbers),
    start("notify_all"),
)


@looking
@scripted
@given(script=scripts(*steps, longest=30, cancels=False))
def test_scripts(looks, script):
    def body(stage):
        ConditionPlayer(stage, stage.asyncio.Condition(), looks).play(script)

    assert_same(body)


@scripted
@given(script=scripts(*steps, longest=30))
def test_scripts_with_cancellations(script):
    def body(stage):
        ConditionPlayer(stage, stage.asyncio.Condition(), False).play(script)

    assert_same_if(False, body)


class Lawless(ConditionPlayer):
    """The lock may be taken from those who have it."""

    def end(self):
        for _ in range(3 * len(self.tasks) + 3):
            if self.thing.locked():
                self.do("release", [])
            self.quiet()


@scripted
@given(script=scripts(*steps, start("acquire"), step("release"), step("notify_now", numbers), cancels=False))
def test_scripts_that_release_what_they_do_not_hold(script):
    def body(stage):
        Lawless(stage, stage.asyncio.Condition(), False).play(script)

    assert_same(body)


@scripted
@given(
    count=st.integers(1, 5),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("notify"), st.integers(0, 2)),
            st.tuples(st.just("cancel"), st.integers(0, 4)),
            st.tuples(st.just("turn")),
            st.tuples(st.just("hold"), st.integers(1, 3)),
        ),
        max_size=10,
    ),
)
def test_no_notification_is_lost(count, steps):
    """As many return as were notified, or as are left, however many were cancelled with a notification in hand."""

    def body(stage):
        condition = stage.asyncio.Condition()

        async def wait():
            async with condition:
                await condition.wait()

        async def hold(turns):
            async with condition:
                for _ in range(turns):
                    await asyncio.sleep(0)

        async def play(tasks):
            notified = 0
            for name, *arguments in steps:
                if name == "notify":
                    async with condition:
                        condition.notify(*arguments)
                    notified += arguments[0]
                elif name == "hold":
                    stage.task(hold(*arguments))
                elif name == "turn":
                    await asyncio.sleep(0)
                elif arguments[0] < count:
                    tasks[arguments[0]].cancel()
            return notified

        tasks = stage.blocked(*(wait() for _ in range(count)))
        notified = stage.run(play(tasks))
        stage.turn(4 * count + 5 * len(steps) + 12)
        ended = [task for task in tasks if task.done()]
        cancelled = sum(task.cancelled() for task in ended)
        returned = len(ended) - cancelled
        if stage.keeps(CONDITION_IS_MENDED):
            assert returned >= min(notified, count - cancelled)
        if not cancelled:
            assert returned == min(notified, count)
        stage.note("counted")

    assert_same(body)


@pytest.mark.parametrize("moment", ["at once", "at the lock"])
@pytest.mark.parametrize("notified", [1, 2])
@pytest.mark.parametrize("cancelled", [(0,), (1,), (0, 1), (1, 0), (0, 2), (1, 2), (0, 0)], ids=str)
def test_a_notification_whose_receiver_is_cancelled_goes_to_the_next(moment, notified, cancelled):
    """Cancelled before the receiver ran, or while it waits for the lock."""

    def body(stage):
        condition = stage.asyncio.Condition()

        async def wait():
            async with condition:
                await condition.wait()

        tasks = stage.blocked(*(wait() for _ in range(4)))
        finish(condition.acquire())
        condition.notify(notified)
        if moment == "at the lock":
            stage.turn(2)
        for number in cancelled:
            tasks[number].cancel()
        condition.release()
        stage.turn(12)
        returned = sum(task.done() and not task.cancelled() for task in tasks)
        assert returned >= notified or not stage.keeps(CONDITION_IS_MENDED)
        stage.note([tasks[number].cancelled() for number in cancelled], condition.locked())

    assert_same(body)


# --- turn by turn


@pytest.mark.parametrize("notify", [("notify",), ("notify", 0), ("notify", 2), ("notify", 9), ("notify_all",)], ids=str)
def test_who_is_woken(notify):
    def body(stage):
        condition = stage.asyncio.Condition()

        async def worker(name):
            async with condition:
                stage.note("woken", name, await condition.wait(), condition.locked())
                await asyncio.sleep(0)

        tasks = stage.blocked(*map(worker, range(5)))
        finish(condition.acquire())
        stage.attempt(getattr(condition, notify[0]), *notify[1:])
        stage.turn()
        stage.note(facts(condition))  # woken, and waiting for the lock
        condition.release()
        for turn in range(12):
            stage.turn()
            stage.note("turn", turn, facts(condition))
        finish(condition.acquire())
        condition.notify_all()
        condition.release()
        stage.turn(12)
        stage.note_ends(tasks)

    trace = assert_same(body)
    count = {("notify",): 1, ("notify", 0): 0, ("notify", 2): 2}.get(notify, 5)
    last = max(place for place, one in enumerate(trace) if one[0] == "turn")  # after it the others are woken too
    assert [one for one in trace[:last] if one[0] == "woken"] == [("woken", name, True, True) for name in range(count)]


@pytest.mark.parametrize("count", [-1, True, None, "1"], ids=repr)
def test_odd_numbers_to_notify(count):
    def body(stage):
        condition = stage.asyncio.Condition()
        finish(condition.acquire())
        stage.attempt(condition.notify, count)
        condition.release()

        async def worker():
            async with condition:
                await condition.wait()

        tasks = stage.blocked(worker(), worker(), worker())
        finish(condition.acquire())
        stage.attempt(condition.notify, count)
        condition.release()
        stage.turn(8)
        stage.note([task.done() for task in tasks])

    if isinstance(count, (int, float)):
        assert_same(body)
        return
    # the standard one does not look at it when nobody waits
    traces = [observe(library, loop, body)[-2:] for library in ("stock", "plait") for loop in ("stock", "plait")]
    assert traces == [[("raised", ("TypeError", (), {})), ([False] * 3,)]] * 4


def test_without_the_lock():
    def body(stage):
        condition = stage.asyncio.Condition()
        stage.attempt(stage.run, condition.wait())
        stage.attempt(stage.run, condition.wait_for(lambda: False))
        stage.attempt(stage.run, condition.wait_for(lambda: "at once"))
        stage.attempt(condition.notify)
        stage.attempt(condition.notify_all)
        stage.attempt(condition.release)
        stage.note(condition.locked(), plain(condition))

    words = [f"cannot {what} on un-acquired lock" for what in ("wait", "wait", "notify", "notify")]
    words.append("Lock is not acquired.")
    assert [one[1] for one in assert_same(body) if one[0] == "raised"] == [told(RuntimeError(each)) for each in words]


def test_wait_for_asks_again_after_each_notification():
    def body(stage):
        condition = stage.asyncio.Condition()
        answers = iter([0, "", None, [1]])

        def predicate():
            stage.note("asked", condition.locked())
            return next(answers)

        async def worker():
            async with condition:
                return await condition.wait_for(predicate)

        (task,) = stage.blocked(worker())
        for _ in range(4):
            finish(condition.acquire())
            condition.notify()
            condition.release()
            stage.turn(2)
        stage.note_end("task", task)

    trace = assert_same(body)
    assert trace.count(("asked", True)) == 4 and trace[-1] == ("task", "list", "[1]")


def test_a_predicate_that_raises():
    def body(stage):
        condition = stage.asyncio.Condition()

        def predicate():
            raise LookupError("no answer")

        async def worker():
            async with condition:
                return await condition.wait_for(predicate)

        stage.attempt(stage.run, worker())
        stage.note(plain(condition))
        stage.attempt(stage.run, condition.wait_for(None))

    assert assert_same(body)[0] == ("raised", told(LookupError("no answer")))


@pytest.mark.parametrize("cancelled", ["before", "with the notification", "at the lock", "twice", "again at the lock"])
def test_a_cancelled_wait_has_the_lock_when_it_leaves(cancelled):
    def body(stage):
        condition = stage.asyncio.Condition()

        async def worker():
            async with condition:
                try:
                    await condition.wait()
                finally:
                    stage.note("leaves", condition.locked())

        (task,) = stage.blocked(worker())
        finish(condition.acquire())
        if cancelled in ("before", "again at the lock"):
            task.cancel("first")
            stage.turn(2)
        if cancelled in ("with the notification", "at the lock"):
            condition.notify()
        if cancelled == "at the lock":
            stage.turn(2)
        for word in {"before": [], "twice": ["one", "two"]}.get(cancelled, ["only"]):
            stage.note(task.cancel(word))
        stage.turn(3)
        stage.note(task.done(), condition.locked())
        condition.release()
        stage.turn(3)
        stage.note_end("worker", task)
        stage.note(plain(condition), condition._lock.locked())

    trace = assert_same(body)
    assert [one for one in trace if one[0] == "leaves"][0][1] is True
    assert trace[-1] == ("<Condition object at 0x [unlocked]>", False)


@pytest.mark.skipif(not CONDITION_IS_MENDED, reason="raised an exception of its own before")
def test_the_last_cancellation_is_the_one_that_is_raised():
    def body(stage):
        condition = stage.asyncio.Condition()

        async def worker():
            async with condition:
                try:
                    await condition.wait()
                except asyncio.CancelledError as error:
                    stage.note(error.args)
                    raise

        (task,) = stage.blocked(worker())
        finish(condition.acquire())
        for word in ("one", "two", "three"):
            task.cancel(word)
            stage.turn(2)
        condition.release()
        stage.turn(2)
        stage.note_end("task", task)

    assert assert_same(body)[0] == (("three",),)
