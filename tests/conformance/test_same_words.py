"""Wrong use gets the same exception, in the same words, from both loops.

Each case is run on a stock loop and on plait's, and what they raise is compared: the words differ between Python versions,
so none are written down here. A case that raises nothing on stock asyncio fails.
"""

import asyncio
import contextlib
import math
import re
import socket
import threading

import plait
import pytest
from loop_fixtures import never_hang
from peers import sockets

__all__ = ["never_hang"]

ADDRESSES = re.compile(r"0x[0-9a-f]+")


async def nothing():
    pass


def in_thread(function):
    raised = []

    def body():
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def closed(loop):
    loop.close()
    return loop


def debugging(loop):
    loop.set_debug(True)
    return loop


def with_coroutine(use):
    coro = nothing()
    try:
        use(coro)
    finally:
        coro.close()


async def wrong_thread(loop, use):
    loop.set_debug(True)
    await asyncio.to_thread(in_thread, use)


def wrong(use):
    """A use from the wrong thread of a running loop in debug mode."""
    return lambda loop: loop.run_until_complete(wrong_thread(loop, lambda: use(loop)))


def awaited(use):
    """Something awaited on the running loop."""

    async def main(loop):
        await use(loop)

    return lambda loop: loop.run_until_complete(main(loop))


def with_sockets(use, blocking=False):
    async def main(loop):
        with sockets(blocking) as (a, b):
            await use(loop, a)

    return lambda loop: loop.run_until_complete(main(loop))


async def set_twice(loop):
    future = loop.create_future()
    future.set_result(1)
    future.set_result(2)


async def exception_too_late(loop):
    future = loop.create_future()
    future.cancel()
    future.set_exception(ValueError())


async def await_itself(loop):
    async def itself():
        await task

    task = loop.create_task(itself(), name="Narcissus")
    await task


async def bad_yield(loop):
    class Bad:
        def __await__(self):
            yield 17

    await Bad()


async def plain_yield_of_future(loop):
    class Bad:
        def __await__(self):
            yield loop.create_future()

    async def task():
        await Bad()

    await loop.create_task(task(), name="yields")


def ssl_socket():
    import ssl

    return ssl.SSLSocket.__new__(ssl.SSLSocket)


