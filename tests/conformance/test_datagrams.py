"""Datagrams: endpoints, sending, errors, flow control, closing, pausing; UDP over both IPs, and Unix sockets."""

import asyncio
import contextlib
import contextvars
import errno
import gc
import logging
import os
import socket
import sys
import warnings
import weakref

import pytest
from peers import LOCALHOST, check_unusual_limits, open_descriptors, until

NEW_WORDS = sys.version_info >= (3, 13)  # no arguments in reports but in debug mode
NEW_COUNTING = sys.version_info >= (3, 13)  # headers are counted, and empty datagrams sent


class Recorder(asyncio.DatagramProtocol):
    def __init__(self):
        self.transport = None
        self.received = []
        self.errors = []
        self.calls = []

    def connection_made(self, transport):
        self.transport = transport
        self.calls.append("made")

    def datagram_received(self, data, addr):
        self.received.append((data, addr))

    def error_received(self, exc):
        self.errors.append(exc)

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")

    def connection_lost(self, exc):
        self.calls.append(("lost", exc))


@contextlib.asynccontextmanager
async def endpoint(protocol=None, **kwargs):
    loop = asyncio.get_running_loop()
    if not kwargs:
        kwargs = {"local_addr": (LOCALHOST, 0)}
    transport, protocol = await loop.create_datagram_endpoint(lambda: protocol or Recorder(), **kwargs)
    try:
        yield transport, protocol
    finally:
        transport.close()
        await until(lambda: any(call[0] == "lost" for call in protocol.calls if isinstance(call, tuple)))


