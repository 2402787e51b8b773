"""timeout and timeout_at: the block ends in time, and whoever else cancels is not mistaken for the clock."""

import asyncio
import fractions
import gc
import math
import sys
import weakref

import pytest
from waiting_sides import FAR_AWAY, f, factory, forever, side, timers

__all__ = ["f", "factory", "side"]


def context_kinds(error):
    kinds = []
    while error is not None and len(kinds) < 10:
        kinds.append(type(error).__name__)
        error = error.__context__
    return kinds


@pytest.mark.parametrize("delay", [0.001, 0, -1, fractions.Fraction(1, 1000)])
def test_the_block_is_ended(loop, run, f, delay):
    async def main():
        with pytest.raises(TimeoutError) as raised:
            async with f.timeout(delay) as limit:
                await forever()
        assert limit.expired() and repr(limit) == "<Timeout [expired]>"
        assert context_kinds(raised.value) == ["TimeoutError", "CancelledError"]
        assert isinstance(raised.value.__cause__, asyncio.CancelledError) and raised.value.args == ()
        assert asyncio.current_task().cancelling() == 0 and not timers(loop)
        await f.sleep(0)  # and no cancellation is left

    run(main())


@pytest.mark.parametrize("delay", [None, FAR_AWAY, 0, math.inf])
def test_a_block_that_does_not_wait_is_not_ended(loop, run, f, delay):
    async def main():
        async with f.timeout(delay) as limit:
            assert not limit.expired() and repr(limit).startswith("<Timeout [active] when=")
        assert not limit.expired() and repr(limit) == "<Timeout [finished]>" and not timers(loop)
        await f.sleep(0)

    run(main())


def test_what_it_is(loop, run, f):
    async def main():
        limit = f.timeout(FAR_AWAY)
        assert isinstance(limit, asyncio.Timeout) and repr(limit) == "<Timeout [created]>"
        assert loop.time() < limit.when() <= loop.time() + FAR_AWAY
        assert f.timeout(None).when() is None is f.timeout_at(None).when()
        assert f.timeout_at(5).when() == 5 and type(f.timeout_at(5).when()) is int
        async with f.timeout(None) as limit:
            assert repr(limit) == "<Timeout [active] when=None>" and not timers(loop)
        async with f.timeout_at(loop.time() + FAR_AWAY) as limit:
            assert repr(limit) == f"<Timeout [active] when={round(limit.when(), 3)}>"
            [timer] = timers(loop)
            assert isinstance(timer, asyncio.TimerHandle) and timer.when() == limit.when()
            assert "Timeout._on_timeout" in repr(timer)
        assert weakref.ref(limit)() is limit

    run(main())


def test_the_timer_that_is_shown_can_be_cancelled(loop, run, f):
    async def main():
        async with f.timeout(FAR_AWAY):
            timers(loop)[0].cancel()
            assert not timers(loop)

    run(main())


def test_a_deadline_that_has_passed(loop, run, f):
    async def main():
        for when in (loop.time() - 1, 0, loop.time()):
            with pytest.raises(TimeoutError):
                async with f.timeout_at(when) as limit:
                    await forever()
            assert limit.when() == when

    run(main())


# --- reschedule


def test_rescheduled(loop, run, f):
    async def main():
        with pytest.raises(TimeoutError):
            async with f.timeout(None) as limit:
                limit.reschedule(loop.time() + FAR_AWAY)
                assert len(timers(loop)) == 1
                limit.reschedule(loop.time() - 1)
                assert not timers(loop)
                limit.reschedule(None)
                for _ in range(3):
                    await f.sleep(0)  # the one that was due has been taken back
                limit.reschedule(loop.time() + 0.001)
                await forever()
        async with f.timeout(0.0001) as limit:
            limit.reschedule(loop.time() + FAR_AWAY)
            await f.sleep(0.001)

    run(main())


def test_reschedule_at_the_wrong_time(loop, run, f):
    async def main():
        limit = f.timeout(None)
        with pytest.raises(RuntimeError, match="^Timeout has not been entered$"):
            limit.reschedule(1)
        async with limit:
            pass
        with pytest.raises(RuntimeError, match="^Cannot change state of finished Timeout$"):
            limit.reschedule(1)
        with pytest.raises(TimeoutError):
            async with f.timeout(0) as limit:
                try:
                    await forever()
                finally:
                    with pytest.raises(RuntimeError, match="^Cannot change state of expiring Timeout$"):
                        limit.reschedule(1)
        with pytest.raises(RuntimeError, match="^Cannot change state of expired Timeout$"):
            limit.reschedule(1)

    run(main())


# --- what it refuses


def test_entered_twice(run, f):
    async def main():
        limit = f.timeout(None)
        async with limit:
            for _ in range(2):
                with pytest.raises(RuntimeError, match="^Timeout has already been entered$"):
                    async with limit:
                        pass
        with pytest.raises(RuntimeError, match="^Timeout has already been entered$"):
            await limit.__aenter__()

    run(main())


def test_outside_a_task(loop, f):
    seen = []

    def callback():
        with pytest.raises(RuntimeError, match="^Timeout should be used inside a task$"):
            f.timeout(1).__aenter__().send(None)
        seen.append("seen")
        loop.stop()

    loop.call_soon(callback)
    loop.run_forever()
    assert seen == ["seen"]


