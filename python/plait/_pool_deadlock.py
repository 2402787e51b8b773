"""A pool that recurses into itself: every one of its threads waits for a call that only they could make.

A worker that waits for a job of its own pool is all right as long as there is another thread for that job, or may be one. When the last of them begins to wait
too, none will ever come for what lies in the queue. There is no lock in this that anybody holds, so the graph of ``_deadlock`` does not see it; but the pool knows its
threads, and each future, while deadlocks are explained, knows its pool. Whoever closes the trap says so (on stderr, and through logging), and waits on.

Only waits without a time-out count.
"""

import _thread
import os
import threading
from collections.abc import Iterable
from concurrent.futures import thread as _executors
from typing import Any, NamedTuple

from plait import _deadlock_report


class Waiting(NamedTuple):
    """A thread of a pool waits for calls."""

    thread: threading.Thread
    pool: Any
    futures: list[Any]
    every: bool  # it waits for all of them


_guard = _thread.RLock()
_waiting: dict[int, Waiting] = {}  # by the key that the native side gave
_reported: set[frozenset[int]] = set()
_active: dict[int, threading.Thread] = vars(threading)["_active"]  # read without its lock
_pools: Any = vars(_executors)["_threads_queues"]


def awaits_job(key: int, futures: Iterable[Any], every: bool) -> None:
    """The calling thread is about to wait for these futures, or for one of them, for as long as it takes."""
    thread = _active.get(_thread.get_ident())
    pool = None if thread is None else _pools.get(thread)
    if pool is None or thread is None:
        return
    try:
        stuck = _closed_trap(key, Waiting(thread, pool, list(futures), every))
        if stuck:
            _deadlock_report.say(lambda: _in_words(stuck), "of a pool")
    except Exception:
        # Of ours, or of a future of the program's that was asked: the program waits on as it would without us. (No signal handler runs here: their thread is no pool's.)
        _deadlock_report.say_failure("a pool's deadlock could not be looked for")


def _closed_trap(key: int, waiting: Waiting) -> list[Waiting]:
    """All who are stuck, if this wait is the last of theirs."""
    with _guard:
        _waiting[key] = waiting
        stuck = _stuck(waiting.pool)
        known = frozenset(key for key, _ in stuck)
        if not stuck or known in _reported:
            return []
        _reported.add(known)
    return [waiting for _, waiting in stuck]


def awaits_job_no_more(key: int) -> None:
    """That wait has ended, in whatever way."""
    with _guard:
        _waiting.pop(key, None)


def forget_all() -> None:
    with _guard:
        _waiting.clear()
        _reported.clear()


def _stuck(pool: Any) -> list[tuple[int, Waiting]]:
    """The waits of all threads of the pool, if none of them can end; else none."""
    if pool.may_grow:
        return []
    waits = {waiting.thread: (key, waiting) for key, waiting in _waiting.items() if waiting.pool is pool}
    # In one step: its own iterator runs Python code, while other threads start workers.
    known = [(reference(), queue) for reference, queue in list(_pools.data.items())]
    threads = [thread for thread, queue in known if queue is pool and thread is not None and thread.is_alive()]
    if not all(thread in waits and _is_in_vain(waits[thread][1]) for thread in threads):
        return []
    return [waits[thread] for thread in threads]


def _is_in_vain(waiting: Waiting) -> bool:
    """Whether nobody but the pool's threads can end it."""
    undone = [future for future in waiting.futures if not future.done()]
    own = [future for future in undone if vars(future).get("_plait_pool") is waiting.pool]
    return bool(own) and (waiting.every or len(own) == len(undone) == len(waiting.futures))


def _in_words(stuck: list[Waiting]) -> str:
    if len(stuck) == 1:
        who = "the only thread of a pool waits for a call that only it can make. It cannot go on"
    else:
        who = f"all {len(stuck)} threads of a pool wait for calls that only they can make. They cannot go on"
    lines = [f"plait: deadlock: {who} unless somebody else cancels what they wait for; the pool has no more threads than its max_workers.\n"]
    for number, waiting in enumerate(stuck, 1):
        shown = ", ".join(f"<Future at {id(future):#x} state={future._state.lower()}>" for future in waiting.futures[:3])
        more = f" and {len(waiting.futures) - 3} more" if len(waiting.futures) > 3 else ""
        lines.append(f"{number}. {_deadlock_report.thread_name(waiting.thread.ident or 0)}")
        lines.append(f"   waits for {shown}{more}, of the same pool")
        lines.append("   stack, most recent call last:")
        lines += _deadlock_report.stack_of_thread(waiting.thread.ident or 0) or ["     (none to be seen)"]
        lines.append("")
    return "\n".join(lines) + "\n"


def _after_fork_in_child() -> None:
    """Who waited has stayed behind."""
    _guard._at_fork_reinit()  # type: ignore[attr-defined]
    _waiting.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
