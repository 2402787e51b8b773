"""TaskGroup: all of its tasks end before the block does, and what goes wrong leaves it together."""

import asyncio
import contextvars
import gc
import inspect
import sys
import weakref

import pytest
from waiting_sides import SIDES, f, factory, fail, forever, give, side

__all__ = ["f", "factory", "side"]


def leaves(error):
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]


def test_all_tasks_end_before_the_block(loop, run, f):
    async def main():
        ended = []

        async def child(number):
            await f.sleep(0.0001 * (5 - number))
            ended.append(number)
            if number == 3:
                group.create_task(child(-1))
            return number

        async with f.TaskGroup() as group:
            tasks = [group.create_task(child(number)) for number in range(4)]
            assert group._tasks == set(tasks) and repr(group) == "<TaskGroup tasks=4 entered>"
        assert sorted(ended) == [-1, 0, 1, 2, 3] and [task.result() for task in tasks] == [0, 1, 2, 3]
        assert repr(group) == "<TaskGroup entered>" and not group._tasks
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_what_it_is(loop, run, f):
    group = f.TaskGroup()
    assert isinstance(group, asyncio.TaskGroup) and repr(group) == "<TaskGroup>"
    assert weakref.ref(group)() is group
    group.attribute = 1
    assert inspect.iscoroutinefunction(group.__aenter__) and inspect.iscoroutinefunction(group.__aexit__)
    assert inspect.signature(type(group).create_task).parameters["coro"]
    for arguments, keywords in (((1,), {}), ((), {"name": 1})):
        with pytest.raises(TypeError):
            f.TaskGroup(*arguments, **keywords)

    async def main():
        async with group as same:
            assert same is group
            task = group.create_task(forever())
            assert "cb=[TaskGroup._on_task_done()" in repr(task)
            task.cancel()

    run(main())


def test_names_and_contexts(loop, run, f):
    variable = contextvars.ContextVar("variable", default="default")

    async def read():
        return variable.get()

    async def main():
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        async with f.TaskGroup() as group:
            named = group.create_task(read(), name="my name")
            given = group.create_task(read(), name=5, context=context)
            variable.set("copied")
            copied = group.create_task(read())
        assert named.get_name() == "my name" and given.get_name() == "5" and copied.get_name().startswith("Task-")
        return [task.result() for task in (named, given, copied)]

    assert run(main()) == ["default", "given", "copied"]


def test_one_that_fails_ends_the_others(loop, run, f):
    async def main():
        with pytest.raises(ExceptionGroup, match="^unhandled errors in a TaskGroup") as raised:
            async with f.TaskGroup() as group:
                other = group.create_task(forever())
                group.create_task(fail(LookupError("mine")))
                await forever()
        assert [str(error) for error in raised.value.exceptions] == ["mine"]
        assert raised.value.__cause__ is None and raised.value.__suppress_context__
        assert other.cancelled() and repr(group).startswith("<TaskGroup") and "cancelling" in repr(group)
        assert asyncio.current_task().cancelling() == 0
        await f.sleep(0)

    run(main())


def test_the_block_and_its_tasks_fail(loop, run, f):
    async def clumsy():
        try:
            await forever()
        finally:
            raise KeyError("clean-up")

    async def main():
        with pytest.raises(ExceptionGroup) as raised:
            async with f.TaskGroup() as group:
                group.create_task(clumsy())
                await f.sleep(0)
                raise LookupError("block")
        assert {type(error) for error in raised.value.exceptions} == {LookupError, KeyError}
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_a_cancelled_task_is_no_error(loop, run, f):
    async def main():
        async with f.TaskGroup() as group:
            task = group.create_task(forever())
            group.create_task(fail(asyncio.CancelledError()))
            await f.sleep(0)
            task.cancel()
        assert task.cancelled()

    run(main())


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_errors_that_leave_alone(f, factory, error):
    async def main():
        async with f.TaskGroup() as group:
            group.create_task(forever())
            raise error(3)

    async def caught():
        try:
            await main()
        except BaseException as caught:
            return caught

    loop = factory()
    try:
        assert type(loop.run_until_complete(caught())) is error
    finally:
        loop.close()


