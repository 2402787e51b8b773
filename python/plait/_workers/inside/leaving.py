"""How a worker ends in order.

1. It stops accepting. What waits in the backlog is for the others.
2. Clients that keep their connections are told, with their next response, that this one will be closed (`courtesies`). So for a moment (`linger`) it goes on as before: a connection that has
   just been accepted has its request read, and one on which a request is about to come is not closed at that moment.
3. A program that handles SIGTERM (uvicorn, aiohttp's run_app, hypercorn) gets that, and finishes in its own way. For another one its connections are waited for, until the
   deadline; then its main task is cancelled.

Whoever is not through by the deadline is killed, by the supervisor.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from typing import Any

from plait._workers.inside import courtesies, servers
from plait._workers.inside.control import Control, ends_by_itself

_LOOKING = 0.02
# A connection that asyncio's own loop has accepted is counted so many turns of it later.
_TURNS = 3
# A program that is cancelled shortly before its deadline has so many seconds for its clean-up.
_CLEANING = 1.0


def leave(control: Control, loop: asyncio.AbstractEventLoop | None, main: "asyncio.Task[Any] | None", linger: float, deadline: float) -> None:
    """End this process, from a thread of its own."""
    end = time.monotonic() + deadline
    _be_silent_about_the_end()
    control.note_accepting(False)
    for serving in servers.loops():
        _on(serving, servers.stop_accepting, serving)
        for _ in range(_TURNS):
            _on(serving, _nothing)
    courtesies.announce()
    if ends_by_itself():
        _wait_for_connections(control, time.monotonic() + linger)
        os.kill(os.getpid(), signal.SIGTERM)
        return
    _wait_for_connections(control, end - min(_CLEANING, deadline / 2))
    if loop is None or not loop.is_running() or main is None:
        os.kill(os.getpid(), signal.SIGTERM)
    elif main.done() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # What the loop was begun with is through: now it runs for ever, and as by Ctrl-C a program of that kind comes to its clean-up.
        os.kill(os.getpid(), signal.SIGINT)
    elif main.done():
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        _on(loop, main.cancel)


def _wait_for_connections(control: Control, until: float) -> None:
    """Until there are none, or it is that late."""
    while control.connections > 0 and (left := until - time.monotonic()) > 0:
        time.sleep(min(_LOOKING, left))


def _on(loop: Any, function: Any, *args: Any) -> None:
    """Have it called on the loop; wait for that, if the loop is alive."""
    if not loop.is_running():
        return
    done = threading.Event()

    def call() -> None:
        try:
            function(*args)
        finally:
            done.set()

    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # closed
        return
    done.wait(1.0)


def _nothing() -> None:
    pass


def _be_silent_about_the_end() -> None:
    """A main task that was cancelled is no error here, nor is what Ctrl-C makes of a loop."""
    hook = sys.excepthook

    def excepthook(kind: Any, error: Any, traceback: Any) -> None:
        if not isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
            hook(kind, error, traceback)

    sys.excepthook = excepthook
