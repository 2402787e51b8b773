"""threading.Event: one flag, and everybody who waits for it."""

import random
import threading
import warnings

import pytest
from thread_sides import LIMIT
from thread_stage import plain_class, side, stage, told

__all__ = ["side", "stage"]


@pytest.fixture
def event(side):
    return side.threading.Event()


def test_the_flag(event):
    assert event.is_set() is False
    assert event.set() is None
    assert event.is_set() is True
    assert event.set() is None
    assert event.is_set() is True
    assert event.clear() is None
    assert event.is_set() is False
    assert event.clear() is None
    assert event.is_set() is False


def test_repr(event):
    where = f"<{plain_class(event)} at {id(event):#x}:"
    assert repr(event) == f"{where} unset>"
    event.set()
    assert repr(event) == f"{where} set>"
    event.clear()
    assert repr(event) == f"{where} unset>"


def test_an_event_takes_no_arguments(side, event):
    assert told(side.threading.Event, True)[:2] == ("raised", TypeError)
    assert told(side.threading.Event, flag=True)[:2] == ("raised", TypeError)
    for call in (event.set, event.clear, event.is_set):
        assert told(call, 1)[:2] == ("raised", TypeError)
    assert told(event.wait, 1, 2)[:2] == ("raised", TypeError)
    assert told(event.wait, seconds=1)[:2] == ("raised", TypeError)


@pytest.mark.parametrize("timeout", [None, 0, -1, 3600, "1", [], 1e30, float("nan")], ids=repr)
def test_waiting_for_what_is_there(event, timeout):
    """Nobody looks at the time-out then."""
    event.set()
    assert event.wait(timeout) is True
    assert event.wait(timeout=timeout) is True
    assert event.is_set()


@pytest.mark.parametrize("timeout", [0, 0.0, -1, -1e9, -(10**30), 0.001, False, float("nan"), float("-inf")], ids=repr)
def test_a_time_out(event, timeout):
    assert event.wait(timeout) is False
    assert event.wait(timeout=timeout) is False
    assert event.is_set() is False


@pytest.mark.parametrize("timeout", ["1", b"1", [], 1j, 1e10, 1e20, 10**30, float("inf")], ids=repr)
def test_a_time_out_that_is_refused(event, timeout):
    expected = told(threading.Event().wait, timeout)
    assert expected[0] == "raised"
    assert told(event.wait, timeout) == expected
    assert event.is_set() is False
    event.set()
    assert event.wait(timeout) is True


def test_everybody_is_woken(event, stage):
    crowd = [stage.block(event.wait, timeout) for timeout in (None, LIMIT * 100, threading.TIMEOUT_MAX / 2, None)]
    event.set()
    assert [strand.result() for strand in crowd] == [True] * 4
    assert event.wait() is True


def test_set_and_cleared_at_once(event, stage):
    """Who waited has been woken, although the flag is down again."""
    crowd = stage.crowd(3, event.wait)
    event.set()
    event.clear()
    assert [strand.result() for strand in crowd] == [True] * 3
    assert event.is_set() is False and event.wait(0) is False
    late = stage.block(event.wait)
    event.set()
    assert late.result() is True


def test_clearing_wakes_nobody(event, stage):
    strand = stage.block(event.wait)
    event.clear()
    stage.settle()
    assert not strand.over
    event.set()
    assert strand.result() is True


def test_to_and_fro(side, stage):
    """Two threads take turns a thousand times; a lost wake-up would leave both waiting."""
    ping, pong = side.threading.Event(), side.threading.Event()
    turns = []

    def play(mine, others, name):
        for _ in range(1000):
            mine.wait()
            mine.clear()
            turns.append(name)
            others.set()

    strands = [stage.start(play, ping, pong, "ping"), stage.start(play, pong, ping, "pong")]
    ping.set()
    for strand in strands:
        strand.result()
    assert turns == ["ping", "pong"] * 1000


def test_time_outs_that_race_with_set(event, stage):
    """The answer is the truth: True if it was set in time, and False only while it was not."""
    rounds = 300
    start, end = threading.Barrier(4), threading.Barrier(4)
    answers = []

    def wait(seed):
        pick = random.Random(seed)
        for _ in range(rounds):
            start.wait()
            answers.append((event.wait(pick.random() * 0.0003), event.wait(LIMIT)))
            end.wait()

    strands = [stage.start(wait, seed) for seed in range(3)]
    for _ in range(rounds):
        event.clear()
        start.wait()
        event.set()
        end.wait()
    for strand in strands:
        strand.result()
    assert len(answers) == 3 * rounds
    assert {second for _, second in answers} == {True}
    assert {first for first, _ in answers} <= {True, False}


def test_is_set_has_an_old_name(event):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert event.isSet() is False
        event.set()
        assert event.isSet() is True
    assert [one.category for one in caught] == [DeprecationWarning] * 2
    assert caught[0].filename == __file__
    assert str(caught[0].message) == "isSet() is deprecated, use is_set() instead"


def test_at_fork_reinit_keeps_the_flag(event):
    event._at_fork_reinit()
    assert event.is_set() is False and event.wait(0) is False
    event.set()
    event._at_fork_reinit()
    assert event.is_set() is True and event.wait() is True


def test_overridden_methods(side, stage):
    """wait and isSet do not go through is_set, which one may override."""

    class Contrary(side.threading.Event):
        def is_set(self):
            return not super().is_set()

    event = Contrary()
    assert event.is_set() is True and event.wait(0) is False
    event.set()
    assert event.is_set() is False and event.wait() is True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert event.isSet() is False


def test_a_thread_starts_with_it(event, stage):
    """A Thread has an event of its own by which start() sees that it runs."""
    thread = threading.Thread(target=lambda: None)
    thread._started = event
    assert "initial" in repr(thread)
    thread.start()
    thread.join(LIMIT)
    assert event.is_set() and "stopped" in repr(thread)
    assert told(thread.start) == ("raised", RuntimeError, "threads can only be started once")