# --- cancellation from outside


@pytest.mark.parametrize("where", ["in the block", "at its end"])
def test_the_parent_is_cancelled(loop, run, f, where):
    tasks = []

    async def parent():
        async with f.TaskGroup() as group:
            tasks.append(group.create_task(forever()))
            if where == "in the block":
                await forever()

    async def main():
        task = loop.create_task(parent())
        for _ in range(3):
            await f.sleep(0)
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelling() == 1 and tasks[0].cancelled()

    run(main())


def test_the_parent_is_cancelled_again_and_again(loop, run, f):
    async def stubborn():
        for _ in range(3):
            try:
                await forever()
            except asyncio.CancelledError:
                pass
        return "at last"

    async def parent():
        async with f.TaskGroup() as group:
            tasks.append(group.create_task(stubborn()))

    async def main():
        task = loop.create_task(parent())
        for _ in range(4):
            await f.sleep(0)
            task.cancel()
        await f.sleep(0)
        assert not task.done(), "it waits for its task"
        for _ in range(3):
            tasks[0].cancel()
            await f.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tasks[0].result() == "at last" and task.cancelling() == 4

    tasks = []
    run(main())


def test_an_error_and_a_cancellation_from_outside(loop, run, f):
    """Which of them wins, and what is left of the count, is the host Python's."""

    async def parent(functions):
        async with functions.TaskGroup() as group:
            group.create_task(fail(LookupError()))
            await forever()

    async def outer(functions):
        task = asyncio.current_task()
        try:
            await parent(functions)
        except BaseException as error:
            seen = [type(error).__name__, task.cancelling()]
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            seen.append("cancelled again")
        return seen, task.cancelling()

    async def main(functions, turns):
        task = loop.create_task(outer(functions))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        [result] = await asyncio.gather(task, return_exceptions=True)
        return repr(result)

    for turns in range(5):
        assert run(main(f, turns)) == run(main(asyncio, turns))


def test_groups_in_groups(loop, run, f):
    async def main():
        with pytest.raises(ExceptionGroup) as raised:
            async with f.TaskGroup() as outer:
                outer.create_task(forever())
                async with f.TaskGroup() as inner:
                    inner.create_task(fail(LookupError()))
                    await forever()
        assert [type(error) for error in leaves(raised.value)] == [LookupError]
        assert isinstance(raised.value.exceptions[0], ExceptionGroup)
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_with_a_time_out(loop, run, f):
    async def main():
        with pytest.raises(TimeoutError):
            async with f.timeout(0.001):
                async with f.TaskGroup() as group:
                    group.create_task(forever())
        with pytest.raises(ExceptionGroup) as raised:
            async with f.TaskGroup() as group:
                group.create_task(f.wait_for(forever(), 0.001))
                group.create_task(forever())
        assert [type(error) for error in leaves(raised.value)] == [TimeoutError]
        if sys.version_info >= (3, 13):
            assert asyncio.current_task().cancelling() == 0

    run(main())


# --- what it refuses


def test_what_create_task_refuses(loop, run, f):
    def refused(group, words):
        coroutine = give(1)
        with pytest.raises(RuntimeError, match=words):
            group.create_task(coroutine)
        coroutine.close()

    async def main():
        group = f.TaskGroup()
        refused(group, "^TaskGroup <TaskGroup> has not been entered$")
        async with group:
            pass
        refused(group, "^TaskGroup <TaskGroup entered> is finished$")
        with pytest.raises(RuntimeError, match="has already been entered$"):
            async with group:
                pass
        with pytest.raises(ExceptionGroup):
            async with f.TaskGroup() as group:
                group.create_task(fail(LookupError()))
                try:
                    await forever()
                finally:
                    refused(group, "^TaskGroup <TaskGroup errors=1 cancelling> is shutting down$")
        async with f.TaskGroup() as group:
            for bad in (3, None):
                with pytest.raises(TypeError):
                    group.create_task(bad)

    run(main())


