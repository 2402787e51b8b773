"""Section 10 of the feature list: tasks and waiting."""

import collections.abc

import plait
import programs
import pytest


async def value(aio, result, turns=1):
    for _ in range(turns):
        await aio.sleep(0)
    return result


async def never(aio):
    await aio.get_running_loop().create_future()


def test_10_1_awaitables(aio):
    async def main():
        future = aio.get_running_loop().create_future()
        future.set_result("future")
        task = aio.create_task(value(aio, "task"))
        for awaitable in (future, task):
            assert isinstance(awaitable, collections.abc.Awaitable)
        assert [await value(aio, "coroutine"), await task, await future] == ["coroutine", "task", "future"]

    aio.run(main())


def test_10_2_awaiting_one_after_the_other_is_sequential(aio):
    order = []

    async def step(name):
        order.append(f"{name} begins")
        await aio.sleep(0)
        order.append(f"{name} ends")

    async def main():
        await step("a")
        await step("b")

    aio.run(main())
    assert order == ["a begins", "a ends", "b begins", "b ends"]


def test_10_3_create_task_starts_at_the_next_switch(aio):
    order = []

    async def step(name):
        order.append(f"{name} begins")
        await aio.sleep(0)
        order.append(f"{name} ends")

    async def main():
        tasks = [aio.create_task(step(name)) for name in "ab"]
        order.append("created")
        for task in tasks:
            await task

    aio.run(main())
    assert order == ["created", "a begins", "b begins", "a ends", "b ends"]


def test_10_4_three_ways_to_a_task(aio):
    async def main():
        loop = aio.get_running_loop()
        tasks = [
            aio.create_task(value(aio, 1), name="first"),
            loop.create_task(value(aio, 2), name="second"),
            aio.ensure_future(value(aio, 3)),
        ]
        assert [type(task) for task in tasks] == [plait.Task] * 3
        assert [task.get_name() for task in tasks[:2]] == ["first", "second"]
        assert aio.ensure_future(tasks[0]) is tasks[0]
        return await aio.gather(*tasks)

    assert aio.run(main()) == [1, 2, 3]


def test_10_5_gather_keeps_the_order_of_its_arguments(aio):
    async def main():
        coroutines = await aio.gather(value(aio, "data1", 5), value(aio, "data2", 1))
        tasks = [aio.create_task(value(aio, f"data{i}", 3 - i)) for i in (1, 2)]
        return coroutines, await aio.gather(*tasks)

    assert aio.run(main()) == (["data1", "data2"], ["data1", "data2"])


def test_10_6_gather_does_not_cancel_the_others(aio):
    async def fails():
        raise LookupError

    async def main():
        other = aio.create_task(value(aio, "result", 5))
        with pytest.raises(LookupError):
            await aio.gather(fails(), other)
        assert not other.done()
        assert await other == "result"
        outcomes = await aio.gather(fails(), value(aio, 1), return_exceptions=True)
        assert isinstance(outcomes[0], LookupError) and outcomes[1] == 1

    aio.run(main())


def test_10_7_gather_outside_a_running_loop(aio):
    loop = aio.new_event_loop()
    futures = [aio.ensure_future(value(aio, i), loop=loop) for i in range(2)]
    assert loop.run_until_complete(aio.ensure_future(aio.gather(*futures))) == [0, 1]
    loop.close()


def test_10_8_wait(aio):
    async def fails():
        raise LookupError

    async def main():
        tasks = [aio.create_task(value(aio, i, 1 + 5 * i)) for i in range(3)]
        done, pending = await aio.wait(tasks, return_when=aio.FIRST_COMPLETED)
        assert done == {tasks[0]} and pending == {tasks[1], tasks[2]}
        done, pending = await aio.wait(tasks)
        assert done == set(tasks) and pending == set()
        failing, hanging = aio.create_task(fails()), aio.create_task(never(aio))
        done, pending = await aio.wait([failing, hanging], return_when=aio.FIRST_EXCEPTION)
        assert done == {failing} and pending == {hanging}
        assert isinstance(failing.exception(), LookupError)
        done, pending = await aio.wait([hanging], timeout=0.001)
        assert done == set() and pending == {hanging}
        hanging.cancel()

    aio.run(main())


def test_10_9_wait_forbids_coroutines(aio):
    async def main():
        coro = value(aio, 1)
        with pytest.raises(TypeError, match=r"^Passing coroutines is forbidden, use tasks explicitly\.$"):
            await aio.wait([coro])
        coro.close()

    aio.run(main())


def test_10_10_wait_for(aio):
    async def main():
        task = aio.create_task(never(aio))
        with pytest.raises(TimeoutError):
            await aio.wait_for(task, 0.001)
        assert task.cancelled()
        assert await aio.wait_for(value(aio, "in time"), 20) == "in time"

    aio.run(main())


def test_10_11_shield(aio):
    async def main():
        gate = aio.Event()

        async def inner():
            await gate.wait()
            return "survived"

        task = aio.create_task(inner())
        with pytest.raises(TimeoutError):
            await aio.wait_for(aio.shield(task), 0.001)
        assert not task.cancelled()
        gate.set()
        return await task

    assert aio.run(main()) == "survived"


def test_10_12_sleep_gives_its_result(aio):
    async def main():
        return await aio.sleep(0, "zero"), await aio.sleep(0.001, result="some"), await aio.sleep(-1, "negative")

    assert aio.run(main()) == ("zero", "some", "negative")


@pytest.mark.parametrize("gathers", [True, False])
def test_10_13_cancel_and_end_cleanly(tmp_path, gathers):
    done = programs.run(
        tmp_path,
        f"""
        import asyncio
        async def main():
            task = asyncio.create_task(asyncio.sleep(3600))
            await asyncio.sleep(0)
            task.cancel()
            if {gathers}:
                outcome = await asyncio.gather(task, return_exceptions=True)
                assert isinstance(outcome[0], asyncio.CancelledError)
            print("ends")
        asyncio.run(main())
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ends\n", "")


def test_10_14_timeout(aio):
    async def main():
        timed_out = []
        for port in range(3):
            try:
                async with aio.timeout(0.001):
                    await never(aio)
            except TimeoutError:
                timed_out.append(port)
        async with aio.timeout(20) as scope:
            assert scope.expired() is False and scope.when() is not None
        return timed_out

    assert aio.run(main()) == [0, 1, 2]


def test_10_15_gathered_tasks_start_in_order(aio):
    order = []

    async def begins(name):
        order.append(name)

    async def main():
        await aio.gather(begins("a"), begins("b"), aio.create_task(begins("c")))

    aio.run(main())
    # "c" is a task already when gather makes the others
    assert order == ["c", "a", "b"]


def test_10_16_sources_in_utf_8(tmp_path):
    source = '''
        # -*- coding: utf-8 -*-
        # 注释
        import asyncio
        from asyncio import Queue
        async def 消费(队列: Queue, 名: str = "生产者"):
            print(名, await 队列.get())
        async def main():
            队列: Queue = Queue()
            await 队列.put("数据")
            await 消费(队列)
        asyncio.run(main())
    '''
    import subprocess

    command = [*programs.COMMAND, programs.write(tmp_path, source)]
    for locale in ("C", "POSIX", "C.UTF-8"):
        done = subprocess.run(command, capture_output=True, env={**programs.environment(), "LC_ALL": locale}, timeout=30)
        assert done.stdout.decode("utf-8") == "生产者 数据\n", done.stderr
