"""Servers of several processes under measurement: started as a user would start them, and said to be there when all of their workers have answered.

The parent is told in one line of JSON where they listen, which processes they are (whoever started the workers among them, since what that takes is part of the price), and what they say they run on.
They are ended when the parent closes standard input: asked by SIGTERM, and what is still there is killed. Servers lead
groups of their own, and so may their workers, so they are found by whose children they are. Nothing of them outlives this process unless it is killed itself, and its own death is the only one that goes unnoticed.
"""

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import columns

HOST = "127.0.0.1"
APPS = Path(__file__).absolute().with_name("apps")
# Seconds: to start, between two looks, to end by SIGTERM.
TO_START, BETWEEN, TO_END = 60.0, 0.05, 5.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="plait bench: workers")
    parser.add_argument("--column", required=True)
    parser.add_argument("--app", required=True)
    parser.add_argument("--cores", nargs=2, type=int, metavar="CPU")
    options = parser.parse_args()
    if options.cores is not None:
        os.sched_setaffinity(0, set(options.cores))

    from .workloads.workers import COMMANDS, workers_in

    # Who ends the bench with its whole group means the servers as well, which are not in that.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    port = _free_port()
    command = [sys.executable, *COMMANDS[options.column](options.app, port)]
    # Where the applications are, which all these servers take modules from; what it says is this process's to say.
    server = subprocess.Popen(command, cwd=APPS, env=_environment(options.column), stdin=subprocess.DEVNULL, stdout=2, start_new_session=True)
    try:
        reports = _answers(server, port, workers_in(options.column))
        print(json.dumps({"host": HOST, "port": port, "pids": [server.pid, *descendants(server.pid)], "workers": reports}), flush=True)
        _wait(server)
    finally:
        _end(server)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


def _environment(column: str) -> dict[str, str]:
    """Modules are found where they are found from here; plait's columns have the plait that this file is part of."""
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if column in columns.OURS:
        paths.insert(0, str(Path(__file__).absolute().parents[3]))
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _answers(server: "subprocess.Popen[bytes]", port: int, workers: int) -> list[dict[str, Any]]:
    """What each worker says, when all are there. Each is asked on a connection of its own, and the others stay open, so that a server that spreads connections does."""
    found: dict[int, dict[str, Any]] = {}
    end = time.monotonic() + TO_START
    with contextlib.ExitStack() as held:
        while len(found) < workers:
            if server.poll() is not None:
                raise RuntimeError(f"the server has ended: exit status {server.returncode}")
            if time.monotonic() > end:
                raise RuntimeError(f"{len(found)} of {workers} workers have answered within {TO_START:.0f} s")
            try:
                connection = held.enter_context(socket.create_connection((HOST, port), TO_START))
                told = _ask(connection)
                found[told["pid"]] = told
            except ConnectionError:
                time.sleep(BETWEEN)
    return list(found.values())


def _ask(connection: socket.socket) -> dict[str, Any]:
    connection.sendall(b"GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n")
    page = b""
    while not page.endswith(b"}"):
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionAbortedError(f"closed after {page[:200]!r}")
        page += piece
    head, _, body = page.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"the server answered {page[:200]!r}")
    told: dict[str, Any] = json.loads(body)
    return told


def _wait(server: "subprocess.Popen[bytes]") -> None:
    """Until the parent is gone. A server that ends before is a failure."""
    ended = os.pidfd_open(server.pid)
    ready = select.select([0, ended], [], [])[0]
    os.close(ended)
    if ended in ready:
        raise RuntimeError(f"the server has ended: exit status {server.wait()}")


def descendants(pid: int) -> list[int]:
    """Its children, and theirs."""
    found = list(children(pid))
    for child in found:  # which grows as it goes
        found += children(child)
    return found


def children(pid: int) -> Iterable[int]:
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield from map(int, thread.read_text(encoding="ascii").split())


def _end(server: "subprocess.Popen[bytes]") -> None:
    pids = [server.pid, *descendants(server.pid)]
    # By a descriptor, which is never another process's that has been given the same number.
    held = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            held.append(os.pidfd_open(pid))
    server.terminate()
    left, end = held, time.monotonic() + TO_END
    while left and time.monotonic() < end:
        ended = select.select(left, [], [], max(0.0, end - time.monotonic()))[0]
        left = [descriptor for descriptor in left if descriptor not in ended]
    for descriptor in left:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    server.wait()
