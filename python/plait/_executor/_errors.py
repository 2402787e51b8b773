"""What an executor's engine cannot do, or cannot be had for.

What becomes of a call is told by the exceptions of the process pool (``WorkerDied``, ``TaskKilled``, ``NotLoaded``, ``TimeoutError``), whatever the engine.
"""

from concurrent.futures import BrokenExecutor


class NotSupported(NotImplementedError):
    """The engine cannot do what was asked for. The message says what can, or what to change."""


class EngineMissing(ImportError):
    """The engine's package is not installed. The message says which extra brings it."""


class EngineVersion(ImportError):
    """The engine's package, here or in the cluster, is of a version that does not fit. The message names both."""


class ClusterUnreachable(ConnectionError, TimeoutError):
    """Nobody answered at the cluster's address in time."""


class ClusterLost(BrokenExecutor):
    """The connection to the cluster broke. What was submitted may have been done, or not."""


for _error in (NotSupported, EngineMissing, EngineVersion, ClusterUnreachable, ClusterLost):
    _error.__module__ = "plait.concurrent.futures"
