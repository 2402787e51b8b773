"""``from plait import queue``: every name of the standard module, with plait's queues.

``Queue``, ``LifoQueue`` and ``PriorityQueue`` are native; ``SimpleQueue``, which is C already, and the exceptions are the standard ones. Nothing is patched; see
``plait.install()``.
"""

import queue as _standard
from queue import *
from typing import TYPE_CHECKING, Any

if not TYPE_CHECKING:  # the standard signatures hold
    from plait._native import ThreadingLifoQueue as LifoQueue
    from plait._native import ThreadingPriorityQueue as PriorityQueue
    from plait._native import ThreadingQueue as Queue

__all__ = list(_standard.__all__)


def __getattr__(name: str) -> Any:
    """What is not in ``__all__``: private names, and those of later Pythons."""
    return getattr(_standard, name)


def __dir__() -> list[str]:
    return sorted({*dir(_standard), *globals()})