CASES = {
    # callbacks
    "call_soon on a closed loop": lambda loop: closed(loop).call_soon(print),
    "call_soon_threadsafe on a closed loop": lambda loop: closed(loop).call_soon_threadsafe(print),
    "call_later on a closed loop": lambda loop: closed(loop).call_later(1, print),
    "call_at on a closed loop": lambda loop: closed(loop).call_at(1, print),
    "call_soon, wrong thread": wrong(lambda loop: loop.call_soon(print)),
    "call_later, wrong thread": wrong(lambda loop: loop.call_later(1, print)),
    "call_at, wrong thread": wrong(lambda loop: loop.call_at(1, print)),
    "call_soon of a number, debug": lambda loop: debugging(loop).call_soon(7),
    "call_soon_threadsafe of a number, debug": lambda loop: debugging(loop).call_soon_threadsafe(7),
    "call_later of a number, debug": lambda loop: debugging(loop).call_later(1, 7),
    "call_at of a number, debug": lambda loop: debugging(loop).call_at(1, 7),
    "call_soon of a coroutine, debug": lambda loop: with_coroutine(lambda c: debugging(loop).call_soon(c)),
    "call_later of a coroutine, debug": lambda loop: with_coroutine(lambda c: debugging(loop).call_later(1, c)),
    "call_soon of a coroutine function, debug": lambda loop: debugging(loop).call_soon(nothing),
    "call_at of a coroutine function, debug": lambda loop: debugging(loop).call_at(1, nothing),
    "call_soon without anything": lambda loop: loop.call_soon(),
    "call_later with None": lambda loop: loop.call_later(None, print),
    "call_at with None": lambda loop: loop.call_at(None, print),
    "call_later with a string": lambda loop: loop.call_later("1", print),
    # running
    "run_forever on a closed loop": lambda loop: closed(loop).run_forever(),
    "run_until_complete on a closed loop": lambda loop: with_coroutine(closed(loop).run_until_complete),
    "run_until_complete of a number": lambda loop: loop.run_until_complete(3),
    "run_until_complete of None": lambda loop: loop.run_until_complete(None),
    "create_task on a closed loop": lambda loop: with_coroutine(closed(loop).create_task),
    "create_task of a number": lambda loop: loop.create_task(3),
    "create_task of a future": lambda loop: loop.create_task(loop.create_future()),
    "create_task of a function": lambda loop: loop.create_task(nothing),
    "task factory that is no function": lambda loop: loop.set_task_factory(3),
    "exception handler that is no function": lambda loop: loop.set_exception_handler(3),
    "default executor of another kind": lambda loop: loop.set_default_executor(3),
    "run_in_executor on a closed loop": lambda loop: closed(loop).run_in_executor(None, print),
    "run_in_executor of a number, debug": lambda loop: debugging(loop).run_in_executor(None, 3),
    "run_in_executor of a coroutine function, debug": lambda loop: debugging(loop).run_in_executor(None, nothing),
    # descriptors
    "add_reader on a closed loop": lambda loop: closed(loop).add_reader(0, print),
    "add_writer on a closed loop": lambda loop: closed(loop).add_writer(1, print),
    "add_reader of -1": lambda loop: loop.add_reader(-1, print),
    "add_writer of -1": lambda loop: loop.add_writer(-1, print),
    "remove_reader of -1": lambda loop: loop.remove_reader(-1),
    "add_reader of an object": lambda loop: loop.add_reader("3", print),
    "remove_writer of an object": lambda loop: loop.remove_writer(None),
    "add_reader of a float": lambda loop: loop.add_reader(1.5, print),
    "add_reader of a closed socket": lambda loop: loop.add_reader(closed_socket(), print),
    "add_reader of a number nobody has": lambda loop: loop.add_reader(19_999, print),
    "add_writer of a number nobody has": lambda loop: loop.add_writer(19_999, print),
    "add_reader of a regular file": lambda loop: with_file(lambda file: loop.add_reader(file, print)),
    # signals
    "signal that is no number": lambda loop: loop.add_signal_handler("HUP", print),
    "signal out of range": lambda loop: loop.add_signal_handler(5000, print),
    "SIGKILL": lambda loop: loop.add_signal_handler(9, print),
    "coroutine function for a signal": lambda loop: loop.add_signal_handler(10, nothing),
    "remove a signal that is none": lambda loop: loop.remove_signal_handler(0),
    "signal in another thread": lambda loop: in_thread(lambda: loop.add_signal_handler(10, print)),
    # futures and tasks
    "result set twice": awaited(set_twice),
    "exception after cancel": awaited(exception_too_late),
    "result too early": lambda loop: loop.create_future().result(),
    "exception too early": lambda loop: loop.create_future().exception(),
    "StopIteration into a future": lambda loop: loop.create_future().set_exception(StopIteration()),
    "a string as exception": lambda loop: loop.create_future().set_exception("text"),
    "result set on a task": lambda loop: with_task(loop, lambda task: task.set_result(1)),
    "exception set on a task": lambda loop: with_task(loop, lambda task: task.set_exception(ValueError())),
    "task awaits itself": awaited(await_itself),
    "task yields a number": awaited(bad_yield),
    "task yields a future plainly": awaited(plain_yield_of_future),
    "log_traceback set to True": lambda loop: setattr(loop.create_future(), "_log_traceback", True),
    "asyncio.wait of a coroutine": awaited(lambda loop: waiting_for_coroutine()),
    # sockets
    "sock_recv of a blocking socket, debug": with_sockets(lambda l, s: debugging(l).sock_recv(s, 1), True),
    "sock_recv_into of a blocking socket, debug": with_sockets(
        lambda l, s: debugging(l).sock_recv_into(s, bytearray(1)), True
    ),
    "sock_sendall of a blocking socket, debug": with_sockets(lambda l, s: debugging(l).sock_sendall(s, b"x"), True),
    "sock_accept of a blocking socket, debug": with_sockets(lambda l, s: debugging(l).sock_accept(s), True),
    "sock_connect of a blocking socket, debug": with_sockets(
        lambda l, s: debugging(l).sock_connect(s, ("127.0.0.1", 1)), True
    ),
    "sock_recvfrom of a blocking socket, debug": with_sockets(lambda l, s: debugging(l).sock_recvfrom(s, 1), True),
    "sock_sendto of a blocking socket, debug": with_sockets(lambda l, s: debugging(l).sock_sendto(s, b"", "x"), True),
    "sock_recv of a negative size": with_sockets(lambda l, s: l.sock_recv(s, -1)),
    "sock_recv of a string as size": with_sockets(lambda l, s: l.sock_recv(s, "1")),
    "sock_recv_into of bytes": with_sockets(lambda l, s: l.sock_recv_into(s, b"abc")),
    "sock_recv_into of a number": with_sockets(lambda l, s: l.sock_recv_into(s, 3)),
    "sock_sendall of text": with_sockets(lambda l, s: l.sock_sendall(s, "text")),
    "sock_sendall of None": with_sockets(lambda l, s: l.sock_sendall(s, None)),
    "sock_accept of a socket that does not listen": with_sockets(lambda l, s: l.sock_accept(s)),
    "sock_recv of a closed socket": awaited(lambda loop: loop.sock_recv(closed_socket(), 1)),
    "sock_recv_into of a closed socket": awaited(lambda loop: loop.sock_recv_into(closed_socket(), bytearray(1))),
    "sock_sendall of a closed socket": awaited(lambda loop: loop.sock_sendall(closed_socket(), b"x")),
    "sock_accept of a closed socket": awaited(lambda loop: loop.sock_accept(closed_socket())),
    "sock_connect of a closed socket": awaited(lambda loop: loop.sock_connect(closed_socket(), ("127.0.0.1", 9))),
    "sock_recv of an SSLSocket": awaited(lambda loop: loop.sock_recv(ssl_socket(), 1)),
    "sock_sendall of an SSLSocket": awaited(lambda loop: loop.sock_sendall(ssl_socket(), b"")),
    "sock_accept of an SSLSocket": awaited(lambda loop: loop.sock_accept(ssl_socket())),
    "sock_connect of an SSLSocket": awaited(lambda loop: loop.sock_connect(ssl_socket(), ("127.0.0.1", 1))),
    "sock_connect to a port out of range": awaited(lambda loop: connecting(loop, ("127.0.0.1", 70_000))),
    "sock_connect to a number": awaited(lambda loop: connecting(loop, 5)),
    "sock_connect to a short tuple": awaited(lambda loop: connecting(loop, ("127.0.0.1",))),
    # connections and servers
    "create_connection without an address": awaited(lambda loop: loop.create_connection(asyncio.Protocol)),
    "create_connection with host and sock": awaited(
        lambda loop: loop.create_connection(asyncio.Protocol, "h", 1, sock=object())
    ),
    "create_connection over a datagram socket": awaited(lambda loop: over_datagram(loop, "create_connection")),
    "create_connection with a local address of the wrong family": awaited(
        lambda loop: loop.create_connection(asyncio.Protocol, "127.0.0.1", 1, local_addr=("::1", 0))
    ),
    "create_connection, server_hostname without ssl": awaited(
        lambda loop: loop.create_connection(asyncio.Protocol, "127.0.0.1", 1, server_hostname="x")
    ),
    "create_connection, handshake time-out without ssl": awaited(
        lambda loop: loop.create_connection(asyncio.Protocol, "127.0.0.1", 1, ssl_handshake_timeout=1)
    ),
    "create_server without an address": awaited(lambda loop: loop.create_server(asyncio.Protocol)),
    "create_server with host and sock": awaited(lambda loop: loop.create_server(asyncio.Protocol, "h", sock=object())),
    "create_server over a datagram socket": awaited(lambda loop: over_datagram(loop, "create_server")),
    "create_server on an address that is taken": awaited(lambda loop: taken(loop)),
    "connect_accepted_socket of a datagram socket": awaited(lambda loop: accepted_datagram(loop)),
}


