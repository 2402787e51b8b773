"""wait and as_completed, of both sides, on futures of both."""

import concurrent.futures
import gc
import threading
import time
import weakref

import pytest
from futures_sides import SIDES, both
from plait import _futures

futures = both


@pytest.fixture(params=[*SIDES, "mixed", "open"])
def make(request):
    made = iter(range(1_000_000))

    def make():
        side = request.param
        if side == "mixed":
            side = "stock" if next(made) % 2 else "plait"
        future = SIDES["plait" if side == "open" else side].Future()
        if request.param == "open":
            assert future._condition
        return future

    return make


def finish(future):
    assert future.set_running_or_notify_cancel()
    future.set_result(None)


def test_the_functions(futures):
    ours = futures is SIDES["plait"]
    assert (futures.wait is _futures.wait) is ours and (futures.as_completed is _futures.as_completed) is ours


def test_wait_for_none(futures):
    assert futures.wait([]) == (set(), set())
    assert list(futures.as_completed([])) == []


@pytest.mark.parametrize("condition", ["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"])
def test_what_is_done_already(futures, make, condition):
    done, failed, cancelled, pending = [make() for _ in range(4)]
    finish(done)
    assert futures.wait([done], return_when=condition) == ({done}, set())
    cancelled.cancel()
    # A cancelled one is not done for them before its executor knows it.
    assert futures.wait([cancelled], 0, condition) == (set(), {cancelled})
    cancelled.set_running_or_notify_cancel()
    assert futures.wait([cancelled], 0, condition) == ({cancelled}, set())
    failed.set_exception(LookupError())
    result = futures.wait([done, done, failed, cancelled, pending], 0 if condition == "ALL_COMPLETED" else None, condition)
    assert result == ({done, failed, cancelled}, {pending})
    assert type(result) is concurrent.futures._base.DoneAndNotDoneFutures and result.done == result[0]


def test_first_exception_does_not_mind_results(futures, make):
    first, second, third = make(), make(), make()
    finish(first)
    waited = []
    thread = threading.Thread(target=lambda: waited.append(futures.wait([first, second, third], 10, "FIRST_EXCEPTION")))
    thread.start()
    finish(second)
    third.set_exception(LookupError())
    thread.join(10)
    assert waited == [({first, second, third}, set())]


@pytest.mark.parametrize("condition", ["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"])
def test_woken_when_it_is_enough(futures, make, condition):
    waiting = [make() for _ in range(3)]
    waited = []
    thread = threading.Thread(target=lambda: waited.append(futures.wait(waiting, 10, condition)))
    thread.start()
    if condition == "ALL_COMPLETED":
        finish(waiting[0])
        waiting[1].set_exception(LookupError())
        waiting[2].cancel()
        waiting[2].set_running_or_notify_cancel()
        expected = (set(waiting), set())
    else:
        waiting[1].set_exception(LookupError())
        expected = ({waiting[1]}, {waiting[0], waiting[2]})
    thread.join(10)
    assert waited == [expected]


def test_an_unknown_condition(futures, make):
    with pytest.raises(ValueError, match="^Invalid return condition: 'SOON'$"):
        futures.wait([make()], return_when="SOON")


def test_time_is_up(futures, make):
    finished, pending = make(), make()
    finish(finished)
    assert futures.wait([finished, pending], 0.001) == ({finished}, {pending})
    completed = futures.as_completed([finished, pending], 0.001)
    assert next(completed) is finished
    with pytest.raises(TimeoutError, match=r"^1 \(of 2\) futures unfinished$"):
        next(completed)


def test_as_completed_in_the_order_of_completion(futures, make):
    waiting = [make() for _ in range(6)]
    order = [waiting[at] for at in (3, 0, 5, 1, 2, 4)]
    finish(order[0])
    completed = futures.as_completed(waiting, 10)
    seen = [next(completed)]
    for future in order[1:]:
        finish(future)
        seen.append(next(completed))
    assert seen == order and list(completed) == []


def test_as_completed_comes_once_for_each(futures, make):
    future = make()
    threading.Timer(0.001, finish, [future]).start()
    assert list(futures.as_completed([future, future], 10)) == [future]


def test_as_completed_keeps_no_reference(futures, make):
    waiting = [make() for _ in range(4)]
    known = [weakref.ref(future) for future in waiting]
    completed = futures.as_completed(tuple(waiting), 10)
    for at in range(4):
        finish(waiting[at])
        waiting[at] = None
        future = next(completed)
        assert future is known[at]()
        del future
        gc.collect()
        assert known[at]() is None


def test_an_iterator_that_is_left_leaves_nothing_behind(futures, make):
    first, second = make(), make()
    finish(first)
    completed = futures.as_completed([first, second], 10)
    assert next(completed) is first
    completed.close()
    assert second._waiters == []
    known = weakref.ref(second)
    del first, second, completed
    gc.collect()
    assert known() is None


def test_as_completed_is_asked_after_its_time(futures, make):
    """What is done at the beginning comes, what gets done later does not any more."""
    first, second = make(), make()
    finish(first)
    completed = futures.as_completed([first, second], timeout=0.01)
    assert next(completed) is first
    finish(second)
    time.sleep(0.02)
    with pytest.raises(TimeoutError, match=r"^1 \(of 2\) futures unfinished$"):
        next(completed)
    assert set(futures.as_completed([first, second], timeout=0)) == {first, second}
