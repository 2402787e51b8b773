"""The private attributes of asyncio's objects that packages read: each is there on plait's, and tells the truth.

They are for reading: ``_ready`` and ``_scheduled`` are snapshots, and to change them changes nothing.
"""

import asyncio
import concurrent.futures
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[[Any], Any]


async def wait_until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_loop_at_rest(loop_factory: Callable[[], Any]) -> None:
    loop = loop_factory()
    assert loop._closed is False
    assert loop._thread_id is None
    assert loop._check_closed() is None
    assert loop._default_executor is None
    assert len(loop._ready) == len(loop._scheduled) == 0
    assert dict(loop._signal_handlers) == {}
    loop.close()
    assert loop._closed is True
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop._check_closed()


def test_loop_running(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        assert loop._thread_id == threading.get_ident()
        assert loop._debug is loop.get_debug()
        assert loop._check_running.__name__ == "_check_running"
        with pytest.raises(RuntimeError):
            loop._check_running()

    run(main())


def test_loop_ready_and_scheduled(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        queued, timers = len(loop._ready), len(loop._scheduled)
        handle = loop.call_soon(print)
        assert len(loop._ready) == queued + 1
        assert any(entry is handle for entry in loop._ready)
        timer = loop.call_later(3600, print)
        assert len(loop._scheduled) == timers + 1
        assert any(entry is timer for entry in loop._scheduled)
        assert timer._when == timer.when()
        assert timer._scheduled
        handle.cancel()
        timer.cancel()

    run(main())


def test_loop_selector(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        here, there = socket.socketpair()
        with here, there:
            loop.add_reader(here, print)
            assert here.fileno() in loop._selector.get_map()
            assert loop._selector.get_key(here.fileno()).fd == here.fileno()
            loop.remove_reader(here)
            assert here.fileno() not in loop._selector.get_map()

    run(main())


def test_loop_signal_handlers(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        assert signal.SIGUSR1 in loop._signal_handlers
        assert loop.remove_signal_handler(signal.SIGUSR1)
        assert signal.SIGUSR1 not in loop._signal_handlers

    run(main())


def test_loop_default_executor(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        await loop.run_in_executor(None, int)
        assert isinstance(loop._default_executor, concurrent.futures.ThreadPoolExecutor)

    run(main())


def test_write_to_self_wakes_the_loop(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop._write_to_self()
        seen = asyncio.Event()

        def from_a_thread() -> None:
            loop.call_soon_threadsafe(seen.set)
            loop._write_to_self()

        thread = threading.Thread(target=from_a_thread)
        thread.start()
        await seen.wait()
        thread.join()

    run(main())


def test_future(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future: Any = loop.create_future()
        assert future._loop is loop
        assert future._state == "PENDING"
        assert future._exception is None
        assert future._asyncio_future_blocking is False
        assert not future._callbacks
        future.add_done_callback(print)
        ((callback, _context),) = future._callbacks
        assert callback is print
        assert future.remove_done_callback(print) == 1
        error = LookupError()
        future.set_exception(error)
        assert future._state == "FINISHED"
        assert future._exception is error
        assert future._log_traceback is True
        assert future.exception() is error
        assert future._log_traceback is False
        with_result: Any = loop.create_future()
        with_result.set_result(42)
        assert with_result._result == 42

    run(main())


def test_task(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future: Any = loop.create_future()

        async def waits() -> Any:
            return await future

        coroutine = waits()
        task: Any = loop.create_task(coroutine)
        assert task._coro is coroutine
        assert task._loop is loop
        assert task._state == "PENDING"
        assert task._fut_waiter is None
        assert task._must_cancel is False
        assert task._log_destroy_pending is True
        assert task.cancel()
        assert task._must_cancel is True  # not begun yet
        await asyncio.wait([task])
        assert task._state == "CANCELLED"

        task = loop.create_task(waits())
        await wait_until(lambda: task._fut_waiter)
        assert task._fut_waiter is future
        # What a future calls when a task waits for it leads back to the task.
        ((wakeup, _context),) = future._callbacks
        assert wakeup.__self__ is task
        task.cancel()
        assert task._must_cancel is False  # passed on
        await asyncio.wait([task])

    run(main())


def test_transport_and_server(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted = loop.create_future()
        released = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.set_result(writer.transport)
            await released.wait()
            writer.close()

        server: Any = await asyncio.start_server(serve, "127.0.0.1", 0)
        assert server._loop is loop
        assert [sock.getsockname() for sock in server._sockets] == [sock.getsockname() for sock in server.sockets]
        assert server._serving
        assert server._serving_forever_fut is None
        forever = asyncio.create_task(server.serve_forever())
        await wait_until(lambda: server._serving_forever_fut)
        assert isinstance(server._serving_forever_fut, asyncio.Future)

        transport, protocol = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
        for each in (transport, await accepted):
            check_transport(each, loop)
        assert transport._protocol is transport.get_protocol() is protocol  # type: ignore[attr-defined]
        assert (await accepted)._server is server
        transport.close()
        released.set()
        forever.cancel()
        await asyncio.wait([forever])

    def check_transport(transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        assert transport._loop is loop
        assert transport._sock.fileno() == transport._sock_fd == transport.get_extra_info("socket").fileno()
        assert transport._sock.getsockname() == transport.get_extra_info("sockname")
        assert transport._closing is transport.is_closing() is False
        assert transport._extra["peername"] == transport.get_extra_info("peername")

    run(main())
