"""Stops in a debugger, inside a task that others await."""

import asyncio

import which_loop


async def innermost(word: str) -> str:
    breakpoint()
    before = word
    await asyncio.sleep(0)
    after = before + "!"
    return after


async def middle() -> str:
    answer = await innermost("stop")
    return answer * 2


async def bystander(stop: asyncio.Event) -> int:
    turns = 0
    while not stop.is_set():
        turns += 1
        await asyncio.sleep(0)
    return turns


async def main() -> None:
    stop = asyncio.Event()
    other = asyncio.create_task(bystander(stop))
    print("answer", await asyncio.create_task(middle(), name="the task"))
    stop.set()
    print("turns", await other)


asyncio.run(main())
which_loop.say()
