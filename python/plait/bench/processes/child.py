"""One workload in one column, in this process: prints one line of JSON and ends.

Every measurement has a process to itself, so that no run inherits the heap, the free lists or the
specialised bytecode of another. It says what it really ran on, so that the parent can refuse it.
"""

import argparse
import asyncio
import dataclasses
import json
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from . import columns

if TYPE_CHECKING:
    from .workloads.http import OnServer
    from .workloads.measuring import InProcess, Measurement, Pins


def main() -> None:
    parser = argparse.ArgumentParser(prog="plait bench: child")
    parser.add_argument("--column", required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--n", required=True, type=int)
    parser.add_argument("--pins", nargs=2, type=int, metavar="CPU")
    parser.add_argument("--port", type=int, help="of the server, for a workload that is a client")
    options = parser.parse_args()

    columns.prepare(options.column)
    # Only now: with plait installed, what the workloads import from the standard library is plait's.
    from .workloads import IN_PROCESS

    workload = IN_PROCESS[options.workload]
    pins = None if options.pins is None else tuple(options.pins)
    loop, run = _bound(workload, options.column, pins, options.port)
    try:
        if workload.warm_up:
            run(max(1, options.n // 20))
        measured = run(options.n)
    except NotImplementedError as lacking:
        print(json.dumps(columns.lacks(lacking)), flush=True)
        os._exit(0)
    identity = columns.identity(options.column, loop, workload.uses_in(options.column))
    print(json.dumps(dataclasses.asdict(measured) | identity), flush=True)
    # Not a normal exit: a million sleeping tasks would each be cancelled, or complain that they were not.
    os._exit(0)


def _bound(
    workload: "InProcess", column: str, pins: "Pins", port: int | None
) -> "tuple[asyncio.AbstractEventLoop | None, Callable[[int], Measurement]]":
    """What the workload wants to be given besides a number, and itself with it."""
    from .workloads import BetweenProcesses, Bridge, OnClusters, OnEngines, OnFiles, OnLoop, OnPools, OnServer, OnThreads

    if isinstance(workload, OnThreads):
        return None, partial(workload.run, pins)
    if isinstance(workload, OnPools | OnClusters | OnEngines):
        return None, partial(workload.run, column)
    if isinstance(workload, BetweenProcesses):
        return None, partial(workload.run, column, pins)
    loop = columns.new_loop(column)
    if isinstance(workload, Bridge):
        return loop, partial(workload.run, loop, column, pins)
    if isinstance(workload, OnFiles):
        return loop, partial(workload.run, loop, column)
    if isinstance(workload, OnServer):
        if pins is not None:
            # It is the one that is measured; its server is where a client is otherwise.
            os.sched_setaffinity(0, {pins[0]})
        assert port is not None
        return loop, partial(_requests, workload, loop, port)
    assert isinstance(workload, OnLoop)
    return loop, partial(workload.run, loop)


def _requests(workload: "OnServer", loop: asyncio.AbstractEventLoop, port: int, n: int) -> "Measurement":
    return workload.run(loop, port, n)
