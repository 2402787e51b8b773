"""``from plait.concurrent import futures``: every name of ``concurrent.futures``, with plait's.

``ThreadPoolExecutor``, ``ProcessPoolExecutor``, ``Future``, ``wait`` and ``as_completed`` are plait's; the exceptions, the conditions and ``Executor`` are the
standard ones. There are also the errors that calls in processes may end with (``WorkerDied``, ``TaskKilled``, ``NotLoaded``) and what ``ProcessPoolExecutor.stats`` returns,
and those of ``plait.executor`` (``NotSupported``, ``EngineMissing``, ``EngineVersion``, ``ClusterUnreachable``, ``ClusterLost``). Nothing is patched; see ``plait.install()``.
"""

import concurrent.futures as _standard
from concurrent.futures import ALL_COMPLETED as ALL_COMPLETED
from concurrent.futures import FIRST_COMPLETED as FIRST_COMPLETED
from concurrent.futures import FIRST_EXCEPTION as FIRST_EXCEPTION
from concurrent.futures import BrokenExecutor as BrokenExecutor
from concurrent.futures import CancelledError as CancelledError
from concurrent.futures import Executor as Executor
from concurrent.futures import InvalidStateError as InvalidStateError
from concurrent.futures import TimeoutError as TimeoutError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the standard signatures hold
    from concurrent.futures import Future as Future
    from concurrent.futures import ThreadPoolExecutor as ThreadPoolExecutor
    from concurrent.futures import as_completed as as_completed
    from concurrent.futures import wait as wait

    from plait._executor._errors import ClusterLost as ClusterLost
    from plait._executor._errors import ClusterUnreachable as ClusterUnreachable
    from plait._executor._errors import EngineMissing as EngineMissing
    from plait._executor._errors import EngineVersion as EngineVersion
    from plait._executor._errors import NotSupported as NotSupported
    from plait._process_pool import NotLoaded as NotLoaded
    from plait._process_pool import PoolStats as PoolStats
    from plait._process_pool import ProcessPoolExecutor as ProcessPoolExecutor
    from plait._process_pool import TaskKilled as TaskKilled
    from plait._process_pool import WorkerDied as WorkerDied
    from plait._process_pool import WorkerStats as WorkerStats
else:
    from plait._futures import as_completed, wait
    from plait._native import ConcurrentFuture as Future

__all__ = list(_standard.__all__)


_OF_ENGINES = ("NotSupported", "EngineMissing", "EngineVersion", "ClusterUnreachable", "ClusterLost")
_OF_PROCESSES = ("ProcessPoolExecutor", "WorkerDied", "TaskKilled", "NotLoaded", "PoolStats", "WorkerStats")


def __getattr__(name: str) -> Any:
    """Executors, which are imported when they are asked for, as in the standard module; names of later Pythons."""
    if name == "ThreadPoolExecutor":
        from plait._executors import ThreadPoolExecutor

        globals()[name] = ThreadPoolExecutor
        return ThreadPoolExecutor
    if name in _OF_PROCESSES:
        from plait import _process_pool

        found = globals()[name] = getattr(_process_pool, name)
        return found
    if name in _OF_ENGINES:
        from plait._executor import _errors

        found = globals()[name] = getattr(_errors, name)
        return found
    return getattr(_standard, name)


def __dir__() -> list[str]:
    return sorted({*dir(_standard), *globals()})
