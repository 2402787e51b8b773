"""grpc.aio, server and client: its own C core does the network, and wakes the loop through a socket that the loop watches.

The messages are plain bytes through generic handlers, so that no compiler of protocol files is needed.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import stage
from stage import check

LARGE = os.urandom(2 * 1024 * 1024)
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
cancelled_at_server: "asyncio.Event"


async def unary(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    assert stage.loop_name() == stage.LOOP
    metadata = dict(context.invocation_metadata() or ())
    await context.send_initial_metadata((("seen", str(metadata.get("number", ""))),))
    context.set_trailing_metadata((("end", "reached"),))
    if request == b"abort":
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as you wish")
    if request == b"raise":
        raise LookupError("inside")
    return request[::-1]


async def forever(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    try:
        await asyncio.Event().wait()
    finally:
        cancelled_at_server.set()
    return b""


async def counts(request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
    for number in range(int(request)):
        yield str(number).encode()


async def sums(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> bytes:
    return str(sum([int(request) async for request in requests])).encode()


async def echoes(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request.upper()


@asynccontextmanager
async def service(**credentials: object) -> AsyncIterator[tuple[grpc.aio.Server, str]]:
    global cancelled_at_server
    cancelled_at_server = asyncio.Event()
    server = grpc.aio.server(options=UNLIMITED)
    handlers = {
        "unary": grpc.unary_unary_rpc_method_handler(unary),
        "forever": grpc.unary_unary_rpc_method_handler(forever),
        "counts": grpc.unary_stream_rpc_method_handler(counts),
        "sums": grpc.stream_unary_rpc_method_handler(sums),
        "echoes": grpc.stream_stream_rpc_method_handler(echoes),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
    if "server" in credentials:
        port = server.add_secure_port("127.0.0.1:0", credentials["server"])
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield server, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def client() -> AsyncIterator[grpc.aio.Channel]:
    async with service() as (_, address), grpc.aio.insecure_channel(address, options=UNLIMITED) as channel:
        yield channel


@check(keeps_sockets=True)
async def unary_calls_and_metadata() -> None:
    async with client() as channel:
        call = channel.unary_unary("/test.Service/unary")
        answer = call(b"abc", metadata=(("number", "7"),))
        assert await answer == b"cba"
        assert dict(await answer.initial_metadata())["seen"] == "7" and dict(await answer.trailing_metadata())["end"] == "reached"
        assert await call(LARGE) == LARGE[::-1]
        assert await asyncio.gather(*(call(str(number).encode()) for number in range(500))) == [str(number).encode()[::-1] for number in range(500)]


@check(keeps_sockets=True)
async def streams_in_each_direction() -> None:
    async def numbers() -> AsyncIterator[bytes]:
        for number in range(1000):
            yield str(number).encode()

    async with client() as channel:
        assert [int(part) async for part in channel.unary_stream("/test.Service/counts")(b"1000")] == list(range(1000))
        assert await channel.stream_unary("/test.Service/sums")(numbers()) == str(sum(range(1000))).encode()
        call = channel.stream_stream("/test.Service/echoes")()
        for word in (b"one", b"two", b"three"):
            await call.write(word)
            assert await call.read() == word.upper()
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


@check(keeps_sockets=True)
async def deadlines_and_cancellation() -> None:
    async with client() as channel:
        forever = channel.unary_unary("/test.Service/forever")
        try:
            await forever(b"", timeout=0.1)
            raise AssertionError("did not time out")
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await cancelled_at_server.wait()
        cancelled_at_server.clear()
        call = forever(b"")
        waiting = asyncio.ensure_future(_result(call))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled() and call.cancelled()
        stream = channel.unary_stream("/test.Service/counts")(b"1000000")
        assert await stream.read() == b"0"
        stream.cancel()
        assert await channel.unary_unary("/test.Service/unary")(b"ab") == b"ba"


async def _result(call: grpc.aio.UnaryUnaryCall) -> bytes:
    return await call


@check(keeps_sockets=True)
async def errors() -> None:
    async with client() as channel:
        for request, code in {b"abort": grpc.StatusCode.FAILED_PRECONDITION, b"raise": grpc.StatusCode.UNKNOWN}.items():
            try:
                await channel.unary_unary("/test.Service/unary")(request)
                raise AssertionError("no error")
            except grpc.aio.AioRpcError as error:
                assert error.code() is code
        try:
            await channel.unary_unary("/test.Service/nothing")(b"")
            raise AssertionError("there is no such method")
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@check(keeps_sockets=True)
async def interceptors_at_client_and_server() -> None:
    class Counting(grpc.aio.UnaryUnaryClientInterceptor):
        calls = 0

        async def intercept_unary_unary(self, continuation, details, request):  # type: ignore[no-untyped-def]
            Counting.calls += 1
            return await continuation(details, request + b"!")

    async with service() as (_, address), grpc.aio.insecure_channel(address, interceptors=[Counting()]) as channel:
        assert await channel.unary_unary("/test.Service/unary")(b"abc") == b"!cba"
        assert Counting.calls == 1


@check(keeps_sockets=True)
async def a_server_stops_gracefully() -> None:
    async with service() as (server, address), grpc.aio.insecure_channel(address) as channel:
        stream = channel.stream_stream("/test.Service/echoes")()
        await stream.write(b"a")
        assert await stream.read() == b"A"
        stopping = asyncio.create_task(server.stop(30))
        await stream.write(b"b")
        assert await stream.read() == b"B"
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        await stopping


@check(keeps_sockets=True)
async def tls_by_grpc_itself() -> None:
    files = stage.certificates()
    authority, key, chain = ((files / name).read_bytes() for name in ("ca.pem", "server.key", "server.pem"))
    async with service(server=grpc.ssl_server_credentials([(key, chain)])) as (_, address):
        async with grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(authority)) as channel:
            assert await channel.unary_unary("/test.Service/unary")(b"abc") == b"cba"


if __name__ == "__main__":
    stage.go()
