"""The other end of a network workload: the load client, one thread, in a process and on a core of its own.

It takes one JSON object as its argument and prints one line of JSON. `echo` is a closed loop: one request under way on
each connection, the next one sent when the answer is there and right; `tls` and `http` are the same over those. `churn` opens,
uses and closes connections, `download` takes in many bytes, `flood` sends datagrams that nobody answers. All are native but TLS, and
HTTP where wrk is installed. `idle` opens connections, echoes once on each, says so, and holds them until its standard input ends.
"""

import json
import os
import sys
from typing import Any

from . import columns


def main() -> None:
    order: dict[str, Any] = json.loads(sys.argv[1])
    kind, cores = order.pop("kind"), order.pop("cores")
    if cores is not None:
        os.sched_setaffinity(0, cores)
    columns.import_plait()
    from plait import _native

    if kind == "idle":
        idle = _native.bench_idle(**order)
        print(json.dumps({"connections": len(idle)}), flush=True)
        sys.stdin.read()
        idle.close()
        return
    print(json.dumps(_answer(kind, order, _native)), flush=True)


def _answer(kind: str, order: dict[str, Any], native: Any) -> dict[str, Any]:
    if kind == "tls":
        from . import tls_client
        from .workloads.tls import client_context

        return tls_client.load(native.bench_cpu_ns, client_context(), **order)
    if kind == "http":
        from . import http_client
        from .workloads.http import HELLO

        return http_client.load(native, HELLO, **order)
    if kind == "flood":
        return {"seconds": native.bench_flood(**order)}
    loads = {"echo": native.bench_client, "churn": native.bench_churn, "download": native.bench_download}
    report: dict[str, Any] = loads[kind](**order)
    return report