@contextlib.contextmanager
def plain(host=LOCALHOST, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind(host if family == socket.AF_UNIX else (host, 0))
        sock.settimeout(10)
        yield sock


def test_there_and_back_with_addresses_as_the_socket_module_writes_them(run):
    async def main():
        for host, family in ((LOCALHOST, socket.AF_INET), ("::1", socket.AF_INET6)):
            with plain(host, family) as peer:
                async with endpoint(local_addr=(host, 0), family=family) as (transport, protocol):
                    assert isinstance(transport, asyncio.BaseTransport)
                    assert protocol.calls == ["made"] and protocol.transport is transport
                    here = transport.get_extra_info("sockname")
                    peer.sendto(b"hello", here)
                    await until(lambda: protocol.received)
                    assert protocol.received == [(b"hello", peer.getsockname())]
                    data, addr = protocol.received[0]
                    assert type(data) is bytes and type(addr) is tuple and [type(part) for part in addr[:2]] == [str, int]
                    for destination in (addr, tuple(list(addr)), peer.getsockname()):
                        transport.sendto(b"answer", destination)
                        assert peer.recvfrom(100) == (b"answer", here)

    run(main())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_all_kinds_of_bytes(run, kind):
    async def main():
        with plain() as peer:
            async with endpoint() as (transport, _):
                for size in (1, 100, 60_000):
                    transport.sendto(kind(bytes(size)), peer.getsockname())
                    assert peer.recv(100_000) == bytes(size)

    run(main())


def test_many_arrive_whole_and_in_order_from_several_senders(run):
    async def main():
        async with endpoint() as (transport, protocol):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            here = transport.get_extra_info("sockname")
            with contextlib.ExitStack() as stack:
                peers = [stack.enter_context(plain()) for _ in range(40)]
                sent = []
                for number in range(200):
                    peer = peers[number * 7 % len(peers)]
                    data = b"%d" % number * (number % 5 + 1)
                    peer.sendto(data, here)
                    sent.append((data, peer.getsockname()))
                await until(lambda: len(protocol.received) == 200)
                assert protocol.received == sent

    run(main())


def test_an_empty_datagram_is_received(run):
    async def main():
        with plain() as peer:
            async with endpoint() as (transport, protocol):
                peer.sendto(b"", transport.get_extra_info("sockname"))
                peer.sendto(b"after", transport.get_extra_info("sockname"))
                await until(lambda: len(protocol.received) == 2)
                assert [data for data, _ in protocol.received] == [b"", b"after"]

    run(main())


def test_an_empty_datagram_is_sent_where_the_host_sends_one(run):
    async def main():
        with plain() as peer:
            async with endpoint() as (transport, _):
                transport.sendto(b"", peer.getsockname())
                transport.sendto(b"after", peer.getsockname())
                assert peer.recv(10) == (b"" if NEW_COUNTING else b"after")

    run(main())


def test_to_a_fixed_peer(run):
    async def main():
        with plain() as peer, plain() as stranger:
            async with endpoint(remote_addr=peer.getsockname()) as (transport, protocol):
                assert transport.get_extra_info("peername") == peer.getsockname()
                assert transport._address == peer.getsockname()
                for address in (None, peer.getsockname()):
                    transport.sendto(b"x", address)
                    assert peer.recv(10) == b"x"
                with pytest.raises(ValueError) as caught:
                    transport.sendto(b"x", stranger.getsockname())
                assert str(caught.value) == f"Invalid address: must be None or {peer.getsockname()}"
                here = transport.get_extra_info("sockname")
                stranger.sendto(b"not for you", here)
                peer.sendto(b"for you", here)
                await until(lambda: protocol.received)
                assert protocol.received == [(b"for you", peer.getsockname())]

    run(main())


def test_broadcast_leaves_the_socket_unconnected(run):
    async def main():
        with plain() as peer:
            async with endpoint(remote_addr=peer.getsockname(), allow_broadcast=True) as (transport, _):
                sock = transport.get_extra_info("socket")
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
                assert transport.get_extra_info("peername") is None
                transport.sendto(b"x")
                assert peer.recv(10) == b"x"

    run(main())


def test_reuse_port(run):
    async def main():
        async with endpoint(local_addr=(LOCALHOST, 0), reuse_port=True) as (first, _):
            here = first.get_extra_info("sockname")
            async with endpoint(local_addr=here, reuse_port=True) as (second, _):
                assert second.get_extra_info("sockname") == here

    run(main())


@pytest.mark.parametrize("data", ["text", None, 5, [1, 2]])
def test_what_is_no_bytes(run, data):
    async def main():
        async with endpoint() as (transport, _):
            with pytest.raises(TypeError) as caught:
                transport.sendto(data, (LOCALHOST, 9))
            assert str(caught.value) == f"data argument must be a bytes-like object, not {type(data).__name__!r}"

    run(main())


def test_a_name_is_resolved_by_the_socket(run):
    async def main():
        with plain() as peer:
            async with endpoint() as (transport, _):
                transport.sendto(b"x", ("localhost", peer.getsockname()[1]))
                assert peer.recv(10) == b"x"

    run(main())


@pytest.mark.parametrize(
    "address",
    [(LOCALHOST,), (LOCALHOST, "9"), (LOCALHOST, 70_000), (LOCALHOST, -1), LOCALHOST, None, [LOCALHOST, 9], (5, 9)],
    ids=str,
)
def test_an_address_that_is_none_ends_the_transport_in_the_sockets_words(loop, run, reports, address):
    async def main():
        with plain() as judge:
            with pytest.raises(Exception) as expected:
                judge.sendto(b"x", address)
        protocol = Recorder()
        async with endpoint(protocol, local_addr=(LOCALHOST, 0)) as (transport, _):
            transport.sendto(b"x", address)
            assert transport.is_closing()
        (report,) = reports
        assert report["message"] == "Fatal write error on datagram transport"
        assert (type(report["exception"]), str(report["exception"])) == (type(expected.value), str(expected.value))
        assert report["transport"] is transport and report["protocol"] is protocol
        assert protocol.calls == ["made", ("lost", report["exception"])]

    run(main())


def test_errors_of_the_socket_are_the_protocols(run):
    async def main():
        with plain() as gone:
            nobody = gone.getsockname()
        async with endpoint() as (transport, protocol):
            transport.sendto(bytes(70_000), nobody)
            (error,) = protocol.errors
            assert type(error) is OSError and error.errno == errno.EMSGSIZE
            assert not transport.is_closing()
        async with endpoint(remote_addr=nobody) as (transport, protocol):
            transport.sendto(b"to nobody")
            await until(lambda: protocol.errors)
            assert type(protocol.errors[0]) is ConnectionRefusedError
            transport.sendto(b"and")
            transport.sendto(b"again")
            assert not transport.is_closing()

    run(main())


def test_what_error_received_raises_goes_to_the_caller(run):
    class Raising(Recorder):
        def error_received(self, exc):
            raise RuntimeError("mine") from exc

    async def main():
        async with endpoint(Raising(), local_addr=(LOCALHOST, 0)) as (transport, _):
            with pytest.raises(RuntimeError, match="^mine$"):
                transport.sendto(bytes(70_000), (LOCALHOST, 9))
            assert not transport.is_closing()

    run(main())


def test_what_datagram_received_raises_is_reported_and_the_rest_arrives(run, reports):
    class Raising(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"1":
                raise RuntimeError("mine")

    async def main():
        with plain() as peer:
            async with endpoint(Raising(), local_addr=(LOCALHOST, 0)) as (transport, protocol):
                for number in range(5):
                    peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
                await until(lambda: len(protocol.received) == 5)
                assert [data for data, _ in protocol.received] == [b"0", b"1", b"2", b"3", b"4"]
                (report,) = reports
                assert str(report["exception"]) == "mine"
                assert report["message"] == "Exception in callback _SelectorDatagramTransport._read_ready()"

    run(main())


def test_what_other_methods_raise_is_reported_under_the_names_of_asyncio(loop, run, reports):
    class Raising(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            raise RuntimeError("made")

        def error_received(self, exc):
            super().error_received(exc)
            raise RuntimeError("error")

        def connection_lost(self, exc):
            super().connection_lost(exc)
            raise RuntimeError("lost")

    async def main():
        with plain() as gone:
            address = gone.getsockname()
        async with endpoint(Raising(), remote_addr=address) as (transport, protocol):
            transport.sendto(b"to nobody")  # refused, which the next receive is told
            await until(lambda: protocol.errors)
            assert not transport.is_closing()
        assert transport._sock is None

    run(main())
    assert [str(report["exception"]) for report in reports] == ["made", "error", "lost"]
    made, error, lost = (report["message"].removeprefix("Exception in callback ") for report in reports)
    assert ".Raising.connection_made(" in made
    assert error == "_SelectorDatagramTransport._read_ready()"
    assert lost == "_SelectorTransport._call_connection_lost" + ("()" if NEW_WORDS else "(None)")


def test_what_is_raised_while_sending_what_waited_is_reported_under_the_name_of_asyncio(loop, run, reports):
    class Raising(Recorder):
        def error_received(self, exc):
            super().error_received(exc)
            raise RuntimeError("mine")

    async def main():
        with plain(f"\0plait-full-{os.getpid()}-{id(run)}", socket.AF_UNIX) as far:
            async with endpoint(Raising(), family=socket.AF_UNIX) as (transport, protocol):
                while not transport.get_write_buffer_size():
                    transport.sendto(b"x" * 1000, far.getsockname())
                far.close()
                await until(lambda: protocol.errors)
                assert type(protocol.errors[0]) is ConnectionRefusedError and not transport.is_closing()
                transport.abort()

    run(main())
    # asyncio may send once more after abort(), and stumbles over the socket that is gone
    mine = [report["message"] for report in reports if isinstance(report["exception"], RuntimeError)]
    assert set(mine) == {"Exception in callback _SelectorDatagramTransport._sendto_ready()"}


def test_closing_in_a_callback_takes_effect_at_once(run):
    class Closing(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"2":
                self.transport.close()

    async def main():
        with plain() as peer:
            async with endpoint(Closing(), local_addr=(LOCALHOST, 0)) as (transport, protocol):
                for number in range(10):
                    peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
                await until(lambda: protocol.calls[-1] == ("lost", None))
                assert [data for data, _ in protocol.received] == [b"0", b"1", b"2"]
                assert transport.is_closing() and transport._sock is None

    run(main())


def test_pausing_in_a_callback_takes_effect_at_once_and_loses_nothing(run):
    class Pausing(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if int(data) % 3 == 2:
                self.transport.pause_reading()
                assert not self.transport.is_reading()

    async def main():
        with plain() as peer:
            async with endpoint(Pausing(), local_addr=(LOCALHOST, 0)) as (transport, protocol):
                for number in range(20):
                    peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
                for expected in (3, 6, 9, 12, 15, 18):
                    await until(lambda: not transport.is_reading())
                    for _ in range(5):
                        await asyncio.sleep(0)
                    assert len(protocol.received) == expected
                    transport.resume_reading()
                await until(lambda: len(protocol.received) == 20)
                assert [int(data) for data, _ in protocol.received] == list(range(20))

    run(main())


def test_a_rush_does_not_starve_the_others(loop, run):
    async def main():
        async with endpoint() as (transport, protocol):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            seen = []
            with plain() as peer:
                for number in range(150):
                    peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))

            def look():
                seen.append(len(protocol.received))
                if len(protocol.received) < 150:
                    loop.call_soon(look)

            loop.call_soon(look)
            await until(lambda: len(protocol.received) == 150)
            await until(lambda: seen[-1] == 150)
            steps = [b - a for a, b in zip(seen, seen[1:], strict=False)]
            assert 0 < max(steps) <= 32

    run(main())


def test_callbacks_run_in_the_context_of_the_endpoint(run):
    variable = contextvars.ContextVar("variable", default="outside")

    class Looking(Recorder):
        def look(self, *_):
            self.calls.append(variable.get())

        datagram_received = look
        connection_made = look

        def connection_lost(self, exc):
            self.look()
            super().connection_lost(exc)

    async def main():
        variable.set("inside")
        with plain() as peer:
            async with endpoint(Looking(), local_addr=(LOCALHOST, 0)) as (transport, protocol):
                variable.set("changed since")
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                await until(lambda: len(protocol.calls) == 3)
            assert protocol.calls[:3] == ["inside"] * 3

    run(main())


@contextlib.contextmanager
def unix_pair(tmp_path):
    """A receiver bound to a path, and a sender connected to it, whose datagrams wait when the receiver is full."""
    path = str(tmp_path / "receiver")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        receiver.setblocking(False)
        yield receiver, path


@pytest.mark.parametrize("connected", [True, False])
def test_what_the_socket_does_not_take_is_sent_later_in_order_and_flow_is_controlled(run, tmp_path, connected):
    async def main():
        with unix_pair(tmp_path) as (receiver, path):
            kwargs = {"remote_addr": path} if connected else {}
            async with endpoint(Recorder(), family=socket.AF_UNIX, **kwargs) as (transport, protocol):
                address = None if connected else path
                transport.set_write_buffer_limits(high=400, low=100)
                assert transport.get_write_buffer_limits() == (100, 400)
                sent = []
                while "pause" not in protocol.calls:
                    changing = bytearray(b"%06d" % len(sent))
                    transport.sendto(changing, address)
                    sent.append(bytes(changing))
                    changing[:] = b"??????"
                waiting = transport.get_write_buffer_size()
                assert waiting == 400 + 14 - 400 % 14 if NEW_COUNTING else waiting == 402
                assert [data for data, _ in transport._buffer] == sent[-len(transport._buffer) :]
                assert "write=<polling" in repr(transport)
                got = []

                def receive():
                    with contextlib.suppress(BlockingIOError):
                        got.append(receiver.recv(100))
                    return len(got) == len(sent)

                await until(receive)
                assert got == sent
                assert protocol.calls == ["made", "pause", "resume"] or NEW_COUNTING and protocol.calls == ["made", "pause"]
                assert not transport._buffer and not protocol.errors

    run(main())


def test_close_sends_what_waits_and_abort_does_not(run, tmp_path):
    async def main():
        for ending, everything in (("close", True), ("abort", False)):
            os.makedirs(tmp_path / ending)
            with unix_pair(tmp_path / ending) as (receiver, path):
                async with endpoint(Recorder(), family=socket.AF_UNIX, remote_addr=path) as (transport, protocol):
                    sent = []
                    while len(transport._buffer) < 3:
                        sent.append(b"%d" % len(sent))
                        transport.sendto(sent[-1])
                    getattr(transport, ending)()
                    assert transport.is_closing()
                    got = []
                    while protocol.calls[-1] != ("lost", None) or len(got) < len(sent) - 3:
                        with contextlib.suppress(BlockingIOError):
                            got.append(receiver.recv(100))
                        await asyncio.sleep(0)
                    with contextlib.suppress(BlockingIOError):
                        while True:
                            got.append(receiver.recv(100))
                    assert got == (sent if everything else sent[:-3])

    run(main())


def test_an_error_behind_what_waited_is_told_and_the_rest_goes(run, tmp_path):
    async def main():
        with unix_pair(tmp_path) as (receiver, path):
            async with endpoint(Recorder(), family=socket.AF_UNIX) as (transport, protocol):
                sent = 0
                while not transport._buffer:
                    transport.sendto(b"fill", path)
                    sent += 1
                transport.sendto(b"to nobody", str(tmp_path / "nobody"))
                transport.sendto(b"last", path)
                got = []

                def receive():
                    with contextlib.suppress(BlockingIOError):
                        got.append(receiver.recv(100))
                    return got and got[-1] == b"last"

                await until(receive)
                assert len(got) == sent + 1
                assert [type(error) for error in protocol.errors] == [FileNotFoundError]

    run(main())


def test_unix_senders_of_all_kinds(run, tmp_path):
    async def main():
        path = str(tmp_path / "here")
        async with endpoint(local_addr=path, family=socket.AF_UNIX) as (transport, protocol):
            assert transport.get_extra_info("sockname") == path
            name = str(tmp_path / "sändér")
            for bound in (None, name, b"\0plait-%d" % os.getpid()):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
                    if bound is not None:
                        peer.bind(bound)
                    peer.sendto(b"x" * 200_000, path) if bound is None else peer.sendto(b"y", path)
                    await until(lambda: protocol.received)
                    ((data, addr),) = protocol.received
                    protocol.received.clear()
                    assert addr == bound and len(data) == (200_000 if bound is None else 1)
                    if bound is not None:
                        transport.sendto(b"answer", addr)
                        assert peer.recvfrom(100) == (b"answer", path)

    run(main())


def test_a_stale_unix_socket_file_is_replaced(run, tmp_path):
    async def main():
        path = str(tmp_path / "stale")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as old:
            old.bind(path)
        async with endpoint(local_addr=path, family=socket.AF_UNIX):
            pass

    run(main())


def test_closed_and_fixed_it_ignores_what_is_sent_and_warns_in_the_end(run, caplog):
    async def main():
        with plain() as peer:
            async with endpoint(remote_addr=peer.getsockname()) as (transport, protocol):
                transport.abort()
                transport.abort()
                transport.close()
                with caplog.at_level(logging.WARNING, "asyncio"):
                    for _ in range(6):
                        transport.sendto(b"x")
                assert [record.getMessage() for record in caplog.records] == ["socket.send() raised exception."] * 2
                await until(lambda: protocol.calls[-1] == ("lost", None))
                assert protocol.calls == ["made", ("lost", None)]

    run(main())


def test_reprs_and_information(run):
    async def main():
        async with endpoint() as (transport, protocol):
            sock = transport.get_extra_info("socket")
            text = repr(transport)
            assert f"fd={sock.fileno()} read=polling write=<idle, bufsize=0>" in text
            assert type(sock) is asyncio.trsock.TransportSocket
            assert transport.get_extra_info("nothing") is None and transport.get_extra_info("nothing", 5) == 5
            assert transport.get_protocol() is protocol is transport._protocol
            other = Recorder()
            transport.set_protocol(other)
            assert transport.get_protocol() is other
            transport.set_protocol(protocol)
            transport.close()
            assert " closing fd=" in repr(transport)
            await until(lambda: transport._sock is None)
            assert " closed fd=" in repr(transport)
            assert transport.get_extra_info("sockname")[0] == LOCALHOST

    run(main())


@pytest.mark.parametrize("limits", [(1, 2), (-1, None), (None, -1)])
def test_limits_that_cannot_be(run, limits):
    async def main():
        async with endpoint() as (transport, _):
            with pytest.raises(ValueError, match=r"^high \(-?\d+\) must be >= low \(-?\d+\) must be >= 0$"):
                transport.set_write_buffer_limits(*limits)

    run(main())


def test_limits_beyond_all_counting(run):
    async def main():
        async with endpoint() as (transport, _):
            check_unusual_limits(transport)

    run(main())


def test_its_descriptor_is_its_own(loop, run):
    async def main():
        async with endpoint() as (transport, _):
            fd = transport.get_extra_info("socket").fileno()
            with pytest.raises(RuntimeError, match=f"^File descriptor {fd} is used by transport <"):
                loop.add_reader(fd, print)

    run(main())


def test_an_unclosed_transport_warns_and_closes_its_socket(loop, run):
    async def main():
        protocol = Recorder()
        transport, _ = await loop.create_datagram_endpoint(lambda: protocol, local_addr=(LOCALHOST, 0))
        transport.pause_reading()
        protocol.transport = None
        gone = weakref.ref(protocol)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            text = repr(transport)
            if hasattr(loop, "_transports"):
                loop._transports.clear()
            del transport, protocol
            for _ in range(3):
                await asyncio.sleep(0)
                gc.collect()
        messages = [str(warning.message) for warning in caught if warning.category is ResourceWarning]
        assert messages == [f"unclosed transport {text}"]
        caught.clear()  # with the transport as the warning's source
        gc.collect()
        assert gone() is None

    run(asyncio.sleep(0))  # a loop may open descriptors of its own when it first runs
    before = open_descriptors()
    run(main())
    assert open_descriptors() == before


def test_a_socket_of_ones_own_class_is_asked(run):
    class Counting(socket.socket):
        sent = received = 0

        def sendto(self, data, address):
            self.sent += 1
            return super().sendto(b"<" + data + b">", address)

        def recvfrom(self, size):
            data, addr = super().recvfrom(size)
            self.received += 1
            return data.upper(), addr

    async def main():
        with plain() as peer:
            sock = Counting(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((LOCALHOST, 0))
            async with endpoint(sock=sock) as (transport, protocol):
                transport.sendto(b"x", peer.getsockname())
                assert peer.recv(10) == b"<x>"
                peer.sendto(b"abc", sock.getsockname())
                await until(lambda: protocol.received)
                assert protocol.received == [(b"ABC", peer.getsockname())]
                assert sock.sent == sock.received == 1

    run(main())


def test_a_stream_socket_is_refused(loop, run):
    async def main():
        with socket.socket() as sock:
            with pytest.raises(ValueError, match="was expected, got <socket.socket "):
                await loop.create_datagram_endpoint(Recorder, sock=sock)

    run(main())


def test_operations_without_a_transport(loop, run):
    async def main():
        with plain() as a, plain() as b:
            a.setblocking(False)
            b.setblocking(False)
            assert await loop.sock_sendto(a, b"now", b.getsockname()) == 3
            assert await loop.sock_recvfrom(b, 100) == (b"now", a.getsockname())
            receiving = loop.create_task(loop.sock_recvfrom(b, 2))
            await asyncio.sleep(0)
            assert not receiving.done()
            await loop.sock_sendto(a, b"later", b.getsockname())
            assert await receiving == (b"la", a.getsockname())
            buffer = bytearray(8)
            for args, expected in (((), 8), ((0,), 8), ((3,), 3)):
                filling = loop.create_task(loop.sock_recvfrom_into(b, buffer, *args))
                await asyncio.sleep(0)
                await loop.sock_sendto(a, b"0123456789", b.getsockname())
                assert await filling == (expected, a.getsockname())
                assert buffer[:expected] == b"0123456789"[:expected]

    run(main())


def test_an_operation_that_is_cancelled_takes_nothing(loop, run):
    async def main():
        with plain() as a, plain() as b:
            a.setblocking(False)
            b.setblocking(False)
            for make in (lambda: loop.sock_recvfrom(b, 10), lambda: loop.sock_recvfrom_into(b, bytearray(10))):
                receiving = loop.create_task(make())
                await asyncio.sleep(0)
                await loop.sock_sendto(a, b"x", b.getsockname())
                receiving.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await receiving
                assert await loop.sock_recvfrom(b, 10) == (b"x", a.getsockname())

    run(main())


def test_what_is_wrong_with_an_operation_is_said_when_it_is_awaited(loop, run):
    async def main():
        with plain() as a:
            a.setblocking(False)
            for wrong in (loop.sock_recvfrom_into(a, 5), loop.sock_recvfrom(a, "x"), loop.sock_sendto(a, "text", a.getsockname())):
                with pytest.raises(TypeError):
                    await wrong

    run(main())
