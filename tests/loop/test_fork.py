"""fork while a loop runs: the child makes a loop of its own, the parent's is not disturbed."""

import asyncio
import gc
import os
import traceback

import plait
import pytest
from peers import LOCALHOST, Pair, sockets, until

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def in_child(body):
    """Runs `body` in a forked child; returns the child's pid and the pipe on which it says how that went."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        os.set_blocking(read, False)
        return pid, read
    answer = b"unfinished"
    try:
        answer = str(body()).encode()
    except BaseException:
        answer = traceback.format_exc().encode()
    finally:
        os.write(write, answer)
        os._exit(0)


async def answer_of(child):
    """Waits for a child without blocking the loop."""
    pid, read = child
    loop = asyncio.get_running_loop()
    answer = bytearray()
    ended = loop.create_future()

    def readable():
        data = os.read(read, 65536)
        answer.extend(data)
        if not data:
            ended.set_result(None)

    loop.add_reader(read, readable)
    await ended
    loop.remove_reader(read)
    os.close(read)
    os.waitpid(pid, 0)
    return answer.decode()


async def echo_over_tcp():
    async def serve(reader, writer):
        writer.write(await reader.readexactly(5))
        writer.close()

    async with await asyncio.start_server(serve, LOCALHOST, 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"child")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer


def test_a_child_runs_a_loop_of_its_own(loop, run):
    def child():
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return plait.run(echo_over_tcp())
        return "the parent's loop still counts as running"

    async def main():
        async with Pair() as (protocol, peer):
            ticks = []
            timer = loop.create_future()
            loop.call_later(0.001, timer.set_result, "fired")
            answer = await answer_of(in_child(child))
            assert answer == "b'child'"
            peer.send(b"the parent goes on")
            await until(lambda: protocol.data == b"the parent goes on")
            assert await timer == "fired"
            loop.call_soon_threadsafe(ticks.append, 1)
            await until(lambda: ticks)

    run(main())


def test_several_children(loop, run):
    async def main():
        answers = await asyncio.gather(*(answer_of(in_child(lambda: plait.run(echo_over_tcp()))) for _ in range(4)))
        assert answers == ["b'child'"] * 4

    run(main())


def test_a_child_that_closes_what_it_inherited(loop, run):
    """The child shares the parent's epoll instance: nothing that it does to its copies may reach it."""

    async def main():
        with sockets() as (a, b):
            got = []
            loop.add_reader(a, lambda: got.append(a.recv(10)))
            async with Pair() as (protocol, peer):

                def child():
                    loop.remove_reader(a)
                    protocol.transport.abort()
                    a.close()
                    gc.collect()
                    return plait.run(asyncio.sleep(0, "done"))

                answer = await answer_of(in_child(child))
                assert "done" in answer or "Error" in answer
                b.send(b"x")
                await until(lambda: got)
                peer.send(b"alive")
                await until(lambda: protocol.data == b"alive")
            loop.remove_reader(a)

    run(main())


def test_a_child_that_wakes_the_inherited_loop(loop, run):
    """call_soon_threadsafe in the child must not run anything in the parent."""

    async def main():
        ran = []

        def child():
            try:
                loop.call_soon_threadsafe(ran.append, "child")
            except RuntimeError:
                pass
            return "done"

        assert await answer_of(in_child(child)) == "done"
        assert ran == []

    run(main())


def test_an_idle_loop_inherited_is_closed_quietly(loop):
    async def parent():
        return await answer_of(in_child(lambda: (inherited.close(), plait.run(asyncio.sleep(0, "done")))[1]))

    inherited = plait.new_event_loop()
    with sockets() as (a, b):
        got = []
        inherited.add_reader(a, lambda: (got.append(a.recv(1)), inherited.stop()))
        assert loop.run_until_complete(parent()) == "done"
        b.send(b"x")
        inherited.run_forever()
        assert got == [b"x"]
    inherited.close()


def test_tasks_of_the_parent_are_not_the_childs(loop, run):
    async def in_the_child():
        return len(asyncio.all_tasks()), type(asyncio.current_task()) is plait.Task

    async def main():
        tasks = [loop.create_task(asyncio.sleep(3600)) for _ in range(10)]
        assert await answer_of(in_child(lambda: plait.run(in_the_child()))) == "(1, True)"
        assert len(asyncio.all_tasks()) == 11
        for task in tasks:
            task.cancel()

    run(main())


def test_forked_from_another_thread_while_loops_run():
    import threading

    stop = threading.Event()

    async def busy():
        while not stop.is_set():
            await asyncio.create_task(asyncio.sleep(0))

    threads = [threading.Thread(target=lambda: plait.run(busy())) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            pid, read = in_child(lambda: plait.run(echo_over_tcp()))
            os.set_blocking(read, True)
            with open(read, "rb") as pipe:
                assert pipe.read() == b"b'child'"
            os.waitpid(pid, 0)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_multiprocessing_by_fork(loop, run):
    import multiprocessing

    def child(connection):
        connection.send(plait.run(echo_over_tcp()))

    async def main():
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        process = context.Process(target=child, args=(theirs,))
        process.start()
        theirs.close()
        readable = loop.create_future()
        loop.add_reader(ours.fileno(), lambda: readable.done() or readable.set_result(None))
        await readable
        loop.remove_reader(ours.fileno())
        assert ours.recv() == b"child"
        process.join()
        process.close()
        ours.close()

    run(main())
