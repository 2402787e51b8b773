"""uvicorn as a process of its own, told ``--loop plait:new_event_loop``, against the same with asyncio's loop."""

import json
import re
import signal
import socket
from contextlib import AbstractContextManager

import pytest
from server_process import PROGRAMS, ServerProcess, serving

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")

LOOPS = {"asyncio": "asyncio:SelectorEventLoop", "plait": "plait:new_event_loop"}
both = pytest.mark.parametrize("loop", LOOPS)
LARGE = b"0123456789abcdef" * 64 * 1024


def uvicorn(loop: str, *options: str) -> AbstractContextManager[ServerProcess]:
    return uvicorn_by((), LOOPS[loop], *options)


def uvicorn_by(by: tuple[str, ...], loop: str, *options: str) -> AbstractContextManager[ServerProcess]:
    command = [*by, "-m", "uvicorn", "web_app:app", "--app-dir", str(PROGRAMS), "--loop", loop]
    return serving(*command, "--host", "127.0.0.1", "--port", "0", "--no-use-colors", *options)


@both
def test_the_loop_is_the_one_that_was_named(loop: str) -> None:
    with uvicorn(loop) as server:
        assert server.get("/loop") == {"loop": loop}


def test_plait_run() -> None:
    """uvicorn names a loop of its own (uvloop's, or asyncio's selector loop) unless it is told not to."""
    with uvicorn_by(("-m", "plait", "run"), "none") as server:
        assert server.get("/loop") == {"loop": "plait"}


@both
def test_requests(loop: str) -> None:
    with uvicorn(loop) as server:
        connection = server.connect()
        for number in range(50):  # by keep-alive
            connection.request("GET", f"/items/{number}?word=w{number}")
            with connection.getresponse() as response:
                assert json.load(response) == {"number": number, "word": f"w{number}"}
        connection.request("GET", "/items/nought")
        with connection.getresponse() as response:
            assert response.status == 422
            response.read()
        connection.request("POST", "/echo", body=LARGE)
        with connection.getresponse() as response:
            assert response.read() == LARGE
        connection.close()
        assert server.get("/thread") == {"loop": False}


@both
def test_streaming_response(loop: str) -> None:
    with uvicorn(loop) as server:
        connection = server.connect()
        connection.request("GET", "/stream")
        with connection.getresponse() as response:
            assert response.headers["Transfer-Encoding"] == "chunked"
            assert response.read() == b"".join(f"line {number}\n".encode() for number in range(1000))
        connection.close()


@both
def test_websocket(loop: str) -> None:
    client = pytest.importorskip("websockets.sync.client")
    with uvicorn(loop) as server, client.connect(f"ws://127.0.0.1:{server.port}/chat") as connection:
        for number in range(20):
            connection.send(f"word {number}")
            assert connection.recv(timeout=30) == f"WORD {number}"


@both
def test_a_client_that_goes_away(loop: str) -> None:
    with uvicorn(loop) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
            server.wait_for("request begun")
        assert server.get("/loop") == {"loop": loop}


def interrupted(loop: str, number: signal.Signals) -> tuple[int, list[str]]:
    with uvicorn(loop) as server:
        assert server.get("/loop") == {"loop": loop}
        server.process.send_signal(number)
        return server.end()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_shutdown_by_signal(number: signal.Signals) -> None:
    status, said = interrupted("plait", number)
    assert (status, said) == interrupted("asyncio", number)
    assert "application stopped\n" in said


def test_shutdown_waits_for_the_request_under_way() -> None:
    def outcome(loop: str) -> tuple[int, list[str], bytes]:
        with uvicorn(loop) as server, socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
            server.wait_for("request begun")
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("Waiting for connections to close")
            client.sendall(b"67890")
            answer = client.makefile("rb").read()
            status, said = server.end()
            return status, said, re.sub(rb"date: [^\r]*", b"date: ...", answer)

    plait = outcome("plait")
    assert plait == outcome("asyncio")
    status, said, answer = plait
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"1234567890" in answer
    assert "application stopped\n" in said


@both
def test_a_worker_that_is_limited_ends_by_itself(loop: str) -> None:
    with uvicorn(loop, "--limit-max-requests", "3") as server:
        for _ in range(3):
            server.get("/loop")
        status, said = server.end()
    assert status == 0
    assert "application stopped\n" in said