def closed_socket():
    sock = socket.socket()
    sock.setblocking(False)
    sock.close()
    return sock


def with_file(use):
    with open(__file__, "rb") as file:
        use(file)


def with_task(loop, use):
    task = loop.create_task(nothing())
    try:
        use(task)
    finally:
        loop.run_until_complete(task)


async def waiting_for_coroutine():
    coro = nothing()
    try:
        await asyncio.wait([coro])
    finally:
        coro.close()


async def connecting(loop, address):
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)


async def over_datagram(loop, method):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        await getattr(loop, method)(asyncio.Protocol, sock=sock)


async def accepted_datagram(loop):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        await loop.connect_accepted_socket(asyncio.Protocol, sock)


async def taken(loop):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        try:
            await loop.create_server(asyncio.Protocol, *sock.getsockname())
        except OSError as error:
            # the port differs from run to run
            raise OSError(error.errno, error.strerror.replace(str(sock.getsockname()[1]), "PORT")) from None


def raised(factory, case):
    """(type, words) of what a case raises on a new loop."""
    with contextlib.closing(factory()) as loop:
        try:
            case(loop)
        except BaseException as error:
            words = ADDRESSES.sub("0x…", str(error))
            return type(error), getattr(error, "errno", None), re.sub(r"fd=\d+|<socket\.socket.*?>", "SOCKET", words)
        finally:
            if not loop.is_closed():
                loop.run_until_complete(loop.shutdown_default_executor())
    return None


