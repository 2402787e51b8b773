"""Prints tracebacks of exceptions that came out of tasks in every way, or task stacks (the argument)."""

import asyncio
import io
import socket
import sys
import traceback
from collections.abc import Awaitable

import which_loop


def raises() -> None:
    raise LookupError("lost")


async def inner(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    raises()


async def outer(turns: int) -> None:
    await inner(turns)


async def translates() -> None:
    try:
        await outer(1)
    except LookupError as error:
        raise RuntimeError("translated") from error


async def fails_while_cancelled() -> None:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await inner(1)


async def in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(outer(1))
        group.create_task(outer(2))


async def too_late() -> None:
    await asyncio.wait_for(asyncio.get_running_loop().create_future(), 0)


async def in_a_future() -> None:
    future = asyncio.get_running_loop().create_future()
    future.set_exception(LookupError("set from outside"))
    await future


async def in_a_thread() -> None:
    await asyncio.to_thread(raises)


async def by_a_method_of_the_loop() -> None:
    here, there = socket.socketpair()
    there.close()
    with here:
        here.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(here, b"to nobody")


async def show(title: str, awaitable: Awaitable[object]) -> None:
    print(title)
    try:
        await awaitable
    except BaseException as error:
        print("".join(traceback.format_exception(error)))


async def cancelled() -> None:
    task = asyncio.create_task(fails_while_cancelled())
    await asyncio.sleep(0)
    task.cancel("with a message")
    await task


async def cancelled_from_outside() -> None:
    task = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    task.cancel("with a message")
    await task


async def stacks() -> None:
    waiting = asyncio.create_task(fails_while_cancelled(), name="waiting")
    failing = asyncio.create_task(outer(0), name="failing")
    fresh = asyncio.create_task(outer(0), name="fresh")
    print("before the first step", [frame.f_code.co_name for frame in fresh.get_stack()])
    await asyncio.gather(failing, fresh, return_exceptions=True)
    for task in (waiting, failing, asyncio.current_task()):
        assert task is not None
        own = [frame for frame in task.get_stack() if frame.f_code.co_filename == __file__]
        print(task.get_name(), [frame.f_code.co_name for frame in own])
        print("lines", [frame.f_lineno for frame in own])
        print("at most one", len(task.get_stack(limit=1)))
        text = io.StringIO()
        task.print_stack(file=text)
        print(text.getvalue())
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def exceptions() -> None:
    await show("a coroutine", outer(1))
    await show("a task", asyncio.create_task(outer(1)))
    failed = asyncio.create_task(outer(0))
    await show("a task that had failed before", failed)
    await show("the same task again: its traceback does not grow", failed)
    await show("gather", asyncio.gather(outer(1), asyncio.sleep(0)))
    await show("from another exception", asyncio.create_task(translates()))
    await show("while cancelled", cancelled())
    await show("cancelled", cancelled_from_outside())
    await show("a group", asyncio.create_task(in_a_group()))
    await show("wait_for", too_late())
    await show("a future", in_a_future())
    await show("a thread", in_a_thread())
    await show("a method of the loop", by_a_method_of_the_loop())


asyncio.run({"exceptions": exceptions, "stacks": stacks}[sys.argv[1]]())
which_loop.say()
