"""Many loops in many threads, and many threads at one loop."""

import asyncio
import sys
import threading

import plait
import pytest
from peers import LOCALHOST, until


def in_threads(count, body):
    """Runs body(i) in `count` threads at once; what they returned, in order. The first error is raised."""
    outcomes = [None] * count
    start = threading.Barrier(count)

    def run(i):
        start.wait(30)
        try:
            outcomes[i] = body(i)
        except BaseException as error:
            outcomes[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


async def echo_many(i):
    async def serve(reader, writer):
        while data := await reader.readline():
            writer.write(data)
        writer.close()

    async def client(j):
        reader, writer = await asyncio.open_connection(*address)
        for k in range(10):
            writer.write(b"%d %d %d\n" % (i, j, k))
            assert await reader.readline() == b"%d %d %d\n" % (i, j, k)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, LOCALHOST, 0) as server:
        address = server.sockets[0].getsockname()
        await asyncio.gather(*(client(j) for j in range(20)))
    return threading.current_thread().name


def test_four_threads_with_a_loop_each():
    names = in_threads(4, lambda i: plait.run(echo_many(i)))
    assert len(set(names)) == 4


def test_each_thread_has_its_own_current_task_and_running_loop():
    async def main():
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        for _ in range(500):
            await asyncio.sleep(0)
            assert asyncio.current_task() is task and asyncio.get_running_loop() is loop
            assert asyncio.all_tasks() == {task}

    in_threads(4, lambda _: plait.run(main()))


def test_a_storm_of_threadsafe_calls(loop, run):
    got = [[] for _ in range(8)]

    def storm(i):
        for k in range(5000):
            loop.call_soon_threadsafe(got[i].append, k)

    async def main():
        threads = threading.Thread(target=in_threads, args=(8, storm))
        threads.start()
        await until(lambda: sum(map(len, got)) == 8 * 5000)
        threads.join()

    run(main())
    assert got == [list(range(5000))] * 8, "nothing lost, each thread's in its order"


def test_a_storm_at_a_loop_that_sleeps_in_between(loop, run):
    """Each call must wake the loop: the next is only made when the last has run."""

    def ping_pong(_):
        for _ in range(500):
            ran = threading.Event()
            loop.call_soon_threadsafe(ran.set)
            assert ran.wait(20), "a wake-up was lost"

    async def main():
        await loop.run_in_executor(None, in_threads, 4, ping_pong)

    run(main())


def test_a_storm_while_the_loop_is_closed():
    """Late callers get RuntimeError, or their call is dropped; nobody crashes."""
    for _ in range(20):
        loop = plait.new_event_loop()
        refused = []

        def body(i, loop=loop, refused=refused):
            if i == 0:
                loop.call_soon(loop.stop)
                loop.run_forever()
                loop.close()
                return
            with pytest.raises(RuntimeError) as caught:
                while True:
                    loop.call_soon_threadsafe(int)
            refused.append(str(caught.value))

        in_threads(4, body)
        assert refused == ["Event loop is closed"] * 3


def test_run_coroutine_threadsafe_from_many_threads(loop, run):
    async def double(x):
        await asyncio.sleep(0)
        return 2 * x

    def caller(i):
        return [asyncio.run_coroutine_threadsafe(double(k + i), loop).result(20) for k in range(100)]

    outcomes = run(loop.run_in_executor(None, in_threads, 4, caller))
    assert outcomes == [[2 * (k + i) for k in range(100)] for i in range(4)]


def test_futures_made_and_dropped_in_other_threads(loop):
    """A task or future whose last reference goes in another thread takes nothing with it."""

    def churn(_):
        async def main():
            for _ in range(300):
                future = asyncio.get_running_loop().create_future()
                shared.append(future)
                future.set_result(len(shared))
                if len(shared) > 50:
                    del shared[:25]
                await future

        plait.run(main())

    shared = []
    in_threads(4, churn)
    shared.clear()


def test_a_loop_handed_from_thread_to_thread(loop):
    async def value(i):
        await asyncio.sleep(0)
        return i, threading.get_ident()

    def run(i):
        return loop.run_until_complete(value(i))

    seen = []
    for i in range(5):
        thread = threading.Thread(target=lambda i=i: seen.append(run(i)))
        thread.start()
        thread.join()
    assert [i for i, _ in seen] == list(range(5))


def test_running_one_loop_in_two_threads_is_refused(loop):
    running = threading.Event()
    loop.call_soon(running.set)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running.wait(20)
    with pytest.raises(RuntimeError, match="^This event loop is already running$"):
        loop.run_forever()
    with pytest.raises(RuntimeError, match="^Cannot close a running event loop$"):
        loop.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    assert not loop.is_running()


def test_daemon_threads_with_loops_do_not_disturb_the_exit():
    import subprocess

    program = """
import threading, asyncio, plait
started = threading.Event()
async def main():
    started.set()
    await asyncio.Event().wait()
threading.Thread(target=lambda: plait.run(main()), daemon=True).start()
started.wait()
print("bye")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "bye\n"), done.stderr
