"""anyio's asyncio back end, which leans on asyncio's private parts: by ``anyio.run``, and inside a loop that runs."""

import os
import signal
import ssl
import sys
import threading
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_process
import anyio.to_thread
import stage
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.stapled import MultiListener
from anyio.streams.tls import TLSListener, TLSStream
from stage import check

LARGE = os.urandom(4 * 1024 * 1024)
BACKEND: dict[str, Any] = {"backend": "asyncio", "backend_options": stage.runner_options()}


@check
def anyio_run_makes_the_right_loop() -> None:
    async def main() -> str:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0)
        return stage.loop_name()

    assert anyio.run(main, **BACKEND) == stage.LOOP


@check
async def task_groups_and_cancel_scopes() -> None:
    seen: list[object] = []

    async def child(number: int, *, task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
        try:
            task_status.started(number)
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.001)
                seen.append(number)

    async with anyio.create_task_group() as group:
        assert [await group.start(child, number) for number in range(100)] == list(range(100))
        group.cancel_scope.cancel()
    assert sorted(seen) == list(range(100))
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(child, 1000)
            await anyio.sleep(0)
            raise LookupError
    except* LookupError:
        seen.append("raised")
    assert seen[-2:] == [1000, "raised"]
    with anyio.move_on_after(0.01) as scope:
        await anyio.sleep_forever()
    assert scope.cancelled_caught
    try:
        with anyio.fail_after(0.01):
            await anyio.sleep_forever()
        raise AssertionError("did not fail")
    except TimeoutError:
        pass
    with anyio.CancelScope() as outer, anyio.CancelScope():
        outer.cancel()
        await anyio.sleep_forever()
    assert outer.cancelled_caught


@check
async def memory_streams_locks_and_limiters() -> None:
    send, receive = anyio.create_memory_object_stream[int](5)
    limiter, lock, inside, total = anyio.CapacityLimiter(3), anyio.Lock(), 0, 0

    async def produce(stream: Any, start: int) -> None:
        async with stream:
            for number in range(start, start + 100):
                await stream.send(number)

    async def consume(stream: Any) -> None:
        nonlocal inside, total
        async with stream:
            async for number in stream:
                async with limiter:
                    inside += 1
                    assert inside <= 3
                    await anyio.sleep(0)
                    inside -= 1
                async with lock:
                    total += number

    async with anyio.create_task_group() as group, send, receive:
        for part in range(5):
            group.start_soon(produce, send.clone(), part * 100)
            group.start_soon(consume, receive.clone())
    assert total == sum(range(500))


@check
async def tcp() -> None:
    async def echo(stream: SocketStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)

    async def client(port: int) -> None:
        got = bytearray()
        async with await anyio.connect_tcp("127.0.0.1", port) as stream, anyio.create_task_group() as group:

            async def write() -> None:
                await stream.send(LARGE)
                await stream.send_eof()

            group.start_soon(write)
            async for data in stream:
                got += data
        assert got == LARGE

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        async with anyio.create_task_group() as clients:
            for _ in range(5):
                clients.start_soon(client, listener.extra(anyio.abc.SocketAttribute.local_port))
        group.cancel_scope.cancel()
    try:
        await anyio.connect_tcp("127.0.0.1", 1)
        raise AssertionError("somebody answered")
    except OSError:
        pass


@check
async def threads_both_ways() -> None:
    def in_thread() -> str:
        anyio.from_thread.check_cancelled()
        assert threading.current_thread() is not threading.main_thread()
        return anyio.from_thread.run(coroutine) + anyio.from_thread.run_sync(stage.loop_name)

    async def coroutine() -> str:
        await anyio.sleep(0)
        return "here "

    assert await anyio.to_thread.run_sync(in_thread) == "here " + stage.LOOP


