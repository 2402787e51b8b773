"""Where tracemalloc says that objects which a task made were allocated."""

import asyncio
import tracemalloc

import which_loop


class Thing:
    pass


async def makes_a_thing() -> Thing:
    await asyncio.sleep(0)
    return Thing()


async def waits() -> None:
    await asyncio.Event().wait()


async def makes_everything() -> dict[str, object]:
    loop = asyncio.get_running_loop()
    return {
        "thing": await makes_a_thing(),
        "task": asyncio.create_task(waits()),
        "future": loop.create_future(),
        "handle": loop.call_soon(print),
        "timer": loop.call_later(3600, print),
    }


def where(thing: object) -> list[str]:
    found = tracemalloc.get_object_traceback(thing)
    return found.format() if found else ["nowhere"]


async def main() -> None:
    for name, thing in (await asyncio.create_task(makes_everything())).items():
        print(name, *where(thing), sep="\n")
        if isinstance(thing, (asyncio.Handle, asyncio.Task)):
            thing.cancel()


asyncio.run(main())
which_loop.say()
