"""Servers as processes of their own, and wrk in front of them."""

import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGTERM

import stage

PATIENCE = 45.0
WRK_SECONDS = 3


class Served:
    def __init__(self, process: "subprocess.Popen[str]", announced: re.Pattern[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self.url = ""
        assert process.stdout is not None
        for line in process.stdout:
            self.said.append(line)
            if found := announced.search(line):
                self.url = found[0]
                break
        if not self.url:
            raise AssertionError(f"the server did not start: {''.join(self.said[-5:])}")
        # What it goes on to say has to be taken, or it stops at a full pipe.
        self._reader = threading.Thread(target=lambda: self.said.extend(process.stdout or ()), daemon=True)
        self._reader.start()

    def end(self) -> int:
        """The exit status after SIGTERM."""
        self.process.send_signal(SIGTERM)
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status


@contextmanager
def serving(command: list[str], announced: str = r"https?://127\.0\.0\.1:\d+") -> Iterator[Served]:
    """The server from the line with its address on; gone when the block is left."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        guard = threading.Timer(PATIENCE, process.kill)
        guard.start()
        try:
            yield Served(process, re.compile(announced))
        finally:
            guard.cancel()
            process.kill()


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
