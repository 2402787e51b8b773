"""A pool's future by itself: the standard one, and plait's, sealed and open."""

import asyncio
import concurrent.futures
import copy
import gc
import pickle
import re
import threading
import time
import weakref
from concurrent.futures import _base

import pytest
from futures_sides import both, is_plaits
from plait import _native
from thread_sides import until

STATES = ("PENDING", "RUNNING", "CANCELLED", "CANCELLED_AND_NOTIFIED", "FINISHED")
futures = both


@pytest.fixture(params=["sealed", "open"])
def make(futures, request):
    """Makes futures of that side; the open ones have been looked into."""

    def make():
        future = futures.Future()
        if request.param == "open":
            assert future._condition is future._condition and future._waiters == [] and future._done_callbacks == []
        if is_plaits(futures):
            assert type(future) is _native.ConcurrentFuture and future._is_open is (request.param == "open")
        return future

    return make


def in_state(future, state):
    if state == "RUNNING":
        assert future.set_running_or_notify_cancel() is True
    elif state.startswith("CANCELLED"):
        assert future.cancel() is True
        if state == "CANCELLED_AND_NOTIFIED":
            assert future.set_running_or_notify_cancel() is False
    elif state == "FINISHED":
        future.set_result(5)
    assert future._state == state
    return future


def words(call):
    """What it raises, without addresses."""
    with pytest.raises(BaseException) as caught:
        call()
    return type(caught.value), re.sub(r"0x\w+|\d{6,}", "N", str(caught.value))


def test_what_it_is(futures):
    future = futures.Future()
    assert isinstance(future, concurrent.futures.Future) and future.__class__ is concurrent.futures.Future
    assert not asyncio.isfuture(future)
    assert futures.Future[int].__origin__ is futures.Future
    assert weakref.ref(future)() is future
    assert future._state == "PENDING" and future._result is None and future._exception is None


@pytest.mark.parametrize("state", STATES)
def test_what_each_state_answers(make, state):
    future = in_state(make(), state)
    done = state not in ("PENDING", "RUNNING")
    cancelled = state.startswith("CANCELLED")
    assert (future.done(), future.running(), future.cancelled()) == (done, state == "RUNNING", cancelled)
    if cancelled:
        for ask in (future.result, future.exception):
            assert words(ask) == (concurrent.futures.CancelledError, "")
            assert words(lambda ask=ask: ask(timeout=1)) == (concurrent.futures.CancelledError, "")
    elif done:
        assert (future.result(), future.result(0), future.exception()) == (5, 5, None)
    else:
        for ask in (future.result, future.exception):
            for timeout in (0, -1, 0.001):
                assert words(lambda ask=ask, timeout=timeout: ask(timeout)) == (TimeoutError, "")
    assert future.cancel() is (cancelled or state == "PENDING")


@pytest.mark.parametrize("state", STATES)
def test_what_it_refuses(make, state, caplog):
    for method, argument in (("set_result", 7), ("set_exception", LookupError())):
        future = in_state(make(), state)
        if state in ("PENDING", "RUNNING"):
            getattr(future, method)(argument)
            assert future.done()
        else:
            shown = {"FINISHED": "finished returned int"}.get(state, "cancelled")
            expected = f"{state}: <Future at N state={shown}>"
            assert words(lambda m=method, a=argument, f=future: getattr(f, m)(a)) == (_base.InvalidStateError, expected)
    future = in_state(make(), state)
    if state not in ("PENDING", "CANCELLED"):
        assert words(future.set_running_or_notify_cancel) == (RuntimeError, "Future in unexpected state")
        assert caplog.messages == [f"Future {id(future)} in unexpected state: {state}"]


