"""anyio's asyncio back end, which leans on asyncio's private parts, on a plait loop."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

anyio = pytest.importorskip("anyio")
from_thread = pytest.importorskip("anyio.from_thread")
to_thread = pytest.importorskip("anyio.to_thread")

PATIENCE = 60.0
AnyioRun = Callable[[Callable[[], Awaitable[Any]]], Any]


@pytest.fixture
def options(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> dict[str, Any]:
    return {"backend": "asyncio", "backend_options": {"loop_factory": loop_factory}}


@pytest.fixture
def anyio_run(options: dict[str, Any]) -> AnyioRun:
    def run(main: Callable[[], Awaitable[Any]]) -> Any:
        async def with_patience() -> Any:
            with anyio.fail_after(PATIENCE):
                return await main()

        return anyio.run(with_patience, **options)

    return run


def test_task_group(anyio_run: AnyioRun) -> None:
    async def main() -> None:
        seen: list[int] = []

        async def child(number: int, *, task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
            task_status.started(number)
            await anyio.sleep(0)
            seen.append(number)

        async with anyio.create_task_group() as group:
            assert await group.start(child, 1) == 1
            for number in (2, 3):
                group.start_soon(child, number)
        assert sorted(seen) == [1, 2, 3]

    anyio_run(main)


def test_an_error_cancels_the_others(anyio_run: AnyioRun) -> None:
    async def main() -> None:
        cancelled: list[str] = []

        async def waits() -> None:
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                cancelled.append("waits")
                raise

        async def fails() -> None:
            await anyio.sleep(0)
            raise LookupError("lost")

        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as group:
                group.start_soon(waits)
                group.start_soon(fails)
        (error,) = caught.value.exceptions
        assert isinstance(error, LookupError)
        assert cancelled == ["waits"]
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0

    anyio_run(main)


def test_cancel_scopes(anyio_run: AnyioRun) -> None:
    async def main() -> None:
        with anyio.move_on_after(0) as outer:
            with anyio.CancelScope(shield=True) as inner:
                await anyio.sleep(0)
            assert not inner.cancelled_caught
            await anyio.sleep_forever()
        assert outer.cancelled_caught
        with pytest.raises(TimeoutError), anyio.fail_after(0):
            await anyio.sleep_forever()
        with anyio.CancelScope() as scope:
            scope.cancel()
            for _ in range(3):  # level-triggered: every await inside is cancelled anew
                with contextlib.suppress(anyio.get_cancelled_exc_class()):
                    await anyio.sleep_forever()
                    raise AssertionError("the scope is cancelled")
            await anyio.sleep(0)
        assert scope.cancelled_caught
        await anyio.lowlevel.checkpoint()

    anyio_run(main)


def test_the_host_task_cancelled_natively(anyio_run: AnyioRun) -> None:
    async def main() -> None:
        entered = asyncio.Event()

        async def victim() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                entered.set()
                await anyio.sleep_forever()

        task = asyncio.create_task(victim())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    anyio_run(main)


def test_threads(anyio_run: AnyioRun) -> None:
    async def main() -> None:
        loop_thread = threading.get_ident()

        async def on_the_loop(number: int) -> int:
            await anyio.sleep(0)
            assert threading.get_ident() == loop_thread
            return number * 2

        def in_a_thread(number: int) -> int:
            assert threading.get_ident() != loop_thread
            return from_thread.run(on_the_loop, number) + from_thread.run_sync(int, "1")

        assert await to_thread.run_sync(in_a_thread, 20) == 41
        limiter = anyio.CapacityLimiter(2)
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(lambda number=number: to_thread.run_sync(in_a_thread, number, limiter=limiter))
        assert limiter.borrowed_tokens == 0

    anyio_run(main)


def test_blocking_portal(options: dict[str, Any]) -> None:
    async def double(number: int) -> int:
        await anyio.sleep(0)
        return number * 2

    with from_thread.start_blocking_portal(**options) as portal:
        assert portal.call(double, 21) == 42
        assert [portal.start_task_soon(double, number).result(PATIENCE) for number in range(5)] == [0, 2, 4, 6, 8]
        waiting = portal.start_task_soon(anyio.sleep_forever)
        assert waiting.cancel()


def test_sockets(anyio_run: AnyioRun) -> None:
    large = b"x" * 1_000_000

    async def main() -> None:
        async def serve(stream: Any) -> None:
            async with stream:
                async for data in stream:
                    await stream.send(data)

        async def client(address: tuple[str, int]) -> None:
            async with await anyio.connect_tcp(*address) as stream:
                assert stream.extra(anyio.abc.SocketAttribute.remote_address) == address
                async with anyio.create_task_group() as group:
                    group.start_soon(send_all, stream)
                    received = 0
                    async for data in stream:
                        received += len(data)
                assert received == len(large)

        async def send_all(stream: Any) -> None:
            await stream.send(large)
            await stream.send_eof()

        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        address = listener.extra(anyio.abc.SocketAttribute.local_address)
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, serve)
            async with anyio.create_task_group() as clients:
                for _ in range(5):
                    clients.start_soon(client, address)
            group.cancel_scope.cancel()

    anyio_run(main)


def test_waiting_for_a_descriptor(anyio_run: AnyioRun) -> None:
    import socket

    async def main() -> None:
        here, there = socket.socketpair()
        with here, there:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.wait_readable, here)
                await anyio.wait_writable(there)
                there.send(b"x")
            assert here.recv(10) == b"x"

    anyio_run(main)


def test_memory_streams_and_primitives(anyio_run: AnyioRun) -> None:
    async def main() -> None:
        send, receive = anyio.create_memory_object_stream(1)
        lock, condition = anyio.Lock(), anyio.Condition()
        seen: list[int] = []

        async def produce() -> None:
            async with send:
                for number in range(10):
                    await send.send(number)

        async def consume() -> None:
            async with receive.clone() as mine:
                async for number in mine:
                    async with lock:
                        seen.append(number)
                    async with condition:
                        condition.notify_all()

        async with anyio.create_task_group() as group, receive:
            group.start_soon(produce)
            group.start_soon(consume)
            group.start_soon(consume)
            async with condition:
                while len(seen) < 10:
                    await condition.wait()
        assert sorted(seen) == list(range(10))

    anyio_run(main)


def test_files_and_signals(anyio_run: AnyioRun, tmp_path: Path) -> None:
    import os
    import signal

    async def main() -> None:
        path = anyio.Path(tmp_path / "file")
        await path.write_text("one\ntwo\n")
        async with await anyio.open_file(path) as file:
            assert [line async for line in file] == ["one\n", "two\n"]
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            os.kill(os.getpid(), signal.SIGUSR1)
            async for number in signals:
                assert number == signal.SIGUSR1
                break

    anyio_run(main)
