"""threading.Semaphore and BoundedSemaphore: permits in, permits out."""

import random
import sys
import threading
from fractions import Fraction

import pytest
from thread_sides import LIMIT
from thread_stage import plain_class, side, stage, told

__all__ = ["side", "stage"]


@pytest.fixture(params=["Semaphore", "BoundedSemaphore"])
def kind(request):
    return request.param


@pytest.fixture
def make(side, kind):
    return getattr(side.threading, kind)


def emptied(make, value=5):
    """With no permit left, and room for so many."""
    semaphore = make(value)
    for _ in range(value):
        assert semaphore.acquire(blocking=False)
    return semaphore


def drain(semaphore):
    """How many permits there are; they are taken."""
    count = 0
    while semaphore.acquire(blocking=False):
        count += 1
    return count


# --- making one


def test_values(make):
    assert drain(make()) == 1
    for value in (0, 1, 7, True):
        assert drain(make(value)) == drain(make(value=value)) == value


def test_bad_values(make, kind):
    negative = ("raised", ValueError, "semaphore initial value must be >= 0")
    assert told(make, -1) == told(make, -(10**30)) == told(make, -0.5) == told(make, value=-2) == negative
    for bad in ("1", None, [], 1j, object()):
        # The default repr of an object is in no message, so the words can be compared.
        assert told(make, bad) == told(getattr(threading, kind), bad)
        assert told(make, bad)[1] is TypeError
    assert told(make, 1, 2)[:2] == ("raised", TypeError)
    assert told(make, permits=2)[:2] == ("raised", TypeError)


@pytest.mark.parametrize("value", [2.0, 1e3, Fraction(3), 2**31, 2**32, 2**62], ids=repr)
def test_numbers_of_other_kinds(make, value):
    """It is compared and counted, whatever kind of number it is."""
    semaphore = make(value)
    assert semaphore._value == value
    assert semaphore.acquire() is True
    assert semaphore._value == value - 1
    semaphore.release()
    assert semaphore._value == value


@pytest.mark.parametrize("value", [2**63, 2**64, 10**30, float("inf")], ids=repr)
def test_more_than_anybody_takes(make, value):
    semaphore = make(value)
    assert [semaphore.acquire(blocking=False) for _ in range(100)] == [True] * 100
    semaphore.release(100)
    assert semaphore.acquire() is True


def test_repr(make, kind):
    semaphore = make(2)
    where = f"<{plain_class(semaphore)} at {id(semaphore):#x}: value="
    bound = "/2>" if kind == "BoundedSemaphore" else ">"
    assert repr(semaphore) == f"{where}2{bound}"
    semaphore.acquire()
    assert repr(semaphore) == f"{where}1{bound}"
    semaphore.acquire()
    semaphore.acquire(blocking=False)
    assert repr(semaphore) == f"{where}0{bound}"
    semaphore.release(2)
    assert repr(semaphore) == f"{where}2{bound}"


def test_the_value_that_programs_read(make, kind):
    semaphore = make(3)
    assert semaphore._value == 3
    semaphore.acquire()
    assert semaphore._value == 2
    if kind == "BoundedSemaphore":
        assert semaphore._initial_value == 3


# --- acquire


def test_acquire_without_waiting(make):
    semaphore = make(2)
    assert semaphore.acquire() is True
    assert semaphore.acquire(False) is True
    for empty in ((False,), (False, None), (0,), ("",), (None,), ([],)):
        assert semaphore.acquire(*empty) is False
    assert semaphore.acquire(blocking=False, timeout=None) is False


def test_blocking_is_a_matter_of_truth(make):
    for true in (True, 1, "no", [0]):
        assert make().acquire(true, 3600) is True


def test_a_time_out_only_when_blocking(make):
    words = ("raised", ValueError, "can't specify timeout for non-blocking acquire")
    semaphore = make()
    for timeout in (0, 1, -1, "x", 1e30):
        assert told(semaphore.acquire, False, timeout) == words
        assert told(semaphore.acquire, blocking=0, timeout=timeout) == words
    assert drain(semaphore) == 1


@pytest.mark.parametrize("timeout", [0, 0.0, -1, -1e9, -(10**30), 0.001, False, float("-inf")], ids=repr)
def test_a_time_out(make, timeout):
    semaphore = emptied(make)
    assert semaphore.acquire(True, timeout) is False
    assert semaphore.acquire(timeout=timeout) is False
    assert drain(semaphore) == 0
    semaphore.release()
    assert semaphore.acquire(timeout=timeout) is True


@pytest.mark.parametrize("timeout", ["1", b"1", [], 1j, 1e10, 1e20, 10**30, float("inf")], ids=repr)
def test_a_time_out_that_is_refused(make, kind, timeout):
    """But only when there is something to wait for."""
    expected = told(emptied(getattr(threading, kind)).acquire, True, timeout)
    assert expected[0] == "raised"
    semaphore = emptied(make)
    assert told(semaphore.acquire, True, timeout) == expected
    assert drain(semaphore) == 0
    semaphore.release()
    assert semaphore.acquire(True, timeout) is True


def test_too_many_arguments(make):
    semaphore = make()
    assert told(semaphore.acquire, True, None, 1)[:2] == ("raised", TypeError)
    assert told(semaphore.acquire, wait=True)[:2] == ("raised", TypeError)
    assert told(semaphore.release, 1, 2)[:2] == ("raised", TypeError)
    assert drain(semaphore) == 1


