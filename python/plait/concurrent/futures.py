"""``from plait.concurrent import futures``: every name of ``concurrent.futures``, with plait's.

``ThreadPoolExecutor``, ``Future``, ``wait`` and ``as_completed`` are plait's; ``ProcessPoolExecutor``, the exceptions, the conditions and ``Executor`` are the
standard ones. Nothing is patched; see ``plait.install()``.
"""

import concurrent.futures as _standard
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    BrokenExecutor,
    CancelledError,
    Executor,
    InvalidStateError,
    TimeoutError,
)
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the standard signatures hold
    from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed, wait
else:
    from plait._futures import as_completed, wait
    from plait._native import ConcurrentFuture as Future

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "BrokenExecutor",
    "CancelledError",
    "Executor",
    "Future",
    "InvalidStateError",
    "ProcessPoolExecutor",
    "ThreadPoolExecutor",
    "TimeoutError",
    "as_completed",
    "wait",
]
__all__ += [name for name in _standard.__all__ if name not in __all__]


def __getattr__(name: str) -> Any:
    """Executors, which are imported when they are asked for, as in the standard module; names of later Pythons."""
    if name == "ThreadPoolExecutor":
        from plait._executors import ThreadPoolExecutor

        globals()[name] = ThreadPoolExecutor
        return ThreadPoolExecutor
    return getattr(_standard, name)


def __dir__() -> list[str]:
    return sorted({*dir(_standard), *globals()})