def test_without_a_loop(f):
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        f.timeout(1)
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        f.timeout_at(1).__aenter__().send(None)


def test_what_is_not_a_time(run, f):
    def words(function, delay):
        async def main():
            async with function(delay):
                pass

        with pytest.raises(TypeError) as raised:
            run(main())
        return str(raised.value)

    for delay in ("1", [], object):
        assert words(f.timeout, delay) == words(asyncio.timeout, delay)
        assert words(f.timeout_at, delay) == words(asyncio.timeout_at, delay)


# --- who cancels


def test_cancelled_by_somebody_else(loop, run, f):
    async def waits():
        async with f.timeout(FAR_AWAY):
            await forever()

    async def main():
        task = loop.create_task(waits())
        await f.sleep(0)
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError, match="^why$"):
            await task
        assert task.cancelling() == 1 and not timers(loop)

    run(main())


def test_cancelled_by_both(loop, run, f):
    """Whoever comes first: the cancellation from outside wins."""

    async def waits(limits):
        async with f.timeout(FAR_AWAY) as limit:
            limits.append(limit)
            await forever()

    async def main(order):
        limits = []
        task = loop.create_task(waits(limits))
        await f.sleep(0)
        for who in order:
            task.cancel() if who == "task" else limits[0]._on_timeout()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelling(), limits[0].expired()

    assert run(main(["task", "clock"])) == run(main(["clock", "task"])) == (1, True)


def test_a_task_that_was_cancelled_before_counts_from_there(run, f):
    async def main():
        task = asyncio.current_task()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await f.sleep(0)
        with pytest.raises(TimeoutError):
            async with f.timeout(0):
                await forever()
        assert task.cancelling() == 1
        task.uncancel()

    run(main())


def test_one_within_the_other(loop, run, f):
    async def main(outer, inner):
        caught = []
        try:
            async with f.timeout(outer) as first:
                try:
                    async with f.timeout(inner) as second:
                        await forever()
                except TimeoutError:
                    caught.append("inner")
                await f.sleep(0.002)
        except TimeoutError:
            caught.append("outer")
        assert asyncio.current_task().cancelling() == 0 and not timers(loop)
        return caught, first.expired(), second.expired()

    assert run(main(FAR_AWAY, 0.0001)) == (["inner"], False, True)
    assert run(main(0.0001, FAR_AWAY)) == (["outer"], True, False)
    assert run(main(0.001, 0)) == (["inner", "outer"], True, True)
    assert run(main(0, 0)) == (["outer"], True, True)


@pytest.mark.parametrize("error", [LookupError, asyncio.CancelledError, KeyError, GeneratorExit])
def test_an_error_of_the_block(run, f, error):
    async def main():
        with pytest.raises(error, match="mine"):
            async with f.timeout(FAR_AWAY) as limit:
                raise error("mine")
        assert repr(limit) == "<Timeout [finished]>"

    run(main())


@pytest.mark.parametrize("kind", ["error", "group", "subclass", "swallowed"])
def test_what_the_block_makes_of_the_cancellation(run, f, kind):
    """As the host Python has it: from 3.13 on a TimeoutError stands among the contexts."""

    class Mine(asyncio.CancelledError):
        pass

    async def block():
        try:
            await forever()
        except asyncio.CancelledError:
            if kind == "error":
                raise LookupError
            if kind == "group":
                raise ExceptionGroup("two", [LookupError(), KeyError()])
            if kind == "subclass":
                raise Mine

    async def main(functions):
        try:
            async with functions.timeout(0):
                await block()
        except BaseException as error:
            return context_kinds(error), [context_kinds(each) for each in getattr(error, "exceptions", ())]

    assert run(main(f)) == run(main(asyncio))


def test_the_handled_exception_around_it_stays(run, f):
    async def main():
        try:
            raise LookupError
        except LookupError:
            async with f.timeout(FAR_AWAY):
                pass
            assert isinstance(sys.exc_info()[1], LookupError)
            with pytest.raises(TimeoutError) as raised:
                async with f.timeout(0):
                    await forever()
            assert context_kinds(raised.value) == ["TimeoutError", "CancelledError", "LookupError"]

    run(main())


# --- what is left


def test_debug_mode(loop, run, f):
    loop.set_debug(True)

    async def main():
        with pytest.raises(TimeoutError):
            async with f.timeout(0.001):
                await forever()
        async with f.timeout(FAR_AWAY):
            pass

    run(main())


def test_a_block_that_is_never_left_is_collected(loop, f):
    async def waits():
        async with f.timeout(None) as limit:
            refs.append(weakref.ref(limit))
            await loop.create_future()

    refs = []
    task = loop.create_task(waits())
    loop.call_soon(loop.stop)
    loop.run_forever()
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert refs[0]() is None


def test_on_an_exit_stack(run, f):
    from contextlib import AsyncExitStack

    async def main():
        with pytest.raises(TimeoutError):
            async with AsyncExitStack() as stack:
                limit = await stack.enter_async_context(f.timeout(0))
                assert isinstance(limit, asyncio.Timeout)
                await forever()
        limit = f.timeout(FAR_AWAY)
        assert await limit.__aenter__() is limit
        assert await limit.__aexit__(None, None, None) is None
        with pytest.raises(AssertionError):
            await limit.__aexit__(None, None, None)

    run(main())
