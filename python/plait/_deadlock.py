"""Deadlocks are found: who holds which lock, who waits for one without a time-out, and whether that goes round in a circle.

Native locks tell this file when they are taken, released and waited for, once ``explain(True)`` was called (``crates/plait-py/src/deadlock.rs``). A debugging
tool: it is kept simple, not fast. A *strand* is whoever can hold a lock: a task, a greenlet, or a thread that runs neither. Of two things a strand can be in
need, and of both at once:

* the lock that it waits for: so it depends on the lock's holder;
* its thread: a strand that blocks it (by a call that waits, not by an ``await``) keeps from running whatever else runs there, be it
  the loop's other tasks, the thread's other greenlets, or what called the loop. So all these depend on that strand.

A circle of such dependencies can only be broken from outside. It closes when somebody begins to wait, or is handed a lock that it will never come
to use, so that is when it is looked for. Whoever closes it says so (``_deadlock_report``), and waits on.

Everything here is guarded by one lock of the interpreter's own, never by one that is watched. It is reentrant, since a signal handler or a finalizer may
take a lock of the program in the middle of anything.

Rejected: a thread that looks now and then whether all stand still (it is late, and takes a slow lock for a deadlock); time-outs.
"""

import _thread
import itertools
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from types import CodeType
from typing import Any, NamedTuple, TypeVar

from plait import _deadlock_report, _pool_deadlock
from plait._native import ThreadingLock, ThreadingRLock, allocate_lock, explain_deadlocks
from plait._pool_deadlock import awaits_job as awaits_job
from plait._pool_deadlock import awaits_job_no_more as awaits_job_no_more

# What takes the places of threading's. As there, the one is a type from 3.13 on and a built-in function before, the other a function.
_standard_rlock = threading.RLock
Lock: Any = ThreadingLock if sys.version_info >= (3, 13) else allocate_lock


def RLock(*args: Any, **kwargs: Any) -> ThreadingRLock:  # noqa: N802
    """A lock that its thread may take again, whose holder plait knows. Counterpart: ``threading.RLock``."""
    if args or kwargs:  # which older Pythons ignore, newer ones warn of, and the next refuse
        _standard_rlock(*args, **kwargs)
    return ThreadingRLock(*args, **kwargs)


class Thread:
    """One thread, as long as it lives; its number may be given to another one afterwards."""

    def __init__(self, ident: int) -> None:
        self.ident = ident


