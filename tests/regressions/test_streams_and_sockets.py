"""What went wrong once in streams, `sock_*` operations and `gather`, each with the smallest program that showed it.

Those that spun, hung or crashed run in a process of their own, so that a relapse fails one test and not the run.

Whether a loop spins is not measured by the clock or by CPU time, both of which a busy machine falsifies: an epoll file can itself
be polled, and while it is readable a loop that sleeps on it is woken at once. So a loop at rest has a file that is not readable.
"""

import asyncio
import gc
import socket
import subprocess
import sys

import plait
import pytest
from plait import asyncio as streams

SECONDS = 30  # far more than any of these takes; only a hang gets there


def program(source: str, *arguments: str) -> str:
    """What it prints. Killed by a signal, ended by an exception, or with anything to report, it fails the test."""
    done = subprocess.run([sys.executable, "-c", source, *arguments], capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, done.stderr[-2000:]) == (0, "")
    return done.stdout


async def result_at_once(operation):
    """The result of what is not to wait: the loop turns, and nothing arrives meanwhile."""

    async def wait():
        return await operation

    task = asyncio.ensure_future(wait())
    for _ in range(3):
        await asyncio.sleep(0)
    assert task.done() or not task.cancel(), "it waits"
    return task.result()


# A socket is used, its file is kept open elsewhere, and it is closed; then something happens that its file is told of.
# Arguments: what was waited for, and who keeps the file.
KEPT_OPEN = """
import asyncio, os, select, socket, sys
import plait

used, keeper = sys.argv[1:]


def pair():
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


async def let_it_wait(operation):
    task = asyncio.ensure_future(operation)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def cancel(task):
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def use(loop):
    "The socket that was used, and what to do to its other end once it is closed."
    if used == "accept":
        near = socket.create_server(("127.0.0.1", 0))
        near.setblocking(False)
        address = near.getsockname()
        task = await let_it_wait(loop.sock_accept(near))
        clients = [socket.create_connection(address)]
        (await task)[0].close()
        return near, lambda: clients.append(socket.create_connection(address))
    near, far = pair()
    if used == "cancelled send":
        await cancel(await let_it_wait(loop.sock_sendall(near, bytes(8 << 20))))
        def drain():
            try:
                while far.recv(1 << 20):
                    pass
            except BlockingIOError:
                pass
        return near, drain
    task = await let_it_wait(loop.sock_recv(near, 100))
    if used == "cancelled receive":
        await cancel(task)
    else:
        far.send(b"hello")
        assert await task == b"hello"
    if used == "receive, then hang-up":
        return near, lambda: far.shutdown(socket.SHUT_RDWR)  # closing is not enough where a child has the other end too
    return near, lambda: far.send(b"for nobody")


def keep_open(near):
    "What makes the keeper let go."
    if keeper == "duplicate":
        return near.dup().close
    to_read, to_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(to_write)
        os.read(to_read, 1)  # until the parent closes its end, or is gone
        os._exit(0)
    os.close(to_read)
    def let_go():
        os.close(to_write)
        os.waitpid(child, 0)
    return let_go


async def wake(loop, near, far):
    "The loop goes to sleep once and is woken by a byte: it has looked at all that is ready."
    task = await let_it_wait(loop.sock_recv(near, 10))
    far.send(b"x")
    assert await task == b"x"


def is_something_ready():
    polls = [int(fd) for fd in os.listdir("/proc/self/fd")
             if os.path.lexists(f"/proc/self/fd/{fd}") and os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:[eventpoll]"]
    assert polls
    return bool(select.select(polls, [], [], 0)[0])


async def main():
    loop = asyncio.get_running_loop()
    waker = pair()
    near, provoke = await use(loop)
    let_go = keep_open(near)
    number = near.fileno()
    near.close()
    provoke()
    for _ in range(100):
        await wake(loop, *waker)
        if not is_something_ready():
            break
    else:
        sys.exit("the loop spins")
    first, far = pair()
    if first.fileno() != number:
        os.dup2(first.fileno(), number)
        newcomer = socket.socket(fileno=number)
        first.close()
    else:
        newcomer = first
    task = await let_it_wait(loop.sock_recv(newcomer, 10))
    far.send(b"mine")
    print(await task)
    newcomer.close()
    far.close()
    let_go()

plait.run(main())
"""


