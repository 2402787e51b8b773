"""From "dask://host:port" to an executor."""

import difflib
import importlib
import inspect
from typing import Any
from urllib.parse import urlsplit

from plait._executor._interface import Executor

# The engine, the module whose function `make` makes its executor, and whether a cluster of it may have an address.
ENGINES: dict[str, tuple[str, bool]] = {
    "threads": ("plait._executor._threads", False),
    "processes": ("plait._executor._processes", False),
    "dask": ("plait._executor._dask_cluster", True),
    "ray": ("plait._executor._ray_session", True),
}


def executor(spec: str, /, **options: Any) -> Executor:
    """An executor on an engine: threads or processes of this program, or a cluster of Dask's or Ray's.

    Args:
        spec: "threads", "processes", "dask" (a cluster on this machine, started for it), "dask://host:port" (that scheduler), "ray" (the session that there is, else a new one
            on this machine), or "ray://host:port" (that cluster's Ray Client server).
        options: those of the engine. All take

            * max_workers: how many calls are made at once; None: as many as the engine thinks fit. Not for a cluster that exists.
            * retries: so many times a call is tried again whose worker died; 0 by default.
            * carry_context: True: calls see the context variables (``contextvars``) of who submitted them; or the variables that they are to see. To another process only
              those cross that are global in a module (and, by True, only values that can be pickled).

            "threads" takes thread_name_prefix, initializer and initargs; "processes" mp_context, initializer, initargs and max_tasks_per_child, each as plait's pool does.
            Clusters take connect_timeout: how many seconds may pass until somebody answers at the address; 10 by default. "dask" takes client (a ``distributed.Client`` of
            the program's own, which stays open) and cluster (a dict of arguments of ``distributed.LocalCluster``), "ray" init and task (dicts of arguments of ``ray.init``, and of
            a remote function's ``options``).

    Returns:
        An `Executor`: a ``concurrent.futures.Executor``, and more.

    Raises:
        ValueError: there is no such engine, or the address is none, or an option has a value that makes no sense.
        TypeError: spec is no string; the engine has no such option.
        EngineMissing, EngineVersion: the package is not installed, or does not fit. (Each is an ImportError.)
        ClusterUnreachable: nobody answered in time. (A ConnectionError and a TimeoutError.)

    Safe to call from all threads. It starts an engine, or connects to one, which may take seconds: from a coroutine, call it by ``asyncio.to_thread``. No standard counterpart.
    """
    engine, address = parse(spec)
    make = importlib.import_module(ENGINES[engine][0]).make
    known = [name for name in inspect.signature(make).parameters if name != "address"]
    for name in options:
        if name not in known:
            raise TypeError(f"executor({spec!r}) takes no option {name!r}; it takes {', '.join(known)}")
    made: Executor = make(address, **options) if ENGINES[engine][1] else make(**options)
    return made


def parse(spec: str) -> tuple[str, str | None]:
    """The engine, and "host:port" if it is to be found there."""
    if not isinstance(spec, str):
        raise TypeError(f"an executor is named by a string, not by {type(spec).__name__!r} object")
    engine, colon, rest = spec.partition(":")
    if engine not in ENGINES:
        near = difflib.get_close_matches(engine, ENGINES, 1)
        hint = f" (is it {near[0]!r}?)" if near else ""
        raise ValueError(f"there is no engine {engine!r}{hint}: there are {_all()}")
    if not colon:
        return engine, None
    if not ENGINES[engine][1]:
        raise ValueError(f"{engine!r} has no address: {spec!r}")
    address = _address(spec) if rest.startswith("//") else None
    if address is None:
        raise ValueError(f"{spec!r} is no address: it is to be {engine}://host:port")
    return engine, address


def _address(spec: str) -> str | None:
    try:
        url = urlsplit(spec)
        port = url.port
    except ValueError:
        return None
    if not url.hostname or not port or url.path or url.query or url.fragment or "@" in url.netloc:
        return None
    return url.netloc


def _all() -> str:
    names = [*map(repr, ENGINES), *(repr(f"{engine}://host:port") for engine, (_, is_remote) in ENGINES.items() if is_remote)]
    return ", ".join(names[:-1]) + " and " + names[-1]
