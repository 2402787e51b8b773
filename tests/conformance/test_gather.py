"""gather: what it takes, what it returns, how both look. (test_gather_scripts.py: what happens when, and in which order.)

Besides stock asyncio and plait there is a third side: plait's function on the stock loop, where it has to go through
the loop's methods.
"""

import asyncio
import gc
import inspect
import sys
import warnings

import plait
import pytest

SIDES = {
    "stock": (asyncio.SelectorEventLoop, asyncio.gather),
    "plait": (plait.new_event_loop, plait.asyncio.gather),
    "plait's on the stock loop": (asyncio.SelectorEventLoop, plait.asyncio.gather),
}


@pytest.fixture(params=SIDES)
def side(request):
    return SIDES[request.param]


@pytest.fixture
def factory(side):
    return side[0]


@pytest.fixture
def gather(side):
    return side[1]


async def give(value):
    return value


async def fail(error):
    raise error


async def forever():
    await asyncio.get_running_loop().create_future()


class Awaits:
    """An awaitable that is neither a coroutine nor a future."""

    def __init__(self, coroutine):
        self.coroutine = coroutine

    def __await__(self):
        return self.coroutine.__await__()


class Equal(Awaits):
    """All of them are the same argument."""

    def __eq__(self, other):
        return isinstance(other, Equal)

    def __hash__(self):
        return 1


# --- what it takes


def test_results_in_the_order_of_the_arguments(loop, run, gather):
    async def main():
        future = loop.create_future()
        loop.call_soon(loop.call_soon, future.set_result, "late")
        task = loop.create_task(give("task"))
        done = loop.create_future()
        done.set_result("done")
        other = asyncio.futures._PyFuture(loop=loop)
        loop.call_soon(other.set_result, "Python's own")
        return await gather(give("coroutine"), future, task, Awaits(give("awaitable")), done, other)

    assert run(main()) == ["coroutine", "late", "task", "awaitable", "done", "Python's own"]


def test_what_it_returns(loop, run, gather):
    async def main():
        outer = gather(give(1), forever())
        assert isinstance(outer, asyncio.Future) and isinstance(outer, asyncio.tasks._GatheringFuture)
        assert asyncio.isfuture(outer) and inspect.isawaitable(outer)
        assert outer.get_loop() is loop
        assert repr(outer) == "<_GatheringFuture pending>"
        assert [type(child).__name__ for child in outer._children] == ["Task", "Task"]
        assert outer._cancel_requested is False
        assert outer.cancel("why") is True and outer._cancel_requested is True
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert not outer.cancelled() and outer.done() and outer.cancel() is False
        assert repr(outer) == "<_GatheringFuture finished exception=CancelledError('why')>"

    run(main())


def test_an_argument_that_is_given_twice_runs_once(loop, run, gather):
    ran = []

    async def noted(name):
        ran.append(name)
        return name

    async def main():
        coroutine = noted("coroutine")
        task = loop.create_task(noted("task"))
        equal = noted("equal")
        return await gather(coroutine, task, coroutine, Equal(equal), task, Equal(None), coroutine)

    results = run(main())
    assert results == ["coroutine", "task", "coroutine", "equal", "task", "equal", "coroutine"]
    assert sorted(ran) == ["coroutine", "equal", "task"]


def test_what_is_not_awaitable_is_refused_after_the_others_were_scheduled(loop, run, gather):
    async def main():
        future = loop.create_future()
        ran = []
        for bad, words in ((3, "An asyncio.Future, a coroutine or an awaitable is required"), ({}, "unhashable type")):
            coroutine = fail(LookupError())
            with pytest.raises(TypeError, match=words):
                gather(coroutine, future, give(ran.append(1)), bad)
        await asyncio.sleep(0)
        future.set_exception(ZeroDivisionError())
        await asyncio.sleep(0)
        del future, coroutine
        gc.collect()

    told = []
    loop.set_exception_handler(lambda _, context: told.append(context))
    run(main())
    gc.collect()
    assert told == []  # what has a callback of gather's counts as retrieved


