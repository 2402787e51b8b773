"""The load client for HTTP: wrk where it is installed, which people know, else the client of Rust.

Both are looked over first: three pages are fetched and compared, and the warm-up is the client of Rust's, which checks every status line
and every length. Servers of several processes are always loaded by that, whose CPU clocks are read around the load and added. wrk runs for a time rather than a number of requests, on the core of this process; the server's
CPU clock is read around it. What it reports besides answered requests (errors of sockets, other statuses) is a failure.
"""

import re
import socket
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
OK = b"HTTP/1.1 200 "
TIMEOUT = 30.0
# Whole seconds are all that wrk takes: so many requests stand for one.
REQUESTS_PER_SECOND = 10_000
NANOSECONDS = {"us": 1e3, "ms": 1e6, "s": 1e9}


def load(
    native: Any, body: bytes, *, host: str, port: int, wrk: str | None, requests: int, warm_up: int,
    server_pids: Sequence[int] = (), **order: Any
) -> dict[str, Any]:
    """`native` has the client of Rust and the CPU clocks of others; `body` is what the page should be; `wrk` is where that is; `server_pids` are the processes of a server that has several."""
    with socket.create_connection((host, port), TIMEOUT) as connection:
        sizes = {_page(connection, body) for _ in range(3)}
    if len(sizes) > 1:
        raise RuntimeError(f"the answers differ in length: {sizes}")
    order |= {"size": sizes.pop(), "request": REQUEST, "beginning": OK}

    def rust(warm_up: int, requests: int) -> dict[str, Any]:
        report: dict[str, Any] = native.bench_client(host, port, warm_up=warm_up, requests=requests, **order)
        return report

    if server_pids:
        rust(0, max(1, warm_up))
        before = _all_cpu_ns(native, server_pids)
        return rust(0, requests) | {"server_cpu_ns": _all_cpu_ns(native, server_pids) - before}
    if wrk is None:
        return rust(warm_up, requests)
    rust(0, max(1, warm_up))
    seconds = max(1, round(requests / REQUESTS_PER_SECOND))
    command = [wrk, "-t1", f"-c{order['connections']}", f"-d{seconds}s", "--latency", f"http://{host}:{port}/"]
    return _by_wrk(command, order["server_pid"], native.bench_cpu_ns)


def _all_cpu_ns(native: Any, pids: Sequence[int]) -> int:
    return sum(native.bench_cpu_ns(pid) for pid in pids)


def _page(connection: socket.socket, body: bytes) -> int:
    connection.sendall(REQUEST)
    page = b""
    while not page.endswith(b"\r\n\r\n" + body):
        piece = connection.recv(65536)
        if not piece:
            raise RuntimeError(f"the server closed the connection after {page[:200]!r}")
        page += piece
        if not page.startswith(OK[: len(page)]):
            raise RuntimeError(f"the server answered {page[:200]!r}")
    return len(page)


def _by_wrk(command: list[str], server_pid: int, cpu_ns: Callable[[int], int]) -> dict[str, Any]:
    before = cpu_ns(server_pid)
    ended = subprocess.run(command, capture_output=True, text=True)
    server = cpu_ns(server_pid) - before
    if ended.returncode:
        raise RuntimeError(f"wrk: exit status {ended.returncode}: {ended.stderr.strip() or ended.stdout.strip()}")
    return parsed(ended.stdout) | {"server_cpu_ns": server, "client_cpu_ns": None, "loaded_by": "wrk"}


def parsed(said: str) -> dict[str, Any]:
    """What wrk says, in the words of the other clients."""
    wrong = re.findall(r"^\s*(?:Socket errors|Non-2xx).*$", said, re.MULTILINE)
    counted = re.search(r"^\s*(\d+) requests in ([\d.]+)(us|ms|s|m),", said, re.MULTILINE)
    if wrong or counted is None or not int(counted[1]):
        raise RuntimeError(f"wrk: {' '.join(line.strip() for line in wrong) or 'no request was counted'}")
    factor = 60e9 if counted[3] == "m" else NANOSECONDS[counted[3]]
    latencies = re.findall(r"^\s*(50|90|99)%\s+([\d.]+)(us|ms|s)$", said, re.MULTILINE)
    told = {f"p{percent}_ns": float(value) * NANOSECONDS[unit] for percent, value, unit in latencies}
    return {"requests": int(counted[1]), "wall_ns": float(counted[2]) * factor} | told
