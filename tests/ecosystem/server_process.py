"""A server as a process of its own, on a port of its own, ended by its own number."""

import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE = 60.0


class ServerProcess:
    """The running server. What it prints, log and application alike, comes by one pipe, in order."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []
        announced = re.search(r"http://127\.0\.0\.1:(\d+)", self.wait_for("http://127.0.0.1:"))
        assert announced is not None
        self.port = int(announced[1])

    def wait_for(self, words: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"the server ended without {words!r}:\n{''.join(self.said)}")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def get(self, path: str) -> Any:
        connection = self.connect()
        connection.request("GET", path, headers={"Connection": "close"})
        with connection.getresponse() as response:
            assert response.status == 200
            return json.load(response)

    def end(self) -> tuple[int, list[str]]:
        """The exit status and all that was said, without the numbers that differ from run to run."""
        assert self.process.stdout is not None
        self.said.extend(self.process.stdout)
        status = self.process.wait(timeout=PATIENCE)
        return status, [re.sub(r"\[\d+\]|:\d+", "…", line) for line in self.said]


@contextmanager
def serving(*arguments: str) -> Iterator[ServerProcess]:
    """``python arguments`` up to its announcement of the address, and gone when the block is left."""
    environment = {name: value for name, value in os.environ.items() if name != "PLAIT_DISABLE"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        # A server that hangs is ended here, and the test by what it then misses.
        guard = threading.Timer(PATIENCE, process.kill)
        guard.start()
        try:
            yield ServerProcess(process)
        finally:
            guard.cancel()
            process.kill()
