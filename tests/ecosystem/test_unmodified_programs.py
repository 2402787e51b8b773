"""Programs of other people's packages, started by ``plait run`` and by ``python``: what they print, and how they end."""

import signal
import socket
import subprocess
import sys

import pytest
from server_process import PROGRAMS, serving

pytest.importorskip("aiohttp")

WAYS = {"asyncio": (), "plait": ("-m", "plait", "run")}


def run(way: str, program: str) -> tuple[int, str, str]:
    command = [sys.executable, "-X", "dev", *WAYS[way], str(PROGRAMS / program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_crawler() -> None:
    status, stdout, stderr = run("plait", "crawler.py")
    assert (status, stdout, stderr) == run("asyncio", "crawler.py")
    assert (status, stderr) == (0, "")
    assert stdout.startswith("60 ") and stdout.endswith("left over 0\n")


@pytest.mark.parametrize("way", WAYS)
def test_run_app(way: str) -> None:
    with serving(*WAYS[way], str(PROGRAMS / "aiohttp_app.py")) as server:
        assert server.get("/loop") == {"loop": way}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_app_shuts_down_by_signal(number: signal.Signals) -> None:
    def interrupted(way: str) -> tuple[int, list[str]]:
        with serving(*WAYS[way], str(PROGRAMS / "aiohttp_app.py")) as server:
            server.get("/loop")
            server.process.send_signal(number)
            return server.end()

    status, said = interrupted("plait")
    assert (status, said) == interrupted("asyncio")
    assert said[-2:] == ["stopped\n", "left\n"]


def test_run_app_finishes_the_request_under_way() -> None:
    def answered(way: str) -> tuple[int, list[str], bytes]:
        with serving(*WAYS[way], str(PROGRAMS / "aiohttp_app.py")) as server:
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(b"GET /finish HTTP/1.1\r\nHost: x\r\n\r\n")
                server.wait_for("request begun")
                server.process.send_signal(signal.SIGTERM)
                answer = client.makefile("rb").read()
            status, said = server.end()
            return status, said, answer.partition(b"\r\n\r\n")[2]

    plait = answered("plait")
    assert plait == answered("asyncio")
    assert plait[2] == b'{"finished": true}'
