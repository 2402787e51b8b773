"""What is not native yet refuses with NotImplementedError, and says what it is and what to do."""

import asyncio
import socket
import ssl

import pytest

CALLS = {
    "create_datagram_endpoint": (lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol), "UDP"),
    "create_unix_connection": (lambda loop: loop.create_unix_connection(asyncio.Protocol, "path"), "Unix sockets"),
    "create_unix_server": (lambda loop: loop.create_unix_server(asyncio.Protocol, "path"), "Unix sockets"),
    "sendfile": (lambda loop: loop.sendfile(None, None), "sendfile"),
    "sock_sendfile": (lambda loop: loop.sock_sendfile(None, None), "sendfile"),
    "start_tls": (lambda loop: loop.start_tls(None, None, None), "TLS"),
    "create_connection with TLS": (
        lambda loop: loop.create_connection(asyncio.Protocol, "127.0.0.1", 1, ssl=ssl.create_default_context()),
        "TLS",
    ),
    "create_server with TLS": (
        lambda loop: loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=ssl.create_default_context()),
        "TLS",
    ),
    "connect_accepted_socket with TLS": (lambda loop: accepted(loop), "TLS"),
    "asyncio.open_unix_connection": (lambda loop: asyncio.open_unix_connection("path"), "Unix sockets"),
    "asyncio.start_unix_server": (lambda loop: asyncio.start_unix_server(print, "path"), "Unix sockets"),
}


async def accepted(loop):
    a, b = socket.socketpair()
    with a, b:
        await loop.connect_accepted_socket(asyncio.Protocol, a, ssl=ssl.create_default_context())


@pytest.mark.parametrize("name", CALLS)
def test_not_yet(loop, run, name):
    call, feature = CALLS[name]

    async def main():
        await call(loop)

    with pytest.raises(NotImplementedError) as caught:
        run(main())
    assert feature in str(caught.value) and "plait" in str(caught.value)


def test_every_method_of_a_loop_is_there(loop):
    """All of AbstractEventLoop is done or refuses in its own words: nothing is inherited that raises without any."""
    missing = [
        name
        for name in vars(asyncio.AbstractEventLoop)
        if not name.startswith("_") and not callable(getattr(type(loop), name, None))
    ]
    assert missing == []
