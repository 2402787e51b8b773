"""Between the futures of threads and those of a loop: cancellation both ways, errors, loops that are closed meanwhile."""

import asyncio
import concurrent.futures
import gc
import threading
import weakref

import plait
import pytest
from futures_sides import SIDES, Gate
from plait import _executors, _native


@pytest.fixture(params=SIDES)
def pool(request):
    """A pool of either side, on either loop."""
    with SIDES[request.param].ThreadPoolExecutor(2) as pool:
        yield pool


def test_what_runs(loop, run):
    native = type(loop) is plait.EventLoop
    run(loop.run_in_executor(None, int))
    assert (type(loop._default_executor) is _executors.ThreadPoolExecutor) is native
    assert (type(loop.run_in_executor(None, int)) is plait.Future) is native
    if native:
        gate = Gate()
        workers = loop._default_executor._max_workers
        waiting = [loop.run_in_executor(None, gate) for _ in range(workers + 1)]
        gate.await_inside(workers)
        # The pool's queue has the loop's own future, which is seen when it is taken out by hand.
        item = loop._default_executor._work_queue.get_nowait()
        assert type(item) is _native.WorkItem
        item.future.cancel()
        gate.open()
        results = run(asyncio.wait(waiting))[0]
        assert [future.cancelled() for future in waiting] == [False] * (len(waiting) - 1) + [True] and len(results) == len(waiting)


def test_a_cancelled_call_that_is_taken_out_by_hand(loop, run, pool):
    gate, made = Gate(), []

    async def main():
        busy = [loop.run_in_executor(pool, gate) for _ in range(2)]
        gate.await_inside(2)
        cancelled = loop.run_in_executor(pool, made.append, 1)
        cancelled.cancel()
        await asyncio.sleep(0)
        item = pool._work_queue.get_nowait()
        assert item.future.cancelled()
        item.run()
        gate.open()
        await asyncio.wait(busy)

    run(main())
    assert made == []


def test_results_and_exceptions(loop, run, pool):
    class Mine(Exception):
        pass

    def fails(error):
        raise error

    async def main():
        assert await loop.run_in_executor(pool, divmod, 7, 2) == (3, 1)
        with pytest.raises(Mine, match="^lost$"):
            await loop.run_in_executor(pool, fails, Mine("lost"))
        for error, seen in (
            (concurrent.futures.CancelledError("c"), asyncio.CancelledError),
            (concurrent.futures.InvalidStateError("i"), asyncio.InvalidStateError),
            (TimeoutError("t"), TimeoutError),
        ):
            future = loop.run_in_executor(pool, fails, error)
            with pytest.raises(seen):
                await future
        assert type(await asyncio.wait_for(loop.run_in_executor(pool, threading.current_thread), 10)) is threading.Thread

    run(main())


def test_cancelled_before_it_begins_it_is_not_made(loop, run):
    async def main(pool):
        gate, made = Gate(), []
        runs = loop.run_in_executor(pool, gate, 1)
        gate.await_inside(1)
        waits = loop.run_in_executor(pool, made.append, 1)
        last = loop.run_in_executor(pool, made.append, 2)
        assert waits.cancel()
        await asyncio.sleep(0)  # asyncio passes it on in the loop's next turn
        with pytest.raises(asyncio.CancelledError):
            await waits
        gate.open()
        assert await runs == 1 and await last is None
        assert made == [2]

    for futures in SIDES.values():
        with futures.ThreadPoolExecutor(1) as pool:
            run(main(pool))


def test_cancelled_while_it_runs_its_result_is_dropped(loop, run, pool, reports):
    async def main():
        gate = Gate()
        runs = loop.run_in_executor(pool, gate, 1)
        gate.await_inside(1)
        runs.cancel()
        with pytest.raises(asyncio.CancelledError):
            await runs
        gate.open()
        assert await loop.run_in_executor(pool, gate, 2) == 2
        assert runs.cancelled()

    run(main())
    assert not reports


def test_a_pool_that_cancels_cancels_the_task(loop, run):
    async def main(pool):
        gate = Gate()
        runs, waits = loop.run_in_executor(pool, gate, 1), loop.run_in_executor(pool, gate, 2)
        gate.await_inside(1)
        pool.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(asyncio.CancelledError):
            await waits
        gate.open()
        assert await runs == 1
        with pytest.raises(RuntimeError, match="^cannot schedule new futures after shutdown$"):
            loop.run_in_executor(pool, int)

    for futures in SIDES.values():
        run(main(futures.ThreadPoolExecutor(1)))


