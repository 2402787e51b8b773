"""The main module of a worker process."""

import asyncio
import faulthandler
import os
import pickle
import socket
import sys
from typing import Any

from plait._workers._cells import Cells
from plait._workers._channel import Channel
from plait._workers.inside import servers, socket_files, sockets
from plait._workers.inside.control import Control


def main(here: list[str]) -> None:
    """Run the program. The command line's arguments are descriptors: of the channel, the shared memory, a pipe in which it says what to run, and what is to be stderr once it is ready.

    `here`: what was taken off the front of ``sys.path``, where `plait run` expects to find it.
    """
    channel, memory, pipe, stderr = map(int, sys.argv[-4:])
    with open(pipe, "rb") as file:
        payload = pickle.loads(file.read())
    for descriptor in (channel, memory, stderr):
        os.set_inheritable(descriptor, False)
    if not faulthandler.is_enabled() and sys.stderr is not None:
        faulthandler.enable()  # where it is stuck, when it is killed for that
    control = Control(Channel(socket.socket(fileno=channel)), Cells(payload["cells"], memory), stderr, payload)
    Control.current = control
    sockets.put_in_place(control)
    socket_files.put_in_place(control)
    servers.put_in_place(control)
    os.register_at_fork(after_in_child=_leave_in_child)
    control.start()
    status = _run(payload["work"], control, here)
    if status:
        sys.exit(status)


def _run(work: dict[str, Any], control: Control, here: list[str]) -> int:
    try:
        if work["kind"] == "program":
            from plait import _run as command

            sys.path[:0] = here
            return command.main(work["arguments"])
        _run_function(work)
        return 0
    except asyncio.CancelledError:
        if control.leaving:  # that is how it was ended
            return 0
        raise


def _run_function(work: dict[str, Any]) -> None:
    """``plait.run(main, workers=…)``: import the program's main module under another name, as multiprocessing does, and run `main`."""
    import multiprocessing.spawn

    from plait._loop import run
    from plait._process_pool import _pickling

    preparation = pickle.loads(work["preparation"])
    preparation.pop("name", None)
    process: Any = multiprocessing.current_process()
    process._inheriting = True  # who starts processes by being imported is told, in multiprocessing's words
    try:
        multiprocessing.spawn.prepare(preparation)
    finally:
        del process._inheriting
    function, args, _ = _pickling.load_call(work["function"], {})
    coroutine = function(*args)
    run(coroutine, debug=work["debug"])


def _leave_in_child() -> None:
    """In a forked child: what is here is its parent's."""
    Control.current = None
    sockets.take_away()
    socket_files.take_away()
    servers.take_away()
