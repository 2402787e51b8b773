"""What the garbage collector finds: pending tasks nobody holds, cycles through every native object, unclosed loops."""

import asyncio
import gc
import sys
import weakref

import plait
import pytest


class Thing:
    """Something to be found again by a weak reference."""


def collected(ref):
    gc.collect()
    return ref() is None


def messages(reports):
    return [report["message"] for report in reports]


def spin(loop):
    loop.stop()
    loop.run_forever()


async def forever(*held):
    await asyncio.get_running_loop().create_future()


def test_a_pending_task_that_nobody_references_is_collected(loop, run, reports):
    async def main():
        ref = weakref.ref(loop.create_task(forever()))
        await asyncio.sleep(0)
        assert ref() in asyncio.all_tasks()
        assert collected(ref)

    run(main())
    assert messages(reports) == ["Task was destroyed but it is pending!"]


def test_a_pending_task_that_the_loop_will_wake_is_kept(loop, run):
    async def main():
        done = []

        async def sleeper():
            await asyncio.sleep(0.001)
            done.append(1)

        loop.create_task(sleeper())
        while not done:
            gc.collect()
            await asyncio.sleep(0)

    run(main())


def test_the_message_names_the_task_and_its_source(loop, run, reports):
    loop.set_debug(True)

    async def main():
        task = loop.create_task(forever(), name="lost")
        await asyncio.sleep(0)
        del task
        gc.collect()

    run(main())
    (report,) = reports
    assert report["task"].get_name() == "lost"
    assert report["source_traceback"][-1].name == "main"


def test_no_message_when_it_was_switched_off(loop, run, reports):
    async def main():
        task = loop.create_task(forever())
        task._log_destroy_pending = False
        await asyncio.sleep(0)
        del task
        gc.collect()

    run(main())
    assert reports == []


def test_an_exception_that_was_never_retrieved(loop, reports):
    error = LookupError("nobody looked")
    future = loop.create_future()
    future.set_exception(error)
    del future

    async def fails():
        raise error

    task = loop.create_task(fails())
    spin(loop)
    del task
    gc.collect()
    assert messages(reports) == ["Future exception was never retrieved", "Task exception was never retrieved"]
    assert [report["exception"] for report in reports] == [error, error]
    assert all(isinstance(report["future"], asyncio.Future) for report in reports)


@pytest.mark.parametrize("look", ["result", "exception", "await"])
def test_an_exception_that_was_retrieved(loop, run, reports, look):
    future = loop.create_future()
    future.set_exception(LookupError())

    async def awaits(future):
        await future

    if look == "exception":
        future.exception()
    else:
        with pytest.raises(LookupError):
            run(awaits(future)) if look == "await" else future.result()
    del future
    gc.collect()
    assert reports == []


def test_a_subclass_with_a_finalizer_of_its_own(loop):
    died = []

    class Future(plait.Future):
        def __del__(self):
            died.append(self.done())
            super().__del__()

    future = Future(loop=loop)
    future.set_result(1)
    del future
    assert died == [True]


def test_resurrected_by_its_finalizer(loop):
    saved = []
    loop.set_exception_handler(lambda _, context: saved.append(context["future"]))
    future = loop.create_future()
    future.set_exception(LookupError())
    number = id(future)
    del future
    gc.collect()
    assert id(saved[0]) == number
    with pytest.raises(LookupError):
        saved[0].result()
    ref = weakref.ref(saved[0])
    saved.clear()
    assert collected(ref)


# ---- cycles


def cycle_future_and_callback(loop):
    future = loop.create_future()
    future.add_done_callback(lambda _, held=future: held)
    return future


def cycle_future_and_result(loop):
    future = loop.create_future()
    future.set_result([future])
    return future


def cycle_future_and_exception(loop):
    future = loop.create_future()
    error = ValueError()
    error.held = future
    future.set_exception(error)
    future.exception()
    return future


def cycle_future_and_attribute(loop):
    future = loop.create_future()
    future.held = future
    return future


def cycle_cancel_message(loop):
    future = loop.create_future()
    future.cancel([future])
    return future


def cycle_task_and_its_coroutine(loop):
    async def coro():
        held = task  # noqa: F841
        await loop.create_future()

    task = loop.create_task(coro())
    task._log_destroy_pending = False
    spin(loop)
    return task