def test_with(make):
    semaphore = make()
    with semaphore as entered:
        assert entered is True
        assert semaphore.acquire(blocking=False) is False
    with pytest.raises(LookupError), semaphore:
        raise LookupError
    assert drain(semaphore) == 1


def test_with_waits(make, stage):
    semaphore = emptied(make, 1)

    def hold():
        with semaphore:
            return semaphore.acquire(blocking=False)

    crowd = stage.crowd(3, hold)
    semaphore.release()
    assert [strand.result() for strand in crowd] == [False] * 3
    assert drain(semaphore) == 1


# --- release


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_so_many_are_woken_and_in_order(make, stage, count):
    semaphore = emptied(make, 10)
    crowd = stage.crowd(5, semaphore.acquire)
    assert semaphore.release(count) is None
    assert stage.over() == crowd[:count]
    assert drain(semaphore) == 0
    semaphore.release(n=8 - count)
    assert [strand.result() for strand in crowd] == [True] * 5
    assert drain(semaphore) == 3


def test_one_after_the_other(make, stage):
    semaphore = emptied(make)
    crowd = [stage.block(semaphore.acquire, True, timeout) for timeout in (None, LIMIT * 100, None)]
    for count in range(1, 4):
        semaphore.release()
        assert stage.over() == crowd[:count]
    assert [strand.result() for strand in crowd] == [True] * 3
    assert drain(semaphore) == 0


def test_bad_counts(make, kind):
    semaphore = emptied(make)
    for count in (0, -1, -(10**30), 0.5, False):
        assert (
            told(semaphore.release, count)
            == told(semaphore.release, n=count)
            == ("raised", ValueError, "n must be one or more")
        )
    for count in ("1", None, [], 1j):
        assert told(semaphore.release, count) == told(emptied(getattr(threading, kind)).release, count)
        assert told(semaphore.release, count)[1] is TypeError
    assert drain(semaphore) == 0


def test_a_true_is_one(make):
    semaphore = emptied(make)
    semaphore.release(True)
    assert drain(semaphore) == 1


def test_no_bound(side):
    semaphore = side.threading.Semaphore(0)
    semaphore.release(3)
    semaphore.release()
    assert drain(semaphore) == 4
    semaphore.release(10**5)
    assert semaphore._value == 10**5


def test_a_bound(side):
    """What would go beyond it is refused as a whole."""
    too_often = ("raised", ValueError, "Semaphore released too many times")
    semaphore = side.threading.BoundedSemaphore(3)
    assert told(semaphore.release) == too_often
    semaphore.acquire()
    semaphore.acquire()
    assert told(semaphore.release, 3) == told(semaphore.release, 10**30) == too_often
    assert semaphore._value == 1
    assert told(semaphore.release, 0) == ("raised", ValueError, "n must be one or more")
    semaphore.release(2)
    assert told(semaphore.release) == too_often
    assert drain(semaphore) == 3
    assert told(side.threading.BoundedSemaphore(0).release) == too_often


def test_the_bound_while_others_wait(side, stage):
    semaphore = emptied(side.threading.BoundedSemaphore, 2)
    crowd = stage.crowd(3, semaphore.acquire)
    assert told(semaphore.release, 3) == ("raised", ValueError, "Semaphore released too many times")
    assert stage.over() == []
    semaphore.release(2)
    assert len(stage.over()) == 2
    semaphore.release()
    assert [strand.result() for strand in crowd] == [True] * 3


# --- races


def test_no_more_at_once_than_permits(make, stage):
    semaphore = make(3)
    inside, most = [], []

    def work():
        for _ in range(100):
            with semaphore:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for strand in [stage.start(work) for _ in range(6)]:
            strand.result()
    finally:
        sys.setswitchinterval(interval)
    assert len(most) == 600 and max(most) <= 3
    assert drain(semaphore) == 3


def test_time_outs_that_race_with_releases(side, stage):
    """Permits out and left over are permits in."""
    semaphore = side.threading.Semaphore(0)
    given = 600

    def take(seed):
        pick, got = random.Random(seed), 0
        while not over:
            got += semaphore.acquire(timeout=pick.random() * 0.0004)
        return got

    over = False
    strands = [stage.start(take, seed) for seed in range(4)]
    for _ in range(given):
        semaphore.release()
    over = True
    assert sum(strand.result() for strand in strands) + drain(semaphore) == given


def test_who_times_out_leaves_no_gap(make, stage):
    semaphore = emptied(make)
    for _ in range(3):
        assert semaphore.acquire(timeout=0.0001) is False
    crowd = stage.crowd(2, semaphore.acquire)
    assert semaphore.acquire(timeout=0.0001) is False
    semaphore.release(2)
    assert [strand.result() for strand in crowd] == [True] * 2
    assert drain(semaphore) == 0


# --- subclasses


def test_with_acquires_for_itself_and_releases_by_the_method(make):
    """As the standard classes do: __enter__ is the base's acquire, __exit__ calls release."""
    calls = []

    class Own(make):
        def acquire(self, *args, **kwargs):
            calls.append("acquire")
            return super().acquire(*args, **kwargs)

        def release(self, n=1):
            calls.append(("release", n))
            super().release(n)

    semaphore = Own(2)
    with semaphore:
        assert calls == []
    assert calls == [("release", 1)]
    assert drain(semaphore) == 2 and len(calls) == 4


def test_a_semaphore_that_is_made_again(make):
    semaphore = make(1)
    semaphore.acquire()
    semaphore.__init__(3)
    assert drain(semaphore) == 3
