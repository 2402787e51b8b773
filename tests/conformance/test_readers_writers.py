"""add_reader and add_writer: level-triggered, one callback for each direction, safe to change from within a callback."""

import asyncio
import os
import resource
import socket
import tempfile

import pytest
from peers import drain, fill, sockets, until


def test_the_rest_of_a_short_read_is_seen_again(loop, run):
    async def main():
        with sockets() as (a, b):
            got = []
            b.send(b"abc")
            loop.add_reader(a, lambda: got.append(a.recv(1)))
            await until(lambda: len(got) == 3)
            assert got == [b"a", b"b", b"c"]
            assert loop.remove_reader(a) is True
            assert loop.remove_reader(a) is False

    run(main())


def test_a_reader_that_reads_nothing_is_called_again_and_again(loop, run):
    async def main():
        with sockets() as (a, b):
            calls = []
            b.send(b"x")
            loop.add_reader(a, calls.append, 1)
            await until(lambda: len(calls) >= 5)
            loop.remove_reader(a)

    run(main())


def test_a_writer_is_called_while_there_is_room(loop, run):
    async def main():
        with sockets() as (a, b):
            calls = []
            fill(a)
            loop.add_writer(a, calls.append, 1)
            for _ in range(5):
                await asyncio.sleep(0)
            assert calls == []
            drain(b)
            await until(lambda: len(calls) >= 3)
            assert loop.remove_writer(a) is True
            seen = len(calls)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(calls) == seen
            assert loop.remove_writer(a) is False

    run(main())


def test_reader_and_writer_of_one_descriptor(loop, run):
    async def main():
        with sockets() as (a, b):
            reads, writes = [], []
            loop.add_reader(a, lambda: reads.append(a.recv(10)))
            loop.add_writer(a, writes.append, 1)
            await until(lambda: writes)
            assert reads == []
            loop.remove_writer(a)
            b.send(b"1")
            await until(lambda: reads)
            loop.add_writer(a, writes.append, 2)
            loop.remove_reader(a)
            await until(lambda: 2 in writes)
            b.send(b"2")
            for _ in range(3):
                await asyncio.sleep(0)
            assert reads == [b"1"]
            loop.remove_writer(a)

    run(main())


def test_a_replaced_callback_is_not_called_any_more(loop, run):
    async def main():
        with sockets() as (a, b):
            calls = []
            loop.add_reader(a, calls.append, "old")
            loop.add_reader(a.fileno(), calls.append, "new")
            b.send(b"x")
            await until(lambda: len(calls) >= 2)
            assert set(calls) == {"new"}
            loop.remove_reader(a)

    run(main())


@pytest.mark.parametrize("direction", ["reader", "writer"])
def test_removed_by_another_callback_of_the_same_iteration(loop, run, direction):
    add, remove = getattr(loop, f"add_{direction}"), getattr(loop, f"remove_{direction}")

    async def main():
        with sockets() as (a, b), sockets() as (c, d):
            b.send(b"x")
            d.send(b"x")
            calls = []

            def one(mine, other):
                calls.append(mine)
                remove(other)

            add(a, one, "a", c)
            add(c, one, "c", a)
            await until(lambda: len(calls) >= 3)
            assert len(set(calls)) == 1, "the other one was removed before its turn"
            remove(a)
            remove(c)

    run(main())


def test_a_callback_removes_itself(loop, run):
    async def main():
        with sockets() as (a, b):
            calls = []
            b.send(b"x")
            loop.add_reader(a, lambda: calls.append(loop.remove_reader(a)))
            await until(lambda: calls)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert calls == [True]

    run(main())


def test_a_callback_replaces_itself(loop, run):
    async def main():
        with sockets() as (a, b):
            calls = []
            b.send(b"x")

            def first():
                calls.append("first")
                loop.add_reader(a, calls.append, "second")

            loop.add_reader(a, first)
            await until(lambda: len(calls) >= 3)
            assert calls[:3] == ["first", "second", "second"]
            loop.remove_reader(a)

    run(main())


def test_end_of_file_and_hang_up_are_readable(loop, run):
    async def main():
        for end in (lambda b: b.close(), lambda b: b.shutdown(socket.SHUT_WR)):
            with sockets() as (a, b):
                got = []
                loop.add_reader(a, lambda a=a, got=got: got.append(a.recv(1)))
                end(b)
                await until(lambda got=got: got)
                assert got[0] == b""
                loop.remove_reader(a)

    run(main())


def test_a_broken_pipe_is_writable(loop, run):
    async def main():
        read, write = os.pipe()
        os.set_blocking(write, False)
        with open(write, "wb", buffering=0) as writer:
            while writer.write(b"x" * 65536):
                pass
            calls = []
            loop.add_writer(writer, calls.append, 1)
            os.close(read)
            await until(lambda: calls)
            loop.remove_writer(writer)

    run(main())


