"""sleep: a coroutine that ends in its time, or at once when it is cancelled, and leaves nothing behind.

Besides stock asyncio and plait there is a third side: plait's function on the stock loop, where the standard algorithm
has to run.
"""

import asyncio
import fractions
import gc
import inspect
import math
import sys
import time
import traceback
import warnings

import plait
import pytest

SIDES = {
    "stock": (asyncio.SelectorEventLoop, asyncio.sleep),
    "plait": (plait.new_event_loop, plait.asyncio.sleep),
    "plait's on the stock loop": (asyncio.SelectorEventLoop, plait.asyncio.sleep),
}
FAR_AWAY = 3600


@pytest.fixture(params=SIDES)
def side(request):
    return SIDES[request.param]


@pytest.fixture
def factory(side):
    return side[0]


@pytest.fixture
def sleep(side):
    return side[1]


def timers(loop):
    return [timer for timer in loop._scheduled if not timer.cancelled()]


def turn(loop):
    loop.stop()
    loop.run_forever()


@pytest.fixture
def asleep(loop, sleep):
    """A task in the middle of a long sleep."""
    task = loop.create_task(sleep(FAR_AWAY, "result"))
    turn(loop)
    assert len(timers(loop)) == 1
    return task


@pytest.mark.parametrize("delay", [0.003, 0, -1, False, fractions.Fraction(1, 1000)])
def test_the_result(run, sleep, delay):
    for result in ("result", None, (), (1, 2), LookupError(), StopIteration(3)):
        assert run(sleep(delay, result)) is result
        assert run(sleep(delay, result=result)) is result
    assert run(sleep(delay=delay)) is None


@pytest.mark.parametrize("delay", [0.002, 0.0001, 0.02])
def test_it_takes_its_time(loop, run, sleep, delay):
    begun = loop.time()
    run(sleep(delay))
    assert loop.time() >= begun + delay - 1e-3  # stock's poll may return within a millisecond of it


@pytest.mark.parametrize("delay", [0, -1, -math.inf, False])
def test_without_a_delay_it_takes_one_turn(loop, run, sleep, delay):
    seen = []

    async def main():
        loop.call_soon(seen.append, "scheduled before")
        loop.call_soon(loop.call_soon, seen.append, "scheduled in the next turn")
        await sleep(delay)
        seen.append("slept")
        assert not timers(loop)

    run(main())
    assert seen == ["scheduled before", "slept", "scheduled in the next turn"]


def test_it_ends_in_the_turn_after_its_timer(loop, run, sleep):
    """What other timers of that turn schedule comes in their common order."""
    seen = []

    async def sleeper(name):
        await sleep(0.1)
        seen.append(name)

    def timer(name):
        seen.append(name)
        loop.call_soon(seen.append, f"soon after {name}")

    async def main():
        tasks = []
        for number in range(3):
            loop.call_later(0.1, timer, f"timer {number}")
            tasks.append(loop.create_task(sleeper(f"sleep {number}")))
            await asyncio.sleep(0)
        ends = time.monotonic() + 0.105
        while time.monotonic() < ends:  # so that all of them are due in one turn
            pass
        await asyncio.wait(tasks)

    run(main())
    assert seen == [
        "timer 0", "timer 1", "timer 2", "soon after timer 0", "sleep 0", "soon after timer 1", "sleep 1",
        "soon after timer 2", "sleep 2",
    ]  # fmt: skip


def test_not_a_number(run, sleep):
    if sys.version_info < (3, 13):
        pytest.skip("asked for from 3.13 on")
    with pytest.raises(ValueError, match=r"^Invalid delay: NaN \(not a number\)$"):
        run(sleep(math.nan))


@pytest.mark.parametrize("delay", [None, "1", 1j, [], object()])
def test_what_is_not_a_time(run, sleep, delay):
    def words(function):
        with pytest.raises(TypeError) as raised:
            run(function(delay))
        return str(raised.value)

    assert words(sleep) == words(asyncio.sleep)


def test_without_a_running_loop(sleep):
    coroutine = sleep(1)
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        coroutine.send(None)
    with pytest.raises(StopIteration) as stopped:
        coroutine = sleep(0, "result")
        assert coroutine.send(None) is None
        coroutine.send(None)
    assert stopped.value.value == "result"


# --- cancellation


def test_cancelling_takes_the_timer_away(loop, run, asleep):
    assert asleep.cancel("why") is True
    with pytest.raises(asyncio.CancelledError, match="^why$"):
        run(asleep)
    assert asleep.cancelled() and not timers(loop)


