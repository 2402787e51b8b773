"""One workload on one loop, in this process: prints one line of JSON and ends.

Every measurement has a process to itself, so that no run inherits the heap, the free lists or the
specialised bytecode of another. On a peer's loop this file is run by its path and plait is never imported:
importing the package (which `-m` does) or installing it could change the modules that the peer is measured
with. It says which loop it really ran on and whether plait was in the process, so that the parent can check.
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

if __package__:
    from .workloads import WORKLOADS, Measurement, Workload
else:
    # Put there by hand, because PYTHONSAFEPATH keeps a script's own directory off the path.
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from workloads import WORKLOADS, Measurement, Workload  # type: ignore

    del sys.path[0]


def new_loop(name: str, install: bool) -> asyncio.AbstractEventLoop:
    if name == "asyncio":
        return asyncio.SelectorEventLoop()
    if name == "uvloop":
        import uvloop  # type: ignore[import-not-found,unused-ignore]

        return uvloop.new_event_loop()
    if name == "rloop":
        import rloop  # type: ignore[import-untyped,unused-ignore]

        # Untyped, hence the name.
        loop: asyncio.AbstractEventLoop = rloop.new_event_loop()
        return loop
    if name == "plait":
        import plait

        if install:
            plait.install()
        return plait.new_event_loop()
    raise ValueError(f"unknown loop: {name}")


def run(workload: Workload, loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    if workload.warm_up:
        workload.run(loop, max(1, n // 20))
    return workload.run(loop, n)


def main() -> None:
    parser = argparse.ArgumentParser(prog="plait.bench.child")
    parser.add_argument("--loop", required=True)
    parser.add_argument("--workload", required=True, choices=sorted(WORKLOADS))
    parser.add_argument("--n", required=True, type=int)
    parser.add_argument("--loop-only", action="store_true")
    options = parser.parse_args()

    install = options.loop == "plait" and not options.loop_only
    loop = new_loop(options.loop, install)
    measured = run(WORKLOADS[options.workload], loop, options.n)
    report = {
        "workload": options.workload,
        "loop": options.loop,
        "loop_module": type(loop).__module__,
        "loop_type": type(loop).__qualname__,
        "plait_imported": "plait" in sys.modules,
        "plait_installed": install,
        "n": measured.n,
        "wall_ns": measured.wall_ns,
        "cpu_ns": measured.cpu_ns,
        "bytes_each": measured.bytes_each,
    }
    print(json.dumps(report), flush=True)
    # Not a normal exit: a million sleeping tasks would each be cancelled, or complain that they were not.
    os._exit(0)


if __name__ == "__main__":
    main()
