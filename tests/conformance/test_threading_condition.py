"""threading.Condition: its lock, who may wait and notify, time-outs, and in which state a wait leaves it."""

import gc
import threading
import warnings
import weakref

import pytest
from thread_sides import LIMIT, OwnLock, Strand
from thread_stage import side, stage, told

__all__ = ["side", "stage"]

LOCKS = {"default": lambda: None, "Lock": threading.Lock, "RLock": threading.RLock, "one's own": OwnLock}

# What may be given as a time-out. The last ones are refused, in the standard words.
TIMEOUTS = [0, 0.0, -1, -0.5, -(10**30), 1e-9, True, False, float("nan"), float("-inf")]
BAD_TIMEOUTS = ["1", b"1", [], 1j, 1e10, 1e20, 10**10, 10**30, float("inf"), threading.TIMEOUT_MAX * 2]


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


# --- making one, and its lock


def test_the_default_lock_is_an_rlock(side):
    condition = side.threading.Condition()
    assert type(condition._lock) is type(threading.RLock())
    with condition, condition:
        assert condition._is_owned()
    assert not condition._is_owned()


def test_the_lock_that_is_given(side):
    for lock in (threading.Lock(), threading.RLock(), OwnLock()):
        for condition in (side.threading.Condition(lock), side.threading.Condition(lock=lock)):
            assert condition._lock is lock
            assert condition.acquire() is True
            assert Strand(lock.acquire, False).result() is False
            assert condition.release() is None
            assert condition.acquire == lock.acquire and condition.release == lock.release


def test_what_is_no_lock(side):
    for bad in (5, object(), "lock", type("Half", (), {"acquire": None})()):
        assert told(side.threading.Condition, bad) == told(threading.Condition, bad)
        assert told(side.threading.Condition, bad)[:2] == ("raised", AttributeError)
    for arguments in ((threading.Lock(), 1), (None, None, None)):
        assert told(side.threading.Condition, *arguments)[:2] == ("raised", TypeError)
    assert told(side.threading.Condition, mutex=threading.Lock())[:2] == ("raised", TypeError)


def test_acquire_takes_what_the_lock_takes(side):
    lock = threading.Lock()
    condition = side.threading.Condition(lock)
    with lock:
        assert condition.acquire(False) is False
        assert condition.acquire(blocking=False) is False
        assert condition.acquire(True, 0.001) is False
        assert condition.acquire(timeout=0.001) is False
        for arguments in ((False, 1), (True, -2), (True, 1e20), ("x", "y")):
            assert told(condition.acquire, *arguments) == told(lock.acquire, *arguments)
    assert told(condition.release) == ("raised", RuntimeError, "release unlocked lock")


def test_with_enters_the_lock(side):
    class Entered(OwnLock):
        def __enter__(self):
            self.acquire()
            return "entered"

        def __exit__(self, *exc):
            self.release()
            self.left = exc
            return True

    lock = Entered()
    error = LookupError()
    with side.threading.Condition(lock) as entered:
        raise error
    assert entered == "entered"
    assert lock.left[:2] == (LookupError, error)


def test_repr(side, stage):
    for lock in (threading.Lock(), threading.RLock(), OwnLock()):
        condition = side.threading.Condition(lock)
        assert repr(condition) == f"<Condition({lock!r}, 0)>"
        with condition:
            assert repr(condition) == f"<Condition({lock!r}, 0)>"
        crowd = stage.crowd(3, wait, condition)
        assert repr(condition) == f"<Condition({lock!r}, 3)>"
        with condition:
            condition.notify()
            assert repr(condition) == f"<Condition({lock!r}, 2)>"
        stage.settle()
        assert waiters(condition) == 2 == len(condition._waiters)
        notify_all(condition)
        assert waiters(condition) == 0 == len(condition._waiters)
        assert [strand.result() for strand in crowd] == [True] * 3


# --- who may wait and notify


def test_without_the_lock(condition):
    cannot_wait = ("raised", RuntimeError, "cannot wait on un-acquired lock")
    cannot_notify = ("raised", RuntimeError, "cannot notify on un-acquired lock")
    assert told(condition.wait) == told(condition.wait, 0) == told(condition.wait, "x") == cannot_wait
    assert told(condition.notify) == told(condition.notify, 3) == told(condition.notify_all) == cannot_notify
    assert told(condition.wait_for, lambda: False) == told(condition.wait_for, lambda: 0, 1) == cannot_wait
    assert told(condition.wait_for, lambda: "so") == ("returned", "so")
    assert waiters(condition) == 0
    assert condition.acquire(False) and condition.release() is None


