"""threading.Condition over locks that programs bring: which of their methods it calls, when, and with what."""

import threading
from unittest import mock

import pytest
from thread_sides import OwnLock
from thread_stage import side, stage, told

__all__ = ["side", "stage"]


class Logged:
    """Writes down each call of a lock's methods."""

    def __init__(self):
        self.log = []
        self.inner = threading.Lock()

    def acquire(self, *args, **kwargs):
        self.log.append(("acquire", args, kwargs))
        return self.inner.acquire(*args, **kwargs)

    def release(self, *args):
        self.log.append(("release", args))
        self.inner.release()

    def taken(self):
        calls, self.log = self.log, []
        return calls


class Saving(Logged):
    """With the three further methods, as an RLock has them."""

    state = object()

    def _release_save(self):
        self.log.append("save")
        self.inner.release()
        return self.state

    def _acquire_restore(self, state):
        self.log.append(("restore", state is self.state))
        self.inner.acquire()

    def _is_owned(self):
        self.log.append("owned")
        return self.inner.locked()


def test_a_lock_with_only_acquire_and_release(side, stage):
    lock = Logged()
    condition = side.threading.Condition(lock)
    assert lock.taken() == []
    assert told(lambda: condition.__enter__())[:2] == ("raised", AttributeError)
    condition.acquire()
    assert lock.taken() == [("acquire", (), {})]
    probe, release, acquire = ("acquire", (False,), {}), ("release", ()), ("acquire", (), {})
    for timeout in (0, -1, 0.0001):
        assert condition.wait(timeout) is False
        assert lock.taken() == [probe, release, acquire]
    condition.notify()
    condition.notify_all()
    assert lock.taken() == [probe, probe]
    condition.wait_for(lambda: True)
    assert lock.taken() == []
    condition.release()
    lock.taken()
    assert told(condition.notify)[1] is RuntimeError
    assert lock.taken() == [probe, release]  # found to be free
    assert told(condition.wait)[1] is RuntimeError
    assert lock.taken() == [probe, release]

    def waiting():
        condition.acquire()
        condition.wait()
        condition.release()

    strand = stage.block(waiting)
    assert lock.taken() == [acquire, probe, release]
    condition.acquire()
    condition.notify()
    condition.release()
    strand.result()
    taken = lock.taken()
    # Who was woken asks for the lock as soon as it is told, which may be before this thread has let go of it.
    assert taken[:2] == [acquire, probe] and taken[2:] in ([release, acquire, release], [acquire, release, release])


def test_a_lock_that_saves_and_restores(side):
    lock = Saving()
    condition = side.threading.Condition(lock)
    condition.acquire()
    lock.taken()
    assert condition.wait(0) is False
    assert lock.taken() == ["owned", "save", ("restore", True)]
    condition.notify(2)
    assert lock.taken() == ["owned"]
    condition.notify_all()
    assert lock.taken() == ["owned"]
    assert condition._is_owned() is True
    assert condition._release_save() is lock.state
    condition._acquire_restore(lock.state)
    assert lock.taken() == ["owned", "save", ("restore", True)]


@pytest.mark.parametrize("name", ["_release_save", "_acquire_restore", "_is_owned"])
def test_a_lock_with_one_of_the_three(side, name):
    """Each is used if it is there, whatever becomes of the others."""
    lock = type("Partly", (Logged,), {name: getattr(Saving, name), "state": None})()
    condition = side.threading.Condition(lock)
    condition.acquire()
    lock.taken()
    assert condition.wait(0) is False
    own, save, restore = ("acquire", (False,), {}), ("release", ()), ("acquire", (), {})
    expected = {"_is_owned": own, "_release_save": save, "_acquire_restore": restore}
    expected[name] = {"_is_owned": "owned", "_release_save": "save", "_acquire_restore": ("restore", True)}[name]
    assert lock.taken() == list(expected.values())


def test_methods_are_looked_up_when_it_is_made(side):
    """All but those that `with` calls."""
    lock = OwnLock()
    condition = side.threading.Condition(lock)
    condition.acquire()
    lock.acquire = lock.release = lock._is_owned = mock.Mock(side_effect=AssertionError)
    condition.release()
    lock.__enter__ = mock.Mock(return_value="entered")
    lock.__exit__ = mock.Mock(return_value=True)
    with condition as entered:
        raise LookupError
    assert entered == "entered" and lock.__exit__.call_args.args[0] is LookupError