def test_reprs(make):
    shown = lambda future: re.sub("0x[0-9a-f]+", "N", repr(future))  # noqa: E731
    expected = {
        "PENDING": "pending",
        "RUNNING": "running",
        "CANCELLED": "cancelled",
        "CANCELLED_AND_NOTIFIED": "cancelled",
        "FINISHED": "finished returned int",
    }
    for state, words in expected.items():
        assert shown(in_state(make(), state)) == f"<Future at N state={words}>"
    failed = make()
    failed.set_exception(LookupError())
    assert shown(failed) == "<Future at N state=finished raised LookupError>"
    assert hex(id(failed)) in repr(failed)


def test_exceptions_are_kept_and_raised(make):
    future, error = make(), LookupError("lost")
    future.set_exception(error)
    assert future.exception() is error
    for _ in range(2):
        with pytest.raises(LookupError) as caught:
            future.result()
        assert caught.value is error
    of_a_class = make()
    of_a_class.set_exception(LookupError)
    assert of_a_class.exception() is LookupError
    with pytest.raises(LookupError):
        of_a_class.result()
    none = make()
    none.set_exception(None)
    assert none.exception() is None and none.result() is None


def test_the_exception_that_is_handled_is_its_context(make):
    future = make()
    future.set_exception(LookupError())
    handled = ValueError()
    with pytest.raises(LookupError) as caught:
        try:
            raise handled
        except ValueError:
            future.result()
    assert caught.value.__context__ is handled


def test_callbacks_in_order_and_failures_logged(make, caplog):
    future, called = make(), []

    def fails(future):
        called.append("fails")
        raise LookupError("of a callback")

    future.add_done_callback(lambda f: called.append(f is future))
    future.add_done_callback(fails)
    future.add_done_callback(lambda f: called.append(f.result()))
    future.set_result(3)
    assert called == [True, "fails", 3]
    assert caplog.messages == [f"exception calling callback for {future!r}"]
    assert caplog.records[0].name == "concurrent.futures" and caplog.records[0].exc_info[0] is LookupError
    future.add_done_callback(fails)
    assert called[3:] == ["fails"] and len(caplog.messages) == 2


def test_an_exception_of_a_callback_that_is_no_exception_comes_out(make):
    future, called = make(), []

    def leaves(_):
        raise SystemExit(3)

    future.add_done_callback(leaves)
    future.add_done_callback(called.append)
    with pytest.raises(SystemExit):
        future.set_result(1)
    assert future.result() == 1 and called == []


def test_cancelled_once_called_back_once(make):
    future, called = make(), []
    future.add_done_callback(called.append)
    assert future.cancel() and future.cancel()
    assert future.set_running_or_notify_cancel() is False
    assert called == [future]


def test_callbacks_that_were_added_before_it_was_opened(futures):
    future, called = futures.Future(), []
    future.add_done_callback(lambda f: called.append(1))
    future.add_done_callback(lambda f: called.append(2))
    assert len(future._done_callbacks) == 2
    future.add_done_callback(lambda f: called.append(3))
    future._done_callbacks.append(lambda f: called.append(4))
    future.set_result(None)
    assert called == [1, 2, 3, 4]


@pytest.mark.parametrize("end", ["set_result", "set_exception", "cancel", "by hand"])
def test_who_waits_is_woken(make, end):
    future, error = make(), LookupError()
    seen = []

    def asks():
        try:
            seen.append(future.result(10))
        except BaseException as raised:
            seen.append(type(raised))

    threads = [threading.Thread(target=asks) for _ in range(3)]
    for thread in threads:
        thread.start()
    if end == "by hand":  # as packages do that make their own kind of executor
        with future._condition:
            future._result = "by hand"
            future._state = "FINISHED"
            future._condition.notify_all()
    elif end == "cancel":
        future.cancel()
    else:
        getattr(future, end)({"set_result": 1, "set_exception": error}[end])
    for thread in threads:
        thread.join(10)
    expected = {"set_result": 1, "set_exception": LookupError, "cancel": concurrent.futures.CancelledError, "by hand": "by hand"}
    assert seen == [expected[end]] * 3


