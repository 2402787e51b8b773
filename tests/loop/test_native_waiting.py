"""wait, timeout, TaskGroup and their relatives run natively on plait's loop, give way to a loop that overrides what they stand for, and
leak nothing."""

import asyncio
import gc
import subprocess
import sys
import weakref

import plait
import pytest
from plait import _native
from plait import asyncio as native

FAR_AWAY = 3600


async def give(value):
    return value


async def fail(error):
    raise error


async def forever():
    await asyncio.get_running_loop().create_future()


def used(loop):
    """What a wait waits for, the time-out's timer, and what shield and a group leave with a future."""

    async def main():
        future = loop.create_future()
        waiting = loop.create_task(native.wait([future]))
        await asyncio.sleep(0)
        shielded = native.shield(future)
        async with native.TaskGroup() as group, native.timeout(FAR_AWAY):
            task = group.create_task(give(1))
            kinds = [
                type(waiting._fut_waiter),
                type(loop._scheduled[-1]._callback.__self__),
                [type(callback) for callback, _ in future._callbacks],
                [type(callback) for callback, _ in task._callbacks],
            ]
        shielded.cancel()
        future.set_result(None)
        await waiting
        return kinds

    return loop.run_until_complete(main())


NATIVELY = [_native.WaitManyFuture, _native.Timeout, [_native.WatcherCallback] * 2, [_native.WatcherCallback]]


def test_the_native_ones_run(loop, run):
    assert used(loop) == NATIVELY

    async def main():
        async with native.TaskGroup() as group, native.timeout(FAR_AWAY) as limit:
            assert type(group) is native.TaskGroup is _native.TaskGroup and type(limit) is _native.Timeout
            assert type(native.timeout_at(None)) is _native.Timeout
        if sys.version_info >= (3, 12):
            task = loop.create_task(native.wait_for(forever(), FAR_AWAY))
            await asyncio.sleep(0)
            assert type(loop._scheduled[0]._callback.__self__) is _native.WaitForTimeout
            task.cancel()
        assert [await each for each in native.as_completed([give(1)])] == [1]
        watched = loop.create_future()
        completed = list(native.as_completed([watched]))
        assert [type(callback) for callback, _ in watched._callbacks] == [_native.WatcherCallback]
        watched.set_result(None)
        await completed[0]

    run(main())


INSTALLED = """
import asyncio, asyncio.timeouts, asyncio.taskgroups, sys
NAMES = "wait", "wait_for", "shield", "as_completed", "timeout", "timeout_at", "TaskGroup"
MODULES = asyncio, asyncio.tasks, asyncio.timeouts, asyncio.taskgroups
there = lambda: [vars(module).get(name) for module in MODULES for name in NAMES]
stock = there()
import plait
assert there() == stock
plait.install()
for before, module, name in zip(stock, [module for module in MODULES for _ in NAMES], NAMES * len(MODULES)):
    assert vars(module).get(name) is (before and getattr(plait.asyncio, name)), (module, name)

async def main():
    async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
        task = group.create_task(asyncio.wait_for(asyncio.shield(asyncio.sleep(0, "slept")), 3600))
        await asyncio.wait([task])
    print(task.result(), type(group))

asyncio.run(main())
plait.uninstall()
assert there() == stock
"""


def test_install_puts_them_in_every_module_of_asyncio():
    done = subprocess.run([sys.executable, "-c", INSTALLED], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("slept <class 'plait.asyncio.TaskGroup'>\n", "")


# --- loops that override what they stand for


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_at", "create_future", "time"])
@pytest.mark.parametrize("where", ["class", "object"])
def test_a_loop_that_overrides_what_they_call(method, where):
    called = []

    def override(self, *args, **kwargs):
        called.append(method)
        return getattr(super(Mine, self), method)(*args, **kwargs)

    if where == "class":
        Mine = type("Mine", (plait.EventLoop,), {method: override})
        loop = Mine()
    else:
        loop = plait.new_event_loop()
        original = getattr(loop, method)
        setattr(loop, method, lambda *args, **kwargs: called.append(method) or original(*args, **kwargs))
    kinds = used(loop)
    loop.close()
    assert kinds[0] is plait.Future, "the standard wait"
    # Nothing here is delayed, and native tasks are not stepped by a function that was put on the loop (differences.md).
    assert called or method == "call_later" or (method, where) == ("call_soon", "object")


def test_a_loop_that_overrides_nothing_of_it():
    loop = type("Mine", (plait.EventLoop,), {"extra": 1})()
    loop.extra = 2
    assert used(loop) == NATIVELY
    loop.close()


def test_a_group_calls_an_overridden_create_task():
    names = []

    class Mine(plait.EventLoop):
        def create_task(self, coroutine, **keywords):
            names.append(coroutine.__name__)
            return super().create_task(coroutine, **keywords)

    async def main():
        async with native.TaskGroup() as group:
            group.create_task(give(1))
        await native.shield(give(2))

    loop = Mine()
    loop.run_until_complete(main())
    assert names == ["main", "give", "give"]
    loop.close()


# --- what is left behind


KINDS = (
    plait.Task,
    plait.Future,
    _native.WaitManyFuture,
    _native.Timeout,
    _native.WaitForTimeout,
    _native.TaskGroup,
    _native.WatcherCallback,
    _native.Completions,
)


def counted():
    gc.collect()
    return [sum(type(each) is kind for each in gc.get_objects()) for kind in KINDS]


def test_they_leave_nothing(loop, run):
    async def main():
        for _ in range(50):
            pending, stock = loop.create_future(), asyncio.futures._PyFuture(loop=loop)
            await native.wait([pending, stock], timeout=0.0001)
            await native.wait([pending, loop.create_task(give(1)), stock], return_when="FIRST_COMPLETED")
            with pytest.raises(TimeoutError):
                await native.wait_for(native.shield(pending), 0.0001)
            with pytest.raises(TimeoutError):
                async with native.timeout(0):
                    await forever()
            async with native.timeout(FAR_AWAY), native.TaskGroup() as group:
                [group.create_task(give(number)) for number in range(10)]
            with pytest.raises(ExceptionGroup):
                async with native.TaskGroup() as group:
                    group.create_task(forever())
                    group.create_task(fail(LookupError()))
            assert sorted([await each for each in native.as_completed([give(1), native.sleep(0, 2)])]) == [1, 2]
            for each in native.as_completed([stock, pending, give(1)], timeout=0.0001):
                try:
                    await each
                except TimeoutError:
                    pass

    before = counted()
    run(main())
    assert counted() == before and not loop._scheduled


def test_errors_are_not_kept_by_the_frames(loop, run):
    class Mine(Exception):
        pass

    async def main():
        error = Mine()
        ref = weakref.ref(error)
        try:
            async with native.TaskGroup() as group:
                group.create_task(fail(error))
        except ExceptionGroup:
            pass
        del error, group
        gc.collect()
        return ref()

    assert run(main()) is None


def test_who_waits_for_what_nobody_can_end_is_collected(loop, run):
    async def main():
        future = loop.create_future()
        tasks = [loop.create_task(native.wait([future])), loop.create_task(native.wait_for(future, None))]
        tasks += [loop.create_task(next(iter(native.as_completed([future]))))]
        refs = [weakref.ref(task) for task in tasks]
        for task in tasks:
            task._log_destroy_pending = False
        await asyncio.sleep(0)
        del task, tasks, future
        gc.collect()
        assert [ref() for ref in refs] == [None] * len(refs)

    run(main())
