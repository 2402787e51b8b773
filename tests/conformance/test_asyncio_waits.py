"""Every wait of the locks and queues: as a coroutine, in tasks of all kinds, cancelled at every moment, timed out."""

import asyncio
import inspect
import itertools
import sys

import pytest
from primitive_cases import CASES
from primitive_stage import TASKS, assert_same, assert_same_if, facts, plain, small_heap, told

__all__ = ["small_heap"]

each_case = pytest.mark.parametrize("case", CASES, ids=str)


# --- as coroutines


@each_case
def test_a_wait_is_a_coroutine(case):
    def body(stage):
        thing = case.new(stage)
        method = getattr(thing, case.method)
        stage.note(inspect.iscoroutinefunction(method), asyncio.iscoroutinefunction(method))
        coroutine = case.wait(thing)
        stage.note(inspect.iscoroutine(coroutine), asyncio.iscoroutine(coroutine), inspect.isawaitable(coroutine))
        stage.note(inspect.getcoroutinestate(coroutine), coroutine.__name__)
        coroutine.close()
        with stage.warned():
            case.wait(thing)
        stage.note(facts(thing))

    trace = assert_same(body)
    assert trace[0] == (True, True) and trace[3][1] == "RuntimeWarning"


@each_case
@pytest.mark.parametrize("leave", ["close", "throw"])
def test_left_by_who_drives_it(case, leave):
    """A coroutine that somebody drives by hand, and leaves: its place in the queue is free again."""

    async def main(stage):
        thing = case.new(stage)
        coroutine = case.wait(thing)
        waiter = coroutine.send(None)
        stage.note(asyncio.isfuture(waiter), waiter.done(), waiter._asyncio_future_blocking, facts(thing))
        stage.attempt(coroutine.close) if leave == "close" else stage.attempt(coroutine.throw, LookupError("thrown"))
        stage.note(facts(thing))
        stage.attempt(coroutine.send, None)
        task = stage.task(case.wait(thing))
        await turns(2)
        stage.attempt(case.wake, thing)
        await turns(3)
        stage.note("the next one", task.done(), facts(thing))
        if task.done():
            stage.note_end("the next one", task)

    def body(stage):
        stage.run(main(stage))

    assert ("the next one", True) in [one[:2] for one in assert_same(body)]


async def turns(times):
    for _ in range(times):
        await asyncio.sleep(0)


@each_case
def test_thrown_into_before_it_began(case):
    def body(stage):
        thing = case.new(stage)
        stage.attempt(case.wait(thing).throw, LookupError("before it began"))
        stage.note(facts(thing))

    assert assert_same(body)[0] == ("raised", told(LookupError("before it began")))


@each_case
@pytest.mark.parametrize("kind", TASKS)
def test_in_tasks_of_any_kind(case, kind):
    def body(stage):
        thing = case.new(stage)
        tasks = [TASKS[kind](stage.loop, case.wait(thing)) for _ in range(3)]
        stage.turn(2)
        for _ in range(4):
            stage.attempt(case.wake, thing)
            stage.turn(3)
            stage.note([task.done() for task in tasks], facts(thing))
        stage.note_ends(tasks)

    assert_same_if(case.exact, body)


@each_case
def test_in_gather_in_a_group_and_under_wait_for(case):
    def body(stage):
        thing = case.new(stage)

        async def gathered():
            return await stage.asyncio.gather(case.wait(thing), case.wait(thing))

        async def grouped():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(case.wait(thing)), group.create_task(case.wait(thing))]
            return [task.result() for task in tasks]

        tasks = stage.blocked(stage.asyncio.wait_for(case.wait(thing), 60), gathered(), grouped())
        for _ in range(8):
            stage.attempt(case.wake, thing)
            stage.turn(3)
            stage.note([task.done() for task in tasks], facts(thing))
        stage.note_ends(tasks)

    assert_same_if(case.exact, body)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
@each_case
def test_in_eager_tasks(case):
    def body(stage):
        stage.loop.set_task_factory(asyncio.eager_task_factory)
        thing = case.new(stage)

        async def main():
            tasks = [asyncio.create_task(case.wait(thing)) for _ in range(3)]
            stage.note([task.done() for task in tasks], facts(thing))
            for _ in range(4):
                stage.attempt(case.wake, thing)
                await turns(3)
                stage.note([task.done() for task in tasks], facts(thing))
            at_once = asyncio.create_task(case.wait(thing))
            stage.note(at_once.done(), facts(thing))
            return tasks + [at_once]

        stage.note_ends(stage.run(main()))

    assert_same_if(case.exact, body)


