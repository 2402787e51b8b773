"""What the tools look at: every way in which a task suspends, resumes and ends.

It does the same on each run: no clock, no threads, and nothing that depends on which of two sockets is ready first.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator

import which_loop


async def leaf(value: int) -> int:
    await asyncio.sleep(0)
    return value * 2


async def branches(value: int) -> int:
    if value % 2:
        return await leaf(value)
    else:
        await asyncio.sleep(0)
    total = 0
    for part in range(value):
        total += await leaf(part)
    return total


async def fails() -> None:
    await asyncio.sleep(0)
    raise LookupError("lost")


async def recovers() -> str:
    try:
        await fails()
    except LookupError as error:
        return str(error)
    finally:
        await asyncio.sleep(0)
    return "not reached"


async def waits_until_cancelled(started: asyncio.Event) -> None:
    try:
        started.set()
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        raise


async def cancels() -> bool:
    started = asyncio.Event()
    task = asyncio.create_task(waits_until_cancelled(started))
    await started.wait()
    task.cancel("enough")
    try:
        await task
    except asyncio.CancelledError:
        pass
    return task.cancelled()


async def never_starts() -> None:
    raise AssertionError("a task that is cancelled before its first step does not begin")


async def cancels_early() -> bool:
    task = asyncio.create_task(never_starts())
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def times_out() -> str:
    try:
        async with asyncio.timeout(0):
            await asyncio.get_running_loop().create_future()
    except TimeoutError:
        return "too late"
    return "not reached"


async def numbers(count: int) -> AsyncIterator[int]:
    try:
        for number in range(count):
            await asyncio.sleep(0)
            yield number
    finally:
        await asyncio.sleep(0)


async def iterates() -> list[int]:
    seen = [number async for number in numbers(3) if number != 1]
    async for number in numbers(3):
        seen.append(number)
        break  # the generator is left to the loop's hooks to close
    return seen


class Resource:
    async def __aenter__(self) -> "Resource":
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *error: object) -> bool:
        await asyncio.sleep(0)
        return True


async def uses_a_resource() -> str:
    async with Resource():
        await fails()
    return "released"


async def produces(queue: "asyncio.Queue[int | None]") -> None:
    for number in range(3):
        await queue.put(number)
    await queue.put(None)


async def consumes() -> int:
    queue: asyncio.Queue[int | None] = asyncio.Queue(1)
    producer = asyncio.create_task(produces(queue))
    total = 0
    while (number := await queue.get()) is not None:
        total += number
    await producer
    return total


async def groups() -> list[str]:
    lost: list[str] = []
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(leaf(1))
            group.create_task(fails())
            group.create_task(waits_until_cancelled(asyncio.Event()))
    except* LookupError as found:
        lost.extend(str(error) for error in found.exceptions)
    return lost


async def calls_back() -> list[str]:
    seen: list[str] = []
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def done(future: "asyncio.Future[str]") -> None:
        seen.append(future.result())

    def soon(word: str) -> None:
        seen.append(word)
        future.set_result("done")

    future.add_done_callback(done)
    loop.call_soon(soon, "soon")
    loop.call_later(0, seen.append, "later")
    await future
    await asyncio.sleep(0)
    return sorted(seen)


async def talks_to_itself() -> bytes:
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        there.setblocking(False)
        answer = asyncio.create_task(loop.sock_recv(there, 100))
        await asyncio.sleep(0)
        await loop.sock_sendall(here, b"hello")
        return await answer


async def starts_eagerly() -> int:
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
    try:
        return await asyncio.create_task(branches(2))
    finally:
        loop.set_task_factory(None)


async def main() -> list[object]:
    return [
        *await asyncio.gather(branches(3), branches(4)),
        await recovers(),
        await cancels(),
        await cancels_early(),
        await times_out(),
        await iterates(),
        await uses_a_resource(),
        await consumes(),
        await groups(),
        await calls_back(),
        await talks_to_itself(),
        await starts_eagerly(),
    ]


if __name__ == "__main__":
    print(asyncio.run(main()))
    which_loop.say()
