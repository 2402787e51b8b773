"""A program under ``plait run --workers``, as tests see it."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

APPS = Path(__file__).parent / "apps"
PATIENCE = 60.0


def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait for something that other processes do."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end, what or condition
        time.sleep(0.01)
    return result


def script(path: Path, source: str) -> Path:
    """A program of a test's own, in a file."""
    file = path / "program.py"
    file.write_text(source)
    return file


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


class Supervised:
    """The supervisor and its workers."""

    def __init__(self, command: list[str]) -> None:
        self.log = tempfile.TemporaryFile()
        environment = {name: value for name, value in os.environ.items() if name not in ("PLAIT_DISABLE", "PLAIT_WORKER")}
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment)

    def said(self) -> str:
        return os.pread(self.log.fileno(), 1 << 20, 0).decode(errors="replace")

    def until_said(self, words: str, count: int = 1) -> None:
        def is_there() -> bool:
            if self.said().count(words) >= count:
                return True
            assert self.process.poll() is None or self.said().count(words) >= count, f"it has ended without {words!r}:\n{self.said()}"
            return False

        try:
            until(is_there)
        except AssertionError:
            raise AssertionError(f"{words!r} was not said:\n{self.said()}") from None

    def pids(self) -> list[int]:
        """Of the workers."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in text.split()]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def reload(self) -> None:
        before = self.said().count("reloaded")
        self.signal(signal.SIGHUP)
        self.until_said("reloaded", before + 1)

    def end(self) -> int:
        """By SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(PATIENCE)

    def exit_status(self) -> int:
        """Of one that ends by itself."""
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def supervised(*arguments: object) -> Iterator[Supervised]:
    """``plait run arguments``, which is gone when the block is left."""
    with running([sys.executable, "-m", "plait", "run", *map(str, arguments)]) as program:
        yield program


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[Supervised]:
    program = Supervised(command)
    try:
        yield program
    finally:
        pids = program.pids() if program.process.poll() is None else []
        if program.process.poll() is None:
            program.process.terminate()
            try:
                program.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                program.process.kill()
                program.process.wait()
        for pid in pids:
            until(lambda pid=pid: not is_alive(pid), f"worker {pid} is left")
        program.log.close()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def line(port: int, text: str = "x") -> str:
    """Ask the plain program, on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.sendall(text.encode() + b"\n")
        return sock.recv(100).decode().strip()


def get(port: int, path: str = "/") -> str:
    """Ask a program over HTTP, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        assert response.status == 200
        return response.read().decode()
    finally:
        connection.close()


def told_pid(text: str, words: str) -> int:
    """The process id in what was told of a worker."""
    found = re.search(rf"\(pid (\d+)\)[^\n]*{words}", text)
    assert found is not None, text
    return int(found[1])
