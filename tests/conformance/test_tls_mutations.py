"""TLS and a hostile peer: whatever is done to the bytes on their way, no byte is made up, and the protocol hears of one end."""

import asyncio
import ssl

import plait
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loop_fixtures import settle, start_the_clock
from peers import Recorder
from tls_stage import Buffered, TlsPeer, accepted, server_context

SENT = b"".join(number.to_bytes(2, "big") for number in range(20_000))

CHANGE = st.tuples(
    st.sampled_from(["flip", "drop", "double", "insert", "cut"]), st.integers(0, 1 << 16), st.integers(1, 255)
)


def changed(stream, changes):
    stream = bytearray(stream)
    for what, place, value in changes:
        if not stream:
            break
        place %= len(stream)
        if what == "flip":
            stream[place] ^= value
        elif what == "drop":
            del stream[place : place + value]
        elif what == "double":
            stream[place:place] = stream[place : place + value]
        elif what == "insert":
            stream[place:place] = bytes(range(value))
        else:
            del stream[place:]
    return bytes(stream)


@given(
    changes=st.lists(CHANGE, max_size=4),
    in_handshake=st.booleans(),
    buffered=st.booleans(),
    goodbye=st.booleans(),
    version=st.sampled_from([ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]),
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_mutated_bytes(factory, changes, in_handshake, buffered, goodbye, version):
    start_the_clock()
    loop = factory()
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    made = []

    def protocol():
        made.append(Buffered(5000) if buffered else Recorder())
        return made[-1]

    async def main():
        async with accepted(protocol=protocol) as (connecting, sock):
            peer = TlsPeer(sock, server_context(maximum_version=version))
            if in_handshake:
                peer.incoming.write(await loop.sock_recv(sock, 1 << 16))
                try:
                    peer.tls.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                await loop.sock_sendall(sock, changed(peer.outgoing.read(), changes))
            else:
                await peer.handshake()
                await connecting
                ciphertext = peer.encrypted(SENT) + (peer.close_notify() if goodbye else b"")
                await loop.sock_sendall(sock, changed(ciphertext, changes))
            sock.shutdown(1)
            await asyncio.wait([connecting])
            (only,) = made
            if connecting.exception() is None:
                await only.lost
                assert only.calls.count("lost") == 1 and only.calls[-1] == "lost"
                assert SENT.startswith(only.data)
                # asyncio loses what does not fit into a buffered protocol's buffer when the end comes.
                whole = not buffered or isinstance(loop, plait.EventLoop)
                if whole and not changes and not in_handshake:
                    assert only.data == SENT
            else:
                assert isinstance(connecting.exception(), (OSError, ssl.SSLError))
                assert only.calls == []

    try:
        loop.run_until_complete(main())
        assert reports == []
    finally:
        settle(loop)
