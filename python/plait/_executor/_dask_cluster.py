"""Which Dask cluster: one of the program's, one at an address, or one that is started on this machine and ends with the executor."""

import functools
import importlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from plait._executor import _dask_worker
from plait._executor._calls import Calls
from plait._executor._cluster import ClusterExecutor
from plait._executor._context import Carrier
from plait._executor._dask import Dask
from plait._executor._errors import ClusterUnreachable, EngineMissing, EngineVersion
from plait._executor._interface import checked
from plait._executor._reach import check_timeout, connected, reach

# The oldest whose client does what is asked of it here.
OLDEST = (2024, 1)
_WHO = "Dask scheduler"
# Seconds.
_LATER = 0.5


def make(
    address: str | None,
    max_workers: int | None = None,
    carry_context: "bool | Iterable[Any]" = False,
    retries: int = 0,
    connect_timeout: float = 10.0,
    client: Any = None,
    cluster: Mapping[str, Any] | None = None,
) -> ClusterExecutor:
    """For ``plait.executor``."""
    checked(None, retries)
    check_timeout(connect_timeout)
    calls = Calls(Carrier(carry_context))
    if max_workers is not None and (address is not None or client is not None):
        raise ValueError("max_workers is for a cluster that is started here; this one has the workers that it has")
    if max_workers is not None and max_workers <= 0:
        raise ValueError("max_workers must be greater than 0")
    if client is not None and address is not None:
        raise ValueError("client= is for executor('dask'): it has its address")
    if cluster is not None and (address is not None or client is not None):
        raise ValueError("cluster= is for a cluster that is started here")
    distributed = _distributed()
    own = None
    is_own_client = client is None
    if client is None:
        if address is None:
            own = OwnCluster(distributed, max_workers, dict(cluster or {}))
        try:
            client = _connect(distributed, address, own, connect_timeout)
        except BaseException:
            if own is not None:
                own.close()
            raise
    elif getattr(client, "asynchronous", False):
        raise ValueError("client= must not be asynchronous: its loop is to be in a thread of its own")
    engine = Dask(calls, client, own, is_own_client)
    try:
        _check_versions(distributed, client)
    except BaseException:
        engine.close()
        raise
    return ClusterExecutor(calls, engine, retries)


def _distributed() -> Any:
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise EngineMissing("Dask's scheduler is not installed: pip install 'plait[dask]' (the package distributed)", name="distributed") from error
    found = tuple(int(part) for part in str(distributed.__version__).split(".")[:2] if part.isdigit())
    if found < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise EngineVersion(f"distributed {distributed.__version__} is too old for plait: {oldest} or later is needed", name="distributed")
    return distributed


def _connect(distributed: Any, address: str | None, own: "OwnCluster | None", timeout: float) -> Any:
    if own is not None:
        return distributed.Client(own.cluster, set_as_default=False, timeout=timeout)
    assert address is not None
    reach(address, timeout, _WHO)
    # Versions are checked afterwards, and named.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=distributed.versions.VersionMismatchWarning)
        connect = functools.partial(distributed.Client, f"tcp://{address}", set_as_default=False, timeout=timeout, name="plait")
        try:
            return connected(connect, lambda client: client.close(), address, timeout, _WHO)
        except ClusterUnreachable:
            raise
        except OSError as error:
            raise ClusterUnreachable(f"no {_WHO} answered at {address} within {timeout:g} seconds: {error}") from error


def _check_versions(distributed: Any, client: Any) -> None:
    """Python, distributed and plait are to be the same everywhere: functions and results cross as pickles."""
    found = client.get_versions(packages=["plait"])
    here = _versions(found["client"])
    for place, there in [("scheduler", found["scheduler"]), *((f"worker {address}", worker) for address, worker in found["workers"].items())]:
        for name, version in _versions(there).items():
            if name == "plait" and (place == "scheduler" or version == here[name]):
                continue
            if version != here[name]:
                missing = "does not have plait" if version is None else f"has {name} {version}"
                raise EngineVersion(f"the Dask {place} {missing}, and here is {name} {here[name]}: they must be the same", name=name)


def _versions(found: Any) -> dict[str, Any]:
    packages = dict(found["packages"])
    python = ".".join(str(packages.get("python", "")).split(".")[:2])
    return {"python": python, "distributed": packages.get("distributed"), "plait": packages.get("plait")}


class OwnCluster:
    """A ``LocalCluster`` of processes with one thread each, so that a call can be ended with its worker. A call whose worker died is not tried again by the scheduler; what its workers
    are at they note, so that it is known whose call it was."""

    def __init__(self, distributed: Any, max_workers: int | None, options: dict[str, Any]) -> None:
        self._notes = tempfile.mkdtemp(prefix="plait-dask-")
        given = {"n_workers": max_workers or _processors(), "threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "silence_logs": 50}
        environment = {**options.pop("env", {}), _dask_worker.NOTES: self._notes}
        scheduler = {"allowed_failures": 0, **options.pop("scheduler_kwargs", {})}
        try:
            self.cluster = distributed.LocalCluster(**{**given, **options}, env=environment, scheduler_kwargs=scheduler)
        except BaseException:
            shutil.rmtree(self._notes, ignore_errors=True)
            raise
        dask: Any = importlib.import_module("dask")
        self._workers = len(self.cluster.workers)
        timeout = dask.utils.parse_timedelta(dask.config.get("distributed.deploy.lost-worker-timeout"))
        # Some seconds after a worker's death the cluster looks whether it is back; if it died again just then, its nanny is sent home, and nobody takes its place.
        self.given_up_after: float = timeout + _LATER

    def restore(self) -> None:
        """Have as many workers as in the beginning."""
        self.cluster.scale(self._workers)

    def was_making(self, address: str) -> int | None:
        """The number of the call that this worker was making when it died."""
        return _dask_worker.read_note(self._notes, address)

    def close(self) -> None:
        """End the workers and the scheduler."""
        self.cluster.close()
        shutil.rmtree(self._notes, ignore_errors=True)


def _processors() -> int:
    count = getattr(os, "process_cpu_count", None) if sys.version_info >= (3, 13) else None
    return (count() if count is not None else len(os.sched_getaffinity(0))) or 1
