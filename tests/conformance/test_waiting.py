"""wait and as_completed: what they take, what they return, and that they leave nothing behind. (test_waiting_scripts.py: in which order.)"""

import asyncio
import inspect
import sys

import pytest
from waiting_sides import FAR_AWAY, Awaits, f, factory, fail, forever, give, python_future, side, timers

__all__ = ["f", "factory", "side"]


def watched(future):
    """How many callbacks a future has."""
    return len(future._callbacks or ())


# --- wait


def test_all_of_them(loop, run, f):
    async def main():
        good, bad, cancelled = loop.create_task(give(1)), loop.create_task(fail(LookupError())), loop.create_future()
        stock, done = python_future(loop), loop.create_future()
        cancelled.cancel()
        done.set_result(None)
        loop.call_soon(loop.call_soon, stock.set_result, 2)
        every = {good, bad, cancelled, stock, done}
        assert await f.wait(every) == (every, set())
        assert isinstance(bad.exception(), LookupError)
        assert await f.wait(iter(every)) == await f.wait(dict.fromkeys(every)) == (every, set())

    run(main())


def test_the_first(loop, run, f):
    async def main():
        first, second = loop.create_future(), loop.create_future()
        others = {loop.create_future(), python_future(loop)}
        before = [watched(each) for each in others]
        loop.call_soon(first.set_result, None)
        loop.call_soon(second.set_result, None)  # in the same turn
        done, pending = await f.wait([first, second, *others], return_when=asyncio.FIRST_COMPLETED)
        assert done == {first, second} and pending == others
        assert [watched(each) for each in others] == before == [0, 0]

    run(main())


def test_the_first_that_fails(loop, run, f):
    async def main():
        good, bad, cancelled, other = (loop.create_future() for _ in range(4))
        loop.call_soon(good.set_result, None)
        loop.call_soon(cancelled.cancel)
        loop.call_soon(loop.call_soon, bad.set_exception, LookupError())
        done, pending = await f.wait([good, bad, cancelled, other], return_when="FIRST_EXCEPTION")
        assert done == {good, bad, cancelled} and pending == {other} and not watched(other)
        assert bad._log_traceback is False, "the wait has seen the exception"

    run(main())


@pytest.mark.parametrize("make", [lambda loop: loop.create_future(), python_future])
def test_a_time_out_cancels_nothing(loop, run, f, make):
    async def main():
        future = make(loop)
        for timeout in (0.001, 0, -1):
            assert await f.wait([future], timeout=timeout) == (set(), {future})
            assert not future.done() and not watched(future) and not timers(loop)
        loop.call_soon(future.set_result, None)
        assert await f.wait([future], timeout=FAR_AWAY) == ({future}, set())
        assert not timers(loop)

    run(main())


def test_a_cancellation_cancels_nothing(loop, run, f):
    async def main():
        futures = [loop.create_future(), python_future(loop)]
        task = loop.create_task(f.wait(futures, timeout=FAR_AWAY))
        await asyncio.sleep(0)
        assert [watched(future) for future in futures] == [1, 1] and len(timers(loop)) == 1
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError, match="^why$"):
            await task
        assert [watched(future) for future in futures] == [0, 0] and not timers(loop)
        assert not any(future.done() for future in futures)

    run(main())


def test_a_closed_coroutine_leaves_nothing(loop, f):
    future = loop.create_future()

    async def main():
        task = loop.create_task(f.wait([future], timeout=FAR_AWAY))
        await asyncio.sleep(0)
        task._log_destroy_pending = False
        return task

    coroutine = loop.run_until_complete(main()).get_coro()
    coroutine.close()
    assert not watched(future) and not timers(loop)


def test_what_wait_refuses(loop, run, f):
    def words(function, *arguments, **keywords):
        with pytest.raises(Exception) as raised:
            run(function(*arguments, **keywords))
        return type(raised.value), str(raised.value).split(" object at")[0]

    coroutine, task = forever(), loop.create_future()
    for arguments in ([[]], [set()], [iter(())], [task], [coroutine], [[coroutine]], [3], [[3]], [[[]]], [None]):
        assert words(f.wait, *arguments) == words(asyncio.wait, *arguments), arguments
    for keywords in ({"return_when": "never"}, {"return_when": None}, {"timeout": "1"}):
        assert words(f.wait, [task], **keywords) == words(asyncio.wait, [task], **keywords)
    assert not watched(task)
    coroutine.close()


def test_futures_of_another_loop_are_waited_for_by_its_callbacks(loop, make_loop, run, f):
    other = make_loop()
    done, pending = other.create_future(), loop.create_future()
    done.set_result(None)

    async def main():
        return await f.wait([done, pending], timeout=0.001, return_when="FIRST_COMPLETED")

    assert run(main()) == ({done}, {pending})


