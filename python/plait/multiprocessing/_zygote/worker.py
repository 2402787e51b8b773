"""What becomes of a fork of the zygote: it takes on its parent's surroundings, reads which process it is, and runs that."""

import atexit
import os
import pickle
import sys
from collections.abc import Callable
from multiprocessing import resource_tracker, spawn, util
from typing import Any, NoReturn

from plait.multiprocessing._zygote.messages import FIXED, NUMBER, Surroundings

_util: Any = util

# The descriptors that objects on their way to this process have named by their places; they are taken by `Inherited`.
_inherited: list[int] = []


class Inherited:
    """A descriptor of the parent's, named in what it sends by its place among those that it sends."""

    def __init__(self, index: int) -> None:
        self._index = index

    def detach(self) -> int:
        """The descriptor here."""
        return _inherited[self._index]


def live(fds: list[int], forget_the_zygote: Callable[[], None]) -> NoReturn:
    """Run the process whose request came with these descriptors, and end."""
    code = 1
    try:
        atexit._clear()
        atexit.register(_util._exit_function)
        forget_the_zygote()
        code = _run(fds)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        try:
            atexit._run_exitfuncs()
            _util._flush_std_streams()
        finally:
            os._exit(code)


def _run(fds: list[int]) -> int:
    orders, report, tracker = fds[:FIXED]
    os.close(report)
    sentinel = os.dup(orders)
    _dress(pickle.loads(_read(orders, NUMBER.unpack(_read(orders, NUMBER.size))[0])), fds[FIXED:])
    vars(resource_tracker)["_resource_tracker"]._fd = tracker
    for directory in [directory for directory, finder in sys.path_importer_cache.items() if finder is None]:
        del sys.path_importer_cache[directory]  # it was not there when the zygote looked; it may be by now
    code: int = vars(spawn)["_main"](orders, sentinel)
    return code


def _read(fd: int, size: int) -> bytes:
    """Exactly so much: what follows is for the standard reader."""
    parts = []
    while size:
        part = os.read(fd, size)
        if not part:
            raise EOFError("the parent ended before it had said what to run")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _dress(surroundings: Surroundings, fds: list[int]) -> None:
    for stream, fd in zip(surroundings.streams, fds, strict=False):
        os.dup2(fd, stream)
        os.close(fd)
    _inherited[:] = fds[len(surroundings.streams) :]
    surroundings.take_on()