class Strand:
    """A task, a greenlet (both held weakly), or a thread; equal where they are the same one."""

    def __init__(self, thread: Thread, runs: Any = None) -> None:
        self.thread = thread  # in which it runs
        self._runs = None if runs is None else weakref.ref(runs)
        self._key = id(thread if runs is None else runs)

    @property
    def is_thread(self) -> bool:
        return self._runs is None

    def runs(self) -> Any:
        """The task or greenlet; None, if it is dead, or a thread."""
        return self._runs and self._runs()

    def is_over(self) -> bool:
        """Whether it needs nothing any more."""
        if self._runs is None:
            return False
        runs = self._runs()
        return runs is None or bool(getattr(runs, "dead", False) or (hasattr(runs, "done") and runs.done()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Strand) and self._key == other._key and not self._is_dead() and not other._is_dead()

    def __hash__(self) -> int:
        return hash(self._key)

    def _is_dead(self) -> bool:
        return self._runs is not None and self._runs() is None


class Held(NamedTuple):
    """A lock is held."""

    lock: "weakref.ref[Any]"
    by: Strand
    taken: tuple[CodeType, int | None] | None  # where; None: it was handed the lock, and has not run since


class Wait:
    """A strand waits for a lock."""

    def __init__(self, lock: Any, strand: Strand, blocks: bool) -> None:
        self.number = next(_numbers)
        self.lock = lock
        self.strand = strand
        self.blocks = blocks  # its thread, too


class Need(NamedTuple):
    """What keeps a strand from going on: a lock, or, if it is not the strand's own wait, one that blocks its thread."""

    strand: Strand
    wait: Wait
    held: Held | None  # None: what is needed is the thread

    @property
    def on(self) -> Strand:
        return self.wait.strand if self.held is None else self.held.by


_Key = TypeVar("_Key")

_guard = _thread.RLock()
_here = _thread._local()
_holders: dict[int, Held] = {}  # by the lock's id
_waits: dict[int, Wait] = {}  # by the key that the native side gave
_waits_of: dict[Strand, list[Wait]] = {}
_blocking: dict[Thread, list[Wait]] = {}  # waits that block the thread; a signal handler's lies on another
_handed: dict[int, Held] = {}  # to those who do not know yet, by the keys of their waits
_reported: set[frozenset[tuple[int, int]]] = set()
_numbers = itertools.count()


def explain(on: bool) -> bool:
    """Switch it on or off. Locks that are held already have no known holder; switched off, all is forgotten.

    Returns:
        Whether it was on.

    Safe to call from any thread.
    """
    was = explain_deadlocks(on)
    if not on:
        _forget_all()
    return was


# ---- what the native locks tell; each may be told twice


def taken(lock: Any, runs: Any) -> None:
    """The calling strand has taken the lock: the task or greenlet ``runs``, or else its thread."""
    held = Held(weakref.ref(lock, _forget), _strand(runs), _deadlock_report.caller())
    with _guard:
        _holders[id(lock)] = held


def opens(lock: Any) -> None:
    """The lock is about to be released."""
    with _guard:
        _holders.pop(id(lock), None)


def waits(key: int, lock: Any, runs: Any, blocks: bool) -> None:
    """The calling strand is about to wait for the lock, for as long as it takes; ``blocks``: its thread, too."""
    with _guard:
        if key not in _waits:
            wait = _waits[key] = Wait(lock, _strand(runs), blocks)
            _waits_of.setdefault(wait.strand, []).append(wait)
            if blocks:
                _blocking.setdefault(wait.strand.thread, []).append(wait)
        circle = _new_circle(_waits[key].strand)
    if circle:
        _deadlock_report.report(circle)


def handed(key: int) -> None:
    """Who waits has been given the lock, and will know when it runs. If it never does, that may close a circle."""
    with _guard:
        wait = _waits.get(key)
        if wait is None:
            return
        held = Held(weakref.ref(wait.lock, _forget), wait.strand, None)
        _holders[id(wait.lock)] = _handed[key] = held
        _remove(key)
        others = [other.strand for other in list(_waits.values()) if other.lock is wait.lock]
        circles = [_new_circle(strand) for strand in others]
    for circle in circles:
        if circle:
            _deadlock_report.report(circle)


def waits_no_more(key: int) -> None:
    """The wait has ended, in whatever way. Whether what was handed is kept will be told."""
    with _guard:
        _remove(key)
        held = _handed.pop(key, None)
        if held is not None:
            lock = held.lock()
            if _holders.get(id(lock)) is held:
                del _holders[id(lock)]


# ---- the graph


def _strand(runs: Any) -> Strand:
    thread = getattr(_here, "thread", None)
    if thread is None:
        thread = _here.thread = Thread(_thread.get_ident())
    return Strand(thread, runs)


def _forget(lock: Any) -> None:
    """A lock has died while it was held."""
    with _guard:
        for key, held in list(_holders.items()):
            if held.lock is lock:
                del _holders[key]


def _remove(key: int) -> None:
    wait = _waits.pop(key, None)
    if wait is None:
        return
    _unlist(_waits_of, wait.strand, wait)
    _unlist(_blocking, wait.strand.thread, wait)


def _unlist(index: dict[_Key, list[Wait]], key: _Key, wait: Wait) -> None:
    listed = index.get(key, [])
    if wait in listed:
        listed.remove(wait)
    if not listed:
        index.pop(key, None)


def _needs(strand: Strand) -> Iterator[Need]:
    """What the strand needs to go on, as far as it is known."""
    if strand.is_over():
        return
    for wait in _waits_of.get(strand, ()):
        held = _holders.get(id(wait.lock))
        if held is not None and held.lock() is wait.lock:
            yield Need(strand, wait, held)
    for wait in _blocking.get(strand.thread, ()):
        if wait.strand != strand:
            yield Need(strand, wait, None)


def _new_circle(start: Strand) -> list[Need]:
    """A circle of needs from ``start`` back to it that was not found before; none: empty."""
    circle = _circle(start)
    if not circle or any(_has_deadline(need) for need in circle):
        return []
    name = frozenset((need.wait.number, hash(need.strand)) for need in circle)
    if name in _reported:
        return []
    _reported.add(name)
    return circle


def _circle(start: Strand) -> list[Need]:
    path: list[Need] = []
    seen: set[Strand] = set()
    ahead = [_needs(start)]
    while ahead:
        need = next(ahead[-1], None)
        if need is None:
            ahead.pop()
            if path:
                path.pop()
            continue
        if need.on == start:
            return [*path, need]
        if need.on not in seen:
            seen.add(need.on)
            path.append(need)
            ahead.append(_needs(need.on))
    return []


def _has_deadline(need: Need) -> bool:
    """Whether a time-out of the task's (``asyncio.timeout``, ``wait_for``, anyio's) will end its wait: a timer of its loop knows the task.

    Where the loop's thread is blocked, no timer fires.
    """
    task = need.strand.runs()
    if need.held is None or need.wait.blocks or task is None or need.strand.thread in _blocking:
        return False
    try:
        timers = list(task.get_loop()._scheduled)
    except Exception:  # a loop of another make
        return False
    for timer in timers:
        of = getattr(getattr(timer, "_callback", None), "__self__", None)
        if getattr(of, "_task", None) is task or getattr(of, "_host_task", None) is task:
            return True
    return False


def _forget_all() -> None:
    with _guard:
        for known in (_holders, _handed, _waits, _waits_of, _blocking):
            known.clear()
        _reported.clear()
    _pool_deadlock.forget_all()


def _after_fork_in_child() -> None:
    """Who waited has stayed behind; what was held is held still."""
    _guard._at_fork_reinit()  # type: ignore[attr-defined]
    for known in (_handed, _waits, _waits_of, _blocking):
        known.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
