"""The other end of a network workload: the load client, one thread of Rust, in a process and on a core of its own.

It takes one JSON object as its argument and prints one line of JSON. `echo` is a closed loop: one request under way on
each connection, the next one sent when the answer is there and right. `idle` opens connections, echoes once
on each, says so, and holds them until its standard input ends.
"""

import json
import os
import sys
from typing import Any

from . import columns


def main() -> None:
    order: dict[str, Any] = json.loads(sys.argv[1])
    kind, core = order.pop("kind"), order.pop("core")
    if core is not None:
        os.sched_setaffinity(0, {core})
    columns.import_plait()
    from plait import _native

    if kind == "echo":
        print(json.dumps(_native.bench_client(**order)), flush=True)
        return
    idle = _native.bench_idle(**order)
    print(json.dumps({"connections": len(idle)}), flush=True)
    sys.stdin.read()
    idle.close()
