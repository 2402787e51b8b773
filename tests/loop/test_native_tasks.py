"""Tasks and futures are native, and pass for asyncio's own wherever one looks."""

import asyncio
import collections.abc
import copy
import functools
import gc
import inspect
import pickle
import sys
import weakref

import plait
import pytest


async def nothing():
    pass


async def forever():
    await asyncio.get_running_loop().create_future()


@pytest.fixture
def task(loop):
    return loop.create_task(nothing())


def test_the_native_classes_run(loop, run):
    async def main():
        assert type(asyncio.current_task()) is plait.Task
        assert type(asyncio.create_task(nothing())) is plait.Task
        assert type(asyncio.ensure_future(nothing())) is plait.Task
        assert type(loop.create_future()) is plait.Future
        async with asyncio.TaskGroup() as group:
            assert type(group.create_task(nothing())) is plait.Task

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_eager_tasks_are_native(loop, run):
    loop.set_task_factory(asyncio.eager_task_factory)
    order = []

    async def child(future=None):
        order.append("child")
        assert type(asyncio.current_task()) is plait.Task
        if future is not None:
            await future
        return "result"

    async def main():
        parent = asyncio.current_task()
        done = loop.create_task(child())
        order.append("after create_task")
        assert type(done) is plait.Task and done.done() and done.get_coro() is None
        assert asyncio.current_task() is parent
        future = loop.create_future()
        waiting = loop.create_task(child(future), name="waits")
        assert not waiting.done() and waiting in asyncio.all_tasks() and waiting.get_name() == "waits"
        assert asyncio.current_task() is parent
        future.set_result(None)
        assert await asyncio.gather(done, waiting) == ["result"] * 2

    run(main())
    assert order == ["child", "after create_task", "child"]


def test_isinstance(loop, task):
    future = loop.create_future()
    assert isinstance(task, asyncio.Task) and isinstance(task, asyncio.Future)
    assert isinstance(future, asyncio.Future) and not isinstance(future, asyncio.Task)
    assert asyncio.isfuture(task) and asyncio.isfuture(future)
    assert isinstance(task, collections.abc.Awaitable) and inspect.isawaitable(future)
    assert task.__class__ is asyncio.Task and future.__class__ is asyncio.Future
    assert isinstance(loop, asyncio.AbstractEventLoop) and isinstance(loop, asyncio.BaseEventLoop)

    @functools.singledispatch
    def kind(_):
        return "other"

    kind.register(asyncio.Task, lambda _: "task")
    kind.register(asyncio.Future, lambda _: "future")
    assert (kind(task), kind(future), kind(3)) == ("task", "future", "other")
    match task:
        case asyncio.Task():
            pass
        case _:
            pytest.fail("no match")


def test_private_attributes(loop, run):
    async def main():
        inner = loop.create_future()

        async def waits():
            await inner

        task = loop.create_task(waits())
        assert task._state == "PENDING" and task._fut_waiter is None and task._must_cancel is False
        assert task._loop is loop and task._coro.__name__ == "waits" and task._callbacks is None
        assert task._log_destroy_pending is True
        await asyncio.sleep(0)
        assert task._fut_waiter is inner and inner._asyncio_future_blocking is False
        assert inner._state == "PENDING" and inner._loop is loop and inner._exception is None
        assert len(inner._callbacks) == 1
        callback, context = inner._callbacks[0]
        assert callable(callback) and context is not None
        inner.set_exception(LookupError())
        assert inner._state == "FINISHED" and isinstance(inner._exception, LookupError)
        task.cancel()
        assert task._must_cancel is True
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task._state == "CANCELLED" and task._exception is None
        inner.exception()

    run(main())


def test_results_and_log_flags(loop):
    future = loop.create_future()
    future.set_result(5)
    assert future._result == 5 and future._log_traceback is False
    failed = loop.create_future()
    failed.set_exception(ValueError())
    assert failed._log_traceback is True
    failed._log_traceback = False
    assert failed._log_traceback is False


@pytest.mark.parametrize("change", [pickle.dumps, copy.copy, copy.deepcopy])
def test_pickling_is_refused_as_by_asyncio(loop, task, change):
    for thing in (task, loop.create_future()):
        with pytest.raises(TypeError):
            change(thing)


def test_weak_references(loop, run):
    future = loop.create_future()
    ref = weakref.ref(future)
    assert ref() is future and weakref.proxy(future).done() is False
    del future
    assert ref() is None
    task = loop.create_task(nothing())
    died = []
    weakref.finalize(task, died.append, 1)
    run(task)
    del task
    gc.collect()
    assert died == [1]


def test_attributes_of_ones_own(loop, task):
    for thing in (loop, task, loop.create_future()):
        thing.mine = [thing]
        assert thing.mine == [thing]
        del thing.mine


def test_subclasses(loop, run):
    class Task(plait.Task):
        label = "class attribute"

        def __init__(self, *args, **kwargs):
            self.before = "set before super().__init__()"
            super().__init__(*args, **kwargs)
            self.after = True

    class Future(plait.Future):
        def __init__(self, extra, **kwargs):
            self.extra = extra
            super().__init__(**kwargs)

        def set_result(self, result):
            super().set_result(("wrapped", result))

    async def main():
        future = Future("extra", loop=loop)
        task = Task(waits(future), loop=loop, name="subclass")
        assert isinstance(task, plait.Task) and isinstance(task, Task) and type(task) is Task
        assert (task.before, task.after, task.label) == ("set before super().__init__()", True, "class attribute")
        assert task in asyncio.all_tasks()
        await asyncio.sleep(0)
        future.set_result(1)
        assert await task == ("wrapped", 1)

    async def waits(future):
        return await future

    run(main())