def test_while_another_holds_the_lock(condition, stage):
    """An RLock knows who holds it. Other locks are only known to be held."""
    knows = hasattr(condition._lock, "_is_owned")
    with condition:
        mine = stage.start(told, condition.notify).result()
        all_mine = stage.start(told, condition.notify_all).result()
        assert stage.start(condition._is_owned).result() is not knows
    assert mine == all_mine
    assert mine == (("raised", RuntimeError, "cannot notify on un-acquired lock") if knows else ("returned", None))


# --- waiting


def test_wait_until_notified(condition, stage):
    strand = stage.block(wait, condition)
    notify(condition)
    assert strand.result() is True
    strand = stage.block(wait, condition, LIMIT * 100)
    notify(condition)
    assert strand.result() is True
    assert condition.acquire(False) and condition.release() is None


def test_a_notification_that_nobody_waits_for_is_gone(condition):
    with condition:
        condition.notify(5)
        condition.notify_all()
        assert condition.wait(0) is False


@pytest.mark.parametrize("timeout", TIMEOUTS, ids=repr)
def test_time_outs(condition, timeout):
    with condition:
        if timeout is not True:
            assert condition.wait(timeout) is False
        assert condition.wait(timeout=0.0001) is False
        assert waiters(condition) == 0
        assert Strand(condition.acquire, False).result() is False  # it has the lock again
    assert condition.acquire(False) and condition.release() is None


@pytest.mark.parametrize("timeout", BAD_TIMEOUTS, ids=repr)
def test_time_outs_that_are_refused(condition, timeout):
    standard = threading.Condition()
    with standard, condition:
        expected = told(standard.wait, timeout)
        assert expected[0] == "raised"
        assert told(condition.wait, timeout) == expected
        assert waiters(condition) == 0
        assert Strand(condition.acquire, False).result() is False
    assert condition.acquire(False) and condition.release() is None


@pytest.mark.parametrize("arguments", [(1, 2), (1, 2, 3)])
def test_too_many_arguments(condition, arguments):
    with condition:
        for call in (condition.wait, condition.notify, lambda *more: condition.notify_all(1, *more)):
            assert told(call, *arguments)[:2] == ("raised", TypeError)
        assert told(condition.wait_for)[:2] == ("raised", TypeError)


def test_the_notifier_keeps_the_lock_until_it_lets_go(condition, stage):
    free = False

    def waiting():
        with condition:
            return condition.wait(), free

    strand = stage.block(waiting)
    with condition:
        condition.notify()
        stage.settle()
        assert not strand.over
        free = True
    assert strand.result() == (True, True)


def test_a_time_out_waits_for_the_lock_too(condition, stage):
    held = False

    def waiting():
        with condition:
            go.wait()
            return condition.wait(0.0005), held

    def holding():
        nonlocal held
        with condition:
            held = True
            let_go.wait()
            held = False

    go, let_go = threading.Event(), threading.Event()
    waiter, holder = stage.block(waiting), stage.block(holding)
    go.set()
    stage.settle()  # the time-out is over, and the lock is the other's
    let_go.set()
    assert waiter.result() == (False, False)
    holder.result()


def test_the_depth_of_an_rlock_is_given_up_and_restored(side, stage):
    for lock in (None, threading.RLock(), threading._PyRLock()):
        condition = side.threading.Condition(lock)

        def waiting(timeout, condition=condition):
            for _ in range(3):
                condition.acquire()
            woken = condition.wait(timeout)
            for _ in range(3):
                condition.release()
            return woken, told(condition.release)

        strand = stage.block(waiting, None)
        notify(condition)
        too_often = ("raised", RuntimeError, "cannot release un-acquired lock")
        assert strand.result() == (True, too_often)
        assert stage.start(waiting, 0).result() == (False, too_often)
        with condition:
            assert told(condition.wait, "x")[1] is TypeError
        assert stage.start(condition.acquire, False).result() is True


# --- the rest


def test_notify_all_has_an_old_name(condition):
    with condition, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        condition.notifyAll()
    [warning] = caught
    assert warning.category is DeprecationWarning and warning.filename == __file__
    assert str(warning.message) == "notifyAll() is deprecated, use notify_all() instead"


def test_at_fork_reinit_frees_the_lock_and_forgets_who_waited(side, stage):
    for lock in (None, threading.Lock(), threading.RLock()):
        condition = side.threading.Condition(lock)
        holder = stage.start(condition.acquire)
        holder.result()
        assert condition.acquire(False) is False
        condition._at_fork_reinit()
        with condition:
            assert condition.wait(0) is False and waiters(condition) == 0
    assert told(side.threading.Condition(OwnLock())._at_fork_reinit)[:2] == ("raised", AttributeError)


def test_a_cycle_through_the_lock_is_collected(side):
    lock = OwnLock()
    lock.condition = side.threading.Condition(lock)
    with lock:
        lock.condition.wait(0)
    gone = [weakref.ref(lock), weakref.ref(lock.condition)]
    del lock
    gc.collect()
    assert [ref() for ref in gone] == [None, None]