def test_a_mock_of_a_lock(side):
    lock = mock.Mock(spec=["acquire", "release"])
    lock.acquire.side_effect = lambda blocking=True: blocking
    condition = side.threading.Condition(lock)
    assert condition.wait(0) is False
    condition.notify()
    assert lock.mock_calls == [
        mock.call.acquire(False),
        mock.call.release(),
        mock.call.acquire(),
        mock.call.acquire(False),
    ]


def test_what_the_lock_raises_comes_through(side):
    class Failing(Saving):
        fails = None

        def _release_save(self):
            return self.log.append("save") if self.fails != "save" else 1 / 0

        def _acquire_restore(self, state):
            return self.log.append("restore") if self.fails != "restore" else 1 / 0

        def _is_owned(self):
            return True if self.fails != "owned" else 1 / 0

    lock = Failing()
    condition = side.threading.Condition(lock)
    for lock.fails, calls in (("owned", []), ("save", []), ("restore", ["save"])):
        assert told(condition.wait, 0)[:2] == ("raised", ZeroDivisionError)
        assert lock.taken() == calls
    lock.fails = "owned"
    assert told(condition.notify)[1] is told(condition.notify_all)[1] is ZeroDivisionError


@pytest.mark.parametrize("truth", [True, 1, "yes", False, 0, None, ""], ids=repr)
def test_ownership_is_a_matter_of_truth(side, truth):
    lock = type("Claims", (OwnLock,), {"_is_owned": lambda self: truth})()
    condition = side.threading.Condition(lock)
    assert condition._is_owned() is truth
    lock.acquire()
    assert (told(condition.notify)[0] == "returned") is bool(truth)
    assert (told(condition.wait, 0)[0] == "returned") is bool(truth)


def test_a_subclass_of_the_rlock(side, stage):
    """Whose methods are its own: nobody may reach past them for the lock inside."""
    log = []

    class Watched(type(threading.RLock())):
        def _release_save(self):
            log.append("save")
            return super()._release_save()

        def _acquire_restore(self, state):
            super()._acquire_restore(state)
            log.append("restore")

        def _is_owned(self):
            log.append("owned")
            return super()._is_owned()

        def acquire(self, *args):
            log.append("acquire")
            return super().acquire(*args)

        def __enter__(self):
            log.append("enter")
            return super().__enter__()

    condition = side.threading.Condition(Watched())
    condition.acquire()
    with condition:
        assert condition.wait(0) is False
        condition.notify()
    assert log == ["acquire", "enter", "owned", "save", "restore", "owned"]


def test_a_condition_over_a_condition(side, stage):
    """It has all that a lock needs."""
    inner = side.threading.Condition()
    outer = side.threading.Condition(inner)

    def waiting():
        with outer, outer:
            return outer.wait()

    strand = stage.block(waiting)
    with inner:
        inner.notify()
        outer.notify()
    assert strand.result() is True
    assert not outer._is_owned()


def test_a_semaphore_as_a_lock(side, stage):
    semaphore = side.threading.Semaphore()
    condition = side.threading.Condition(semaphore)

    def waiting():
        with condition:
            return condition.wait()

    strand = stage.block(waiting)
    with condition:
        condition.notify()
    assert strand.result() is True
    assert semaphore.acquire(False) is True and semaphore.acquire(False) is False


def test_overridden_methods_are_used(side):
    """wait_for waits by the method `wait`, notify_all notifies by `notify`."""
    calls = []

    class Own(side.threading.Condition):
        def wait(self, timeout=None):
            calls.append(("wait", timeout))
            return True

        def notify(self, n=1):
            calls.append(("notify", n))

    condition = Own()
    answers = iter([False, False, True])
    with condition:
        assert condition.wait_for(lambda: next(answers)) is True
        condition.notify_all()
    assert calls == [("wait", None), ("wait", None), ("notify", 0)]
    del calls[:]
    answers = iter([False, True])
    with condition:
        assert condition.wait_for(lambda: next(answers), 10) is True
    assert calls == [("wait", 10)]
