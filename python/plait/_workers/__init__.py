"""Workers: the same program in several processes, a loop each, which share their listening sockets and are supervised.

A worker is a process of its own that was started afresh, so a reload runs what the files say now, and the supervisor, which never loads the program, stays small. They speak over a
socket on which descriptors can travel (`_channel`); what is said all the time (beats, numbers of connections) stands in shared memory (`_cells`).

In the supervisor:

* ``_supervisor`` is the whole: signals, reloads, the end; ``_slot`` keeps one place filled, ``_process`` is one worker as seen from here, ``_watch`` looks at all of them from time to time;
* ``_sockets`` holds the listening sockets. **They are the supervisor's**, whichever way they are shared: a worker that dies or is replaced takes no connection with it that it had not
  accepted. With ``inherit`` all workers have the same socket, with ``reuseport`` each place has its own, which goes from a worker to the one that follows it;
* ``_settings`` says what can be chosen, ``_command`` is ``plait run --workers``, ``_words`` what is told on stderr.

In a worker, ``inside``: an unmodified program is served by a few methods of the standard library that are replaced there (``socket.bind`` above all).

Rejected: forking the workers from a process that has loaded the program (a reload would run the old code, and threads of what was imported are lost); closing a socket of a
``SO_REUSEPORT`` group (the kernel resets what waits in its backlog); ``EPOLLEXCLUSIVE`` (it wakes the worker that came to sleep last, so that one does nearly all the work).
"""

import os
import threading
from typing import Any

from plait._workers._settings import Settings
from plait._workers._words import WorkersFailed as WorkersFailed


def supervise(settings: Settings, work: dict[str, Any]) -> None:
    """Run workers until all is over, in the main thread.

    Raises:
        WorkersFailed: they died at start, again and again.
        RuntimeError: this is another thread, or a loop runs in it; or this is a worker.
    """
    from plait._loop import run
    from plait._workers._supervisor import Supervisor
    from plait._workers.inside.control import Control

    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("workers can be supervised from the main thread only: their supervisor hears signals")
    if Control.current is not None:
        raise RuntimeError("this is a worker already: it cannot have workers of its own. Take either plait run --workers, or plait.run(main, workers=...)")
    _have_standard_descriptors()
    run(_supervise(Supervisor, settings, work))


def _have_standard_descriptors() -> None:
    """Where one is closed, the next that is opened would take its number, and get what is written to stderr."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            os.set_inheritable(opened, True)


async def _supervise(make: Any, settings: Settings, work: dict[str, Any]) -> None:
    await make(settings, work).run()


def run_function(main: Any, debug: bool | None, settings: Settings) -> None:
    """``plait.run(main, workers=…)``."""
    import multiprocessing.spawn
    import pickle

    from plait._process_pool import _pickling

    if not callable(main):
        if hasattr(main, "close"):
            main.close()
        raise TypeError("with workers, main must be a function that returns a coroutine, not a coroutine: each worker calls it")
    preparation = multiprocessing.spawn.get_preparation_data("MainProcess")
    preparation["authkey"] = bytes(preparation["authkey"])
    function = [bytes(part) for part in _pickling.dump_call(main, (), {})]
    supervise(settings, {"kind": "function", "function": function, "debug": debug, "preparation": pickle.dumps(preparation)})
