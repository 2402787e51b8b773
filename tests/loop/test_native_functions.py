"""sleep and gather run natively on plait's loop, give way to a loop that overrides what they stand for, and leak nothing."""

import asyncio
import gc
import subprocess
import sys
import weakref

import plait
import pytest
from plait import _native
from plait.asyncio import gather, sleep

FAR_AWAY = 3600


async def give(value):
    return value


async def forever():
    await asyncio.get_running_loop().create_future()


def timers(loop):
    return [timer for timer in loop._scheduled if not timer.cancelled()]


def waits_for(loop):
    """What a task in a long sleep waits for."""

    async def main():
        task = loop.create_task(sleep(FAR_AWAY, "result"))
        await asyncio.sleep(0)
        assert len(timers(loop)) == 1
        kind = type(task._fut_waiter)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() and not timers(loop)
        assert await sleep(0.001, "result") == "result"
        return kind

    return loop.run_until_complete(main())


def test_the_native_ones_run(loop, run):
    async def main():
        assert type(gather(give(1))) is type(gather(loop.create_future())) is _native._GatheringFuture
        assert [type(child) for child in gather(give(1), give(2))._children] == [plait.Task, plait.Task]
        await asyncio.sleep(0)

    run(main())
    assert waits_for(loop) is _native.TimerFuture


INSTALLED = """
import asyncio, asyncio.streams
stock = asyncio.sleep, asyncio.gather
import plait
from plait import _native
assert (asyncio.sleep, asyncio.gather) == stock
plait.install()
assert asyncio.sleep is asyncio.tasks.sleep is asyncio.streams.sleep is plait.asyncio.sleep
assert asyncio.gather is asyncio.tasks.gather is plait.asyncio.gather is _native.gather

async def main():
    task = asyncio.create_task(asyncio.sleep(3600))
    outer = asyncio.gather(task, asyncio.sleep(0, "slept"), return_exceptions=True)
    await asyncio.sleep(0.001)
    assert type(task._fut_waiter) is _native.TimerFuture and type(outer) is _native._GatheringFuture
    task.cancel("done")
    print(await outer)

asyncio.run(main())
plait.uninstall()
assert (asyncio.sleep, asyncio.gather) == (asyncio.tasks.sleep, asyncio.tasks.gather) == stock
assert asyncio.streams.sleep is stock[0]

asyncio.gather = asyncio.tasks.gather = theirs = lambda *awaitables: stock[1](*awaitables)
asyncio.sleep = lambda *arguments: stock[0](*arguments)
plait.install()
assert asyncio.gather is asyncio.tasks.gather is not theirs, "both are replaced: nothing tells them from the standard one"
assert asyncio.sleep is not plait.asyncio.sleep, "somebody else's, and stays"
"""


