"""``from plait import multiprocessing``: every name of the standard package, with what is plait's.

``Lock``, ``RLock``, ``Semaphore``, ``BoundedSemaphore``, ``Event``, ``Condition``, ``Barrier``, ``Queue``, ``JoinableQueue``, ``SimpleQueue`` and ``Pool`` are plait's, also from
``get_context()``. Processes, pipes, shared memory and managers are the standard ones; ``Value`` and ``Array`` are the standard ones with plait's lock. There is one more start
method, ``zygote``, and ``set_zygote_preload`` for it (docs/multiprocessing.md).

The start method is one for the program: ``set_start_method`` here and there is the same. Of the standard package nothing is replaced, see ``plait.install()``; but it learns
that there is a start method ``zygote``, as packages with such a method of their own do it.
"""

import multiprocessing as _standard
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from plait.multiprocessing import context

if TYPE_CHECKING:  # the standard signatures hold
    from multiprocessing import *

    set_zygote_preload = context._default_context.set_zygote_preload

__all__ = [*_standard.__all__, "set_zygote_preload"]

# As in the standard package, the functions are the methods of the context that is the program's.
globals().update((name, getattr(context._default_context, name)) for name in __all__)


def __getattr__(name: str) -> Any:
    """``reducer``, which may be set; what is not in ``__all__``; and names of later Pythons."""
    found = getattr(_standard, name)
    if isinstance(found, ModuleType) and find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")  # "from plait.multiprocessing import pool" asks here first
    return found


def __dir__() -> list[str]:
    return sorted({*dir(_standard), *globals()})