@pytest.mark.parametrize("how", ["close", "throw", "result", "exception"])
def test_other_ends_take_the_timer_away(loop, asleep, how):
    asleep._log_destroy_pending = False
    coroutine = asleep.get_coro()
    if how == "close":
        coroutine.close()
    elif how == "throw":
        with pytest.raises(LookupError):
            coroutine.throw(LookupError())
    elif how == "result":
        asleep._fut_waiter.set_result("early")
    else:
        asleep._fut_waiter.set_exception(LookupError())
    for _ in range(3):
        turn(loop)
    assert not timers(loop)
    if how == "exception":
        assert isinstance(asleep.exception(), LookupError)
    else:
        assert asleep.done() is (how == "result")


def test_cancelled_when_the_timer_is_due_already(loop, run, sleep):
    async def main():
        task = loop.create_task(sleep(0.001))
        await asyncio.sleep(0)
        ends = time.monotonic() + 0.003
        while time.monotonic() < ends:
            pass
        # After the timers of the coming turn were collected, and before they are run.
        loop.call_soon(task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()

    run(main())


def test_a_timeout_around_it(run, sleep):
    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(sleep(FAR_AWAY), 0.001)

    run(main())


def test_many_that_are_cancelled_leave_nothing(loop, run, sleep):
    async def main():
        tasks = [loop.create_task(sleep(FAR_AWAY, number)) for number in range(10_000)]
        await asyncio.sleep(0)
        assert len(timers(loop)) == 10_000
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)

    def alive():
        gc.collect()
        names = [type(each).__name__ for each in gc.get_objects()]
        return [names.count(name) for name in ("TimerFuture", "TimerHandle", "Future", "Task", "coroutine")]

    before = alive()
    run(main())
    assert not timers(loop)
    # A run may leave the thread's last task behind in some cache; 10,000 it may not.
    assert all(after <= had + 1 for after, had in zip(alive(), before))


def test_a_closed_loop_lets_go_of_sleepers(make_loop, sleep):
    loop = make_loop()
    task = loop.create_task(sleep(FAR_AWAY))
    turn(loop)
    task._log_destroy_pending = False
    loop.close()
    task.get_coro().close()
    assert not timers(loop)


# --- a real coroutine


def test_it_is_a_coroutine_function(sleep):
    assert inspect.iscoroutinefunction(sleep) and asyncio.iscoroutinefunction(sleep)
    assert sleep.__name__ == sleep.__qualname__ == "sleep" and inspect.getdoc(sleep)
    assert inspect.signature(sleep) == inspect.signature(asyncio.sleep)
    coroutine = sleep(1)
    assert inspect.iscoroutine(coroutine) and asyncio.iscoroutine(coroutine)
    assert inspect.getcoroutinestate(coroutine) == "CORO_CREATED"
    coroutine.close()
    assert inspect.getsource(sleep).strip()


def test_one_that_is_never_awaited(sleep):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sleep(1)
        gc.collect()
    assert [str(warning.message) for warning in caught] == ["coroutine 'sleep' was never awaited"]


def test_how_a_sleeping_task_looks(loop, asleep):
    assert repr(asleep).startswith("<Task pending name=") and "coro=<sleep() running at " in repr(asleep)
    assert "wait_for=<Future pending cb=[" in repr(asleep)
    [frame] = asleep.get_stack()
    assert frame.f_code.co_name == "sleep"
    waiter = asleep._fut_waiter
    assert isinstance(waiter, asyncio.Future) and not waiter.done() and waiter.get_loop() is loop
    [timer] = loop._scheduled
    assert isinstance(timer, asyncio.TimerHandle) and not timer.cancelled()
    assert loop.time() < timer.when() <= loop.time() + FAR_AWAY
    assert timer._args[0] is waiter and "_set_result_unless_cancelled" in repr(timer)


def test_the_timer_that_is_shown_can_be_cancelled(loop, asleep):
    loop._scheduled[0].cancel()
    turn(loop)
    assert not timers(loop) and not asleep.done()


def test_its_traceback(run, sleep):
    async def main():
        task = asyncio.ensure_future(sleep(FAR_AWAY))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError) as raised:
        run(main())
    assert [frame.name for frame in traceback.extract_tb(raised.tb)][-1] == "sleep"


def test_someone_else_awaits_what_it_waits_for(loop, run, sleep):
    async def main():
        task = loop.create_task(sleep(0.002, "result"))
        await asyncio.sleep(0)
        await task._fut_waiter
        assert task.done() and await task == "result"

    run(main())