def cycle_two_tasks(loop):
    async def coro():
        await tasks[1]

    async def other():
        await loop.create_future()

    tasks = []
    tasks += [loop.create_task(coro()), loop.create_task(other())]
    for task in tasks:
        task._log_destroy_pending = False
    spin(loop)
    spin(loop)
    return tasks[0]


def cycle_task_and_its_result(loop):
    async def coro():
        return [task]

    task = loop.create_task(coro())
    spin(loop)
    return task


def cycle_task_and_name(loop):
    async def coro():
        pass

    class Name(str):
        pass

    name = Name("name")
    task = loop.create_task(coro(), name=name)
    name.held = task
    spin(loop)
    return task


CYCLES = [value for name, value in list(globals().items()) if name.startswith("cycle_")]


@pytest.mark.parametrize("make", CYCLES)
def test_cycle(loop, make):
    ref = weakref.ref(make(loop))
    assert collected(ref)


def handle_and_object(loop):
    thing = Thing()
    thing.handle = loop.call_later(3600, lambda: thing)
    thing.handle.cancel()
    return thing


def cancelled_handle(loop):
    thing = Thing()
    thing.handle = loop.call_soon(lambda: thing)
    spin(loop)
    return thing


def reader(loop):
    import socket

    thing = Thing()
    thing.a, thing.b = socket.socketpair()
    with thing.a, thing.b:
        loop.add_reader(thing.a, lambda: thing)
        loop.remove_reader(thing.a)
    return thing


def exception_handler(loop):
    thing = Thing()
    loop.set_exception_handler(lambda *_: thing)
    loop.set_exception_handler(None)
    return thing


@pytest.mark.parametrize("make", [handle_and_object, cancelled_handle, reader, exception_handler])
def test_the_loop_lets_go(loop, make):
    ref = weakref.ref(make(loop))
    assert collected(ref)


# ---- loops


def holds_itself(loop):
    loop.held = loop


def holds_ready(loop):
    loop.call_soon(print, loop)


def holds_posted(loop):
    loop.call_soon_threadsafe(print, loop)


def holds_timer(loop):
    loop.call_later(3600, print, loop)


def holds_exception_handler(loop):
    loop.set_exception_handler(lambda *_: loop)


def holds_task(loop):
    async def coro():
        pass

    loop.create_task(coro())._log_destroy_pending = False


def holds_future(loop):
    future = loop.create_future()
    future.add_done_callback(lambda _: loop)
    loop.held = future


def holds_factory(loop):
    loop.set_task_factory(lambda *args, **kwargs: loop)


LOOPS = [value for name, value in list(globals().items()) if name.startswith("holds_")]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:coroutine:RuntimeWarning")
@pytest.mark.parametrize("closes", [True, False], ids=["closed", "unclosed"])
@pytest.mark.parametrize("hold", LOOPS)
def test_a_dropped_loop_is_collected_and_closed(hold, closes):
    from peers import open_descriptors

    gc.collect()
    before = open_descriptors()
    loop = plait.new_event_loop()
    hold(loop)
    if closes:
        loop.close()
    ref = weakref.ref(loop)
    del loop
    assert collected(ref)
    assert open_descriptors() == before


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_loop_dropped_with_connections_open():
    """Transports and listeners are part of the cycle; every descriptor is closed."""
    from peers import open_descriptors

    gc.collect()
    before = open_descriptors()

    async def main():
        server = await asyncio.start_server(lambda r, w: asyncio.sleep(3600), "127.0.0.1", 0)
        pairs = [await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(5)]
        await asyncio.sleep(0)
        return weakref.ref(pairs[0][1].transport)

    loop = plait.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    ref = loop.run_until_complete(main())
    loop_ref = weakref.ref(loop)
    del loop
    for _ in range(3):
        gc.collect()
    assert ref() is None and loop_ref() is None
    assert open_descriptors() == before


def test_references_are_balanced(loop, run):
    """Thousands of operations leave the counts of what they touched as they were."""
    thing = Thing()
    before = sys.getrefcount(thing)

    async def passes(value):
        await asyncio.sleep(0)
        return value

    async def main():
        for _ in range(500):
            assert await passes(thing) is thing
            assert await loop.create_task(passes(thing)) is thing
            future = loop.create_future()
            loop.call_soon(future.set_result, thing)
            assert await future is thing
            loop.call_later(0, id, thing)
            loop.call_later(3600, id, thing).cancel()
            loop.call_soon_threadsafe(id, thing)
        await asyncio.sleep(0.001)

    run(main())
    gc.collect()
    assert sys.getrefcount(thing) == before
