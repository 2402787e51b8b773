"""One measurement of a network workload: a server in one process, the client in another, and what came of it.

What went wrong is told from the server's side as far as it is known: a client only sees a connection that was closed.
"""

import contextlib
import json
import resource
from collections.abc import Iterator
from typing import Any

from .cores import Cores
from .process import ChildFailed, Process, Report, as_run, check, check_class, is_plaits, started
from .processes.columns import LOOP_ONLY, PLAIT, REFERENCES
from .processes.server import HOST
from .processes.workloads import Echo, Idle
from .results import Run

# What a process has open beside its connections, with room to spare.
OTHER_DESCRIPTORS = 200


def run_echo(workload: Echo, column: str, n: int, cores: Cores) -> Run:
    with _serving(workload.server, column, cores) as (server, report):
        order = {
            "port": report["port"],
            "connections": workload.connections,
            "size": workload.size,
            "warm_up": max(workload.connections, n // 10),
            "requests": n,
            "server_pid": server.pid,
        }
        with _client(order, "echo", cores) as client:
            answer = client.answer()
        _check_what_served(server, report, column)
    requests = answer["requests"]
    each = {name: answer[name] / requests for name in ("wall_ns", "server_cpu_ns", "client_cpu_ns")}
    latency = {name: answer[name] for name in ("p50_ns", "p90_ns", "p99_ns", "max_ns")}
    cpu = each.pop("server_cpu_ns")
    return as_run(report | each | latency | {"n": requests, "cpu_ns": cpu, "requests_per_s": 1e9 / each["wall_ns"]})


def run_idle(workload: Idle, column: str, n: int, cores: Cores) -> Run:
    with _serving(workload.server, column, cores) as (server, report):
        before = server.ask("memory")["resident_bytes"]
        order = {"port": report["port"], "connections": n, "size": workload.size}
        with _client(order, "idle", cores) as client:
            held = client.answer()["connections"]
            grown = server.ask("memory")["resident_bytes"] - before
            _check_what_served(server, report, column)
    return as_run(report | {"n": held, "wall_ns": None, "cpu_ns": None, "bytes_each": grown / held})


def most_connections() -> int:
    """How many connections a process may hold when it has raised its limit as far as it can."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    unlimited = hard == resource.RLIM_INFINITY
    return 1_000_000 if unlimited else max(1, hard - OTHER_DESCRIPTORS)


def why_not(reference: str, probe: Echo, cores: Cores) -> str | None:
    """Why a reference server cannot run here (a kernel or a sandbox may refuse io_uring), or None if it can."""
    try:
        run_echo(probe, reference, probe.connections, cores)
    except ChildFailed as failed:
        return str(failed)
    return None


@contextlib.contextmanager
def _serving(kind: str, column: str, cores: Cores) -> Iterator[tuple[Process, Report]]:
    pinned = [] if cores.server is None else ["--core", str(cores.server)]
    with started("server", "--column", column, "--server", kind, *pinned) as server:
        report = server.answer()
        check(report, column)
        try:
            yield server, report
        except ChildFailed as failed:
            # Its client may have seen the end of it before there was one.
            ended = server.died(within=1.0) or "still runs" + server.last_words()
            raise ChildFailed(f"the server: {ended}; beside it: {failed}") from None
        gone = server.died()
        if gone is not None:
            raise ChildFailed(f"the server: {gone}")


@contextlib.contextmanager
def _client(order: dict[str, Any], kind: str, cores: Cores) -> Iterator[Process]:
    order = {"kind": kind, "core": cores.client, "host": HOST, **order}
    with started("client", json.dumps(order)) as client:
        yield client


def _check_what_served(server: Process, report: Report, column: str) -> None:
    """The classes that the server met: a loop may be the right one and yet hand out another's transports or readers."""
    if column in REFERENCES:
        return
    for name, module in server.ask("seen").items():
        if name == "transport":
            if is_plaits(module) != (column in (PLAIT, LOOP_ONLY)):
                raise ChildFailed(f"its transports are of {module}")
        else:
            check_class(name, module, report["expected"].get(name) if column == PLAIT else None)
        report["used"][f"served: {name}"] = module
