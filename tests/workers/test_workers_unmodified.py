"""Programs that know nothing of workers run under ``--workers 2``: all workers serve at one address, a reload loses no request, what is in flight is finished."""

import asyncio
import importlib.util
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from supervised import APPS, PATIENCE, free_port, get, line, supervised, until

import plait

sys.path.insert(0, str(Path(__file__).parent.parent / "stress"))
import workers_under_fire  # noqa: E402

NEEDS = {"plain": [], "aiohttp": ["aiohttp"], "fastapi": ["fastapi", "uvicorn"]}


def app(name: str) -> str:
    for package in NEEDS[name]:
        pytest.importorskip(package)
    return str(APPS / f"{name}_app.py")


def ask(name: str, port: int, slow: float = 0) -> str:
    if name == "plain":
        return line(port, f"slow {slow}")
    return get(port, f"/?slow={slow}")


@pytest.mark.parametrize("sharing", ["inherit", "reuseport"])
@pytest.mark.parametrize("name", list(NEEDS))
def test_two_workers_serve_are_reloaded_and_end(name: str, sharing: str) -> None:
    port = free_port()
    with supervised("--workers", 2, "--sharing", sharing, app(name), port) as program:
        program.until_said(f"2 workers are ready at 127.0.0.1:{port}")
        before = set(program.pids())
        assert len(before) == 2
        seen: set[int] = set()
        until(lambda: seen.add(int(ask(name, port))) or seen == before)
        program.reload()
        until(lambda: not before & set(program.pids()))
        seen.clear()
        until(lambda: seen.add(int(ask(name, port))) or len(seen) == 2)
        assert seen == set(program.pids())
        assert program.end() == 0
        assert "Traceback" not in program.said()
        with pytest.raises(ConnectionRefusedError):
            ask(name, port)


@pytest.mark.parametrize("name", list(NEEDS))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_request_in_flight_is_finished(name: str, number: int) -> None:
    port = free_port()
    with supervised("--workers", 1, app(name), port) as program:
        program.until_said("ready")
        before = program.pids()
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            request = b"slow 1.5\n" if name == "plain" else b"GET /?slow=1.5 HTTP/1.1\r\nHost: x\r\n\r\n"
            sock.sendall(request)
            # It is with the worker when another that was sent later has been answered.
            assert ask(name, port) == str(before[0])
            program.signal(number)
            answer = ""
            while str(before[0]) not in answer and (more := sock.recv(1000).decode()):
                answer += more
        assert str(before[0]) in answer
        if number != signal.SIGHUP:
            assert program.exit_status() == 0


@pytest.mark.parametrize("name", list(NEEDS))
@pytest.mark.parametrize("sharing", ["inherit", "reuseport"])
def test_no_request_fails_on_reload(name: str, sharing: str) -> None:
    app(name)
    fire = workers_under_fire.run(name, sharing, seconds=3, kills=False, clients=6, seed=7)
    assert workers_under_fire.judge(fire, 6) == []
    assert fire.failures == []
    assert fire.counts["reloads"] >= 1
    assert fire.counts["new"] > 20


@pytest.mark.parametrize("sharing", ["inherit", "reuseport"])
def test_a_kill_fails_only_what_the_worker_had(sharing: str) -> None:
    fire = workers_under_fire.run("plain", sharing, seconds=3, kills=True, clients=6, seed=3)
    assert workers_under_fire.judge(fire, 6) == []
    assert fire.counts["kills"] >= 1


@pytest.mark.parametrize("how", ["at once", "one by one"])
def test_connections_are_spread_evenly_over_an_inherited_socket(how: str) -> None:
    port = free_port()
    held: list[socket.socket] = []

    def connect() -> str:
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        held.append(sock)
        sock.sendall(b"x\n")
        return sock.recv(100).decode()

    with supervised("--workers", 2, "--deadline", 1, app("plain"), port) as program:
        program.until_said("ready")
        answers: list[str] = []
        if how == "one by one":
            answers = [connect() for _ in range(40)]
        else:
            threads = [threading.Thread(target=lambda: answers.append(connect())) for _ in range(40)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
        shares = sorted(answers.count(answer) for answer in set(answers))
        assert len(shares) == 2
        assert shares[0] >= 10, shares
        for sock in held:
            sock.close()


def test_the_standard_loop_serves_too(tmp_path: Path) -> None:
    script = tmp_path / "stock.py"
    script.write_text(Path(app("plain")).read_text().replace("asyncio.run(main())", "asyncio.Runner(loop_factory=asyncio.SelectorEventLoop).run(main())"))
    port = free_port()
    with supervised("--workers", 2, script, port) as program:
        program.until_said("2 workers are ready")
        seen: set[str] = set()
        until(lambda: seen.add(line(port)) or len(seen) == 2)
        program.reload()
        until(lambda: line(port) not in seen)
        assert program.end() == 0


@pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")
def test_uvloop_serves_too(tmp_path: Path) -> None:
    script = tmp_path / "other.py"
    source = Path(app("plain")).read_text().replace("asyncio.run(main())", "asyncio.Runner(loop_factory=__import__('uvloop').new_event_loop).run(main())")
    script.write_text(source)
    port = free_port()
    with supervised("--workers", 2, "--deadline", 2, script, port) as program:
        program.until_said("2 workers are ready")
        seen: set[str] = set()
        until(lambda: seen.add(line(port)) or len(seen) == 2)
        assert program.end() == 0


def test_a_unix_socket_is_shared_and_its_file_is_gone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    script = tmp_path / "unix.py"
    source = Path(app("plain")).read_text().replace('start_server(handle, "127.0.0.1", int(sys.argv[1]))', "start_unix_server(handle, sys.argv[1])")
    script.write_text(source)

    def ask_unix() -> str:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(path))
            sock.sendall(b"x\n")
            return sock.recv(100).decode().strip()

    with supervised("--workers", 2, script, path) as program:
        program.until_said("2 workers are ready")
        seen: set[str] = set()
        until(lambda: seen.add(ask_unix()) or len(seen) == 2)
        inode = path.stat().st_ino
        program.reload()
        until(lambda: ask_unix() not in seen)  # who was told to end takes a moment to hear it
        assert path.stat().st_ino == inode
        assert program.end() == 0
        assert not path.exists()


def test_datagrams_and_any_port_are_shared(tmp_path: Path) -> None:
    script = tmp_path / "several.py"
    script.write_text(
        """
import asyncio, os, sys

class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, address):
        self.transport.sendto(b"%d" % os.getpid(), address)

async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", int(sys.argv[1])))
    first = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    second = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    print("ports", *(server.sockets[0].getsockname()[1] for server in (first, second)), flush=True)
    await first.serve_forever()

asyncio.run(main())
"""
    )
    port = free_port()
    with supervised("--workers", 2, script, port) as program:
        program.until_said("2 workers are ready")
        program.until_said("ports", 2)
        lines = [text for text in program.said().splitlines() if text.startswith("ports")]
        assert lines[0] == lines[1]
        assert len(set(lines[0].split())) == 3
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.sendto(b"x", ("127.0.0.1", port))
            assert int(sock.recv(100)) in program.pids()


def test_the_runner_of_coroutines_is_not_changed() -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        return 5

    assert plait.run(main()) == 5
    arguments: Any = {"sharing": "inherit"}
    coroutine = main()
    with pytest.raises(TypeError, match="only with workers"):
        plait.run(coroutine, **arguments)
    coroutine.close()
