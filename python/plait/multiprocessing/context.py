"""The contexts of plait.multiprocessing: what processes and their means are made by.

A context of plait's is the standard one of the same start method whose factories make plait's classes. A process is the standard one: it takes its time in the kernel and the
new interpreter, and libraries look into it.

Which start method is the program's is kept where the standard library keeps it, so ``plait.multiprocessing.set_start_method("spawn")`` and
``multiprocessing.set_start_method("spawn")`` are the same, and a child hears of it in the standard way. For that the standard table of contexts gets the row "zygote". Rejected: a
choice of plait's own beside the standard one. A program of which one half imports plait's module and the other the standard one would then start its processes in two ways.
"""

import multiprocessing.context as _standard
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Any

from plait.multiprocessing import _zygote
from plait.multiprocessing._factories import Factories

_internals: Any = _standard
_program: Any = _standard._default_context


class _Known(Factories):
    """What the contexts of plait's have in common: they know each other by their start methods."""

    def get_context(self, method: str | None = None) -> Any:
        """The context of a start method.

        Args:
            method: "fork", "spawn", "forkserver", "zygote", or None for this context itself.

        Raises:
            ValueError: there is no such start method.

        Counterpart: ``multiprocessing.get_context``.
        """
        return self if method is None else _contexts.get(method) or super().get_context(method)

    def set_zygote_preload(self, module_names: Sequence[str]) -> None:
        """Choose what the zygote imports before it forks its first process; by default, and as long as nothing is chosen, the program's main module.

        Args:
            module_names: names of modules; "__main__" is the main module. What cannot be imported is warned of when the zygote starts. Modules that start threads (NumPy, unless
                ``OPENBLAS_NUM_THREADS=1`` is in the environment) make processes start by spawn.

        Raises:
            TypeError: not all of them are strings.

        A zygote that runs already takes no new processes from then on; it ends when its last one has. May be called from any thread. Counterpart:
        ``multiprocessing.set_forkserver_preload``.
        """
        _zygote.set_preload(module_names)


class ForkContext(_Known, _standard.ForkContext):
    """``fork``: a copy of the program as it stands."""


class SpawnContext(_Known, _standard.SpawnContext):
    """``spawn``: a fresh interpreter, which imports what it needs."""


class ForkServerContext(_Known, _standard.ForkServerContext):
    """``forkserver``: a fork of a process that has imported little."""


class ZygoteProcess(BaseProcess):
    """A process that the zygote forks, or that is spawned where the zygote cannot fork safely. Counterpart: ``multiprocessing.context.ForkServerProcess``."""

    _start_method = _zygote.METHOD

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:
        return _zygote.start(process_obj)

    @staticmethod
    def _after_fork() -> None:
        """Nothing is left of the program that started it, for it comes from the zygote."""


class ZygoteContext(_Known, _standard.BaseContext):
    """``zygote``: a fork of a single-threaded process that has imported what was chosen."""

    _name = _zygote.METHOD
    Process = ZygoteProcess


class DefaultContext(_Known, _standard.DefaultContext):
    """The context that is the program's: that of the start method which was chosen, or the host Python's default."""

    def __init__(self) -> None:
        super().__init__(_program._default_context)

    def get_context(self, method: str | None = None) -> Any:
        """The context of a start method; without one, of the program's, which is settled thereby. Otherwise as that of the other contexts."""
        found = _program.get_context(method)
        return _contexts.get(found._name, found)

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Choose how processes are started, for ``multiprocessing`` too.

        Args:
            method: "fork", "spawn", "forkserver" or "zygote"; None to take a choice back, with `force`.
            force: whether to change a choice that was made.

        Raises:
            RuntimeError: it was chosen already.
            ValueError: there is no such start method.

        Counterpart: ``multiprocessing.set_start_method``.
        """
        _program.set_start_method(method, force)

    def get_start_method(self, allow_none: bool = False) -> Any:
        """The program's start method, which is settled thereby; with `allow_none`, None if it is not. Counterpart: ``multiprocessing.get_start_method``."""
        return _program.get_start_method(allow_none)

    def get_all_start_methods(self) -> list[str]:
        """The start methods, the default first. Counterpart: ``multiprocessing.get_all_start_methods``."""
        return [*_program.get_all_start_methods(), str(_zygote.METHOD)]


_contexts: dict[str, Any] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
    _zygote.METHOD: ZygoteContext(),
}
_default_context = DefaultContext()
_internals._concrete_contexts.setdefault(_zygote.METHOD, _contexts[_zygote.METHOD])


def __getattr__(name: str) -> Any:
    """The rest of the standard module."""
    return getattr(_standard, name)