@pytest.mark.parametrize("keeper", ["duplicate", "child"])
@pytest.mark.parametrize("used", ["receive", "receive, then hang-up", "cancelled receive", "cancelled send", "accept"])
def test_a_closed_socket_whose_file_is_open_elsewhere_does_not_spin(used, keeper):
    """A registration outlived its operation, and with its file also its number: nobody could read it empty or take it away."""
    assert program(KEPT_OPEN, used, keeper) == "b'mine'\n"


# Either the whole chain is cancelled or Python's own refusal comes out; the process lives in both cases.
NEST_OF_GATHERS = """
import asyncio, os, sys, threading
import plait
from plait import asyncio as plaited

async def main():
    first = outermost = asyncio.get_running_loop().create_future()
    for _ in range(60_000):
        outermost = plaited.gather(outermost)
    try:
        assert outermost.cancel()
    except RecursionError:
        print("alive", flush=True)
        os._exit(0)  # half of the chain is cancelled; what becomes of the other half is not what is asked here
    try:
        await outermost
    except asyncio.CancelledError:
        assert first.cancelled()
        print("alive")

if len(sys.argv) > 1:
    threading.stack_size(int(sys.argv[1]))
thread = threading.Thread(target=plait.run, args=(main(),))
thread.start()
thread.join()
"""


@pytest.mark.parametrize("stack", [(), (str(1 << 20),)], ids=["usual stack", "a stack of 1 MiB"])
def test_a_deep_nest_of_gathers_is_cancelled(stack):
    """Each gather cancelled the next on the machine's stack, with no limit to it.

    A thread's stack may be smaller than the interpreter's limit on C recursion allows for; asyncio's gather, written in
    Python, ends in RecursionError there too.
    """
    assert program(NEST_OF_GATHERS, *stack) == "alive\n"


def test_a_long_chain_of_awaiting_tasks_is_cancelled():
    """Each task cancelled what it waits for on the machine's stack, with no limit to it."""
    assert program("""
import asyncio, os
import plait

async def wait_for(awaitable):
    await awaitable

async def main():
    first = last = asyncio.get_running_loop().create_future()
    for _ in range(60_000):
        last = asyncio.ensure_future(wait_for(last))
    for _ in range(3):
        await asyncio.sleep(0)
    try:
        assert last.cancel()
        assert first.cancelled()
    except RecursionError:
        pass
    print("alive", flush=True)
    os._exit(0)  # the rest of the chain is not what is asked here

plait.run(main())
""") == "alive\n"


def test_a_deep_nest_of_done_gathers_is_dropped():
    """Each gather freed the next on the machine's stack: freeing went as deep as the nest."""
    assert program("""
import asyncio
import plait
from plait import asyncio as plaited

async def main():
    first = outermost = asyncio.get_running_loop().create_future()
    for _ in range(60_000):
        outermost = plaited.gather(outermost)
    first.set_result(1)
    await outermost
    del first
    outermost = None
    print("dropped")

plait.run(main())
""") == "dropped\n"


@pytest.mark.parametrize("drained", [False, True], ids=["fresh", "drained"])
@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_receiving_nothing_does_not_wait(family, drained):
    """With nothing to read, a receive of no bytes waited for data, where a socket's own `recv(0)` answers at once."""

    async def main():
        loop = asyncio.get_running_loop()
        near, far = connected(family)
        with near, far:
            near.setblocking(False)
            if drained:
                loop.call_soon(far.send, b"x")
                assert await loop.sock_recv(near, 10) == b"x"
            assert await result_at_once(loop.sock_recv(near, 0)) == b""
            assert await result_at_once(loop.sock_recv_into(near, bytearray())) == 0
            loop.call_soon(far.send, b"y")
            assert await loop.sock_recv(near, 10) == b"y"

    plait.run(asyncio.wait_for(main(), SECONDS))


