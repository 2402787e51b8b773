"""A file that is closed while it is sent: its number may be another file's by then. (Stock asyncio goes on with that.)"""

import asyncio
import contextlib

import pytest
from peers import sockets, until

SIZE = 20 << 20


@pytest.fixture
def paths(tmp_path):
    sent, secret = tmp_path / "sent", tmp_path / "secret"
    sent.write_bytes(bytes(SIZE))
    secret.write_bytes(b"\xff" * SIZE)
    return sent, secret


async def begin(loop, sock, peer, file):
    sending = loop.create_task(loop.sock_sendfile(sock, file))
    await loop.sock_recv(peer, 100_000)
    await until(lambda: not sending.done())
    return sending


def reopen(file, path):
    number = file.fileno()
    file.close()
    other = path.open("rb", buffering=0)
    assert other.fileno() == number
    return other


def test_what_has_its_number_is_not_sent(loop, run, paths):
    async def main():
        with sockets() as (a, b):
            file = paths[0].open("rb", buffering=0)
            sending = await begin(loop, a, b, file)
            with reopen(file, paths[1]) as other:
                got = bytearray()
                while not sending.done():
                    with contextlib.suppress(BlockingIOError):
                        got += b.recv(1 << 20)
                    await asyncio.sleep(0)
                with pytest.raises(OSError, match="Bad file descriptor"):
                    await sending
                assert not any(got)
                assert other.tell() == 0

    run(main())


@pytest.mark.parametrize("way", ["cancel", "close"])
def test_what_has_its_number_is_not_moved(loop, run, paths, way):
    async def main():
        with sockets() as (a, b):
            file = paths[0].open("rb", buffering=0)
            operation = loop._send_file(a, file, file.fileno(), 0, None)
            assert operation.send(None) is not None  # it waits for room
            with reopen(file, paths[1]) as other:
                if way == "close":
                    operation.close()
                else:
                    with pytest.raises(asyncio.CancelledError):
                        operation.throw(asyncio.CancelledError())
                assert other.tell() == 0

    run(main())


def test_an_open_one_is_left_behind_what_went(loop, run, paths):
    async def main():
        with sockets() as (a, b), paths[0].open("rb", buffering=0) as file:
            sending = await begin(loop, a, b, file)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert 0 < file.tell() < SIZE

    run(main())