def test_opened_while_somebody_waits(futures):
    future, seen = futures.Future(), []
    thread = threading.Thread(target=lambda: seen.append(future.result(10)))
    thread.start()
    until(lambda: future._state == "PENDING")
    with future._condition:
        pass
    # The standard one's waiters can be seen at the condition; so can plait's, now.
    until(lambda: len(future._condition._waiters) == 1 if hasattr(future._condition, "_waiters") else True)
    future.set_result(8)
    thread.join(10)
    assert seen == [8]


def test_state_that_is_set_by_hand(make):
    for state in STATES:
        future = make()
        future._state, future._result = state, 6
        assert future._state == state and future.done() is (state not in ("PENDING", "RUNNING"))
    assert future.result(0) == 6
    future._exception = LookupError()
    with pytest.raises(LookupError):
        future.result(0)


def test_subclasses(futures):
    class Mine(futures.Future):
        def __init__(self, name):
            self.name = name  # before the base is initialised
            super().__init__()

        def set_result(self, result):
            super().set_result((self.name, result))

    mine = Mine("x")
    assert type(mine) is mine.__class__ is Mine and isinstance(mine, futures.Future)
    mine.set_result(1)
    assert mine.result() == ("x", 1) and repr(mine).startswith("<Mine at ")


def test_not_pickled(make):
    for refuse in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot pickle '_thread.RLock' object"):
            refuse(make())


def test_collected_in_a_circle(make):
    future = make()
    future.circle = future
    future.set_result([future])
    other = make()
    other.add_done_callback(lambda _: other)
    known = [weakref.ref(future), weakref.ref(other)]
    del future, other
    gc.collect()
    assert [ref() for ref in known] == [None, None]


def test_a_long_chain_of_results(futures):
    future = None
    for _ in range(100_000 if is_plaits(futures) else 1_000):  # the standard one is slow to make
        outer = futures.Future()
        outer.set_result(future)
        future = outer
    del future, outer


def test_the_standard_functions_on_it(make):
    first, second = make(), make()
    done, left = _base.wait([first, second], timeout=0.001)
    assert (done, left) == (set(), {first, second})
    second.set_result(2)
    done, left = _base.wait([first, second], return_when="FIRST_COMPLETED")
    assert (done, left) == ({second}, {first})
    threading.Timer(0.001, first.cancel).start()
    threading.Timer(0.002, lambda: until(first.cancelled) or first.set_running_or_notify_cancel()).start()
    assert [future for future in _base.as_completed([first, second], timeout=10)] == [second, first]


def test_one_that_is_done_and_initialised_again(make):
    future = make()
    future.set_result(1)
    future.__init__()
    assert future._state == "PENDING"
    with pytest.raises(TimeoutError):
        future.result(0.01)
    future.set_result(2)
    assert future.result(10) == 2


@pytest.mark.parametrize("name", ["result", "exception"])
def test_one_that_is_looked_into_while_somebody_waits_for_it_is_not_waited_for_anew(futures, name):
    future = futures.Future()
    looker = threading.Timer(0.8, lambda: future._condition)
    looker.start()
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        getattr(future, name)(1)
    assert time.monotonic() - begun < 1.6
    looker.join()


def test_one_that_is_finished_while_somebody_looks_into_it(futures, monkeypatch):
    """Another thread comes at the moment at which its condition is made and taken."""
    called, finishers = [], []

    class Condition(threading.Condition):
        def __init__(self, *lock):
            super().__init__(*lock)
            if not lock:  # those of threads have one
                self.acquire = self._acquire

        def _acquire(self):
            if not finishers:
                finishers.append(threading.Thread(target=future.set_result, args=(1,)))
                finishers[0].start()
                finishers[0].join(10)
            return self._lock.acquire()

    future = futures.Future()
    future.add_done_callback(called.append)
    with monkeypatch.context() as patched:
        patched.setattr(threading, "Condition", Condition)
        assert future._condition
    if not finishers:  # the standard one has it from the beginning
        future.set_result(1)
    assert called == [future] and future.result(10) == 1