def connected(family):
    if family == socket.AF_UNIX:
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        far = socket.create_connection(listening.getsockname())
        return listening.accept()[0], far


def test_one_operation_awaited_twice():
    """The second to await a `sock_recv` took the first one's place, and the first waited for ever."""

    async def main():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            operation = loop.sock_recv(near, 10)

            async def wait():
                return await operation

            first = loop.create_task(wait())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError):
                await result_at_once(operation)
            far.send(b"data")
            assert await first == b"data"

    plait.run(asyncio.wait_for(main(), SECONDS))


def test_bytes_go_from_transport_to_reader_without_a_call_by_name():
    """On 3.11 and 3.12 an empty `__dict__` was taken for one with methods in it, and each read went through a Python call."""
    assert program("""
import asyncio
from plait import asyncio as plaited
import plait

def fail(*arguments):
    raise AssertionError("called by name")

async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
    writer.close()

async def main():
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: print(context["message"]))
    server = await plaited.start_server(echo, "127.0.0.1", 0)
    reader, writer = await plaited.open_connection(*server.sockets[0].getsockname())
    plaited.StreamReader.feed_data = fail
    writer.write(b"hello\\n")
    print(await reader.readline())
    writer.close()
    await writer.wait_closed()
    server.close()

plait.run(asyncio.wait_for(main(), 20))
""") == "b'hello\\n'\n"


def test_a_method_put_on_a_reader_is_called():
    """What the direct path leaves out is what nobody can have replaced: an object's own `feed_data` is called."""

    async def main():
        server = await streams.start_server(echo, "127.0.0.1", 0)
        reader, writer = await streams.open_connection(*server.sockets[0].getsockname())
        feed, fed = reader.feed_data, []

        def feed_data(data):
            fed.append(bytes(data))
            feed(data)

        writer.write(b"before\n")
        assert await reader.readline() == b"before\n"
        reader.feed_data = feed_data
        writer.write(b"seen\n")
        assert await reader.readline() == b"seen\n"
        del reader.feed_data
        writer.write(b"after\n")
        assert await reader.readline() == b"after\n"
        assert b"".join(fed) == b"seen\n"
        writer.close()
        await writer.wait_closed()
        server.close()

    async def echo(reader, writer):
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    plait.run(asyncio.wait_for(main(), SECONDS))


async def replacement(*arguments):
    return b"replaced"


def test_a_readline_put_on_a_reader_is_what_async_for_calls():
    """`async for` read lines by itself, past what was put in the way, as `unittest.mock` does."""

    async def main():
        reader = streams.StreamReader()
        reader.feed_data(b"first\nsecond\n")
        reader.readline = replacement
        assert await anext(reader) == b"replaced"
        del reader.readline
        assert await anext(reader) == b"first\n"

    plait.run(asyncio.wait_for(main(), SECONDS))


def test_a_readuntil_put_on_a_reader_is_what_readline_calls():
    """`readline`, and with it `async for`, searched by itself, past what was put in the way."""

    async def main():
        reader = streams.StreamReader()
        reader.feed_data(b"first\nsecond\n")
        reader.readuntil = replacement
        assert await reader.readline() == b"replaced"
        assert await anext(reader) == b"replaced"
        del reader.readuntil
        assert await reader.readline() == b"first\n"

    plait.run(asyncio.wait_for(main(), SECONDS))


def test_a_gather_ended_by_hand_still_takes_its_childrens_exceptions():
    """With `return_exceptions=True`, a child that failed later was reported as never retrieved."""

    async def main():
        loop = asyncio.get_running_loop()
        reports = []
        loop.set_exception_handler(lambda loop, context: reports.append(context["message"]))
        children = [loop.create_future(), loop.create_future()]
        gathering = streams.gather(*children, return_exceptions=True)
        gathering.set_result("by hand")
        children[0].set_exception(ValueError())
        for _ in range(3):
            await asyncio.sleep(0)
        assert gathering.result() == "by hand"
        del children, gathering
        gc.collect()
        assert reports == []

    plait.run(asyncio.wait_for(main(), SECONDS))
