"""Condition: the lock beneath it, which may be shared or of one's own; its looks, and what subclasses override."""

import asyncio

import pytest
from primitive_stage import STOCK, assert_same, finish, plain, still_waiting


@pytest.mark.parametrize("shared", ["stock", "plait"])
def test_two_conditions_on_one_lock(shared):
    """And the lock may be either library's."""

    def body(stage):
        lock = (STOCK if shared == "stock" else stage.asyncio).Lock()
        first, second = stage.asyncio.Condition(lock), stage.asyncio.Condition(lock=lock)
        stage.note(first._lock is lock)

        async def worker(name, mine, other):
            async with lock:
                for count in range(3):
                    await mine.wait()
                    stage.note(name, count, lock.locked())
                    other.notify()

        tasks = stage.blocked(worker("ping", first, second), worker("pong", second, first))
        finish(first.acquire())
        stage.note(second.locked(), lock.locked(), plain(second))
        first.notify()
        second.release()
        for turn in range(12):
            stage.turn()
            stage.note(turn, first.locked(), second.locked(), lock.locked())
        stage.note_ends(tasks)

    trace = assert_same(body)
    played = [one for one in trace if one[0] in ("ping", "pong")]
    assert played == [(name, count, True) for count in range(3) for name in ("ping", "pong")]


def test_a_lock_of_ones_own():
    """Whatever has acquire, release and locked."""

    def body(stage):
        class Mine:
            held = False

            def locked(self):
                return self.held

            async def acquire(self):
                stage.note("acquire")
                await asyncio.sleep(0)
                self.held = True
                return "mine"

            def release(self):
                stage.note("release")
                self.held = False
                return "free"

        lock = Mine()
        condition = stage.asyncio.Condition(lock)
        stage.note(condition._lock is lock, condition.locked == lock.locked)

        async def worker():
            stage.note(await condition.acquire())
            stage.note(await condition.wait())
            stage.note(condition.release())

        (task,) = stage.blocked(worker(), worker())[:1]
        lock.held = True
        condition.notify_all()
        lock.held = False
        stage.turn(4)
        stage.note(task.done(), plain(condition))

    assert_same(body)


@pytest.mark.parametrize("lock", [object(), 3, "lock", asyncio.Event()], ids=lambda lock: type(lock).__name__)
def test_what_is_no_lock(lock):
    def body(stage):
        stage.attempt(stage.asyncio.Condition, lock)

    assert assert_same(body) == [("raised", ("AttributeError", (), {}))]


def test_a_lock_that_counts_as_false():
    """None alone means "make one"."""

    def body(stage):
        class Mine(stage.asyncio.Lock):
            def __bool__(self):
                return False

        lock = Mine()
        stage.note(stage.asyncio.Condition(lock)._lock is lock)

    assert assert_same(body) == [(True,)]


def test_it_speaks_for_its_lock():
    def body(stage):
        condition = stage.asyncio.Condition()
        stage.note(type(condition._lock) is stage.asyncio.Lock)
        finish(condition.acquire())
        stage.note(condition._lock.locked(), plain(condition._lock))
        tasks = stage.blocked(condition.acquire(), condition._lock.acquire())
        stage.note(plain(condition), plain(condition._lock))
        condition._lock.release()
        stage.turn()
        stage.note([task.done() for task in tasks], condition.locked())
        stage.note_ends(tasks)

    assert assert_same(body)[0] == (True,)


def test_reprs():
    def body(stage):
        condition = stage.asyncio.Condition()
        stage.note(plain(condition), hex(id(condition)) in repr(condition))
        finish(condition.acquire())
        stage.note(plain(condition))
        condition.release()

        async def worker():
            async with condition:
                await condition.wait()

        tasks = stage.blocked(worker(), worker())
        stage.note(plain(condition))
        tasks[0].cancel()
        stage.note(plain(condition))
        finish(condition.acquire())
        stage.note(plain(condition))
        condition.release()

    assert ("<Condition object at 0x [locked, waiters:2]>",) in assert_same(body)


def test_private_attributes():
    def body(stage):
        condition = stage.asyncio.Condition()
        stage.note(len(condition._waiters), bool(condition._waiters), condition._loop)

        async def worker():
            async with condition:
                await condition.wait()

        tasks = stage.blocked(worker(), worker(), worker())
        tasks[1].cancel()
        finish(condition.acquire())
        condition.notify(1)
        stage.note(still_waiting(condition._waiters), still_waiting(condition._lock._waiters))
        stage.turn()
        stage.note(still_waiting(condition._waiters), still_waiting(condition._lock._waiters))
        condition.release()

    assert assert_same(body)[1] == (1, 0)


def test_a_subclass_that_overrides_what_its_own_methods_call():
    def body(stage):
        class Mine(stage.asyncio.Condition):
            async def wait(self):
                stage.note("wait")
                return await super().wait()

            def notify(self, n=1):
                stage.note("notify", n)
                super().notify(n)

        condition = Mine()
        answers = iter([False, True])

        async def worker():
            async with condition:
                return await condition.wait_for(lambda: next(answers))

        (task,) = stage.blocked(worker())
        finish(condition.acquire())
        condition.notify_all()
        condition.release()
        stage.turn(2)
        stage.note_end("task", task)

    trace = assert_same(body)
    assert trace[:2] == [("wait",), ("notify", 1)]


def test_a_subclass_that_acquires_by_itself():
    """The lock's own methods are put on each object, and hide those of the class."""

    def body(stage):
        class Mine(stage.asyncio.Condition):
            async def acquire(self):
                stage.note("hidden")

            def release(self):
                stage.note("hidden")

        async def main():
            condition = Mine()
            async with condition:
                stage.note(condition.locked(), condition.acquire == condition._lock.acquire)
            condition.acquire = acquire
            async with condition:
                stage.note(condition.locked())

        async def acquire():
            stage.note("put on the object")

        stage.attempt(stage.run, main())

    assert assert_same(body)[0] == (True, True)
