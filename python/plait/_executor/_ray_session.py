"""Which Ray: the session that this process has, a cluster by its Ray Client server, or a session that is started on this machine.

Ray has one session for a process, which the program may end, and begin another, at any time. A session that executors have started, or joined, is left when the last of them is shut down; one that the program has begun is never.
"""

import importlib
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from plait._executor._calls import Calls
from plait._executor._cluster import ClusterExecutor
from plait._executor._context import Carrier
from plait._executor._errors import ClusterUnreachable, EngineMissing, EngineVersion
from plait._executor._interface import checked
from plait._executor._ray import Ray
from plait._executor._reach import check_timeout, connected, reach

# The oldest that has generators whose values are there before they end, as a public interface.
OLDEST = (2, 10)
_WHO = "Ray Client server"


def make(
    address: str | None,
    max_workers: int | None = None,
    carry_context: "bool | Iterable[Any]" = False,
    retries: int = 0,
    connect_timeout: float = 10.0,
    init: Mapping[str, Any] | None = None,
    task: Mapping[str, Any] | None = None,
) -> ClusterExecutor:
    """For ``plait.executor``."""
    checked(None, retries)
    check_timeout(connect_timeout)
    calls = Calls(Carrier(carry_context))
    if max_workers is not None and max_workers <= 0:
        raise ValueError("max_workers must be greater than 0")
    if max_workers is not None and address is not None:
        raise ValueError("max_workers is for a session that is started here; this cluster has the processors that it has")
    ray = _ray()
    session = _session.join(ray, address, max_workers, connect_timeout, dict(init or {}))
    return ClusterExecutor(calls, Ray(calls, ray, session, _is_client(ray), dict(task or {})), retries)


def _ray() -> Any:
    try:
        ray: Any = importlib.import_module("ray")
        importlib.import_module("ray.exceptions")
    except ImportError as error:
        raise EngineMissing("Ray is not installed: pip install 'plait[ray]'" + _why_there_may_be_none(), name="ray") from error
    found = tuple(int(part) for part in str(ray.__version__).split(".")[:2] if part.isdigit())
    if found < OLDEST:
        raise EngineVersion(f"ray {ray.__version__} is too old for plait: {'.'.join(map(str, OLDEST))} or later is needed", name="ray")
    return ray


def _why_there_may_be_none() -> str:
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return " (there is no Ray for the free-threaded Python: use executor('threads') there)"
    return ""


def _is_client(ray: Any) -> bool:
    return bool(ray.util.client.ray.is_connected())


class _Session:
    """Ray's session of this process, and how many executors are in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._joined = 0
        self._is_ours = False
        self._address: str | None = None
        self._mark: object = None

    def join(self, ray: Any, address: str | None, max_workers: int | None, timeout: float, options: dict[str, Any]) -> "_Membership":
        """Have one. The first of all starts it, unless the program has one."""
        with self._lock:
            if ray.is_initialized():
                self._check_that_it_fits(address, max_workers, options)
            else:
                self._begin(ray, address, max_workers, timeout, options)
                self._is_ours = True
                self._address = address
                self._joined = 0
            mark = _mark(ray)
            if mark != self._mark and self._joined:  # the program has ended that one, and begun this
                self._joined, self._is_ours = 0, False
            self._mark = mark
            self._joined += 1
            return _Membership(self, ray, mark)

    def _check_that_it_fits(self, address: str | None, max_workers: int | None, options: dict[str, Any]) -> None:
        if address is not None and not (self._is_ours and self._joined and self._address == address):
            raise ValueError(f"this process is in a Ray session already, and Ray has one at a time: end it (ray.shutdown()), or use executor('ray') for it, not ray://{address}")
        if (max_workers is not None or options) and not self._joined:
            raise ValueError("this process is in a Ray session already: max_workers= and init= are for one that is started here")

    def _begin(self, ray: Any, address: str | None, max_workers: int | None, timeout: float, options: dict[str, Any]) -> None:
        if address is not None:
            _connect(ray, address, timeout, options)
            return
        given: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if os.environ.get("RAY_ADDRESS"):
            if max_workers is not None:
                raise ValueError("max_workers is for a session that is started here, and RAY_ADDRESS names a cluster")
        else:
            given |= {"address": "local", "num_cpus": max_workers, "include_dashboard": False}
        try:
            ray.init(**{**given, **options})
        except ConnectionError as error:
            raise ClusterUnreachable(f"no Ray is to be reached at {os.environ.get('RAY_ADDRESS')}: {error}") from error

    def leave(self, ray: Any, mark: object) -> None:
        """An executor has no more use for it."""
        with self._lock:
            if mark != self._mark:
                return
            self._joined -= 1
            if self._joined == 0 and self._is_ours:
                self._is_ours = False
                if ray.is_initialized() and _mark(ray) == mark:
                    ray.shutdown()


class _Membership:
    """An executor's part in the session that there was when it was made."""

    def __init__(self, session: _Session, ray: Any, mark: object) -> None:
        self._session = session
        self._ray = ray
        self._mark = mark

    def is_there(self) -> bool:
        """Whether it is the session that this process has."""
        return bool(self._ray.is_initialized()) and _mark(self._ray) == self._mark

    def leave(self) -> None:
        """Once."""
        self._session.leave(self._ray, self._mark)


def _mark(ray: Any) -> object:
    """What tells one session of this process from the next. Ray Client's are told apart by the connection."""
    if _is_client(ray):
        return id(ray.util.client.ray.get_context().client_worker)
    try:
        context = ray.get_runtime_context()
        # A driver's own number is the same in each session that it starts; the node's is not.
        return context.get_node_id(), context.get_worker_id()
    except Exception:  # it is just being ended
        return None


def _connect(ray: Any, address: str, timeout: float, options: dict[str, Any]) -> None:
    """By Ray Client, which tries for a long time by itself."""
    reach(address, timeout, _WHO)
    try:
        connected(lambda: ray.init(f"ray://{address}", **options), lambda _: ray.shutdown(), address, timeout, _WHO)
    except ClusterUnreachable:
        raise
    except ImportError as error:
        raise EngineMissing("Ray Client is not installed: pip install 'plait[ray]'", name="grpc") from error
    except ConnectionError as error:
        raise ClusterUnreachable(f"no {_WHO} answered at {address}: {error}") from error
    except RuntimeError as error:
        if "ersion" not in str(error):
            raise
        raise EngineVersion(f"the Ray cluster at {address} does not fit: {error}", name="ray") from error


_session = _Session()
