"""Section 9 of the feature list: running, and loops."""

import asyncio as standard
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import plait
import programs
import pytest
from peers import listening


async def value(result=None):
    await standard.sleep(0)
    return result


def in_thread(function, name=None):
    outcome = []

    def body():
        try:
            outcome.append(function())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=body, name=name)
    thread.start()
    thread.join()
    return outcome[0]


def test_9_1_a_coroutine_called_alone_does_not_run(aio):
    ran = []

    async def coroutine():
        ran.append(1)

    async def main():
        with pytest.warns(RuntimeWarning, match="^coroutine '.*coroutine' was never awaited$"):
            coroutine()

    aio.run(main())
    assert ran == []
    with pytest.raises(SyntaxError):
        compile("def f():\n    await g()\n", "program", "exec")


def test_9_2_run(aio):
    async def main():
        return aio.get_running_loop()

    loop = aio.run(main())
    assert type(loop) is plait.EventLoop and loop.is_closed()


def test_9_3_run_inside_a_running_loop(aio):
    async def main():
        coro = value()
        with pytest.raises(RuntimeError, match=r"^asyncio\.run\(\) cannot be called from a running event loop$"):
            aio.run(coro)
        coro.close()

    aio.run(main())
    assert aio.run(value(1)) == 1, "again in the same thread is allowed"


def test_9_4_get_event_loop_makes_one(tmp_path):
    done = programs.run(
        tmp_path,
        """
        import asyncio, sys, warnings
        warnings.simplefilter("ignore")
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError as error:
            print(error)
        else:
            print(type(loop).__module__, loop is asyncio.get_event_loop(), loop.run_until_complete(asyncio.sleep(0, 5)))
            loop.close()
        """,
    )
    expected = "plait True 5\n" if sys.version_info < (3, 14) else "There is no current event loop in thread 'MainThread'.\n"
    assert (done.stdout, done.returncode) == (expected, 0), done.stderr


def test_9_5_no_loop_in_another_thread(aio):
    error = in_thread(aio.get_event_loop, name="T-1")
    assert isinstance(error, RuntimeError)
    assert str(error) == "There is no current event loop in thread 'T-1'."


def test_9_6_new_event_loop_in_a_thread(aio):
    def body():
        loop = aio.new_event_loop()
        aio.set_event_loop(loop)
        assert aio.get_event_loop() is loop
        result = loop.run_until_complete(value("ran"))
        loop.close()
        return type(loop), result

    assert in_thread(body) == (plait.EventLoop, "ran")


def test_9_7_get_running_loop(aio):
    async def main():
        return aio.get_running_loop() is aio.get_event_loop()

    assert aio.run(main()) is True
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        aio.get_running_loop()


@pytest.fixture
def loop(aio):
    loop = aio.new_event_loop()
    aio.set_event_loop(loop)
    yield loop
    aio.set_event_loop(None)
    loop.close()


def test_9_8_run_until_complete(aio, loop):
    assert loop.run_until_complete(value(7)) == 7
    tasks = [loop.create_task(value(i)) for i in range(3)]
    done, pending = loop.run_until_complete(aio.wait(tasks))
    assert {task.result() for task in done} == {0, 1, 2} and pending == set()


def test_9_9_run_forever_and_stop(loop):
    ticks = []

    def tick():
        ticks.append(len(ticks))
        if len(ticks) == 3:
            loop.stop()
        else:
            loop.call_soon(tick)

    loop.call_soon(tick)
    loop.run_forever()
    assert ticks == [0, 1, 2]
    assert loop.run_until_complete(value("usable again")) == "usable again"
    loop.close()
    assert loop.is_closed()


def test_9_10_call_soon_later_at_order(loop):
    order = []
    now = loop.time()
    loop.call_at(now + 0.004, lambda: (order.append("later"), loop.stop()))
    loop.call_at(now + 0.002, order.append, "at")
    loop.call_soon(order.append, "soon 1")
    loop.call_soon(order.append, "soon 2")
    loop.call_later(0.001, order.append, "cancelled").cancel()
    loop.call_soon(order.append, "cancelled").cancel()
    loop.run_forever()
    assert order == ["soon 1", "soon 2", "at", "later"]


def test_9_11_add_signal_handler(loop):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, lambda *args: (got.append(args), loop.stop()), "argument")
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    assert got == [("argument",)]
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False


def test_9_13_threads_call_in_safely(aio):
    async def main():
        loop = aio.get_running_loop()
        called = aio.Event()

        def other_thread():
            loop.call_soon_threadsafe(called.set)
            return aio.run_coroutine_threadsafe(value(5), loop).result(10)

        assert await aio.to_thread(other_thread) == 5
        await called.wait()
        loop.set_debug(True)
        error = await aio.to_thread(lambda: pytest.raises(RuntimeError, loop.call_soon, print).value)
        assert str(error) == "Non-thread-safe operation invoked on an event loop other than the current one"

    aio.run(main())


def test_9_15_sock_connect_with_a_blocking_socket(aio):
    async def main():
        loop = aio.get_running_loop()
        with listening() as server, socket.socket() as client:
            assert client.getblocking()
            assert await loop.sock_connect(client, server.getsockname()) is None
            assert client.getpeername() == server.getsockname()

    aio.run(main())


def test_9_16_run_in_executor(aio):
    async def main():
        loop = aio.get_running_loop()
        ticks = 0
        go = threading.Event()

        async def ticker():
            nonlocal ticks
            while not go.is_set():
                ticks += 1
                if ticks == 100:
                    go.set()
                await aio.sleep(0)

        ticking = loop.create_task(ticker())
        assert await loop.run_in_executor(None, go.wait, 20) is True, "the loop ticks meanwhile"
        await ticking
        assert await loop.run_in_executor(None, threading.get_ident) != threading.get_ident()
        with ThreadPoolExecutor(1) as threads:
            assert await loop.run_in_executor(threads, pow, 2, 10) == 1024
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
            assert await loop.run_in_executor(processes, os.getpid) != os.getpid()

    aio.run(main())


def test_9_17_no_coroutine_decorator(aio):
    assert hasattr(aio, "coroutine") is hasattr(standard, "coroutine") is False


def test_9_18_policies():
    class Policy(standard.DefaultEventLoopPolicy):
        made = 0

        def new_event_loop(self):
            Policy.made += 1
            return super().new_event_loop()

    policy = plait.EventLoopPolicy()
    assert isinstance(policy, standard.AbstractEventLoopPolicy)
    loop = policy.new_event_loop()
    assert type(loop) is plait.EventLoop
    policy.set_event_loop(loop)
    assert policy.get_event_loop() is loop
    assert isinstance(policy._local, threading.local)
    loop.close()
    standard.set_event_loop_policy(Policy())
    try:
        standard.run(value())
        assert Policy.made == 1, "a policy of somebody else's goes on working"
    finally:
        standard.set_event_loop_policy(None)


def test_9_19_a_loop_that_the_user_chose(aio):
    class Own(standard.SelectorEventLoop):
        pass

    async def which():
        return type(aio.get_running_loop())

    with aio.Runner(loop_factory=Own) as runner:
        assert runner.run(which()) is Own
    with standard.Runner(loop_factory=plait.new_event_loop) as runner:
        assert runner.run(which()) is plait.EventLoop


def test_9_the_clock_of_the_loop(loop):
    assert abs(loop.time() - time.monotonic()) < 60