@each_case
def test_in_debug_mode(case):
    def body(stage):
        stage.loop.set_debug(True)
        thing = case.new(stage)
        tasks = stage.blocked(*(case.wait(thing) for _ in range(3)))
        for _ in range(4):
            stage.attempt(case.wake, thing)
            stage.turn(3)
            stage.note([task.done() for task in tasks], facts(thing))
        stage.note_ends(tasks)

    assert_same_if(case.exact, body)


# --- cancellation

WAITERS = 3
MOVES = ("wake", "cancel 0", "cancel 1", "cancel 2", "turn", "newcomer")


@each_case
@pytest.mark.parametrize("look", [facts, plain], ids=["done", "shown"])
def test_cancelled_at_every_moment(case, look):
    """All scripts of four moves: cancelled before the wake-up, after it and before the step, in one turn, twice."""

    def body(stage):
        for script in itertools.product(MOVES, repeat=4):
            if "wake" in script and script[0] != "turn" and any(move.startswith("cancel") for move in script):
                stage.note("script", script)
                play(stage, case, look, script)

    # What is shown of one that was cancelled and has not run yet is not the same (docs/differences.md).
    assert_same_if(case.exact_when_cancelled and look is facts, body)


def play(stage, case, look, script):
    thing = case.new(stage)
    tasks = stage.blocked(*(case.wait(thing) for _ in range(WAITERS)))
    for move in script:
        if move == "wake":
            stage.attempt(case.wake, thing)
        elif move == "turn":
            stage.turn()
        elif move == "newcomer":
            tasks.append(stage.task(case.wait(thing)))
        else:
            stage.note(move, tasks[int(move[-1])].cancel(move))
        stage.note([task.done() for task in tasks], look(thing))
    stage.turn(6)
    stage.note([task.done() for task in tasks], look(thing))
    stage.note_ends(tasks)
    stage.note(look(thing))


@each_case
def test_a_task_that_does_not_let_itself_be_cancelled(case):
    """It was woken and cancelled at once; it waits again, and is served again."""

    def body(stage):
        thing = case.new(stage)

        async def stubborn():
            try:
                return await case.wait(thing)
            except asyncio.CancelledError:
                return await case.wait(thing)

        tasks = stage.blocked(stubborn(), case.wait(thing), case.wait(thing))
        case.wake(thing)
        tasks[0].cancel("please")
        for _ in range(4):
            stage.turn(4)
            stage.note([task.done() for task in tasks], facts(thing))
            stage.attempt(case.wake, thing)
        stage.turn(4)
        assert all(task.done() for task in tasks)
        stage.note_ends(tasks)

    assert_same_if(case.exact_when_cancelled, body)


# --- time-outs


@each_case
@pytest.mark.parametrize("moment", ["alone", "before the wake-up", "after the wake-up", "a turn after the wake-up"])
def test_a_time_out_around_it(case, moment):
    """It falls due in the turn of the wake-up, or in the next; then the other waiter has to get what the first left."""

    def body(stage):
        thing = case.new(stage)
        limits = []

        async def limited():
            async with stage.asyncio.timeout(None) as limit:
                limits.append(limit)
                return await case.wait(thing)

        (timed, other) = stage.blocked(limited(), case.wait(thing))
        expire = (stage.loop.call_soon, limits[0].reschedule, 0)
        wake = (stage.loop.call_soon, stage.attempt, case.wake, thing)
        order = {"before the wake-up": (expire, wake), "after the wake-up": (wake, expire)}.get(moment, (expire,))
        if moment.startswith("a turn"):
            stage.attempt(case.wake, thing)
        for call, *arguments in order:
            call(*arguments)
        for _ in range(6):
            stage.turn()
            stage.note(timed.done(), other.done(), facts(thing))
        stage.attempt(case.wake, thing)
        stage.turn(4)
        stage.note_end("timed", timed)
        stage.note_end("other", other)

    assert_same_if(case.exact_when_cancelled, body)


@each_case
def test_wait_for_that_runs_out(case):
    def body(stage):
        thing = case.new(stage)
        (timed, other) = stage.blocked(stage.asyncio.wait_for(case.wait(thing), 0.002), case.wait(thing))
        stage.run(asyncio.wait([timed]))
        stage.note_end("timed", timed)
        stage.note(facts(thing), other.done())
        stage.attempt(case.wake, thing)
        stage.turn(4)
        stage.note_end("other", other)
        stage.note(facts(thing))

    if case.exact_when_cancelled:
        assert ("timed", told(TimeoutError())) in assert_same(body)
    else:
        assert_same_if(False, body)


@each_case
@pytest.mark.parametrize("time", [0, -1])
def test_wait_for_that_does_not_wait(case, time):
    def body(stage):
        thing = case.new(stage)
        stage.attempt(stage.run, stage.asyncio.wait_for(case.wait(thing), time))
        stage.note(facts(thing))

    assert assert_same(body)[0] == ("raised", told(TimeoutError()))
