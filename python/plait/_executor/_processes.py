"""The engine "processes": plait's pool of processes, which carries context variables if that is asked for, and keeps arguments that are used often.

What ``put`` keeps is pickled once, into a file in memory; a worker that needs it maps the file, and keeps what it loaded for the next calls. So an array is there once, whatever the number
of workers and calls. Rejected: the pool's own segments, which go to one worker and end with one call; a named file, which stays when the program is killed.
"""

import itertools
import mmap
import os
import pickle
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from plait._executor import _context
from plait._executor._context import Carrier
from plait._executor._interface import Executor, checked
from plait._executor._stored import Stored, flat
from plait._process_pool import ProcessPoolExecutor, _pickling
from plait._process_pool._options import Options

# A worker keeps so many values that were put.
_MOST_KEPT = 16
# Arrays begin at multiples of it.
_ALIGNED = 64


class ProcessesExecutor(ProcessPoolExecutor, Executor):
    """See `Executor`. All that a program submits goes through ``_core``, and is made ready there."""

    engine = "processes"

    def __init__(self, carrier: Carrier, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._core: Any = _Core(self._core, carrier)
        retries = self._options.retries
        del self._options  # so that the new one does not keep the executor
        self._options = Options(self, None, retries)

    def put(self, value: Any) -> Stored:
        """See `Executor.put`. It is pickled here and now; each worker that needs it maps it, and is to leave it as it is: later calls see the same object."""
        kept = Kept(_pickling.dump(value))
        return Stored(self._core, kept)


class _Core:
    """The pool's core, with calls made ready for it."""

    def __init__(self, core: Any, carrier: Carrier) -> None:
        self._inner = core
        self._carrier = carrier

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def submit(self, function: Any, calls: Iterable[tuple[tuple[Any, ...], dict[str, Any]]], retries: int, timeout: float | None) -> Any:
        function, calls = flat(function, calls)
        ready: Iterator[tuple[tuple[Any, ...], dict[str, Any]]] = map(self._with_stored, calls)
        if self._carrier.carries:
            carried = self._carrier.for_process()
            ready = (((carried, function, *args), kwargs) for args, kwargs in ready)
            return self._inner.submit(_context.call, ready, retries, timeout)
        return self._inner.submit(function, ready, retries, timeout)

    def _with_stored(self, call: tuple[tuple[Any, ...], dict[str, Any]]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, kwargs = call
        for argument in args:
            if type(argument) is Stored:
                args = tuple(map(self._taken, args))
                break
        if kwargs:
            kwargs = {name: self._taken(argument) for name, argument in kwargs.items()}
        return args, kwargs

    def _taken(self, argument: Any) -> Any:
        return argument.taken_by(self) if type(argument) is Stored else argument


class Kept:
    """A pickled value in a file in memory, which nobody else can find by a name. When it is pickled itself, what comes out is the value."""

    _numbers = itertools.count()

    def __init__(self, parts: list[Any]) -> None:
        self._file = _file_in_memory()
        self._places: list[tuple[int, int]] = []
        self._owner = os.getpid()
        self._number = next(self._numbers)
        at = 0
        for part in parts:
            length = memoryview(part).nbytes
            self._file.seek(at)
            self._file.write(part)
            self._places.append((at, length))
            at += -(-length // _ALIGNED) * _ALIGNED
        self._file.truncate(max(at, 1))
        self._file.flush()

    def __reduce__(self) -> Any:
        return load_kept, (self._owner, self._number, self._file.fileno(), self._places)


def _file_in_memory() -> IO[bytes]:
    try:
        return os.fdopen(os.memfd_create("plait-put", os.MFD_CLOEXEC), "w+b")
    except OSError:  # it is forbidden
        return tempfile.TemporaryFile()


# In a worker: what it has loaded, the latest last.
_loaded: "OrderedDict[tuple[int, int], Any]" = OrderedDict()


def load_kept(owner: int, number: int, descriptor: int, places: list[tuple[int, int]]) -> Any:
    """In a worker: the value."""
    key = (owner, number)
    if key not in _loaded:
        with open(f"/proc/{owner}/fd/{descriptor}", "rb") as file:
            # Private: nobody else sees what is written to it.
            memory = memoryview(mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE))
        parts = [memory[at : at + length] for at, length in places]
        _loaded[key] = pickle.loads(parts[0], buffers=parts[1:])
        while len(_loaded) > _MOST_KEPT:
            _loaded.popitem(last=False)
    _loaded.move_to_end(key)
    return _loaded[key]


def make(
    max_workers: int | None = None,
    carry_context: "bool | Iterable[Any]" = False,
    retries: int = 0,
    mp_context: Any = None,
    initializer: Callable[..., Any] | None = None,
    initargs: tuple[Any, ...] = (),
    max_tasks_per_child: int | None = None,
) -> ProcessesExecutor:
    """For ``plait.executor``."""
    checked(None, retries)
    carrier = Carrier(carry_context)
    return ProcessesExecutor(carrier, max_workers, mp_context, initializer, initargs, max_tasks_per_child=max_tasks_per_child, retries=retries)