def test_a_subclass_that_forgets_init(loop):
    class Future(plait.Future):
        def __init__(self):
            pass

    future = Future()
    for use in (future.get_loop, future.result, lambda: future.set_result(1), future.cancel, lambda: iter(future)):
        try:
            use()
        except (RuntimeError, asyncio.InvalidStateError):
            pass
    repr(future)


def test_subclasses_of_asyncios_own_classes(loop, run):
    class Task(asyncio.Task):
        def __init__(self, *args, **kwargs):
            self.before = 1
            super().__init__(*args, **kwargs)

    loop.set_task_factory(lambda loop, coro, **kwargs: Task(coro, loop=loop, **kwargs))

    async def main():
        assert type(asyncio.current_task()) is Task
        inner = loop.create_future()
        loop.call_soon(inner.set_result, 3)
        assert await inner == 3
        assert await loop.create_task(asyncio.sleep(0, 4)) == 4

    run(main())


def test_tasks_and_futures_of_both_kinds_await_each_other(loop, run):
    async def awaits(what):
        return await what

    async def main():
        foreign, native = asyncio.Future(loop=loop), loop.create_future()
        assert type(foreign) is not plait.Future
        tasks = [
            loop.create_task(awaits(foreign)),
            asyncio.Task(awaits(native), loop=loop),
            asyncio.Task(awaits(foreign), loop=loop),
        ]
        tasks.append(loop.create_task(awaits(tasks[1])))
        tasks.append(asyncio.Task(awaits(tasks[0]), loop=loop))
        await asyncio.sleep(0)
        foreign.set_result("foreign")
        native.set_result("native")
        return await asyncio.gather(*tasks)

    assert run(main()) == ["foreign", "native", "foreign", "native", "foreign"]


def test_cancelling_through_both_kinds(loop, run):
    async def awaits(what):
        await what

    async def main():
        for make in (lambda c: asyncio.Task(c, loop=loop), loop.create_task):
            inner = make(asyncio.sleep(3600))
            outer = loop.create_task(awaits(inner))
            outermost = asyncio.Task(awaits(outer), loop=loop)
            for _ in range(3):
                await asyncio.sleep(0)
            outermost.cancel("message")
            with pytest.raises(asyncio.CancelledError):
                await outermost
            assert inner.cancelled() and outer.cancelled()

    run(main())


def test_native_tasks_on_a_stock_loop():
    stock = asyncio.SelectorEventLoop()
    try:

        async def main():
            assert type(asyncio.current_task()) is plait.Task
            future = plait.Future(loop=stock)
            stock.call_later(0, future.set_result, 7)
            assert await future == 7
            assert asyncio.current_task() in asyncio.all_tasks()
            return await asyncio.gather(plait.Task(asyncio.sleep(0, 1), loop=stock), asyncio.sleep(0, 2))

        task = plait.Task(main(), loop=stock)
        assert stock.run_until_complete(task) == [1, 2]
    finally:
        stock.close()


def test_futures_of_another_loop_are_refused(loop, run, make_loop):
    other = make_loop()

    async def main(future):
        await future

    for future in (other.create_future(), asyncio.Future(loop=other)):
        with pytest.raises(RuntimeError, match=r"^Task <.*> got Future <.*> attached to a different loop$"):
            run(main(future))


def test_done_callbacks_run_in_order(loop, run):
    async def main():
        order = []
        future = loop.create_future()

        async def waits(name):
            await future
            order.append(name)

        future.add_done_callback(lambda _: order.append("callback 1"))
        tasks = [loop.create_task(waits("task 1"))]
        await asyncio.sleep(0)
        future.add_done_callback(lambda _: order.append("callback 2"))
        tasks.append(loop.create_task(waits("task 2")))
        await asyncio.sleep(0)
        future.add_done_callback(order.append)
        assert future.remove_done_callback(order.append) == 1
        future.set_result(None)
        loop.call_soon(order.append, "soon")
        await asyncio.gather(*tasks)
        assert order == ["callback 1", "task 1", "callback 2", "task 2", "soon"]

    run(main())


def test_cancelling_counts(loop, run):
    async def stubborn():
        while True:
            try:
                await loop.create_future()
            except asyncio.CancelledError:
                if asyncio.current_task().cancelling() >= 70_000:
                    raise

    async def main():
        task = loop.create_task(stubborn())
        await asyncio.sleep(0)
        for _ in range(70_000):
            task.cancel()
        assert task.cancelling() == 70_000
        assert task.uncancel() == 69_999
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_task_names_and_coroutines(loop, run):
    async def main():
        task = loop.create_task(nothing(), name=5)
        assert task.get_name() == "5"
        task.set_name(["list"])
        assert task.get_name() == "['list']"
        assert loop.create_task(nothing()).get_name().startswith("Task-")
        assert task.get_coro().__name__ == "nothing"
        context = __import__("contextvars").copy_context()
        if sys.version_info >= (3, 12):
            assert loop.create_task(nothing(), context=context).get_context() is context
        assert task.get_loop() is loop

    run(main())


def test_stacks_of_tasks(loop, run):
    import io

    async def inner():
        await forever()

    async def main():
        task = loop.create_task(inner())
        await asyncio.sleep(0)
        assert [frame.f_code.co_name for frame in task.get_stack()] == ["inner"]
        out = io.StringIO()
        task.print_stack(file=out)
        assert "in inner" in out.getvalue()
        task.cancel()

    run(main())
