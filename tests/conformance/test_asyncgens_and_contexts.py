"""Asynchronous generators and their shutdown, task factories, contexts, gather, wait, shield, timeouts, uncancel."""

import asyncio
import contextvars
import sys

import pytest

variable = contextvars.ContextVar("variable", default="outside")


def test_asyncgens_are_closed_at_shutdown(loop, run):
    closed = []

    async def numbers(name):
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)
            closed.append(name)

    held = [numbers("a"), numbers("b"), numbers("never started")]

    async def main():
        for generator in held[:2]:
            assert await anext(generator) == 1

    run(main())
    assert closed == []
    run(loop.shutdown_asyncgens())
    assert sorted(closed) == ["a", "b"]


def test_a_generator_that_is_dropped_is_closed_by_the_loop(run):
    closed = []

    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def main():
        generator = numbers()
        await anext(generator)
        del generator
        for _ in range(5):
            await asyncio.sleep(0)
        assert closed == [True]

    run(main())


def test_a_generator_that_fails_to_close_is_reported(loop, run, reports):
    async def stubborn():
        try:
            yield 1
        finally:
            raise LookupError("will not close")

    held = stubborn()

    async def main():
        await anext(held)

    run(main())
    run(loop.shutdown_asyncgens())
    assert [type(report["exception"]) for report in reports] == [LookupError]
    assert reports[0]["asyncgen"] is held
    assert reports[0]["message"].startswith("an error occurred during closing of asynchronous generator ")


def test_a_generator_after_shutdown_warns(loop, run):
    async def numbers():
        yield 1

    async def main():
        generator = numbers()
        await anext(generator)
        await generator.aclose()

    run(loop.shutdown_asyncgens())
    with pytest.warns(ResourceWarning, match="was scheduled after loop.shutdown_asyncgens"):
        run(main())


def test_asyncgen_hooks_are_given_back(run):
    before = sys.get_asyncgen_hooks()

    async def main():
        assert sys.get_asyncgen_hooks() != before

    run(main())
    assert sys.get_asyncgen_hooks() == before


def test_each_task_has_a_copy_of_the_context(loop, run):
    async def child(value):
        assert variable.get() == "parent"
        variable.set(value)
        await asyncio.sleep(0)
        return variable.get()

    async def main():
        variable.set("parent")
        tasks = [loop.create_task(child(i)) for i in range(10)]
        assert await asyncio.gather(*tasks) == list(range(10))
        assert variable.get() == "parent"

    run(main())
    assert variable.get() == "outside"


def test_a_given_context_is_used_itself(loop, run):
    context = contextvars.copy_context()

    async def child():
        variable.set("inside")

    async def main():
        await loop.create_task(child(), context=context)

    run(main())
    assert context[variable] == "inside"


def test_done_callbacks_run_in_their_context(loop, run):
    seen = []

    async def main():
        future = loop.create_future()
        variable.set("when added")
        future.add_done_callback(lambda _: seen.append(variable.get()))
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        future.add_done_callback(lambda _: seen.append(variable.get()), context=context)
        variable.set("later")
        future.set_result(None)
        await asyncio.sleep(0)

    run(main())
    assert seen == ["when added", "given"]


def test_task_factory(loop, run):
    made = []

    def factory(loop, coro, **kwargs):
        made.append(coro.__name__)
        return asyncio.Task(coro, loop=loop, **kwargs)

    async def child():
        return asyncio.current_task().get_name()

    async def main():
        assert await loop.create_task(child(), name="named") == "named"
        async with asyncio.TaskGroup() as group:
            task = group.create_task(child())
        assert task.done()

    assert loop.get_task_factory() is None
    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory
    run(main())
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None
    assert made == ["main", "child", "child"]


def test_a_task_factory_that_raises(loop, run):
    def factory(loop, coro, **kwargs):
        coro.close()
        raise LookupError("no tasks today")

    async def child():
        pass

    async def main():
        loop.set_task_factory(factory)
        with pytest.raises(LookupError):
            loop.create_task(child())
        loop.set_task_factory(None)

    run(main())


def test_gather_wait_shield_and_as_completed(loop, run):
    async def value(x, turns=0):
        for _ in range(turns):
            await asyncio.sleep(0)
        return x

    async def fails():
        raise LookupError

    async def main():
        assert await asyncio.gather(value(1, 3), value(2), value(3, 1)) == [1, 2, 3]
        mixed = await asyncio.gather(value(1), fails(), return_exceptions=True)
        assert mixed[0] == 1 and isinstance(mixed[1], LookupError)
        tasks = [loop.create_task(value(i, i * 5)) for i in range(3)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert done == {tasks[0]} and pending == set(tasks[1:])
        assert [await task for task in asyncio.as_completed(tasks)] == [0, 1, 2]
        inner = loop.create_task(value("inner", 5))
        outer = asyncio.shield(inner)
        await asyncio.sleep(0)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert await inner == "inner"

    run(main())


def test_timeouts(loop, run):
    async def main():
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(3600)
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(None) as scope:
                scope.reschedule(loop.time() - 1)
                await asyncio.sleep(3600)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.sleep(3600), 0.001)
        assert await asyncio.wait_for(asyncio.sleep(0, "in time"), 10) == "in time"
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_cancel_and_uncancel(loop, run):
    async def stubborn():
        try:
            await loop.create_future()
        except asyncio.CancelledError as error:
            caught.append(error.args)
        task = asyncio.current_task()
        return [task.cancelling(), task.uncancel(), task.uncancel(), task.uncancel()]

    async def main():
        task = loop.create_task(stubborn())
        await asyncio.sleep(0)
        assert task.cancel("message") is True
        assert task.cancel("message") is True
        assert task.cancelling() == 2
        assert await task == [2, 1, 0, 0]
        assert task.cancel() is False

    caught = []
    run(main())
    assert caught == [("message",)]


def test_cancelled_before_it_began(loop, run):
    began = []

    async def child():
        began.append(1)

    async def main():
        task = loop.create_task(child())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert began == []


def test_task_groups(loop, run):
    async def fails():
        raise LookupError

    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0, i)) for i in range(3)]
        assert [task.result() for task in tasks] == [0, 1, 2]
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                other = group.create_task(asyncio.sleep(3600))
                group.create_task(fails())
        assert other.cancelled() and [type(error) for error in caught.value.exceptions] == [LookupError]

    run(main())
