"""The locks that stand in for threading's while deadlocks are explained are like them."""

import _thread
import copy
import gc
import os
import pickle
import threading
import unittest
import weakref
from collections.abc import Iterator
from typing import Any

import plait
import pytest
from plait import _deadlock

lock_tests = pytest.importorskip("test.lock_tests", reason="this Python came without its tests")

BOTH = pytest.mark.parametrize(("native", "standard"), [(_deadlock.Lock, _thread.allocate_lock), (_deadlock.RLock, _thread.RLock)])


class LockTests(lock_tests.LockTests):  # type: ignore[misc, name-defined]
    locktype = staticmethod(_deadlock.Lock)


class RLockTests(lock_tests.RLockTests):  # type: ignore[misc, name-defined]
    locktype = staticmethod(_deadlock.RLock)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PLAIT_DEBUG", "1")
    plait.install(asyncio=False, multiprocessing=False)
    yield
    monkeypatch.delenv("PLAIT_DEBUG")
    plait.uninstall()


def test_install_puts_them_in_place(installed: None) -> None:
    assert type(threading.Lock()).__module__ == type(threading.RLock()).__module__ == "plait.threading"
    assert isinstance(threading.Lock(), _thread.LockType) and isinstance(threading.RLock(), _thread.RLock)
    assert type(threading._allocate_lock()) is _thread.LockType
    assert type(threading._CRLock()) is _thread.RLock


def test_uninstall_puts_back_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.Lock, threading.RLock
    monkeypatch.setenv("PLAIT_DEBUG", "1")
    plait.install(asyncio=False, multiprocessing=False)
    assert (threading.Lock, threading.RLock) != before
    monkeypatch.delenv("PLAIT_DEBUG")
    plait.uninstall()
    assert (threading.Lock, threading.RLock) == before
    assert not _deadlock.explain(False)


@BOTH
def test_names_and_words(native: Any, standard: Any) -> None:
    ours, theirs = native(), standard()
    public = {name for name in dir(theirs) if not name.startswith("__")}
    assert public <= set(dir(ours))

    def shown(lock: Any) -> str:
        return repr(lock).replace(hex(id(lock)), "address")

    assert shown(ours) == shown(theirs)
    with ours, theirs:
        assert shown(ours) == shown(theirs)
    for call in (
        lambda lock: lock.release(),
        lambda lock: lock.acquire(timeout=-2),
        lambda lock: lock.acquire(False, 1),
        lambda lock: lock.acquire(timeout=1e100),
        lambda lock: lock.acquire(timeout=None),
        copy.deepcopy,
        pickle.dumps,
    ):
        said = []
        for lock in (ours, theirs):
            with pytest.raises((RuntimeError, TypeError, ValueError, OverflowError)) as raised:
                call(lock)
            said.append((raised.type, str(raised.value)))
        assert said[0] == said[1]


@BOTH
def test_kept_as_objects_are(native: Any, standard: Any) -> None:
    lock = native()
    assert not gc.is_tracked(lock)
    reference = weakref.ref(lock)
    del lock
    assert reference() is None


def test_old_names() -> None:
    lock = _deadlock.Lock()
    assert lock.acquire_lock() and lock.locked_lock()
    assert not lock.acquire_lock(False)
    lock.release_lock()
    assert not lock.locked_lock()


def test_a_reentrant_lock_may_be_subclassed() -> None:
    class Derived(type(_deadlock.RLock())):  # type: ignore[misc]
        pass

    lock = Derived()
    with lock, lock:
        assert lock._recursion_count() == 2
    assert isinstance(lock, Derived) and lock.__class__ is Derived


def test_a_plain_lock_may_not() -> None:
    with pytest.raises(TypeError):
        type("Derived", (type(_deadlock.Lock()),), {})


def test_owned_by_the_thread() -> None:
    """Not by the task: as threading's."""
    lock = _deadlock.RLock()

    async def takes() -> bool:
        return bool(lock.acquire(blocking=False))

    lock.acquire()
    assert plait.run(takes())
    assert lock._release_save() == (2, threading.get_ident())
    assert not lock._is_owned()
    lock._acquire_restore((2, threading.get_ident()))
    lock.release()
    lock.release()


@BOTH
def test_a_forked_child_makes_it_anew(native: Any, standard: Any) -> None:
    lock = native()
    lock.acquire()
    pid = os.fork()
    if pid == 0:
        free = False
        try:
            lock._at_fork_reinit()
            free = lock.acquire(False)
        finally:
            os._exit(not free)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    lock.release()


assert issubclass(LockTests, unittest.TestCase)
