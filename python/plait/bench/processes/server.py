"""A server under measurement: says where it listens and what it runs on, then serves until the parent is gone.

The parent speaks to it over standard input, a word a line, and is answered in JSON, a line each: `seen` (which classes
served), `memory` (the resident set, after a garbage collection), `received` (how many datagrams, and the CPU time so far), `lacks`
(what the loop could not do for a request). The loop itself watches that pipe: a descriptor that is
quiet costs nothing, where a second thread would make every step of the first one take the GIL in turns with it. A
reference server has no loop, so it has the thread, which only waits for the pipe to close and tells the `received` of a flood.
"""

import argparse
import functools
import gc
import json
import os
import resource
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Literal

from . import columns

if TYPE_CHECKING:
    from plait._native import BenchReceiver

    from .workloads.serving import Seen

HOST = "127.0.0.1"
# What a reference server is, where it is no echo server.
BARE: dict[str, Literal["pieces", "file"]] = {"sendfile": "file", "drained_stream": "pieces"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="plait bench: server")
    parser.add_argument("--column", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--transport", default="tcp")
    parser.add_argument("--directory", help="where a Unix socket may lie")
    parser.add_argument("--core", type=int)
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    listener = _bound(options.transport, options.directory)
    if options.column in columns.REFERENCES:
        _serve_bare(options.column, options.server, options.transport, listener, options.core)
    else:
        _serve(options.column, options.server, listener)


def _bound(transport: str, directory: str | None) -> socket.socket:
    # Not socket.create_server: it listens at once, and with another backlog than the loops are given.
    if transport == "unix":
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(os.path.join(directory or ".", "socket"))
    else:
        # The protocol is named, as by a loop that makes the socket itself: asyncio sets TCP_NODELAY only where it is.
        stream, datagram = (socket.SOCK_STREAM, socket.IPPROTO_TCP), (socket.SOCK_DGRAM, socket.IPPROTO_UDP)
        bound = socket.socket(socket.AF_INET, *(datagram if transport == "udp" else stream))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, 0))
    bound.setblocking(False)
    return bound


def _place(bound: socket.socket) -> dict[str, Any]:
    """Where it is to be found."""
    name = bound.getsockname()
    return {"host": name, "port": 0} if bound.family == socket.AF_UNIX else {"host": HOST, "port": name[1]}


def _serve(column: str, server: str, listener: socket.socket) -> None:
    columns.prepare(column)
    loop = columns.new_loop(column)
    # Only now: with plait installed, what the workloads import from asyncio is plait's.
    from .workloads.serving import SERVERS, USES, Seen

    identity = columns.identity(column, loop, USES[server])
    seen = Seen()
    # Asked before: some loops take the socket over, and leave an object that knows nothing any more.
    place = _place(listener)

    async def main() -> None:
        # Held, because some loops close a server that nobody refers to.
        try:
            serving = await SERVERS[server](loop, listener, seen)
        except NotImplementedError as lacking:
            _say(columns.lacks(lacking))
            return
        loop.add_reader(0, functools.partial(_answer, seen))
        _say(identity | place)
        await loop.create_future()
        raise RuntimeError(f"the loop stopped under {serving!r}")

    # As `asyncio.run(main())` has it, which is how programs run.
    loop.run_until_complete(main())


def _serve_bare(
    column: Literal["epoll", "io_uring"], server: str, transport: str, listener: socket.socket, core: int | None
) -> None:
    from .workloads.network import BACKLOG

    columns.import_plait()
    from plait import _native

    if transport != "udp":
        listener.listen(BACKLOG)
    receiver = _native.BenchReceiver()
    threading.Thread(target=_answer_bare, args=(receiver,), daemon=True).start()
    _say(_place(listener))
    if server == "udp_count":
        receiver.serve(listener.fileno(), core=core)
    else:
        kind = "udp" if transport == "udp" else BARE.get(server, column)
        _native.bench_server(kind, listener.fileno(), core=core)


def _answer(seen: "Seen") -> None:
    # The parent waits for the answer to one word before it sends the next: what is read is one word, or the end.
    word = os.read(0, 100).decode().strip()
    if word == "seen":
        _say(seen)
    elif word == "memory":
        from .workloads.measuring import resident_bytes

        gc.collect()
        _say({"resident_bytes": resident_bytes()})
    elif word == "received":
        _say({"received": seen.received, "cpu_ns": time.process_time_ns()})
    elif word == "lacks":
        _say({"lacks": seen.lacks})
    else:
        # Not a normal exit: ten thousand connections would be closed one by one.
        os._exit(0)


def _answer_bare(receiver: "BenchReceiver") -> None:
    while (word := os.read(0, 100).decode().strip()):
        if word == "received":
            _say({"received": receiver.received, "cpu_ns": time.process_time_ns()})
    os._exit(0)


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
