"""One workload on one loop, in this process: prints one line of JSON and ends.

Every measurement has a process to itself, so that no run inherits the heap, the free lists or the
specialised bytecode of another. It says what it really ran on, so that the parent can refuse it.
"""

import argparse
import dataclasses
import json
import os

from . import columns


def main() -> None:
    parser = argparse.ArgumentParser(prog="plait bench: child")
    parser.add_argument("--column", required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--n", required=True, type=int)
    options = parser.parse_args()

    loop = columns.new_loop(options.column)
    # Only now: with plait installed, what the workloads import from asyncio is plait's.
    from .workloads import IN_PROCESS

    workload = IN_PROCESS[options.workload]
    if workload.warm_up:
        workload.run(loop, max(1, options.n // 20))
    measured = workload.run(loop, options.n)
    identity = columns.identity(options.column, loop, workload.uses)
    print(json.dumps(dataclasses.asdict(measured) | identity), flush=True)
    # Not a normal exit: a million sleeping tasks would each be cancelled, or complain that they were not.
    os._exit(0)
