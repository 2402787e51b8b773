"""The sock_* family when it is given up: cancelled in the middle, timed out, the socket closed and its number reused."""

import asyncio
import socket

import pytest
from peers import Recorder, drain, fill, listening, sockets
from test_sock_operations import TEN_MIB, full_backlog


def test_connect_timed_out_and_then_another_operation(loop, run):
    async def main():
        server, waiting = full_backlog()
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(loop.sock_connect(client, server.getsockname()), 0.01)
        for sock in (*waiting, server):
            sock.close()

    run(main())


def test_many_connects_that_time_out_leave_no_descriptor(loop, run):
    async def main():
        server, waiting = full_backlog()

        async def attempt():
            with socket.socket() as client:
                client.setblocking(False)
                await asyncio.wait_for(loop.sock_connect(client, server.getsockname()), 0.01)

        outcomes = await asyncio.gather(*(attempt() for _ in range(50)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {asyncio.TimeoutError, type(None), TimeoutError}
        for sock in (*waiting, server):
            sock.close()

    run(main())


def test_cancelled_recv_and_a_new_one_on_the_same_socket(loop, run):
    async def main():
        with sockets() as (a, b):
            for _ in range(3):
                receiving = loop.create_task(loop.sock_recv(a, 10))
                await asyncio.sleep(0)
                receiving.cancel()
                second = loop.create_task(loop.sock_recv(a, 10))
                await asyncio.gather(receiving, return_exceptions=True)
                assert receiving.cancelled()
                b.send(b"data")
                assert await second == b"data", "nothing was lost to the cancelled one"

    run(main())


def test_cancelled_in_the_iteration_in_which_data_came(loop, run):
    async def main():
        with sockets() as (a, b):
            receiving = loop.create_task(loop.sock_recv(a, 10))
            await asyncio.sleep(0)
            b.send(b"data")
            receiving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await receiving
            assert await loop.sock_recv(a, 10) == b"data"

    run(main())


def test_cancelled_sendall(loop, run):
    async def main():
        with sockets() as (a, b):
            sent = fill(a)
            sending = loop.create_task(loop.sock_sendall(a, b"never"))
            await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            assert drain(b) == sent
            await loop.sock_sendall(a, b"next")
            assert b.recv(100) == b"next"

    run(main())


def test_cancelled_accept(loop, run):
    async def main():
        with listening() as server:
            accepting = loop.create_task(loop.sock_accept(server))
            await asyncio.sleep(0)
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)
            with socket.create_connection(server.getsockname()) as client:
                peer, address = await loop.sock_accept(server)
                peer.close()
                assert address == client.getsockname()

    run(main())


def test_cancelled_and_closed_before_the_task_hears_of_it(loop, run):
    """``task.cancel(); sock.close()``: whoever gets the number next must have it to itself."""

    async def main():
        for operation in ("read", "write"):
            a, b = socket.socketpair()
            a.setblocking(False)
            number = a.fileno()
            if operation == "write":
                fill(a)
                waiting = loop.create_task(loop.sock_sendall(a, b"x"))
            else:
                waiting = loop.create_task(loop.sock_recv(a, 1))
            await asyncio.sleep(0)
            waiting.cancel()
            a.close()
            b.close()
            await asyncio.gather(waiting, return_exceptions=True)
            assert waiting.cancelled()
            assert number not in loop._selector.get_map()

    run(main())


class NotReading(Recorder):
    def connection_made(self, transport):
        super().connection_made(transport)
        transport.pause_reading()


@pytest.mark.parametrize("protocol", [Recorder, NotReading])
def test_the_next_owner_of_a_number_whose_operation_was_cancelled_late(loop, run, protocol):
    """The same, and then a transport gets the number and writes more than the socket takes."""

    async def main():
        stale, other = socket.socketpair()
        stale.setblocking(False)
        fill(stale)
        waiting = loop.create_task(loop.sock_sendall(stale, b"x"))
        await asyncio.sleep(0)
        with listening() as server:
            client = socket.create_connection(server.getsockname())
            peer, _ = await loop.sock_accept(server)
        number = stale.fileno()
        waiting.cancel()
        stale.close()
        other.close()
        moved = client.dup()  # the lowest free number: the one that was just closed
        client.close()
        await asyncio.gather(waiting, return_exceptions=True)
        assert moved.fileno() == number
        moved.setblocking(False)
        transport, made = await loop.create_connection(protocol, sock=moved)
        transport.write(b"x" * TEN_MIB)
        got = 0
        with peer:
            peer.setblocking(False)
            while got < TEN_MIB:
                got += len(await loop.sock_recv(peer, 1 << 20))
        transport.abort()
        await made.lost

    run(main())
