"""Subprocesses: what it costs to start one and to learn that it ended.

Judged is the CPU time of the process that starts them. The child's own is not in it, and it is most of the time on the wall.
"""

import asyncio
import shutil

from .measuring import Measurement, OnLoop, measure


def spawn_true(loop: asyncio.AbstractEventLoop, n: int) -> Measurement:
    program = shutil.which("true") or "/bin/true"

    async def body() -> None:
        for _ in range(n):
            child = await asyncio.create_subprocess_exec(program)
            if await child.wait() != 0:
                raise RuntimeError("true said that it failed")

    return measure(n, lambda: loop.run_until_complete(body()))


WORKLOADS = (
    OnLoop(
        name="spawn_true",
        group="subprocesses",
        run=spawn_true,
        n=1000,
        per="subprocess",
        about="asyncio.create_subprocess_exec('true') and its wait(), one after the other",
        judged="cpu_ns",
        beside=("wall_ns",),
        uses=("create_subprocess_exec",),
    ),
)
