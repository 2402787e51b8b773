"""One measurement of a network workload: a server in one process, the client in another, and what came of it.

What went wrong is told from the server's side as far as it is known: a client only sees a connection that was closed.
"""

import contextlib
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from .cores import Cores
from .process import ChildFailed, Lacking, Process, Report, as_run, check, check_class, is_plaits, run_child, started
from .processes.columns import LOOP_ONLY, PLAIT, REFERENCES
from .processes.server import HOST
from .processes.workloads import Churn, Echo, Flood, Http, Idle, Network, OnServer, OnWorkers, Transfer, Workload
from .results import Run

# What a process has open beside its connections, with room to spare.
OTHER_DESCRIPTORS = 200


MEBIBYTE = 1024 * 1024
# How often a flooded server is asked whether it has had the last of it.
SETTLING = 0.02


def run(workload: Workload, column: str, n: int, cores: Cores) -> Run:
    match workload:
        case Echo():
            return run_echo(workload, column, n, cores)
        case Churn():
            return run_churn(workload, column, n, cores)
        case Http():
            return run_http(workload, column, n, cores)
        case OnWorkers():
            return run_workers(workload, column, n, cores)
        case Transfer():
            return run_transfer(workload, column, n, cores)
        case Flood():
            return run_flood(workload, column, n, cores)
        case Idle():
            return run_idle(workload, column, n, cores)
    raise TypeError(f"{workload.name} needs no server")


def wrk() -> str | None:
    """Where it is, if it is installed."""
    return shutil.which("wrk")


