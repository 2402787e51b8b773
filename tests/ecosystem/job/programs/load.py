"""Servers as processes of their own, and wrk in front of them."""

import os
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGKILL, SIGTERM, Signals

import stage

PATIENCE = 45.0
WRK_SECONDS = 3


class Served:
    """A server that has announced its address. All that it says is taken by a thread: it would stop at a full pipe."""

    def __init__(self, process: "subprocess.Popen[str]", announced: str) -> None:
        self.process = process
        self.said: list[str] = []
        self._more = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait(lambda: re.search(announced, "".join(self.said)) is not None)
        found = re.search(announced, "".join(self.said))
        if found is None:
            raise AssertionError(f"the server did not start: {''.join(self.said[-3:])}")
        self.url = found[0]

    def _read(self) -> None:
        for line in self.process.stdout or ():
            with self._more:
                self.said.append(line)
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def _wait(self, condition) -> None:  # type: ignore[no-untyped-def]
        with self._more:
            self._more.wait_for(lambda: condition() or self._ended, PATIENCE)

    def said_times(self, words: str, times: int) -> bool:
        """Whether the words come so often, waiting for it as long as the server runs."""

        def enough() -> bool:
            return sum(words in line for line in self.said) >= times

        self._wait(enough)
        return enough()

    def end(self, number: Signals = SIGTERM) -> int:
        """The exit status after the signal."""
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status


@contextmanager
def serving(command: list[str], announced: str = r"https?://127\.0\.0\.1:\d+\b") -> Iterator[Served]:
    """The server from the line with its address on; gone with its children, which are one process group, when the block is left."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0) as process:

        def kill() -> None:
            try:
                os.killpg(process.pid, SIGKILL)
            except ProcessLookupError:
                pass  # nobody is left

        guard = threading.Timer(PATIENCE, kill)
        guard.start()
        try:
            yield Served(process, announced)
        finally:
            guard.cancel()
            kill()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        body: bytes = response.read()
        return body


def wrk(url: str, *, connections: int = 64) -> int:
    """Requests answered in WRK_SECONDS; all of them with 2xx or 3xx, and no connection broken."""
    command = [stage.from_environment("ECOSYSTEM_WRK"), "-t1", f"-c{connections}", f"-d{WRK_SECONDS}s", url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    found = re.search(r"(\d+) requests in", said)
    assert found is not None and int(found[1]) > connections, said
    print(said)
    return int(found[1])
