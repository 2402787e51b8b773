"""The thread of a pool that reads answers while nobody waits for one, hears of workers that die, and ends the pool.

And what is done at the interpreter's exit, as by the standard pool: what was submitted is done before.
"""

import os
import threading
import weakref
from concurrent.futures.process import BrokenProcessPool
from typing import Any

exiting = False
_threads: "weakref.WeakKeyDictionary[threading.Thread, Any]" = weakref.WeakKeyDictionary()


def start(core: Any) -> threading.Thread:
    """Start the helper of a pool."""
    thread = threading.Thread(target=_help, args=(core,), name="plait-process-pool")
    _threads[thread] = core
    thread.start()
    return thread


def _help(core: Any) -> None:
    try:
        while core.help_once():
            pass
    except BaseException:
        core._break()
        raise
    finally:
        core.end_workers()


def refuse(broken: Any, is_closing: bool, is_child: bool) -> None:
    """Raise what keeps a call from being submitted, in the standard words."""
    if broken:
        raise BrokenProcessPool(broken)
    if is_child:
        raise RuntimeError("the process pool belongs to the process that made it, which this one was forked from")
    if is_closing and not exiting:
        raise RuntimeError("cannot schedule new futures after shutdown")
    raise RuntimeError("cannot schedule new futures after interpreter shutdown")


def _at_exit() -> None:
    global exiting
    exiting = True
    threads = list(_threads.items())
    for _, core in threads:
        core.close(False)
    for thread, _ in threads:
        thread.join()


threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
# The rest of a pool says by itself, in a child, that it is its parent's.
os.register_at_fork(after_in_child=_threads.clear)
