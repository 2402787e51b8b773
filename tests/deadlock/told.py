"""Programs under ``plait run``, and what is said of deadlocks."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LIMIT = 30
SCENARIOS = Path(__file__).parent / "scenarios.py"


def until(condition: Callable[[], Any], what: str = "the condition never held") -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.001)


class Program:
    """A program under ``plait run``, and what it has written so far."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "plait", "run", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1, env=environment
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=lines.extend, args=(stream,))
            for lines, stream in ((self.out, self.process.stdout), (self.err, self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def text(self, lines: list[str]) -> str:
        return "".join(list(lines))

    def until(self, lines: list[str], pattern: str) -> None:
        until(
            lambda: pattern in self.text(lines) or self.process.poll() is not None,
            f"{pattern!r} was never written, but {self.text(self.out)}{self.text(self.err)}",
        )

    def finish(self) -> int:
        """Waits for its end. Returns the exit status."""
        status = self.process.wait(LIMIT)
        self._let_go()
        return status

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._let_go()

    def _let_go(self) -> None:
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Said:
    """What was said about deadlocks in this process."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self._err = ""
        self.records: list[logging.LogRecord] = []

    @property
    def err(self) -> str:
        self._err += self._capfd.readouterr().err
        return self._err

    def count(self) -> int:
        return self.err.count("plait: deadlock")
