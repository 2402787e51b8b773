"""What is plait's own about datagrams: which implementation ran, its kinship, its batches, and what it leaves behind."""

import asyncio
import gc
import socket
import sys
import weakref

import plait
import pytest

LOCALHOST = "127.0.0.1"


class Recorder(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.received.append((data, addr))


def send(to, *datagrams):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for data in datagrams:
            sock.sendto(data, to)


async def turns(condition):
    count = 0
    while not condition():
        await asyncio.sleep(0)
        count += 1
    return count


def test_it_is_native_and_what_asyncio_says_it_is(loop, run):
    async def main():
        transport, _ = await loop.create_datagram_endpoint(Recorder, local_addr=(LOCALHOST, 0))
        assert type(transport) is plait._native.DatagramTransport
        assert isinstance(transport, asyncio.DatagramTransport) and isinstance(transport, asyncio.Transport)
        assert not hasattr(transport, "no_such_thing")
        transport.mine = 1
        assert vars(transport) == {"mine": 1}
        transport.abort()

    run(main())


def test_many_are_delivered_in_one_turn_to_equal_tuples_that_are_one(loop, run):
    async def main():
        transport, protocol = await loop.create_datagram_endpoint(Recorder, local_addr=(LOCALHOST, 0))
        here = transport.get_extra_info("sockname")
        send(here, *[b"x"] * 20)
        first = await turns(lambda: protocol.received)
        assert first <= 2 and len(protocol.received) > 5
        await turns(lambda: len(protocol.received) == 20)
        assert len({id(addr) for _, addr in protocol.received}) == 1
        transport.close()

    run(main())


def test_a_collected_circle_of_protocol_and_transport(loop, run):
    async def main():
        transport, protocol = await loop.create_datagram_endpoint(Recorder, local_addr=(LOCALHOST, 0))
        gone = weakref.ref(protocol)
        transport.pause_reading()
        with pytest.warns(ResourceWarning, match="^unclosed transport <DatagramTransport fd="):
            del transport, protocol
            gc.collect()
        gc.collect()
        assert gone() is None

    run(main())


def test_closing_lets_go_of_protocol_and_addresses(loop, run):
    async def main():
        transport, protocol = await loop.create_datagram_endpoint(Recorder, local_addr=(LOCALHOST, 0))
        send(transport.get_extra_info("sockname"), b"x")
        await turns(lambda: protocol.received)
        addr = protocol.received[0][1]
        transport.sendto(b"answer", addr)
        held = sys.getrefcount(addr)
        transport.close()
        await turns(lambda: transport._sock is None)
        assert transport.get_protocol() is None
        assert sys.getrefcount(addr) < held
        for _ in range(7):
            transport.sendto(b"to nobody", addr)

    run(main())


def test_what_leaves_the_loop_leaves_the_rest_of_the_batch_for_later(loop, run):
    class Leaving(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"1":
                raise KeyboardInterrupt

    transport, protocol = run(loop.create_datagram_endpoint(Leaving, local_addr=(LOCALHOST, 0)))
    send(transport.get_extra_info("sockname"), b"0", b"1", b"2", b"3")
    with pytest.raises(KeyboardInterrupt):
        run(turns(lambda: len(protocol.received) == 4))
    assert [data for data, _ in protocol.received] == [b"0", b"1"]
    run(turns(lambda: len(protocol.received) == 4))
    assert [data for data, _ in protocol.received] == [b"0", b"1", b"2", b"3"]
    transport.close()
    run(turns(lambda: transport._sock is None))


def test_a_plain_send_is_heard_by_audit_hooks(loop, run):
    heard = []
    on = True

    def hook(event, args):
        if on and event == "socket.sendto":
            heard.append(args)

    sys.addaudithook(hook)

    async def main():
        transport, _ = await loop.create_datagram_endpoint(Recorder, local_addr=(LOCALHOST, 0))
        address = (LOCALHOST, transport.get_extra_info("sockname")[1])
        transport.sendto(b"x", address)
        assert heard == [(transport._sock, address)]
        transport.close()

    try:
        run(main())
    finally:
        on = False
