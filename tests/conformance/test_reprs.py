"""Handles, timers, futures and tasks show themselves alike on both loops."""

import asyncio
import functools
import re

import plait
import pytest


def callback(*args):
    pass


class Method:
    def method(self):
        pass

    def __repr__(self):
        return "<Method>"


def scheduled(loop):
    loop.set_debug(loop.get_debug())
    cancelled, cancelled_timer = loop.call_soon(callback, 1), loop.call_at(100.0, callback)
    cancelled.cancel()
    cancelled_timer.cancel()
    return [
        loop.call_soon(callback),
        loop.call_soon(callback, 1, "two"),
        loop.call_soon(functools.partial(callback, 3), 4),
        loop.call_soon(Method().method),
        loop.call_soon(lambda: 0),
        loop.call_soon(print),
        loop.call_soon_threadsafe(callback, b"bytes"),
        loop.call_at(1e9, callback),
        loop.call_at(12345.5, callback, 1),
        cancelled,
        cancelled_timer,
    ]


def futures(loop):
    made = [loop.create_future() for _ in range(8)]
    made[1].set_result({"a": 1})
    made[2].set_exception(ValueError("bad"))
    made[2].exception()
    made[3].cancel("message")
    made[4].add_done_callback(callback)
    for _ in range(2):
        made[5].add_done_callback(callback)
    for _ in range(5):
        made[6].add_done_callback(callback)
    made[7].set_result("x" * 1000)
    return made


def tasks(loop):
    async def coro():
        return 1

    async def waits(what):
        await what

    async def main():
        future = loop.create_future()
        made = [loop.create_task(coro(), name="done"), loop.create_task(waits(future), name="waits")]
        made.append(loop.create_task(waits(made[1]), name="waits for a task"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        made[2].cancel()
        shown = [repr(task) for task in made]
        await asyncio.gather(*made, return_exceptions=True)
        return shown + [repr(task) for task in made]

    return loop.run_until_complete(main())


def comparable(text):
    """Without what may differ: addresses; where a future was made (asyncio's create_future shows itself there); who is
    woken (plait names the coroutine that waits, asyncio its own wake-up method)."""
    text = re.sub(r"0x[0-9a-f]+", "0x…", text)
    text = re.sub(r"(<Future .*?) created at [^\s>]+>", r"\1>", text)
    return re.sub(r"cb=\[[\w.<>]+\(\)\]", "cb=[wake up]", text)


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize("make", [scheduled, futures, tasks])
def test_same_repr(make, debug):
    shown = []
    for factory in (asyncio.SelectorEventLoop, plait.new_event_loop):
        loop = factory()
        loop.set_debug(debug)
        shown.append([comparable(x if isinstance(x, str) else repr(x)) for x in make(loop)])
        loop.close()
    assert shown[1] == shown[0]