def test_a_number_that_is_reused(loop, run):
    """The new owner of a number gets its own events, and none of its predecessor's."""

    async def main():
        calls = []
        a, b = socket.socketpair()
        number = a.fileno()
        loop.add_reader(a, calls.append, "old")
        loop.remove_reader(a)
        a.close()
        c, d = socket.socketpair()
        with b, c, d:
            assert number in (c.fileno(), d.fileno())
            new, peer = (c, d) if c.fileno() == number else (d, c)
            loop.add_reader(new, lambda: calls.append(new.recv(1)))
            peer.send(b"n")
            await until(lambda: calls)
            assert calls == [b"n"]
            loop.remove_reader(new)

    run(main())


def test_a_number_that_is_reused_without_being_removed(loop, run):
    """Closed while it was watched: the kernel forgets it, and adding the new one must still work."""

    async def main():
        calls = []
        a, b = socket.socketpair()
        number = a.fileno()
        loop.add_reader(a, calls.append, "old")
        a.close()
        c, d = socket.socketpair()
        with b, c, d:
            new, peer = (c, d) if c.fileno() == number else (d, c)
            loop.remove_reader(number)
            loop.add_reader(new, lambda: calls.append(new.recv(1)))
            peer.send(b"n")
            await until(lambda: calls)
            assert calls == [b"n"]
            loop.remove_reader(new)

    run(main())


def test_a_duplicate_keeps_the_description_open(loop, run):
    """epoll goes on reporting a closed number while a duplicate lives; removing it first is what is promised."""

    async def main():
        with sockets() as (a, b):
            calls = []
            loop.add_reader(a, calls.append, 1)
            duplicate = a.dup()
            with duplicate:
                loop.remove_reader(a)
                a.close()
                b.send(b"x")
                for _ in range(3):
                    await asyncio.sleep(0)
                assert calls == []
                loop.add_reader(duplicate, calls.append, 2)
                await until(lambda: calls)
                loop.remove_reader(duplicate)

    run(main())


def test_regular_files_are_refused(loop):
    with tempfile.TemporaryFile() as file:
        for add in (loop.add_reader, loop.add_writer):
            with pytest.raises(PermissionError):
                add(file, print)
        assert loop.remove_reader(file) is False


def test_a_refused_descriptor_leaves_nothing_behind(loop, run):
    async def main():
        with tempfile.TemporaryFile() as file:
            number = file.fileno()
            with pytest.raises(PermissionError):
                loop.add_reader(file, print)
        a, b = socket.socketpair()
        with a, b:
            watched = a if a.fileno() == number else b
            calls = []
            (b if watched is a else a).send(b"x")
            loop.add_reader(watched, calls.append, 1)
            await until(lambda: calls)
            loop.remove_reader(watched)

    run(main())


def test_numbers_over_1024(loop, run):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3000:
        pytest.skip("the hard limit on descriptors is below 3000")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))

    async def main():
        with sockets() as (a, b):
            import fcntl

            high = socket.socket(fileno=fcntl.fcntl(a, fcntl.F_DUPFD_CLOEXEC, 2500))
            with high:
                assert high.fileno() >= 2500
                high.setblocking(False)
                calls = []
                loop.add_reader(high, lambda: calls.append(high.recv(1)))
                b.send(b"x")
                await until(lambda: calls)
                loop.remove_reader(high)
                assert calls == [b"x"]
                receiving = loop.create_task(loop.sock_recv(high, 5))
                await asyncio.sleep(0)
                b.send(b"abc")
                assert await receiving == b"abc"

    try:
        run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_descriptor_of_a_transport_is_refused(loop, run):
    from peers import Pair

    async def main():
        async with Pair() as (protocol, _):
            sock = protocol.transport.get_extra_info("socket")
            for method in ("add_reader", "add_writer"):
                with pytest.raises(RuntimeError, match=r"^File descriptor .* is used by transport "):
                    getattr(loop, method)(sock.fileno(), print)
            for method in ("remove_reader", "remove_writer"):
                with pytest.raises(RuntimeError, match=r"^File descriptor .* is used by transport "):
                    getattr(loop, method)(sock.fileno())

    run(main())


def test_events_come_while_callbacks_keep_the_loop_busy(loop, run):
    """A ready queue that never empties does not starve descriptors, nor the other way round."""

    async def main():
        with sockets() as (a, b):
            spinning = True

            def spin():
                if spinning:
                    loop.call_soon(spin)

            spin()
            got = []
            loop.add_reader(a, lambda: got.append(a.recv(1)))
            b.send(b"x")
            await until(lambda: got)
            timer = loop.create_future()
            loop.call_later(0.001, timer.set_result, None)
            await timer
            spinning = False
            loop.remove_reader(a)

    run(main())


def test_context_of_a_reader(loop, run):
    import contextvars

    variable = contextvars.ContextVar("variable")

    async def main():
        with sockets() as (a, b):
            seen = []
            variable.set("when added")
            loop.add_reader(a, lambda: seen.append(variable.get()))
            variable.set("later")
            b.send(b"x")
            await until(lambda: seen)
            assert seen[0] == "when added"
            loop.remove_reader(a)

    run(main())