def test_install_puts_them_in_every_module_of_asyncio():
    done = subprocess.run([sys.executable, "-c", INSTALLED], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("[CancelledError(''), 'slept']\n", "")


# --- loops that override what they stand for


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_at", "create_future", "time"])
def test_a_subclass_that_overrides_what_a_sleep_calls(make_loop, method):
    called = []

    def override(self, *args, **kwargs):
        called.append(method)
        return getattr(super(Mine, self), method)(*args, **kwargs)

    Mine = type("Mine", (plait.EventLoop,), {method: override})
    loop = Mine()
    assert waits_for(loop) is not _native.TimerFuture
    # differences.md: an overridden call_at and time are not asked by call_later.
    assert called or method in ("call_at", "time")
    loop.close()


def test_a_subclass_that_overrides_nothing_of_it(make_loop):
    loop = type("Mine", (plait.EventLoop,), {"extra": 1})()
    assert waits_for(loop) is _native.TimerFuture
    loop.close()


@pytest.mark.parametrize("method", ["call_later", "create_future"])
def test_a_method_that_was_replaced_on_the_loop(loop, monkeypatch, method):
    called = []
    original = getattr(loop, method)
    with monkeypatch.context() as patched:
        patched.setattr(loop, method, lambda *args, **kwargs: called.append(method) or original(*args, **kwargs), raising=False)
        assert waits_for(loop) is plait.Future
        assert called
    assert waits_for(loop) is _native.TimerFuture


@pytest.mark.parametrize("on_the_loop", [True, False])
def test_gather_calls_an_overridden_create_task(make_loop, on_the_loop):
    names = []

    class Mine(plait.EventLoop):
        def create_task(self, coroutine, **keywords):
            names.append(coroutine.__name__)
            return super().create_task(coroutine, **keywords)

    if on_the_loop:
        loop = plait.new_event_loop()
        create_task = loop.create_task
        loop.create_task = lambda coroutine: names.append(coroutine.__name__) or create_task(coroutine)
    else:
        loop = Mine()

    async def main():
        return await gather(give(1), give(2))

    assert loop.run_until_complete(main()) == [1, 2]
    assert names[-2:] == ["give", "give"]
    loop.close()


def test_on_a_loop_that_overrides_call_soon(make_loop):
    """Native children, which are not stepped natively: their callbacks come through call_soon."""
    called = []

    class Mine(plait.EventLoop):
        def call_soon(self, callback, *args, **keywords):
            called.append(getattr(callback, "__qualname__", None))
            return super().call_soon(callback, *args, **keywords)

    loop = Mine()

    async def main():
        return await gather(give(1), loop.create_task(give(2)), sleep(0.001, 3))

    assert loop.run_until_complete(main()) == [1, 2, 3]
    assert called.count("gather.<locals>._done_callback") == 3
    loop.close()


# --- what is left behind


def counted(*types):
    gc.collect()
    return [sum(type(each) is kind for each in gc.get_objects()) for kind in types]


def test_gathers_leave_nothing(loop, run):
    kinds = (plait.Task, plait.Future, _native.TimerFuture, _native._GatheringFuture, _native.GatherCallback)

    async def cancel_others():
        await asyncio.sleep(0)
        for task in asyncio.all_tasks():
            if task.get_coro().__name__ == "forever":
                task.cancel()

    async def settled():
        for _ in range(20):
            foreign = asyncio.futures._PyFuture(loop=loop)
            loop.call_soon(foreign.set_result, None)
            await gather(*[give(i) for i in range(100)], sleep(0.0001), foreign)
        results = await gather(forever(), cancel_others(), return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)

    before = counted(*kinds)
    run(settled())
    assert counted(*kinds) == before


def test_a_gather_that_nobody_can_end_is_collected(loop, run):
    async def main():
        future = loop.create_future()
        outer = gather(future, forever())
        outer.add_done_callback(lambda _, mine=outer: mine)
        refs = weakref.ref(future), weakref.ref(outer)
        await asyncio.sleep(0)
        del future, outer
        gc.collect()
        assert [ref() for ref in refs] == [None, None]

    run(main())


def test_an_instance_dictionary_in_a_cycle_is_collected(loop, run):
    async def main():
        outer = gather(loop.create_future())
        outer.itself = outer
        task = loop.create_task(sleep(FAR_AWAY))
        await asyncio.sleep(0)
        timer = task._fut_waiter
        timer.itself = timer
        task.cancel()
        await asyncio.wait([task])
        refs = weakref.ref(outer), weakref.ref(timer)
        del outer, timer, task
        gc.collect()
        assert [ref() for ref in refs] == [None, None]

    run(main())


def test_reference_counts_of_what_is_passed_through(loop, run):
    result, message = object(), "message that is in nobody's table " * 2

    async def main():
        await sleep(0.0001, result)
        assert await gather(give(result), give(result)) == [result, result]
        task = loop.create_task(sleep(FAR_AWAY))
        await asyncio.sleep(0)
        task.cancel(message)
        await asyncio.wait([task])

    before = sys.getrefcount(result), sys.getrefcount(message)
    for _ in range(10):
        run(main())
    gc.collect()
    assert (sys.getrefcount(result), sys.getrefcount(message)) == before
