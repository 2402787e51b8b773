"""Lock: who gets it, when, and what becomes of it when those who wait are cancelled.

What all primitives have in common is in test_asyncio_primitives.py.
"""

import asyncio

import pytest
from hypothesis import given
from primitive_stage import assert_same, assert_same_if, facts, finish, plain, still_waiting, told
from script_player import Player, looking, numbers, scripted, scripts, start, step


class LockPlayer(Player):
    def __init__(self, stage, lock, looks):
        super().__init__(stage, lock, looks)
        self.holds = 0  # acquired minus released

    def seen_inside(self):
        lock = self.thing
        loop = lock._loop is not None and lock._loop is self.stage.loop
        return lock._locked, still_waiting(lock._waiters), loop

    def end(self):
        for _ in self.tasks:
            assert self.thing.locked() is (self.holds == 1)
            assert self.thing.locked() or not self.waiting(), "the lock is free, and somebody waits for it"
            if self.thing.locked():
                self.do("release", [])
            self.quiet()

    async def acquire(self):
        result = await self.thing.acquire()
        self.taken()
        return result

    async def hold(self, turns):
        async with self.thing as entered:
            self.taken()
            try:
                await self.pause(turns)
            finally:
                self.holds -= self.thing.locked()  # then __aexit__ releases it
        return entered

    def taken(self):
        assert self.holds == 0, "two have it"
        self.holds = 1

    def release(self):
        self.thing.release()
        self.holds -= 1


@looking
@scripted
@given(script=scripts(start("acquire"), start("acquire"), start("hold", numbers), step("release"), step("release")))
def test_scripts(looks, script):
    def body(stage):
        LockPlayer(stage, stage.asyncio.Lock(), looks).play(script)

    # A cancelled waiter's successor is woken a turn earlier (docs/differences.md).
    assert_same_if(False, body)


@looking
@scripted
@given(script=scripts(start("hold", numbers), longest=40))
def test_holders_only(looks, script):
    """Each task that gets the lock gives it back; many cancelled and timed out, no other call comes between."""

    def body(stage):
        player = LockPlayer(stage, stage.asyncio.Lock(), looks)
        player.play(script)
        assert not player.thing.locked() and not player.thing._waiters

    assert_same_if(False, body)


# --- turn by turn


def test_in_the_order_of_arrival():
    def body(stage):
        lock = stage.asyncio.Lock()
        finish(lock.acquire())

        async def worker(name):
            async with lock:
                stage.note("in", name)
                await asyncio.sleep(0)
                stage.note("out", name)

        tasks = stage.blocked(*map(worker, range(6)))
        lock.release()
        for turn in range(14):
            stage.note("turn", turn, facts(lock))
            stage.turn()
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert [name for what, name, *_ in trace if what == "in"] == list(range(6))


def test_a_newcomer_does_not_overtake_the_one_that_was_woken():
    """The lock is free then, and is not to be had."""

    def body(stage):
        lock = stage.asyncio.Lock()
        order = []

        async def worker(name):
            await lock.acquire()
            order.append(name)

        finish(lock.acquire())
        tasks = stage.blocked(worker("waited"))
        tasks.append(stage.task(worker("began before the release")))
        lock.release()
        tasks.append(stage.task(worker("began after it")))
        stage.note(lock.locked())
        for _ in tasks:
            stage.turn()
            stage.note(order[:], lock.locked())
            lock.release()
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert trace[0] == (False,)
    assert trace[1][0] == ["waited"] and trace[3][0] == ["waited", "began before the release", "began after it"]


def test_the_queue_is_jumped_when_all_in_it_are_cancelled():
    def body(stage):
        lock = stage.asyncio.Lock()
        finish(lock.acquire())
        tasks = stage.blocked(*(lock.acquire() for _ in range(3)))
        lock.release()
        for task in tasks:
            task.cancel()
            stage.note(lock.locked())
        # the woken one is the first, and its future is done, not cancelled
        stage.attempt(stage.run, lock.acquire())
        stage.note(lock.locked())
        stage.note_ends(tasks)

        lock = stage.asyncio.Lock()
        finish(lock.acquire())
        tasks = stage.blocked(*(lock.acquire() for _ in range(3)))
        for task in tasks:
            task.cancel()
        lock.release()
        stage.attempt(finish, lock.acquire())  # does not wait, though all of them are in the queue yet
        stage.note_ends(tasks)
        stage.note(plain(lock))

    trace = assert_same(body)
    assert trace[-6] == ("returned", "bool", "True")
    assert trace[-1] == ("<Lock object at 0x [locked]>",)