def test_an_initializer_that_fails(loop, run, caplog):
    async def main(pool):
        with pytest.raises(concurrent.futures.BrokenExecutor):
            await loop.run_in_executor(pool, int)
        with pytest.raises(concurrent.futures.BrokenExecutor):
            loop.run_in_executor(pool, int)

    for futures in SIDES.values():
        with futures.ThreadPoolExecutor(1, initializer=divmod, initargs=(1, 0)) as pool:
            run(main(pool))
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("wrap", [asyncio.wrap_future, plait.asyncio.wrap_future], ids=["asyncio", "plait"])
@pytest.mark.parametrize("side", SIDES)
def test_wrap_future(loop, run, wrap, side):
    futures = SIDES[side]

    async def main():
        for end, seen in (("set_result", 5), ("set_exception", LookupError("lost"))):
            source = futures.Future()
            wrapped = wrap(source)
            assert asyncio.isfuture(wrapped) and wrap(wrapped) is wrapped
            if (wrap, side) == (plait.asyncio.wrap_future, "plait") and type(loop) is plait.EventLoop:
                assert source._is_open is False
                assert "_chain_future" in repr(wrapped)
            thread = threading.Thread(target=getattr(source, end), args=[seen])
            thread.start()
            done, _ = await asyncio.wait([wrapped])
            assert (wrapped.exception() or wrapped.result()) is seen and done == {wrapped}
            thread.join()
            again = wrap(source, loop=loop)
            await asyncio.wait([again])
            assert (again.exception() or again.result()) is seen
        source = futures.Future()
        wrapped = wrap(source)
        wrapped.cancel()
        await asyncio.sleep(0)
        assert source.cancelled()
        source = futures.Future()
        wrapped = wrap(source)
        source.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wrapped
        running = futures.Future()
        wrapped = wrap(running)
        running.set_running_or_notify_cancel()
        wrapped.cancel()
        await asyncio.sleep(0)
        running.set_result("nobody wants it")
        await asyncio.sleep(0)
        assert wrapped.cancelled() and not running.cancelled()

    run(main())
    with pytest.raises(AssertionError, match=r"^concurrent\.futures\.Future is expected, got 3$"):
        wrap(3, loop=loop)


@pytest.mark.parametrize(
    "ask", [asyncio.run_coroutine_threadsafe, plait.asyncio.run_coroutine_threadsafe], ids=["asyncio", "plait"]
)
def test_run_coroutine_threadsafe(loop, run, ask):
    class Leaves(BaseException):
        pass

    async def double(n):
        await asyncio.sleep(0)
        if n < 0:
            raise LookupError("lost")
        return 2 * n

    async def waits(begun):
        try:
            begun.set()
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    ended = []

    def asks():
        native = ask is not asyncio.run_coroutine_threadsafe
        future = ask(double(4), loop)
        assert (type(future) is _native.ConcurrentFuture) is native and isinstance(future, concurrent.futures.Future)
        assert future.result(10) == 8
        with pytest.raises(LookupError, match="^lost$"):
            ask(double(-1), loop).result(10)
        begun = threading.Event()
        future = ask(waits(begun), loop)
        assert begun.wait(10) and future.cancel() and future.cancelled()
        with pytest.raises(TypeError, match="^A coroutine object is required$"):
            ask(3, loop)
        return ask(double(1), loop).result(10)

    async def main():
        return await asyncio.to_thread(asks)

    assert run(main()) == 2 and ended == [True]


def test_default_executors(loop, run, pool):
    with pytest.raises(TypeError, match="^executor must be ThreadPoolExecutor instance$"):
        loop.set_default_executor(concurrent.futures.Executor())
    loop.set_default_executor(pool)
    assert run(loop.run_in_executor(None, threading.current_thread)) in pool._threads
    run(loop.shutdown_default_executor())
    assert loop._default_executor is pool
    with pytest.raises(RuntimeError, match="^Executor shutdown has been called$"):
        loop.run_in_executor(None, int)
    with pytest.raises(RuntimeError, match="^Executor shutdown has been called$"):
        run(loop.getaddrinfo("127.0.0.1", 1))


def test_an_executor_of_ones_own(loop, run):
    class Inline(concurrent.futures.Executor):
        def submit(self, fn, /, *args):
            future = concurrent.futures.Future()
            future.set_result(fn(*args))
            return future

    assert run(loop.run_in_executor(Inline(), divmod, 9, 2)) == (4, 1)
    with concurrent.futures.ProcessPoolExecutor(1) as processes:
        assert run(loop.run_in_executor(processes, divmod, 9, 4)) == (2, 1)


def test_debug_mode_refuses_coroutines(loop, run, pool):
    async def coroutine():
        pass

    loop.set_debug(True)
    with pytest.raises(TypeError, match="^coroutines cannot be used with run_in_executor"):
        loop.run_in_executor(pool, coroutine)
    assert run(loop.run_in_executor(pool, abs, -3)) == 3


def test_closed_loops(make_loop, pool):
    loop, gate = make_loop(), Gate()
    futures = [loop.run_in_executor(pool, gate, n) for n in range(4)]
    gate.await_inside(2)
    known = [weakref.ref(future) for future in futures]
    loop.close()
    with pytest.raises(RuntimeError, match="^Event loop is closed$"):
        loop.run_in_executor(pool, int)
    gate.open()
    pool.shutdown()
    del futures
    gc.collect()
    assert [ref() for ref in known] == [None] * 4


def test_many_at_once(loop, run, pool):
    async def main():
        return await asyncio.gather(*(loop.run_in_executor(pool, abs, -n) for n in range(2000)))

    assert run(main()) == list(range(2000))


def test_a_time_out_of_the_shutdown(loop, run):
    """Python 3.12 and later."""
    gate = Gate()
    futures = [loop.run_in_executor(None, gate) for _ in range(2)]
    gate.await_inside(2)
    try:
        shut_down = loop.shutdown_default_executor(0.01)
    except TypeError:
        gate.open()
        run(asyncio.wait(futures))
        pytest.skip("no time-out before 3.12")
    if asyncio.BaseEventLoop.shutdown_default_executor.__code__.co_names.count("timeouts") == 0:
        gate.open()  # 3.12.1 waits for the future without a time-out
        run(shut_down)
    else:
        with pytest.warns(RuntimeWarning, match=r"did not finishing joining its threads within 0\.01 seconds"):
            run(shut_down)
    gate.open()
    run(asyncio.wait(futures))
