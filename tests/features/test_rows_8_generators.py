"""Section 8 of the feature list: coroutines by generators, and what coroutines promise. Greenlets come with their own part.

Generators are the interpreter's; the rows are kept because a program under plait has to see them unchanged, also inside
tasks, where plait steps them.
"""

import io
import sys
import threading
import traceback
import types
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import plait
import pytest


def test_8_1_left_and_resumed_where_it_was(aio):
    order = []

    def subroutine(name):
        order.append(name)

    async def coroutine(name):
        state = 0
        for _ in range(3):
            state += 1
            subroutine(f"{name}{state}")
            await aio.sleep(0)
        return state

    async def main():
        return await aio.gather(coroutine("a"), coroutine("b"))

    assert aio.run(main()) == [3, 3]
    assert order == ["a1", "b1", "a2", "b2", "a3", "b3"]


def test_8_2_yield_switches():
    seen = []

    def letters():
        seen.append("x")
        yield
        seen.append("y")
        yield

    def numbers():
        seen.append(1)
        yield
        seen.append(2)
        yield from letters()
        seen.append(3)
        yield

    for _ in numbers():
        pass
    seen.append("z")
    assert seen == [1, 2, "x", "y", 3, "z"]


def test_8_3_stop_iteration_holds_the_result(aio):
    def generator():
        yield 1
        return "value"

    steps = generator()
    next(steps)
    with pytest.raises(StopIteration) as stopped:
        next(steps)
    assert stopped.value.value == "value"

    @types.coroutine
    def delegating():
        result = yield from aio.sleep(0, "slept").__await__()
        return result

    async def main():
        return await delegating()

    assert aio.run(main()) == "slept"


def test_8_4_a_file_in_pieces():
    def pieces(file):
        while piece := file.read(1024):
            yield piece

    assert [len(piece) for piece in pieces(io.BytesIO(b"x" * 2500))] == [1024, 1024, 452]


def test_8_5_yield_over_several_iterables():
    def chain(*iterables):
        for iterable in iterables:
            yield from iterable

    def chain_by_hand(*iterables):
        for iterable in iterables:
            for item in iterable:  # noqa: UP028
                yield item

    arguments = ("ABC", [1, 2, 3], {"name": "plait", "age": 1}, (i for i in range(4, 8)))
    expected = ["A", "B", "C", 1, 2, 3, "name", "age", 4, 5, 6, 7]
    assert list(chain(*arguments[:3], range(4, 8))) == list(chain_by_hand(*arguments)) == expected


def test_8_6_producer_and_consumer_by_send():
    lines = []

    def consumer():
        answer = ""
        while True:
            n = yield answer
            if not n:
                return
            lines.append(f"consuming {n}")
            answer = "200 OK"

    def produce(c):
        c.send(None)
        for n in range(1, 4):
            lines.append(f"producing {n}")
            lines.append(f"consumer returns {c.send(n)}")
        c.close()

    produce(consumer())
    one = ["producing {}", "consuming {}", "consumer returns 200 OK"]
    assert lines == [line.format(n) for n in (1, 2, 3) for line in one]


def test_8_7_generator_coroutines(aio):
    @types.coroutine
    def old_style():
        yield
        return "old style"

    async def main():
        task = aio.create_task(old_style_wrapped())
        return await old_style(), await task

    async def old_style_wrapped():
        return await old_style()

    assert aio.run(main()) == ("old style", "old style")
    assert not hasattr(aio, "coroutine")


def test_8_15_no_lock_needed_between_awaits(aio):
    counter = 0

    async def worker():
        nonlocal counter
        for _ in range(200):
            read = counter
            counter = read + 1
            await aio.sleep(0)

    async def main():
        await aio.gather(*(worker() for _ in range(50)))

    aio.run(main())
    assert counter == 10_000


def test_8_16_ten_thousand_coroutines_in_one_thread(aio):
    async def worker(i):
        await gate.wait()
        threads.add(threading.get_ident())
        return i

    async def main():
        nonlocal gate
        gate = aio.Event()
        tasks = [aio.create_task(worker(i)) for i in range(10_000)]
        await aio.sleep(0)
        assert len(aio.all_tasks()) == 10_001
        gate.set()
        return await aio.gather(*tasks)

    gate, threads = None, set()
    assert aio.run(main()) == list(range(10_000))
    assert threads == {threading.get_ident()}


async def requests(count):
    import asyncio

    async def request(i):
        await asyncio.sleep(0)
        return i

    return sum(await asyncio.gather(*(request(i) for i in range(count))))


def in_process(count):
    return plait.run(requests(count))


def test_8_17_processes_and_coroutines():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(in_process, [25] * 4)) == [sum(range(25))] * 4


def test_8_18_many_coroutines_in_each_of_four_threads(aio):
    sums = []
    threads = [threading.Thread(target=lambda: sums.append(aio.run(requests(100)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == [sum(range(100))] * 4


def test_8_19_traces_name_the_awaited_chain(aio, caplog):
    async def innermost():
        await aio.sleep(0)
        raise LookupError("deep down")

    async def middle():
        await innermost()

    async def outermost():
        await middle()

    async def main():
        try:
            await outermost()
        except LookupError as error:
            names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
            assert names == ["main", "outermost", "middle", "innermost"]
        task = aio.create_task(outermost())
        while not task.done():
            await aio.sleep(0)
        del task

    aio.run(main())
    (record,) = [record for record in caplog.records if "never retrieved" in record.getMessage()]
    assert record.getMessage().startswith("Task exception was never retrieved\nfuture: <Task finished name=")
    text = "".join(traceback.format_exception(record.exc_info[1]))
    assert text.index("in outermost") < text.index("in middle") < text.index("in innermost")
    assert sys.exc_info() == (None, None, None)
