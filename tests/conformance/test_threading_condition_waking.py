"""threading.Condition: how many a notification wakes, and which; wait_for; time-outs that meet notifications."""

import random
import threading

import pytest
from thread_sides import LIMIT, SIDES, OwnLock
from thread_stage import side, stage, told

__all__ = ["side", "stage"]

LOCKS = {"default": lambda: None, "Lock": threading.Lock, "RLock": threading.RLock, "one's own": OwnLock}


@pytest.fixture(params=LOCKS)
def condition(side, request):
    """A condition over each kind of lock."""
    return side.threading.Condition(LOCKS[request.param]())


def waiters(condition):
    """How many wait, as its repr tells."""
    return int(repr(condition).rpartition(", ")[2].removesuffix(")>"))


def wait(condition, timeout=None):
    with condition:
        return condition.wait(timeout)


def notify(condition, *args):
    with condition:
        condition.notify(*args)


def notify_all(condition):
    with condition:
        condition.notify_all()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6])
def test_so_many_are_woken_and_in_order(condition, stage, count):
    crowd = stage.crowd(5, wait, condition)
    notify(condition, count)
    assert stage.over() == crowd[:count]
    assert waiters(condition) == max(0, 5 - count)
    notify_all(condition)
    assert [strand.result() for strand in crowd] == [True] * 5


def test_one_after_the_other(condition, stage):
    crowd = stage.crowd(4, wait, condition)
    for count in range(1, 5):
        notify(condition)
        assert stage.over() == crowd[:count]
    assert [strand.result() for strand in crowd] == [True] * 4


def test_two_notifications_under_one_lock_wake_two(condition, stage):
    crowd = stage.crowd(3, wait, condition)
    with condition:
        condition.notify()
        condition.notify()
    assert stage.over() == crowd[:2]
    with condition:
        condition.notify_all()
        condition.notify_all()
    assert [strand.result() for strand in crowd] == [True] * 3


def test_who_comes_after_the_notification_is_not_woken(condition, stage):
    first = stage.block(wait, condition)
    with condition:
        condition.notify(3)
        assert condition.wait(0) is False  # it waits itself, and it is too late
    late = stage.block(wait, condition)
    assert stage.over() == [first]
    notify(condition)
    assert first.result() is late.result() is True


@pytest.mark.parametrize("count", [-1, -(10**30), 0.5, 1.5, True, False, 10**30, float("inf")], ids=repr)
def test_odd_counts(condition, stage, count):
    """n is compared and counted down, no more."""
    woken = 3 if count > 3 else int(-(-count // 1)) if count > 0 else 0
    crowd = stage.crowd(3, wait, condition)
    notify(condition, count)
    assert len(stage.over()) == woken
    notify_all(condition)
    assert [strand.result() for strand in crowd] == [True] * 3


def test_bad_counts(condition, stage):
    words = "'>' not supported between instances of '%s' and 'int'"
    with condition:
        assert condition.notify("x") is None  # nobody waits, so nobody counts
    strand = stage.block(wait, condition)
    with condition:
        assert told(condition.notify, "x") == ("raised", TypeError, words % "str")
        assert told(condition.notify, n=None) == ("raised", TypeError, words % "NoneType")
        assert waiters(condition) == 1
        condition.notify(n=1)
    assert strand.result() is True


def test_conditions_that_share_a_lock_do_not_share_waiters(side, stage):
    lock = threading.Lock()
    left, right = side.threading.Condition(lock), side.threading.Condition(lock)
    strands = [stage.block(wait, left), stage.block(wait, right)]
    notify_all(right)
    assert stage.over() == strands[1:]
    with right:
        left.notify()
    assert [strand.result() for strand in strands] == [True, True]


# --- wait_for


def test_wait_for_returns_what_the_predicate_returned(condition, stage):
    answers = iter([None, "", [], "found", "not asked any more"])

    def waiting(timeout):
        with condition:
            return condition.wait_for(lambda: condition._is_owned() and next(answers), timeout)

    strand = stage.block(waiting, None)
    for _ in range(3):
        assert not strand.over
        notify(condition)
        stage.settle()
    assert strand.result() == "found"
    answers = iter([0, 1])
    strand = stage.block(waiting, LIMIT * 100)
    notify_all(condition)
    assert strand.result() == 1


def test_wait_for_without_waiting(condition):
    with condition:
        found = object()
        assert condition.wait_for(lambda: found) is found
        assert condition.wait_for(lambda: found, "no time-out is needed") is found
        assert condition.wait_for(predicate=lambda: found, timeout=0) is found


@pytest.mark.parametrize("timeout", [0, 0.0, -1, -1e9, False])
def test_wait_for_asks_before_and_after(condition, timeout):
    asked = []

    def predicate():
        asked.append(condition._is_owned())
        return ()

    with condition:
        assert condition.wait_for(predicate, timeout) == ()
        assert asked == [True, True]
        assert condition.wait_for(predicate, 0.001) == ()
        assert asked == [True] * 4
        assert waiters(condition) == 0


def test_wait_for_and_a_predicate_that_raises(condition, stage):
    answers = [0]

    def predicate():
        return 1 / answers[-1] if len(answers) > 1 else 0

    def waiting():
        with condition:
            try:
                condition.wait_for(predicate)
            except ZeroDivisionError:
                return condition._is_owned()

    strand = stage.block(waiting)
    answers.append(0)
    notify(condition)
    assert strand.result() is True
    with condition:
        for bad in (None, 5):
            assert told(condition.wait_for, bad) == (
                "raised",
                TypeError,
                f"{type(bad).__name__!r} object is not callable",
            )
        for timeout in ("1", [], 1j):
            assert told(condition.wait_for, lambda: False, timeout)[:2] == ("raised", TypeError)
        assert waiters(condition) == 0


# --- races


def test_wait_for_takes_everything_that_was_brought(condition, stage):
    """Time-outs that end just when somebody notifies: each item is taken, by one."""
    items, taken = [], []
    closed = False

    def consume(seed):
        pick = random.Random(seed)
        while True:
            with condition:
                if condition.wait_for(lambda: items or closed, pick.random() * 0.0004):
                    if not items:
                        return
                    taken.append(items.pop())

    strands = [stage.start(consume, seed) for seed in range(3)]
    for number in range(600):
        with condition:
            items.append(number)
            condition.notify()
    with condition:
        closed = True
        condition.notify_all()
    for strand in strands:
        strand.result()
    assert sorted(taken) == list(range(600))


def test_a_notification_never_goes_to_one_who_has_given_up(stage):
    """One waits briefly and one for ever, then one is notified: if the first timed out, the second has it.

    The standard condition may notify the first in vain, between its time-out and its taking the lock again.
    """
    for delay in range(150):
        condition = SIDES["plait"].threading.Condition()
        brief = stage.start(wait, condition, delay * 1e-5)
        patient = stage.block(wait, condition)
        with condition:
            there = waiters(condition)
            condition.notify()
        stage.settle()
        assert brief.over
        assert patient.over is (there == 1 or brief.value is False)
        notify(condition)
        assert patient.result() is True
        brief.join()