@pytest.mark.parametrize("name", ["wait", "wait_for"])
def test_they_are_coroutine_functions(loop, f, name):
    function, standard = getattr(f, name), getattr(asyncio, name)
    assert inspect.iscoroutinefunction(function) and asyncio.iscoroutinefunction(function)
    assert inspect.getdoc(function) and function.__name__ == function.__qualname__ == name
    with_names = [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]
    assert with_names == [(each.name, each.kind, each.default) for each in inspect.signature(standard).parameters.values()]
    task = loop.create_task(function([loop.create_future()], timeout=None) if name == "wait" else function(forever(), None))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert f"coro=<{name}() running at " in repr(task) and task.get_stack()
    assert isinstance(task._fut_waiter, asyncio.Future) and not task._fut_waiter.done()


def test_debug_mode(loop, run, f):
    loop.set_debug(True)

    async def main():
        assert len((await f.wait([loop.create_task(give(1)), python_future(loop)], timeout=0.01))[0]) == 1
        return [await each for each in f.as_completed([give(1), give(1)])]

    assert run(main()) == [1, 1]


# --- as_completed


def test_in_the_order_in_which_they_end(loop, run, f):
    async def main():
        late, slept, stock = loop.create_future(), loop.create_future(), python_future(loop)
        loop.call_later(0.001, slept.set_result, "slept")
        slept.add_done_callback(lambda _: late.set_result("late"))
        loop.call_soon(stock.set_result, "stock")
        got = [await each for each in f.as_completed([late, slept, Awaits(give("awaitable")), stock])]
        assert sorted(got[:2]) == ["awaitable", "stock"] and got[2:] == ["slept", "late"]
        assert [each for each in f.as_completed([])] == []

    run(main())


def test_what_is_not_done_in_time(loop, run, f):
    async def main():
        futures = [loop.create_future(), python_future(loop)]
        awaited = list(f.as_completed([*futures, give("good")], timeout=0.001))
        assert await awaited[0] == "good"
        for each in awaited[1:]:
            with pytest.raises(asyncio.TimeoutError):
                await each
        assert [watched(future) for future in futures] == [0, 0]

    run(main())


def test_a_time_out_that_is_not_needed_is_taken_back(loop, run, f):
    async def main():
        assert [await each for each in f.as_completed([give(1)], timeout=FAR_AWAY)] == [1]
        assert not timers(loop)

    run(main())


def test_one_that_fails_does_not_end_the_others(run, f):
    async def main():
        got = []
        for each in f.as_completed([fail(LookupError("bad")), f.sleep(0.001, "good")]):
            try:
                got.append(await each)
            except LookupError as error:
                got.append(str(error))
        return got

    assert run(main()) == ["bad", "good"]


def test_who_is_cancelled_passes_on_what_it_was_woken_for(loop, run, f):
    async def main():
        futures = [loop.create_future(), loop.create_future()]
        waiting = [loop.create_task(each) for each in f.as_completed(futures)]
        await asyncio.sleep(0)
        futures[0].set_result("handed on")
        await asyncio.sleep(0)  # the first is woken
        waiting[0].cancel()
        assert await waiting[1] == "handed on"
        assert waiting[0].cancelled()

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asynchronous iteration came with 3.13")
def test_asynchronous_iteration_gives_the_futures_themselves(loop, run, f):
    async def main():
        late, task = loop.create_future(), loop.create_task(give(1))
        loop.call_later(0.001, late.set_result, None)
        got = [each async for each in f.as_completed([late, task])]
        assert got == [task, late] and all(each.done() for each in got)
        iterator = f.as_completed([give(1), give(2)])
        assert iter(iterator) is iterator and iterator.__aiter__() is iterator
        first = await next(iterator)
        assert {first, *[each.result() async for each in iterator]} == {1, 2}
        with pytest.raises(StopAsyncIteration):
            await iterator.__anext__()
        with pytest.raises(asyncio.TimeoutError):
            async for each in f.as_completed([loop.create_future()], timeout=0.001):
                pass

    run(main())


def test_what_as_completed_refuses(loop, f):
    coroutine = forever()

    def words(function, argument):
        with pytest.raises(TypeError) as raised:
            list(function(argument))
        return str(raised.value)

    asyncio.set_event_loop(loop)
    for argument in (coroutine, loop.create_future(), 3, [3]):
        assert words(f.as_completed, argument) == words(asyncio.as_completed, argument)
    coroutine.close()