def test_futures_of_different_loops(loop, make_loop, gather):
    other = make_loop()
    children = [loop.create_future(), other.create_future()]
    with pytest.raises(ValueError, match="^The future belongs to a different loop than the one specified as the loop arg"):
        gather(*children)


def test_no_arguments(loop, run, gather):
    async def main():
        outer = gather()
        assert outer.done() and outer.get_loop() is loop
        return await outer

    assert run(main()) == []


@pytest.mark.parametrize("arguments", [0, 1])
def test_without_a_loop(gather, arguments):
    """The words and the place of the warning, or the error, are the host Python's."""

    def attempt(function):
        asyncio.set_event_loop_policy(None)
        coroutines = [give(1) for _ in range(arguments)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                outcome = type(function(*coroutines).get_loop())
            except RuntimeError as error:
                outcome = str(error)
                [coroutine.close() for coroutine in coroutines]
            else:
                current = asyncio.get_event_loop_policy().get_event_loop()
                current.run_until_complete(current.create_task(give(None)))
                current.close()
        asyncio.set_event_loop_policy(None)
        return outcome, [(str(w.message), w.category, w.filename) for w in caught]

    assert attempt(gather) == attempt(asyncio.gather)


def test_a_set_but_not_running_loop_is_taken(loop, gather):
    asyncio.set_event_loop(loop)
    outer = gather(give(1), give(2))
    assert outer.get_loop() is loop
    assert loop.run_until_complete(outer) == [1, 2]


def test_a_closed_loop_closes_the_coroutine(loop, gather):
    """No "never awaited" beside the error."""
    asyncio.set_event_loop(loop)
    loop.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match="^Event loop is closed$"):
            gather(give(1))
        gc.collect()


def test_the_signature(gather):
    assert inspect.signature(gather) == inspect.signature(asyncio.gather)
    assert inspect.getdoc(gather)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_eager_children_end_it_at_once(loop, run, gather):
    async def main():
        loop.set_task_factory(asyncio.eager_task_factory)
        outer = gather(give(1), give(2))
        assert outer.done() and outer.result() == [1, 2]
        failed = gather(give(1), fail(LookupError("eager")))
        assert failed.done() and isinstance(failed.exception(), LookupError)
        mixed = gather(give(1), asyncio.sleep(0, 2))
        assert not mixed.done()
        assert await mixed == [1, 2]

    run(main())


def test_the_task_factory_is_asked(loop, run, gather):
    asked = []

    def factory(loop, coroutine, **keywords):
        asked.append(coroutine.__name__)
        return asyncio.Task(coroutine, loop=loop, **keywords)

    loop.set_task_factory(factory)
    assert run(gather_in(gather, give(1), give(2))) == [1, 2]
    assert asked == ["gather_in", "give", "give"]


async def gather_in(gather, *arguments):
    return await gather(*arguments)


def test_children_of_gather_do_not_complain_when_they_are_destroyed(loop, run, gather, reports):
    async def main():
        gather(forever(), Awaits(forever()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    run(main())
    gc.collect()
    assert reports == []


def test_an_exception_that_nobody_retrieved(loop, run, gather, reports):
    async def main():
        gather(fail(LookupError("lost")), fail(ZeroDivisionError()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    run(main())
    gc.collect()
    assert [report["message"] for report in reports] == ["_GatheringFuture exception was never retrieved"]
    assert isinstance(reports[0]["exception"], LookupError)


def test_debug_mode_remembers_where_it_was_made(loop, run, gather):
    loop.set_debug(True)

    async def main():
        outer = gather(give(1))
        assert any(frame.name == "main" for frame in outer._source_traceback)
        return await outer

    assert run(main()) == [1]


def test_a_child_shows_who_waits_for_it(loop, run, gather):
    async def main():
        child = loop.create_future()
        outer = gather(child, forever())
        assert "cb=[gather.<locals>._done_callback()" in repr(child)
        [(callback, _)] = child._callbacks
        assert callable(callback)
        outer.cancel()
        await asyncio.wait([outer])
        outer.exception()

    run(main())
