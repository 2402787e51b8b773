"""threading.Timer: a thread that calls a function later, unless it is told not to."""

import threading

import pytest
from thread_sides import LIMIT, Sleeper, settle, until
from thread_stage import side, stage, told

__all__ = ["side", "stage"]

LATER = LIMIT * 1000


@pytest.fixture
def make(side):
    return side.threading.Timer


def run(timer):
    timer.start()
    timer.join(LIMIT)
    assert not timer.is_alive()


@pytest.mark.parametrize("interval", [0, 0.001, -1, False])
def test_it_calls(make, interval):
    calls = []
    timer = make(interval, lambda *args, **kwargs: calls.append((args, kwargs)), [1, 2], {"three": 4})
    run(timer)
    assert calls == [((1, 2), {"three": 4})]
    assert timer.finished.is_set()
    timer.cancel()


def test_without_arguments(make):
    calls = []
    for timer in (
        make(0, lambda: calls.append(1)),
        make(interval=0, function=lambda: calls.append(2), args=None, kwargs=None),
    ):
        assert (timer.args, timer.kwargs) == ([], {})
        run(timer)
    assert calls == [1, 2]


def test_its_attributes(side, make):
    args, kwargs = [1], {}
    timer = make(LATER, print, args, kwargs)
    assert timer.interval == LATER and timer.function is print
    assert timer.args is args and timer.kwargs is kwargs
    assert type(timer.finished) is side.threading.Event and not timer.finished.is_set()
    assert isinstance(timer, threading.Thread) and timer.daemon is threading.current_thread().daemon
    assert timer.name.startswith("Thread-")
    assert make(0, print).args is not make(0, print).args
    assert told(make)[:2] == told(make, 1)[:2] == told(make, 1, print, [], {}, 5)[:2] == ("raised", TypeError)


def test_arguments_may_change_until_it_calls(make):
    calls = []
    timer = make(LATER, calls.append, [1])
    timer.args.append(2)
    timer.function = lambda *args: calls.append(args)
    timer.interval = 0
    run(timer)
    assert calls == [(1, 2)]


def test_cancelled_while_it_waits(make):
    """The thread ends at once, and calls nothing."""
    calls = []
    timer = make(LATER, calls.append, [1])
    timer.start()
    settle([Sleeper(timer.native_id)])
    assert timer.is_alive()
    timer.cancel()
    timer.cancel()
    timer.join(LIMIT)
    assert not timer.is_alive() and calls == [] and timer.finished.is_set()


def test_cancelled_before_it_starts(make):
    calls = []
    timer = make(LATER, calls.append, [1])
    timer.cancel()
    run(timer)
    assert calls == []


def test_cancelled_by_its_own_function(make):
    calls = []

    def function():
        timer.cancel()
        calls.append(timer.finished.is_set())

    timer = make(0, function)
    run(timer)
    assert calls == [True]


def test_it_is_not_finished_while_it_calls(make):
    seen, go_on = [], threading.Event()

    def function():
        seen.append(timer.finished.is_set())
        go_on.wait()

    timer = make(0, function)
    timer.start()
    until(lambda: seen)
    assert not timer.finished.is_set() and timer.is_alive()
    go_on.set()
    timer.join(LIMIT)
    assert seen == [False] and timer.finished.is_set()


def test_waiting_until_it_is_finished(make, stage):
    go_on = threading.Event()
    timer = make(0, go_on.wait)
    timer.start()
    strand = stage.block(timer.finished.wait)
    go_on.set()
    assert strand.result() is True
    timer.join(LIMIT)


def test_starting_twice(make):
    timer = make(0, int)
    run(timer)
    assert told(timer.start) == ("raised", RuntimeError, "threads can only be started once")


def test_run_in_this_thread(make):
    calls = []
    timer = make(0.001, lambda: calls.append(threading.current_thread()))
    timer.run()
    assert calls == [threading.current_thread()]
    timer.run()  # finished
    assert len(calls) == 1


@pytest.mark.parametrize("interval", ["1", [], 1e30])
def test_errors_go_to_the_hook(make, monkeypatch, interval):
    seen = []
    monkeypatch.setattr(
        threading, "excepthook", lambda args: seen.append((args.exc_type, str(args.exc_value), args.thread))
    )
    calls = []
    refused = make(interval, calls.append, [1])
    run(refused)
    expected = told(threading.Event().wait, interval)
    failing = make(0, calls.remove, ["absent"])
    run(failing)
    assert seen == [(*expected[1:], refused), (ValueError, "list.remove(x): x not in list", failing)]
    assert calls == [] and not refused.finished.is_set() and not failing.finished.is_set()


def test_subclasses(make):
    class Again(make):
        def __init__(self, times, *args, **kwargs):
            self.times = times
            super().__init__(0, *args, **kwargs)
            self.daemon = True

        def run(self):
            for _ in range(self.times):
                self.finished.clear()
                super().run()

    calls = []
    timer = Again(3, calls.append, args=(1,))
    run(timer)
    assert calls == [1, 1, 1] and timer.daemon and isinstance(timer, make)