@check
def a_blocking_portal() -> None:
    async def double(number: int) -> tuple[int, str]:
        await anyio.sleep(0)
        return number * 2, stage.loop_name()

    with anyio.from_thread.start_blocking_portal(**BACKEND) as portal:
        assert portal.call(double, 4) == (8, stage.LOOP)
        futures = [portal.start_task_soon(double, number) for number in range(100)]
        assert [future.result(30)[0] for future in futures] == list(range(0, 200, 2))
        waiting = portal.start_task_soon(anyio.sleep_forever)
        waiting.cancel()


@check
async def files() -> None:
    path = anyio.Path("file")
    assert await path.write_bytes(LARGE) == len(LARGE) and await path.read_bytes() == LARGE
    async with await anyio.open_file("lines", "w") as file:
        await file.writelines(f"{number}\n" for number in range(100))
    async with await anyio.open_file("lines") as file:
        assert [int(line) async for line in file] == list(range(100))
    assert {entry.name async for entry in anyio.Path(".").iterdir()} >= {"file", "lines"}


@check
async def signals() -> None:
    with anyio.open_signal_receiver(signal.SIGUSR1, signal.SIGUSR2) as received:
        os.kill(os.getpid(), signal.SIGUSR1)
        async for number in received:
            if number == signal.SIGUSR2:
                break
            os.kill(os.getpid(), signal.SIGUSR2)


@check
async def subprocesses() -> None:
    finished = await anyio.run_process([sys.executable, "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"], input=LARGE)
    assert finished.stdout == LARGE[::-1] and finished.returncode == 0
    async with await anyio.open_process([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(3600)"]) as process:
        assert process.stdout is not None and await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 100) == b"up"
        process.terminate()
        assert await process.wait() == -signal.SIGTERM


@check
def worker_processes() -> None:
    async def main() -> list[int]:
        got: list[int] = []

        async def one(exponent: int) -> None:
            got.append(await anyio.to_process.run_sync(pow, 2, exponent))

        async with anyio.create_task_group() as group:
            for exponent in range(20):
                group.start_soon(one, exponent)
        return got

    # By anyio.run: a task of anyio's ends the processes when the loop ends.
    assert sorted(anyio.run(main, **BACKEND)) == [2**exponent for exponent in range(20)]


@check
async def udp() -> None:
    async with await anyio.create_udp_socket(local_host="127.0.0.1") as server:
        port = server.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.create_connected_udp_socket("127.0.0.1", port) as client:
            for number in range(100):
                await client.send(str(number).encode())
                data, address = await server.receive()
                await server.sendto(data[::-1], *address)
                assert await client.receive() == str(number).encode()[::-1]


# Between a connection's arrival and the step of the task that accepts it, anyio's reader may be called a second time, for a future
# that is done already; the loop's report is right.
@check(tolerates="Future.set_result()")
async def a_unix_socket() -> None:
    async def echo(stream: SocketStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)

    async with await anyio.create_unix_listener("s") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        async with await anyio.connect_unix("s") as stream:
            await stream.send(b"by a path")
            assert await stream.receive() == b"by a path"
        group.cancel_scope.cancel()


@check
async def tls_by_anyio_itself() -> None:
    """anyio wraps its streams in TLS by itself: this asks nothing of the loop."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(stage.certificates() / "server.pem", stage.certificates() / "server.key")
    trusting = ssl.create_default_context(cafile=str(stage.certificates() / "ca.pem"))

    async def echo(stream: TLSStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)

    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with TLSListener(plain, context, standard_compatible=False) as listener, anyio.create_task_group() as group:
        assert isinstance(plain, MultiListener)
        group.start_soon(listener.serve, echo)
        port = plain.extra(anyio.abc.SocketAttribute.local_port)
        got = bytearray()
        async with await anyio.connect_tcp("127.0.0.1", port, tls=True, ssl_context=trusting, tls_standard_compatible=False) as stream:
            async with anyio.create_task_group() as writing:
                writing.start_soon(stream.send, LARGE)
                while len(got) < len(LARGE):
                    got += await stream.receive()
        assert got == LARGE
        group.cancel_scope.cancel()


if __name__ == "__main__":
    stage.go()
