"""Loops run inside loops, as nest_asyncio allows; prints what came of it, the same on every loop."""

import asyncio
import socket

import nest_asyncio


async def name_of_task() -> str:
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    return task.get_name()


async def ticks(seen: list[str]) -> None:
    while True:
        seen.append("tick")
        await asyncio.sleep(0)


async def in_a_task() -> list[object]:
    loop = asyncio.get_running_loop()
    me = asyncio.current_task()
    seen: list[str] = []
    ticking = loop.create_task(ticks(seen))
    results: list[object] = [
        loop.run_until_complete(asyncio.sleep(0, "by the loop")),
        asyncio.run(asyncio.sleep(0.001, "by asyncio.run, with a timer")),
        loop.run_until_complete(asyncio.ensure_future(asyncio.sleep(0, "a task"))),
    ]
    results.append(asyncio.current_task() is me)
    results.append(asyncio.get_running_loop() is loop)
    results.append("other tasks ran" if seen else "other tasks did not run")
    ticking.cancel()
    results.append(loop.run_until_complete(asyncio.gather(ticking, return_exceptions=True)))
    await asyncio.sleep(0)
    results.append(asyncio.current_task() is me)
    return results


def deep(levels: int) -> str:
    async def level() -> str:
        await asyncio.sleep(0)
        return f"{levels} " + (deep(levels - 1) if levels else "bottom")

    return asyncio.get_event_loop().run_until_complete(level())


async def goes_deep() -> str:
    return deep(5)


async def raises() -> str:
    try:
        asyncio.get_running_loop().run_until_complete(asyncio.wait_for(asyncio.Event().wait(), 0))
    except TimeoutError:
        return "the error came through"
    return "no error"


async def over_sockets() -> bytes:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    async def ask(address: tuple[str, int]) -> bytes:
        reader, writer = await asyncio.open_connection(*address, family=socket.AF_INET)
        writer.write(b"hello\n")
        answer = await reader.read()
        writer.close()
        return answer

    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    answer = loop.run_until_complete(ask(server.sockets[0].getsockname()))
    server.close()
    return answer


async def from_a_thread() -> str:
    """As notebooks do it: a worker thread asks the loop, which runs nested meanwhile."""
    loop = asyncio.get_running_loop()

    def ask() -> str:
        return asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "asked from a thread"), loop).result(30)

    return loop.run_until_complete(loop.run_in_executor(None, ask))


async def main() -> None:
    for case in (in_a_task, goes_deep, raises, over_sockets, from_a_thread):
        print(case.__name__, await case())
    print(await asyncio.create_task(name_of_task(), name="still good"))


if __name__ == "__main__":
    nest_asyncio.apply()
    asyncio.run(main())
    asyncio.run(main())  # with nest_asyncio the same loop serves again
    print(type(asyncio.get_event_loop()).__module__.partition(".")[0])
