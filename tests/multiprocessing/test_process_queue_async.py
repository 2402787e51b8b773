"""Coroutines wait for queues between processes, on plait's loop and on asyncio's."""

import asyncio
import os

import pytest
import queue_scenes as scenes

import plait


@pytest.fixture(params=[plait.new_event_loop, asyncio.SelectorEventLoop], ids=["plait", "asyncio"])
def run(request):
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield lambda coroutine: runner.run(asyncio.wait_for(coroutine, scenes.LIMIT))


def test_a_task_gets_what_another_process_puts(run):
    context, items = scenes.made("plait")
    child = context.Process(target=scenes.put_numbers, args=(items, 0, 500))

    async def main():
        waiting = asyncio.ensure_future(items.aget())
        await asyncio.sleep(0)
        assert not waiting.done()
        child.start()
        assert await waiting == (0, 0, b"")
        return [(await items.aget())[1] for _ in range(499)]

    assert run(main()) == list(range(1, 500))
    scenes.joined(child)


def test_a_task_puts_into_a_full_queue(run):
    context, there = scenes.made("plait", "fork", "Queue", 2)
    _, back = scenes.made("plait")

    async def main():
        child = context.Process(target=scenes.echo, args=(there, back))
        await there.aput(0)
        await there.aput(1)
        waiting = asyncio.ensure_future(there.aput(2))
        await asyncio.sleep(0)
        assert not waiting.done()
        child.start()
        await waiting
        for n in range(3, 200):
            await there.aput(n)
        await there.aput(None)
        return child, [await back.aget() for _ in range(200)]

    child, got = run(main())
    assert got == list(range(200))
    scenes.joined(child)


def test_many_tasks_get_each_one_item(run):
    _, items = scenes.made("plait")

    async def main():
        getters = [asyncio.ensure_future(items.aget()) for _ in range(50)]
        await asyncio.sleep(0)
        for n in range(50):
            items.put(n)
        return await asyncio.gather(*getters)

    assert run(main()) == list(range(50))


def test_who_is_cancelled_takes_nothing(run):
    _, items = scenes.made("plait")

    async def main():
        first, second = (asyncio.ensure_future(items.aget()) for _ in range(2))
        await asyncio.sleep(0)
        items.put("a")
        first.cancel()
        assert await second == "a"
        with pytest.raises(asyncio.CancelledError):
            await first
        third = asyncio.ensure_future(items.aget())
        await asyncio.sleep(0)
        third.cancel()
        await asyncio.gather(third, return_exceptions=True)
        items.put("b")
        return await items.aget()

    assert run(main()) == "b"


def test_a_closed_queue_refuses(run):
    _, items = scenes.made("plait")
    items.close()
    for use in (items.aget, lambda: items.aput(1)):
        with pytest.raises(ValueError, match="is closed"):
            run(use())


def test_the_programs_own_watch_of_the_descriptor_stays(run):
    _, items = scenes.made("plait")
    seen = []

    async def main():
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        loop.add_reader(items._reader.fileno(), lambda: (seen.append(1), told.set()))
        getter = asyncio.ensure_future(items.aget())
        await asyncio.sleep(0)
        items.put(1)
        await told.wait()
        assert await getter == 1
        loop.remove_reader(items._reader.fileno())

    run(main())
    assert seen


def silenced(descriptor):
    """As a process leaves it that is killed when it has changed the queue, and has not said so yet."""
    assert len(os.read(descriptor, 8)) == 8


def test_a_task_gets_what_nobody_has_told_of(run):
    _, items = scenes.made("plait")

    async def main():
        getters = [asyncio.ensure_future(items.aget()) for _ in range(3)]
        await asyncio.sleep(0)
        for n in range(3):
            items.put(n)
        silenced(items._watch_items())
        return await asyncio.gather(*getters)

    assert run(main()) == [0, 1, 2]


def test_a_task_puts_where_nobody_has_told_of_a_place(run):
    _, items = scenes.made("plait", "fork", "Queue", 1)

    async def main():
        await items.aput(0)
        waiting = asyncio.ensure_future(items.aput(1))
        await asyncio.sleep(0)
        assert items.get() == 0
        silenced(items._watch_slots())
        await waiting
        return items.get()

    assert run(main()) == 1
