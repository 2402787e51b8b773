"""Each program here ends with a line that says whose loop it ran on, so that no test compares stock with stock."""

import asyncio


async def _module() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def say() -> None:
    print("ran on", asyncio.run(_module()))