# Where stock asyncio's words name its own parts, plait's name its own.
OWN_NAMES = [
    (r"^BaseEventLoop\.", ""),
    (r"^EventLoop\.", ""),
    (r"^_?\w*(EventLoop)\.", ""),
    (r"(Base|_UnixSelector|Selector|BaseSelector)EventLoop", "EventLoop"),
    # plait names the coroutine that waits, asyncio its own wake-up method
    (r"cb=\[[\w.<>]+\(\)\]", "cb=[wake up]"),
]


# From 3.12 on it is put into the future, wrapped in a RuntimeError.
NOT_ON_EVERY_PYTHON = {"StopIteration into a future"}


def neutral(outcome):
    if outcome is None:
        return "no error"
    kind, errno, words = outcome
    for pattern, instead in OWN_NAMES:
        words = re.sub(pattern, instead, words)
    return kind, errno, words


@pytest.mark.parametrize("name", CASES)
def test_same_exception_in_the_same_words(name):
    stock = raised(asyncio.SelectorEventLoop, CASES[name])
    assert stock is not None or name in NOT_ON_EVERY_PYTHON, "the case is no error on stock asyncio"
    plaits = raised(plait.new_event_loop, CASES[name])
    assert neutral(plaits) == neutral(stock)


NO_ERRORS = {
    "call_later with NaN": lambda loop: loop.call_later(math.nan, print),
    "call_soon of a number outside debug mode": lambda loop: loop.call_soon(7).cancel(),
    "call_soon of a coroutine function outside debug mode": lambda loop: loop.call_soon(nothing).cancel(),
    "remove_reader of what nobody watches": lambda loop: loop.remove_reader(0),
    "remove_writer on a closed loop": lambda loop: closed(loop).remove_writer(0),
    "remove_signal_handler of what nobody handles": lambda loop: loop.remove_signal_handler(10),
    "create_future on a closed loop": lambda loop: closed(loop).create_future(),
    "sock_sendall of nothing": with_sockets(lambda l, s: l.sock_sendall(s, b"")),
}


@pytest.mark.parametrize("name", NO_ERRORS)
def test_what_is_no_error(name):
    assert raised(asyncio.SelectorEventLoop, NO_ERRORS[name]) is None
    assert raised(plait.new_event_loop, NO_ERRORS[name]) is None
