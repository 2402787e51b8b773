"""getaddrinfo, getnameinfo, run_in_executor and the default executor."""

import asyncio
import concurrent.futures
import socket
import threading

import pytest
from peers import LOCALHOST


def test_getaddrinfo(loop, run):
    expected = socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
    assert run(loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)) == expected
    expected = socket.getaddrinfo(LOCALHOST, "http", family=socket.AF_INET, flags=socket.AI_NUMERICHOST)
    assert run(loop.getaddrinfo(LOCALHOST, "http", family=socket.AF_INET, flags=socket.AI_NUMERICHOST)) == expected


def test_getaddrinfo_of_no_host(loop, run):
    with pytest.raises(socket.gaierror):
        run(loop.getaddrinfo("no host has a name like this", 1, flags=socket.AI_NUMERICHOST))


def test_getnameinfo(loop, run):
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    assert run(loop.getnameinfo((LOCALHOST, 80), flags)) == (LOCALHOST, "80")


def test_resolving_in_debug_mode_is_logged(loop, run, caplog):
    loop.set_debug(True)
    with caplog.at_level("DEBUG", "asyncio"):
        run(loop.getaddrinfo(LOCALHOST, 80))
    assert any(record.message.startswith(f"Get address info {LOCALHOST}:80") for record in caplog.records)


def test_many_at_once(loop, run):
    async def main():
        return await asyncio.gather(*(loop.getaddrinfo(LOCALHOST, port) for port in range(1, 101)))

    assert [found[0][4][1] for found in run(main())] == list(range(1, 101))


def test_run_in_executor(loop, run):
    async def main():
        here = threading.get_ident()
        there = await loop.run_in_executor(None, threading.get_ident)
        assert there != here
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert await loop.run_in_executor(pool, divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, divmod, 1, 0)

    run(main())


def test_the_loop_runs_meanwhile(loop, run):
    async def main():
        go = threading.Event()
        waiting = loop.run_in_executor(None, go.wait, 10)
        await asyncio.sleep(0)
        assert not waiting.done()
        go.set()
        assert await waiting is True

    run(main())


def test_default_executor_is_kept_and_shut_down(loop, run):
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="mine") as pool:
        loop.set_default_executor(pool)
        name = run(loop.run_in_executor(None, lambda: threading.current_thread().name))
        assert name.startswith("mine")
        run(loop.shutdown_default_executor())
        with pytest.raises(RuntimeError, match="^Executor shutdown has been called$"):
            loop.run_in_executor(None, print)


def test_close_shuts_the_executor_down(loop, run):
    run(loop.run_in_executor(None, int))
    executor = loop._default_executor
    loop.close()
    assert loop._default_executor is None
    with pytest.raises(RuntimeError):
        executor.submit(print)


def test_a_result_that_comes_after_close_is_dropped(make_loop):
    loop = make_loop()
    go, done = threading.Event(), threading.Event()

    def work():
        go.wait(10)
        done.set()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        loop.run_in_executor(pool, work)
        loop.close()
        go.set()
        assert done.wait(10)


def test_cancelled_wait_for_the_executor(loop, run):
    async def main():
        go = threading.Event()
        waiting = loop.run_in_executor(None, go.wait, 10)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()

    run(main())


def test_wrap_future(loop, run):
    async def main():
        outer = concurrent.futures.Future()
        inner = asyncio.wrap_future(outer)
        threading.Thread(target=outer.set_result, args=(5,)).start()
        assert await inner == 5
        outer = concurrent.futures.Future()
        asyncio.wrap_future(outer).cancel()
        await asyncio.sleep(0)
        assert outer.cancelled()

    run(main())


def test_to_thread_carries_the_context(run):
    import contextvars

    variable = contextvars.ContextVar("variable")

    async def main():
        variable.set("carried")
        return await asyncio.to_thread(variable.get)

    assert run(main()) == "carried"


def test_run_coroutine_threadsafe(loop, run):
    async def double(x):
        await asyncio.sleep(0)
        return 2 * x

    async def fails():
        raise LookupError

    def other_thread():
        assert asyncio.run_coroutine_threadsafe(double(21), loop).result(10) == 42
        with pytest.raises(LookupError):
            asyncio.run_coroutine_threadsafe(fails(), loop).result(10)
        future = asyncio.run_coroutine_threadsafe(asyncio.sleep(3600), loop)
        future.cancel()
        return [asyncio.run_coroutine_threadsafe(double(i), loop) for i in range(500)]

    async def main():
        futures = await asyncio.to_thread(other_thread)
        return await asyncio.gather(*map(asyncio.wrap_future, futures))

    assert run(main()) == [2 * i for i in range(500)]
