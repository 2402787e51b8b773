"""A callback that raises, in every place where one can.

An Exception is reported and the loop goes on. KeyboardInterrupt and SystemExit leave the loop, which can be run again, and
nothing that was queued is lost.
"""

import asyncio
import os
import signal

import pytest
from peers import sockets, until


class Oops(Exception):
    pass


class OddOops(BaseException):
    """Neither an Exception nor one of the two that leave the loop: asyncio reports it."""


LEAVES = [KeyboardInterrupt, SystemExit]
STAYS = [Oops, OddOops]


def raiser(error):
    def callback(*_):
        raise error

    return callback


def soon(loop, callback):
    loop.call_soon(callback)


def threadsafe(loop, callback):
    loop.call_soon_threadsafe(callback)


def timer(loop, callback):
    loop.call_later(0, callback)


def done_callback(loop, callback):
    future = loop.create_future()
    future.add_done_callback(callback)
    future.set_result(None)


def task_done_callback(loop, callback):
    async def nothing():
        pass

    loop.create_task(nothing()).add_done_callback(callback)


PLACES = [soon, threadsafe, timer, done_callback, task_done_callback]


def spin(loop, turns=5):
    for _ in range(turns):
        loop.stop()
        loop.run_forever()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", STAYS)
def test_reported(loop, reports, place, kind):
    error = kind("oops")
    done = []
    place(loop, raiser(error))
    place(loop, done.append if place not in (soon, threadsafe, timer) else lambda: done.append(1))
    spin(loop)
    assert len(done) == 1, "what came after it ran"
    assert [report["exception"] for report in reports] == [error]
    assert reports[0]["message"].startswith("Exception in callback raiser.<locals>.callback(")
    assert isinstance(reports[0]["handle"], asyncio.Handle)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", LEAVES)
def test_leaves_the_loop(loop, reports, place, kind):
    error = kind("bye")
    done = []
    place(loop, raiser(error))
    loop.call_later(0, done.append, "timer")
    loop.call_soon(done.append, "soon")
    loop.call_soon_threadsafe(done.append, "threadsafe")
    with pytest.raises(kind) as caught:
        spin(loop)
    assert caught.value is error
    assert not loop.is_running() and not loop.is_closed()
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    spin(loop)
    assert sorted(done) == ["soon", "threadsafe", "timer"], "nothing that was queued is lost"
    assert reports == []


@pytest.mark.parametrize("direction", ["reader", "writer"])
def test_reader_or_writer(loop, run, reports, direction):
    error = Oops()

    async def main():
        with sockets() as (a, b):
            b.send(b"x")
            getattr(loop, f"add_{direction}")(a, raiser(error))
            await until(lambda: len(reports) >= 2)  # it stays: it is told again
            getattr(loop, f"remove_{direction}")(a)

    run(main())
    assert {report["exception"] for report in reports} == {error}


@pytest.mark.parametrize("direction", ["reader", "writer"])
@pytest.mark.parametrize("kind", LEAVES)
def test_reader_or_writer_leaves_the_loop(loop, direction, kind):
    with sockets() as (a, b), sockets() as (c, d):
        b.send(b"x")
        d.send(b"x")
        seen = []
        getattr(loop, f"add_{direction}")(a, raiser(kind()))
        getattr(loop, f"add_{direction}")(c, seen.append, 1)
        with pytest.raises(kind):
            spin(loop)
        getattr(loop, f"remove_{direction}")(a)
        spin(loop)
        assert seen
        getattr(loop, f"remove_{direction}")(c)


# ---- protocols


# ---- tasks and handlers


@pytest.mark.parametrize("kind", LEAVES)
def test_task_step(loop, reports, kind):
    """It leaves the loop and it is the task's outcome."""

    async def leave():
        await asyncio.sleep(0)
        raise kind("bye")

    other = loop.create_task(asyncio.sleep(0.001, "other"))
    task = loop.create_task(leave())
    with pytest.raises(kind, match="bye"):
        loop.run_forever()
    assert task.done() and isinstance(task.exception(), kind)
    assert loop.run_until_complete(other) == "other"
    assert reports == []


def test_task_step_with_an_odd_base_exception(loop, run, reports):
    async def odd():
        raise OddOops("odd")

    with pytest.raises(OddOops):
        run(odd())
    task = loop.create_task(odd())
    spin(loop)
    assert isinstance(task.exception(), OddOops)
    assert reports == []


@pytest.mark.parametrize("kind", [GeneratorExit, StopAsyncIteration])
def test_task_ends_with(run, kind):
    async def ends():
        raise kind

    with pytest.raises(kind):
        run(ends())


def test_coroutine_raises_stop_iteration(run):
    async def stops():
        raise StopIteration

    with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
        run(stops())


def test_exception_handler_raises(loop, caplog):
    loop.set_exception_handler(raiser(Oops("in the handler")))
    loop.call_soon(raiser(Oops("in the callback")))
    done = []
    loop.call_soon(done.append, 1)
    spin(loop)
    assert done == [1]
    assert [record.message.splitlines()[0] for record in caplog.records] == ["Unhandled error in exception handler"]


@pytest.mark.parametrize("kind", LEAVES)
def test_exception_handler_leaves_the_loop(loop, kind):
    loop.set_exception_handler(raiser(kind()))
    loop.call_soon(raiser(Oops()))
    with pytest.raises(kind):
        spin(loop)
    spin(loop)


def test_default_exception_handler(loop, caplog):
    def named_callback():
        1 / 0  # noqa: B018

    loop.call_soon(named_callback)
    spin(loop)
    (record,) = caplog.records
    assert record.name == "asyncio" and record.levelname == "ERROR"
    lines = record.message.splitlines()
    assert lines[0].startswith("Exception in callback test_default_exception_handler.<locals>.named_callback()")
    assert lines[1].startswith("handle: <Handle test_default_exception_handler.<locals>.named_callback()")
    assert record.exc_info[0] is ZeroDivisionError
    assert [frame.name for frame in __import__("traceback").extract_tb(record.exc_info[2])][-1] == "named_callback"


def test_custom_exception_handler_comes_and_goes(loop):
    def handler(*_):
        pass

    assert loop.get_exception_handler() is None
    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() is handler
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None


@pytest.mark.parametrize("kind", [*STAYS, *LEAVES])
def test_signal_handler(loop, reports, kind):
    """Like any callback."""
    error = kind("signal")
    loop.add_signal_handler(signal.SIGUSR1, raiser(error))
    os.kill(os.getpid(), signal.SIGUSR1)
    if kind in LEAVES:
        with pytest.raises(kind):
            spin(loop, 100)
    else:
        for _ in range(100):
            if not reports:
                spin(loop)
        assert [report["exception"] for report in reports] == [error]
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    spin(loop)


def test_python_signal_handler_raises(loop):
    """One set with signal.signal raises wherever the loop is, and the loop can be run again."""
    before = signal.signal(signal.SIGUSR1, raiser(Oops("signal")))
    try:
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        keep = loop.call_later(60, print)
        loop.set_exception_handler(lambda *_: loop.stop())
        try:
            loop.run_forever()  # reported when it hits a callback
        except Oops:
            pass
        keep.cancel()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert loop.run_until_complete(asyncio.sleep(0, "again")) == "again"