def run_echo(workload: Echo, column: str, n: int, cores: Cores) -> Run:
    with _serving(workload, column, cores) as (server, report):
        warm_up = max(workload.connections, n // 10)
        order: dict[str, Any] = {"connections": workload.connections, "size": workload.size, "warm_up": warm_up}
        kind = "echo"
        if workload.transport == "tls":
            kind = "tls"
        elif workload.transport != "tcp":
            order["transport"] = workload.transport
        return _loaded(kind, order | {"requests": n}, server, report, column, cores)


def run_churn(workload: Churn, column: str, n: int, cores: Cores) -> Run:
    with _serving(workload, column, cores) as (server, report):
        order = {"connections": workload.connections, "size": workload.size, "warm_up": n // 10, "requests": n}
        return _loaded("churn", order, server, report, column, cores)


def run_http(workload: Http, column: str, n: int, cores: Cores) -> Run:
    with _serving(workload, column, cores) as (server, report):
        order: dict[str, Any] = {"connections": workload.connections, "warm_up": n // 10, "requests": n, "wrk": wrk()}
        return _loaded("http", order, server, report, column, cores)


def run_workers(workload: OnWorkers, column: str, n: int, cores: Cores) -> Run:
    """All the processes of the server, and the client, on the same two cores."""
    shared = None if cores.server is None else [cores.server, cores.client]
    arguments = [] if shared is None else ["--cores", *map(str, shared)]
    with started("workers", "--column", column, "--app", workload.server, *arguments) as server:
        report = server.answer()
        for worker in report["workers"]:
            check(worker, column)
        order: dict[str, Any] = {"connections": workload.connections, "warm_up": n // 10, "requests": n, "wrk": None}
        order |= {"cores": shared, "host": report["host"], "port": report["port"], "server_pids": report["pids"]}
        try:
            with _client(order, "http", cores) as client:
                answer = client.answer()
        except ChildFailed as failed:
            died = server.died(within=1.0)
            raise ChildFailed(f"{failed}; beside it the server: {died or 'still runs' + server.last_words()}") from None
    return as_run(report["workers"][0] | _costs(answer, answer["requests"]))


def run_transfer(workload: Transfer, column: str, n: int, cores: Cores) -> Run:
    with _serving(workload, column, cores) as (server, report):
        order = {"warm_up": max(1, n // 10) * MEBIBYTE, "requests": n * MEBIBYTE}
        return _loaded("download", order, server, report, column, cores, each=MEBIBYTE)


def run_flood(workload: Flood, column: str, n: int, cores: Cores) -> Run:
    with _serving(workload, column, cores) as (server, report):
        for part in (max(1, n // 10), n):
            before = server.ask("received")
            order = {"host": report["host"], "port": report["port"], "requests": part, "size": workload.size}
            with _client(order, "flood", cores) as client:
                seconds = client.answer()["seconds"]
            after = _settled(server)
        _check_what_served(server, report, column)
    received = after["received"] - before["received"]
    if not received:
        raise ChildFailed("no datagram was received")
    cpu = (after["cpu_ns"] - before["cpu_ns"]) / received
    wall = seconds * 1e9 / received
    return as_run(report | {"n": received, "wall_ns": wall, "cpu_ns": cpu, "requests_per_s": 1e9 / wall})


def run_client(workload: OnServer, column: str, n: int, cores: Cores) -> Run:
    """The client is measured, so the server is the same for every column, and runs where a client does otherwise."""
    others = Cores(cores.client, cores.server)
    with _serving(workload, "asyncio", others) as (_, report):
        return run_child(workload.name, column, n, cores, report["port"])


def _loaded(
    kind: str, order: dict[str, Any], server: Process, report: Report, column: str, cores: Cores, each: int = 1
) -> Run:
    """What a load client tells, per `each` of what it counts."""
    order |= {"host": report["host"], "port": report["port"], "server_pid": server.pid}
    with _client(order, kind, cores) as client:
        answer = client.answer()
    _check_what_served(server, report, column)
    return as_run(report | _costs(answer, answer["requests"] // each))


def _costs(answer: Report, n: int) -> Report:
    """What a load client tells, for each of `n`."""
    wall, cpu = answer["wall_ns"] / n, answer["server_cpu_ns"] / n
    own = None if answer["client_cpu_ns"] is None else answer["client_cpu_ns"] / n
    return answer | {"n": n, "wall_ns": wall, "cpu_ns": cpu, "client_cpu_ns": own, "requests_per_s": 1e9 / wall}


def _settled(server: Process) -> Report:
    """Its count and its CPU time, when nothing more comes."""
    last = server.ask("received")
    while True:
        time.sleep(SETTLING)
        now = server.ask("received")
        if now["received"] == last["received"]:
            return last
        last = now


def run_idle(workload: Idle, column: str, n: int, cores: Cores) -> Run:
    with _serving(workload, column, cores) as (server, report):
        before = server.ask("memory")["resident_bytes"]
        order = {"host": report["host"], "port": report["port"], "connections": n, "size": workload.size}
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
def _serving(workload: Network | OnServer, column: str, cores: Cores) -> Iterator[tuple[Process, Report]]:
    arguments = ["--column", column, "--server", workload.server]
    arguments += ["--transport", workload.transport] if isinstance(workload, Network) else []
    arguments += [] if cores.server is None else ["--core", str(cores.server)]
    with contextlib.ExitStack() as ends:
        directory = ends.enter_context(tempfile.TemporaryDirectory(prefix="plait-bench-"))
        server = ends.enter_context(started("server", "--directory", directory, *arguments))
        report = server.answer()
        check(report, column)
        try:
            yield server, report
        except ChildFailed as failed:
            # Its client may have seen the end of it before there was one.
            died = server.died(within=1.0)
            if died is None and column not in REFERENCES:
                lacks = server.ask("lacks")["lacks"]
                if lacks is not None:
                    raise Lacking(lacks) from None
            ended = died or "still runs" + server.last_words()
            raise ChildFailed(f"the server: {ended}; beside it: {failed}") from None
        gone = server.died()
        if gone is not None:
            raise ChildFailed(f"the server: {gone}")


@contextlib.contextmanager
def _client(order: dict[str, Any], kind: str, cores: Cores) -> Iterator[Process]:
    order = {"kind": kind, "cores": None if cores.client is None else [cores.client], "host": HOST, **order}
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
