"""Running, stopping, closing."""

import asyncio
import gc

import pytest


async def value(result):
    await asyncio.sleep(0)
    return result


def test_run_until_complete(run, loop):
    assert run(value(1)) == 1
    future = loop.create_future()
    loop.call_soon(future.set_result, 2)
    assert run(future) == 2
    assert run(loop.create_task(value(3))) == 3


def test_run_until_complete_raises_what_the_coroutine_raised(run):
    async def fails():
        raise LookupError("seven")

    with pytest.raises(LookupError, match="seven"):
        run(fails())


def test_stopped_before_the_future_is_done(run, loop):
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match=r"^Event loop stopped before Future completed\.$"):
        run(future)
    future.cancel()


def test_stop_ends_the_iteration_it_falls_into(loop):
    done = []
    loop.call_soon(done.append, 1)
    loop.call_soon(loop.stop)
    loop.call_soon(done.append, 2)
    loop.call_soon(lambda: loop.call_soon(done.append, "next iteration"))
    loop.run_forever()
    assert done == [1, 2]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert done == [1, 2, "next iteration"]


def test_stopped_before_it_runs(loop):
    done = []
    loop.call_soon(done.append, 1)
    loop.stop()
    loop.run_forever()
    assert done == [1]
    assert not loop.is_running()


def test_is_running_and_is_closed(loop):
    seen = []
    loop.call_soon(lambda: seen.append((loop.is_running(), loop.is_closed(), asyncio.get_running_loop() is loop)))
    loop.call_soon(loop.stop)
    assert (loop.is_running(), loop.is_closed()) == (False, False)
    loop.run_forever()
    assert seen == [(True, False, True)]
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    loop.close()
    loop.close()
    assert (loop.is_running(), loop.is_closed()) == (False, True)


def test_repr(loop):
    assert repr(loop).endswith(" running=False closed=False debug=False>")
    loop.set_debug(True)
    loop.close()
    assert repr(loop).endswith(" running=False closed=True debug=True>")


def test_running_twice_is_refused(run, loop, make_loop):
    other = make_loop()

    async def nested(inner):
        coro = value(0)
        with pytest.raises(RuntimeError) as caught:
            inner.run_until_complete(coro)
        coro.close()
        return str(caught.value)

    assert run(nested(loop)) == "This event loop is already running"
    assert run(nested(other)) == "Cannot run the event loop while another loop is running"


def test_closing_a_running_loop_is_refused(run, loop):
    async def close():
        with pytest.raises(RuntimeError, match="^Cannot close a running event loop$"):
            loop.close()

    run(close())
    assert not loop.is_closed()


def test_close_drops_what_is_queued(loop):
    done = []
    loop.call_soon(done.append, 1)
    loop.call_later(0, done.append, 2)
    loop.call_soon_threadsafe(done.append, 3)
    loop.close()
    assert done == []


def test_time_is_monotonic_clock(loop):
    import time

    before = time.monotonic()
    now = loop.time()
    assert isinstance(now, float) and before <= now <= time.monotonic()


def test_a_loop_dropped_unclosed_warns(factory):
    loop = factory()
    shown = repr(loop)
    with pytest.warns(ResourceWarning) as caught:
        del loop
        gc.collect()
    assert [str(warning.message) for warning in caught] == [f"unclosed event loop {shown}"]


def test_many_runs(run):
    assert [run(value(i)) for i in range(200)] == list(range(200))


def test_collecting_garbage_while_running(run):
    async def collect():
        for _ in range(5):
            gc.collect()
            await asyncio.sleep(0)

    run(collect())
