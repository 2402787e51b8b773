"""What went wrong once in the loop, each with the smallest program that showed it.

Those that hung or crashed run in a process of their own, so that a relapse fails one test and not the run.
"""

import asyncio
import errno
import os
import socket
import subprocess
import sys

import plait
import pytest

SECONDS = 30  # far more than any of these takes; only a hang gets there


def program(source: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=SECONDS, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_last_tasks_finalizer_may_stop_the_loop():
    """It ran between "there is nothing to do" and the sleep, which then lasted for ever."""
    assert program("""
import plait
async def fail(): 1 / 0
loop = plait.new_event_loop()
loop.set_exception_handler(lambda loop, context: loop.stop())
loop.create_task(fail())
loop.run_forever()
loop.close()
print("stopped")
""") == "stopped\n"


def test_the_last_tasks_finalizer_may_set_a_timer():
    assert program("""
import plait
async def fail(): 1 / 0
loop = plait.new_event_loop()
loop.set_exception_handler(lambda loop, context: loop.call_later(0.001, loop.stop))
loop.create_task(fail())
loop.run_forever()
loop.close()
print("stopped")
""") == "stopped\n"


def test_a_dying_task_is_not_among_all_tasks():
    """The fields of a Python subclass are cleared when its count is 0 already; whoever took a reference then freed it twice."""
    assert program("""
import asyncio, plait
loop = plait.new_event_loop()
found = []
class Looks:
    def __del__(self): found.append(asyncio.all_tasks(loop))
class Slotted(plait.Task):
    __slots__ = ("field",)
    def __del__(self): pass
async def wait(): await loop.create_future()
task = Slotted(wait(), loop=loop)
task.field = Looks()
loop.close()
del task
print(found)
""", PYTHONMALLOC="debug") == "[set()]\n"


def test_a_number_is_not_deaf_after_a_cancelled_receive():
    """Cancelled in the iteration in which the data came, and closed: the number stayed registered, for nobody."""

    async def main():
        loop = asyncio.get_running_loop()
        first, first_peer = socket.socketpair()
        trigger, trigger_peer = socket.socketpair()
        number = first.fileno()

        async def receive():
            try:
                await loop.sock_recv(first, 10)
            finally:
                first.close()

        task = loop.create_task(receive())

        def cancel():
            loop.remove_reader(trigger)
            task.cancel()

        loop.add_reader(trigger, cancel)
        await asyncio.sleep(0)
        trigger_peer.send(b"x")
        first_peer.send(b"y")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop._selector.get_map() == {}
        os.dup2(trigger.fileno(), number)
        again = socket.socket(fileno=number)
        trigger.recv(1)
        loop.call_soon(trigger_peer.send, b"hello")
        assert await asyncio.wait_for(loop.sock_recv(again, 10), SECONDS) == b"hello"
        for sock in (again, trigger, trigger_peer, first_peer):
            sock.close()

    plait.run(asyncio.wait_for(main(), SECONDS))


def test_writing_much_inside_data_received_pauses():
    """The connection's context was entered a second time, and the protocol was never told to pause."""
    calls = []

    class Floods(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(bytes(8 << 20))
            calls.append("wrote")

        def pause_writing(self):
            calls.append("pause")

        def resume_writing(self):
            calls.append("resume")

    async def main():
        reports = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reports.append(context))
        server = await loop.create_server(Floods, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"go")
        await reader.readexactly(8 << 20)
        while "resume" not in calls:
            await asyncio.sleep(0)
        writer.close()
        server.close()
        assert reports == []

    plait.run(asyncio.wait_for(main(), SECONDS))
    assert calls == ["pause", "wrote", "resume"]


def test_one_connections_trouble_does_not_end_the_loop():
    """An answer of `eof_received` that cannot be asked for its truth came out of `run_forever`."""

    class Answer:
        def __bool__(self):
            raise ZeroDivisionError("no truth in it")

    class Odd(asyncio.Protocol):
        def eof_received(self):
            return Answer()

    async def main():
        loop = asyncio.get_running_loop()
        reported = loop.create_future()
        loop.set_exception_handler(lambda loop, context: reported.set_result(context["exception"]))
        server = await loop.create_server(Odd, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write_eof()
        assert isinstance(await reported, ZeroDivisionError)
        writer.close()
        server.close()

    plait.run(asyncio.wait_for(main(), SECONDS))


def test_a_refused_descriptor_drops_its_callbacks_outside():
    """The replaced callback was dropped with the loop's state open, and its finalizer came back into it."""
    loop = plait.new_event_loop()
    near, far = socket.socketpair()
    there = []

    class Callback:
        def __call__(self):
            pass

        def __del__(self):
            loop.add_reader(far, print)
            there.append(loop.remove_reader(far))

    number = os.dup(near.fileno())
    loop.add_reader(number, Callback())
    os.close(number)
    with pytest.raises(OSError) as refused:
        loop.add_reader(number, print)
    assert refused.value.errno == errno.EBADF
    assert there == [True]
    for closes in (loop, near, far):
        closes.close()


def test_a_number_that_is_not_open_takes_no_memory():
    """The table of descriptors grew to the number first, and asked the kernel afterwards."""
    loop = plait.new_event_loop()
    with pytest.raises(OSError) as refused:
        loop.add_reader(2_000_000_000, print)
    assert refused.value.errno == errno.EBADF
    loop.close()