def test_released_again_before_the_woken_one_ran():
    """There is nothing to release: the lock is not handed over but free."""

    def body(stage):
        lock = stage.asyncio.Lock()
        finish(lock.acquire())
        tasks = stage.blocked(lock.acquire(), lock.acquire())
        lock.release()
        stage.attempt(lock.release)
        stage.turn()
        stage.note([task.done() for task in tasks], lock.locked())

    assert ("raised", told(RuntimeError("Lock is not acquired."))) in assert_same(body)


@pytest.mark.parametrize("leave", ["return", "raise", "cancel", "time out"])
def test_async_with_releases(leave):
    def body(stage):
        lock = stage.asyncio.Lock()

        async def worker():
            async with stage.asyncio.timeout(None) as limit:
                async with lock as entered:
                    stage.note(entered, lock.locked())
                    if leave == "raise":
                        raise LookupError("inside")
                    if leave == "cancel":
                        asyncio.current_task().cancel("itself")
                    if leave == "time out":
                        limit.reschedule(0)
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)

        task = stage.task(worker())
        stage.turn()
        stage.note(plain(lock))
        stage.turn(5)
        stage.note(plain(lock))
        stage.note_end("worker", task)

    trace = assert_same(body)
    assert ("<Lock object at 0x [unlocked]>",) in trace


def test_exit_has_no_opinion_of_the_exception():
    def body(stage):
        lock = stage.asyncio.Lock()
        stage.attempt(lambda: finish(lock.__aenter__()))
        stage.attempt(lambda: finish(lock.__aexit__(LookupError, LookupError(), None)))
        stage.attempt(lambda: finish(lock.__aexit__(None, None, None)))

    trace = assert_same(body)
    assert trace[-1] == ("raised", told(RuntimeError("Lock is not acquired.")))


def test_reprs():
    def body(stage):
        lock = stage.asyncio.Lock()
        stage.note(plain(lock))
        finish(lock.acquire())
        stage.note(plain(lock), str(lock) == repr(lock), hex(id(lock)) in repr(lock))
        tasks = stage.blocked(lock.acquire(), lock.acquire())
        stage.note(plain(lock))
        tasks[1].cancel()
        stage.note(plain(lock))
        stage.turn()
        stage.note(plain(lock))
        lock.release()
        stage.note(plain(lock))
        stage.turn()
        stage.note(plain(lock))

    shown = [one[0] for one in assert_same(body)]
    assert shown[2:5] == [f"<Lock object at 0x [locked, waiters:{count}]>" for count in (2, 2, 1)]


def test_private_attributes():
    def body(stage):
        lock = stage.asyncio.Lock()
        stage.note(lock._locked, lock._waiters, lock._loop)
        finish(lock.acquire())
        stage.note(lock._locked, lock._waiters, lock._loop)
        tasks = stage.blocked(lock.acquire(), lock.acquire())
        stage.note(lock._locked, len(lock._waiters), still_waiting(lock._waiters), lock._loop is stage.loop)
        tasks[0].cancel()
        stage.note(lock._locked, still_waiting(lock._waiters))
        stage.turn()
        lock.release()
        stage.note(lock._locked, still_waiting(lock._waiters))
        stage.turn()
        stage.note(lock._locked, still_waiting(lock._waiters))

    trace = assert_same(body)
    assert trace[0] == (False, None, None) and trace[2][2] == 2


def test_a_subclass_that_overrides_what_async_with_calls():
    def body(stage):
        class Mine(stage.asyncio.Lock):
            async def acquire(self):
                stage.note("acquire")
                return await super().acquire()

            def release(self):
                stage.note("release")
                super().release()

        async def main():
            lock = Mine()
            async with lock:
                stage.note(plain(lock).replace(__name__, ""))
            condition = stage.asyncio.Condition(lock)
            async with condition:
                stage.note(lock.locked(), condition.locked())

        stage.run(main())

    trace = assert_same(body)
    assert [one for one in trace if one in (("acquire",), ("release",))] == [("acquire",), ("release",)] * 2