def test_outside_a_task(loop, f):
    seen = []

    def callback():
        with pytest.raises(RuntimeError, match="^TaskGroup <TaskGroup> cannot determine the parent task$"):
            f.TaskGroup().__aenter__().send(None)
        seen.append("seen")
        loop.stop()

    loop.call_soon(callback)
    loop.run_forever()
    assert seen == ["seen"]
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        f.TaskGroup().__aenter__().send(None)


def test_a_task_that_fails_when_the_parent_is_gone(loop, run, f, reports):
    async def parent(groups):
        group = f.TaskGroup()
        await group.__aenter__()
        group.create_task(fail(LookupError("late")))
        groups.append(group)

    async def main():
        groups = []
        await loop.create_task(parent(groups))
        await f.sleep(0)
        await f.sleep(0)

    run(main())
    [report] = reports
    assert " has errored out but its parent task <Task finished " in report["message"]
    assert report["message"].endswith(" is already completed")
    assert str(report["exception"]) == "late" and asyncio.isfuture(report["task"])


# --- makes of tasks, and of groups


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_eager_tasks(loop, run, f):
    loop.set_task_factory(asyncio.eager_task_factory)

    async def main():
        async with f.TaskGroup() as group:
            task = group.create_task(give(1))
            # some Pythons look at it at once, some in the next turn
            assert task.result() == 1 and group._tasks <= {task}
            await f.sleep(0)
            assert not group._tasks
            assert not group.create_task(f.sleep(0)).done() and len(group._tasks) == 1
        with pytest.raises(ExceptionGroup):
            async with f.TaskGroup() as group:
                group.create_task(fail(LookupError()))
                await forever()

    run(main())


def test_tasks_of_another_make(loop, run, f):
    def factory(loop, coroutine, **keywords):
        return asyncio.tasks._PyTask(coroutine, loop=loop, **keywords)

    async def main():
        loop.set_task_factory(factory)
        async with f.TaskGroup() as group:
            task = group.create_task(f.sleep(0, 1), name="named")
            assert type(task) is asyncio.tasks._PyTask and task.get_name() == "named"
        with pytest.raises(ExceptionGroup):
            async with f.TaskGroup() as group:
                other = group.create_task(forever())
                group.create_task(fail(LookupError()))
        assert other.cancelled() and task.result() == 1

    run(main())


@pytest.mark.parametrize("name", SIDES)
def test_subclasses(name):
    make_loop, functions = SIDES[name]
    called = []

    class Mine(functions.TaskGroup):
        def __init__(self, label):
            super().__init__()
            self.label = label

        async def __aenter__(self):
            called.append("enter")
            return await super().__aenter__()

        async def __aexit__(self, *error):
            called.append("exit")
            return await super().__aexit__(*error)

        def create_task(self, coroutine, **keywords):
            called.append("create_task")
            return super().create_task(coroutine, **keywords)

        def _abort(self):
            called.append("abort")
            super()._abort()

        def _on_task_done(self, task):
            called.append("done")
            super()._on_task_done(task)

    async def main():
        async with Mine("label") as group:
            group.create_task(give(1))
        assert group.label == "label" and type(group) is group.__class__ is Mine
        with pytest.raises(ExceptionGroup):
            async with Mine(label="label") as group:
                group.create_task(fail(LookupError()))

    loop = make_loop()
    loop.run_until_complete(main())
    loop.close()
    assert called == ["enter", "create_task", "exit", "done", "enter", "create_task", "exit", "done", "abort"]


def test_debug_mode(loop, run, f):
    loop.set_debug(True)
    test_all_tasks_end_before_the_block(loop, run, f)
    test_one_that_fails_ends_the_others(loop, run, f)


# --- what is left


def test_a_group_that_nobody_can_end_is_collected(loop, f):
    refs = []

    async def parent():
        async with f.TaskGroup() as group:
            refs.append(weakref.ref(group))
            task = group.create_task(forever())
            task._log_destroy_pending = False
            group.itself = group

    task = loop.create_task(parent())
    for _ in range(2):
        loop.call_soon(loop.stop)
        loop.run_forever()
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert refs[0]() is None
