"""shield: the waiting is cancelled, what is waited for is not."""

import asyncio
import gc
import weakref

import pytest
from waiting_sides import Awaits, f, factory, fail, forever, give, python_future, side

__all__ = ["f", "factory", "side"]


def test_the_result(loop, run, f):
    async def main():
        pending, stock = loop.create_future(), python_future(loop)
        loop.call_soon(pending.set_result, "future")
        loop.call_soon(stock.set_result, "stock")
        awaitables = pending, stock, give("coroutine"), loop.create_task(give("task")), Awaits(give("awaitable"))
        assert [await f.shield(each) for each in awaitables] == ["future", "stock", "coroutine", "task", "awaitable"]

    run(main())


def test_what_is_done_is_returned_itself(loop, run, f):
    async def main():
        done = loop.create_future()
        done.set_result(1)
        assert f.shield(done) is done
        pending = loop.create_future()
        outer = f.shield(pending)
        assert outer is not pending and isinstance(outer, asyncio.Future) and outer.get_loop() is loop
        assert "cb=[shield.<locals>._inner_done_callback()" in repr(pending)
        assert "cb=[shield.<locals>._outer_done_callback()" in repr(outer)
        pending.cancel()
        await asyncio.wait([outer])

    run(main())


def test_an_error(loop, run, f):
    async def main():
        for inner in (fail(LookupError("its own")), loop.create_task(fail(LookupError("its own")))):
            with pytest.raises(LookupError, match="its own"):
                await f.shield(inner)

    run(main())


@pytest.mark.parametrize("make", [lambda loop: loop.create_future(), python_future])
def test_the_outer_one_is_cancelled(loop, run, f, make):
    async def main():
        inner = make(loop)
        outer = f.shield(inner)
        outer.cancel("why")
        with pytest.raises(asyncio.CancelledError, match="^why$"):
            await outer
        assert not inner.done()
        await asyncio.sleep(0)
        assert not inner._callbacks, "the inner one is not watched any more"
        inner.set_result(1)
        assert await inner == 1

    run(main())


def test_the_task_that_waits_is_cancelled(loop, run, f):
    async def waits(inner):
        return await f.shield(inner)

    async def main():
        inner = loop.create_task(f.sleep(0.001, "goes on"))
        task = loop.create_task(waits(inner))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await inner == "goes on"

    run(main())


def test_the_inner_one_is_cancelled(loop, run, f):
    async def main():
        inner = loop.create_future()
        outer = f.shield(inner)
        inner.cancel("why")
        with pytest.raises(asyncio.CancelledError) as raised:
            await outer
        assert outer.cancelled()
        return raised.value.args

    async def on_stock():
        inner = loop.create_future()
        outer = asyncio.shield(inner)
        inner.cancel("why")
        try:
            await outer
        except asyncio.CancelledError as error:
            return error.args

    assert run(main()) == run(on_stock())


def test_an_error_after_the_outer_one_was_cancelled_in_the_same_turn(loop, run, f, reports):
    async def main():
        inner = loop.create_future()
        outer = f.shield(inner)
        inner.set_exception(LookupError())
        outer.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert outer.cancelled()

    run(main())
    gc.collect()
    assert reports == []


def test_what_it_refuses(loop, run, f):
    async def main():
        with pytest.raises(TypeError, match="^An asyncio.Future, a coroutine or an awaitable is required$"):
            f.shield(3)

    run(main())


def test_a_set_but_not_running_loop_is_taken(loop, f):
    asyncio.set_event_loop(loop)
    inner = loop.create_future()
    outer = f.shield(inner)
    inner.set_result("result")
    assert loop.run_until_complete(outer) == "result"


def test_debug_mode(loop, run, f):
    loop.set_debug(True)

    async def main():
        return await f.shield(f.sleep(0, 1))

    assert run(main()) == 1


def test_what_nobody_holds_is_collected(loop, run, f):
    async def main():
        inner = loop.create_future()
        outer = f.shield(inner)
        refs = weakref.ref(inner), weakref.ref(outer)
        del inner, outer
        gc.collect()
        assert [ref() for ref in refs] == [None, None]
        task = loop.create_task(forever())
        outer = f.shield(task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer

    run(main())
