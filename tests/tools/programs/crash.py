"""Ends badly inside a task: by an exception or by SIGABRT (the argument)."""

import asyncio
import os
import resource
import sys

import which_loop


async def inner() -> None:
    await asyncio.sleep(0)
    if sys.argv[1] == "abort":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.abort()
    raise LookupError("lost")


async def task() -> None:
    await inner()


async def main() -> None:
    await asyncio.create_task(task())


which_loop.say()
sys.stdout.flush()
asyncio.run(main())
