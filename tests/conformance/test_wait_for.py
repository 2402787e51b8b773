"""wait_for: a result, or a TimeoutError after what was awaited has been cancelled."""

import asyncio
import gc
import sys

import pytest
from waiting_sides import FAR_AWAY, Awaits, f, factory, fail, forever, give, python_future, side, timers

__all__ = ["f", "factory", "side"]


@pytest.mark.parametrize("timeout", [None, FAR_AWAY, 1e9, True])
def test_a_result_in_time(loop, run, f, timeout):
    async def main():
        done, pending, stock = loop.create_future(), loop.create_future(), python_future(loop)
        done.set_result("done")
        loop.call_soon(pending.set_result, "pending")
        loop.call_soon(stock.set_result, "stock")
        awaitables = done, pending, stock, give("coroutine"), loop.create_task(f.sleep(0, "task")), Awaits(give("awaitable"))
        assert [await f.wait_for(each, timeout) for each in awaitables] == [
            "done", "pending", "stock", "coroutine", "task", "awaitable",
        ]  # fmt: skip
        for result in (None, (), (1, 2), LookupError(), asyncio.timeout(1), asyncio.wait_for):
            future = loop.create_future()
            future.set_result(result)
            assert await f.wait_for(future, timeout) is result
            assert await f.wait_for(give(result), timeout=timeout) is result
        assert not timers(loop)

    run(main())


@pytest.mark.parametrize("error", [LookupError("its own"), asyncio.CancelledError("its own"), SystemError()])
def test_an_error_in_time(loop, run, f, error):
    async def main():
        failed = loop.create_future()
        failed.cancel(*error.args) if isinstance(error, asyncio.CancelledError) else failed.set_exception(error)
        for awaitable in (failed, fail(error), loop.create_task(fail(error))):
            with pytest.raises(type(error)) as raised:
                await f.wait_for(awaitable, FAR_AWAY)
            assert raised.value.args == error.args
        assert not timers(loop) and asyncio.current_task().cancelling() == 0

    run(main())


@pytest.mark.parametrize("timeout", [0.001, 1e-9, 0, -1])
def test_the_time_is_over(loop, run, f, timeout):
    async def main():
        for awaitable in (loop.create_future(), python_future(loop), forever(), loop.create_task(forever())):
            with pytest.raises(asyncio.TimeoutError) as raised:
                await f.wait_for(awaitable, timeout)
            assert type(raised.value) is TimeoutError and raised.value.args == ()
            assert isinstance(raised.value.__cause__, asyncio.CancelledError)
            if asyncio.isfuture(awaitable):
                assert awaitable.cancelled()
        assert not timers(loop) and asyncio.current_task().cancelling() == 0

    run(main())


def test_a_coroutine_whose_time_is_over_before_never_starts(run, f):
    async def main():
        started = []
        with pytest.raises(asyncio.TimeoutError):
            await f.wait_for(give(started.append(1)), 0)

    run(main())


def test_what_is_done_is_returned_even_when_the_time_is_over(loop, run, f):
    async def main():
        done = loop.create_future()
        done.set_result(1)
        assert await f.wait_for(done, 0) == await f.wait_for(done, -1) == 1

    run(main())


def test_a_coroutine_that_ends_although_it_was_cancelled(run, f):
    async def stubborn():
        try:
            await forever()
        except asyncio.CancelledError:
            return "all the same"

    async def main():
        assert await f.wait_for(stubborn(), 0.001) == "all the same"
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_a_coroutine_that_fails_when_it_is_cancelled(run, f):
    async def clumsy():
        try:
            await forever()
        finally:
            raise LookupError("in its clean-up")

    async def main():
        with pytest.raises(LookupError, match="in its clean-up") as raised:
            await f.wait_for(clumsy(), 0.001)
        kinds, error = [], raised.value
        while error is not None:
            kinds.append(type(error).__name__)
            error = error.__context__
        return kinds

    def seen(function):
        async def on_stock():
            nonlocal f
            before, f = f, function
            try:
                return await main()
            finally:
                f = before

        return on_stock

    assert run(main()) == run(seen(asyncio)())


@pytest.mark.parametrize("make", [lambda loop: loop.create_future(), python_future, lambda loop: loop.create_task(forever())])
def test_a_cancellation_goes_to_what_is_awaited(loop, run, f, make):
    async def main():
        awaited = make(loop)
        task = loop.create_task(f.wait_for(awaited, FAR_AWAY))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert awaited.cancelled() and task.cancelled() and not timers(loop)

    run(main())


def test_one_within_the_other(run, f):
    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await f.wait_for(f.wait_for(forever(), 0.001), FAR_AWAY)
        with pytest.raises(asyncio.TimeoutError):
            await f.wait_for(f.wait_for(forever(), FAR_AWAY), 0.001)
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_what_it_refuses(loop, run, f):
    def words(function, *arguments):
        with pytest.raises(TypeError) as raised:
            run(function(*arguments))
        return str(raised.value)

    future = loop.create_future()
    for arguments in ((3, 1), (future, "1"), (future, []), (None, None)):
        assert words(f.wait_for, *arguments) == words(asyncio.wait_for, *arguments)
    assert not timers(loop) or sys.version_info < (3, 12)  # 3.11's are left


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 makes a task of it")
def test_outside_a_task(loop, f):
    done = loop.create_future()
    done.set_result(1)
    seen = []

    def callback():
        for awaitable in (done, loop.create_future()):
            with pytest.raises(RuntimeError, match="^Timeout should be used inside a task$"):
                f.wait_for(awaitable, 1).send(None)
        seen.append("seen")
        loop.stop()

    loop.call_soon(callback)
    loop.run_forever()
    assert seen == ["seen"]
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        f.wait_for(done, 1).send(None)


def test_eager_tasks(loop, run, f):
    if sys.version_info < (3, 12):
        pytest.skip("eager tasks came with 3.12")
    loop.set_task_factory(asyncio.eager_task_factory)

    async def main():
        assert loop.create_task(f.wait_for(give(1), 1)).result() == 1
        task = loop.create_task(f.wait_for(f.sleep(0, 2), 1))
        assert not task.done() and await task == 2

    run(main())


def test_a_closed_coroutine_leaves_no_timer(loop, f):
    async def main():
        task = loop.create_task(f.wait_for(forever(), FAR_AWAY))
        await asyncio.sleep(0)
        task._log_destroy_pending = False
        return task

    task = loop.run_until_complete(main())
    assert len(timers(loop)) == 1
    task.get_coro().close()
    for child in asyncio.all_tasks(loop):  # 3.11's
        child.cancel()
    del task
    loop.call_soon(loop.stop)
    loop.run_forever()
    gc.collect()
    assert not timers(loop)
