"""Requests without end while workers are replaced (SIGHUP) and killed (-9) at random. On a reload no request may fail; on a kill only those that the worker had.

    python tests/stress/workers_under_fire.py [app] [--seconds S] [--kills] [--sharing inherit|reuseport] [--clients N] [--seed N]

`app` is one of tests/workers/apps: plain, aiohttp, fastapi. Half of the clients open a connection for each request, the others keep theirs until they are told that it will be closed. A
kept connection that is closed before any of a response has come counts as stale, not as failed, as in HTTP (the request is sent again, once, on a new connection); how many there were is told.
"""

import argparse
import asyncio
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

import plait

APPS = Path(__file__).parent.parent / "workers" / "apps"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE = 60.0
# A failure belongs to a kill if it is seen so many seconds after it at most: the machine may be busy.
AFTERMATH = 2.0


class Fire:
    """A run: the supervisor, the clients, and what happened."""

    def __init__(self, app: str, sharing: str, workers: int) -> None:
        self.port = free_port()
        self.log: IO[bytes] = tempfile.TemporaryFile()
        script = str(APPS / f"{app}_app.py")
        command = [sys.executable, "-m", "plait", "run", "--workers", str(workers), "--sharing", sharing, script, str(self.port)]
        self.process = subprocess.Popen(command, stderr=self.log)
        self.counts: Counter[str] = Counter()
        self.by_worker: Counter[str] = Counter()
        self.failures: list[tuple[float, str]] = []
        self.kills: list[float] = []
        self.over = False

    def said(self) -> str:
        return os.pread(self.log.fileno(), 1 << 22, 0).decode(errors="replace")

    async def until(self, words: str, count: int = 1) -> None:
        end = time.monotonic() + PATIENCE
        while self.said().count(words) < count:
            assert self.process.poll() is None and time.monotonic() < end, self.said()
            await asyncio.sleep(0.02)

    def pids(self) -> list[int]:
        """Of the supervisor's children."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in text.split()]

    # ---- the clients

    async def client(self, keeps: bool) -> None:
        connection: Any = None
        while not self.over:
            fresh = connection is None
            try:
                if connection is None:
                    connection = await asyncio.open_connection("127.0.0.1", self.port)
                closes = await self.ask(*connection)
            except (OSError, EOFError, ValueError) as error:
                if connection is not None:
                    connection[1].close()
                connection = None
                if fresh or str(error) == "in the midst":
                    self.failures.append((time.monotonic(), repr(error)))
                else:
                    self.counts["stale"] += 1
                continue
            self.counts["kept" if not fresh else "new"] += 1
            if closes or not keeps:
                connection[1].close()
                connection = None
        if connection is not None:
            connection[1].close()

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request. Whether the connection is to be closed."""
        writer.write(REQUEST)
        first = await reader.readline()
        if not first:
            raise EOFError("no answer")
        try:
            head = first + await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if not head.startswith(b"HTTP/1.1 200") or length is None:
                raise ValueError(head)
            body = await reader.readexactly(int(length[1]))
        except (OSError, EOFError):
            raise EOFError("in the midst") from None
        self.by_worker[body.decode()] += 1
        return b"connection: close" in head.lower()

    # ---- what is done to it

    async def reload(self) -> None:
        before = self.said().count("are reloaded")
        self.process.send_signal(signal.SIGHUP)
        await self.until("are reloaded", before + 1)
        self.counts["reloads"] += 1

    async def kill(self, chance: random.Random) -> None:
        pids = self.pids()
        if pids:
            self.kills.append(time.monotonic())
            os.kill(chance.choice(pids), signal.SIGKILL)
            self.counts["kills"] += 1

    def unexplained(self) -> list[tuple[float, str]]:
        return [failure for failure in self.failures if not any(0 <= failure[0] - kill <= AFTERMATH for kill in self.kills)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


async def run(app: str, sharing: str, seconds: float, kills: bool, clients: int, seed: int, workers: int = 2) -> Fire:
    """The whole. The supervisor is ended, too."""
    chance = random.Random(seed)
    fire = Fire(app, sharing, workers)
    try:
        await fire.until("workers are ready")
        tasks = [asyncio.ensure_future(fire.client(keeps=number % 2 == 0)) for number in range(clients)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if kills and chance.random() < 0.6:
                await fire.kill(chance)
            else:
                await fire.reload()
            await asyncio.sleep(chance.uniform(0.1, 1.0))
        fire.over = True
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
    finally:
        fire.process.terminate()
        await asyncio.to_thread(fire.process.wait, PATIENCE)
    return fire


def judge(fire: Fire, clients: int) -> list[str]:
    """What is wrong."""
    wrong = [f"a request failed without a kill: {error}" for _, error in fire.unexplained()]
    if len(fire.failures) > clients * len(fire.kills):
        wrong.append(f"{len(fire.failures)} failures of {clients} clients in {len(fire.kills)} kills")
    if fire.process.returncode != 0:
        wrong.append(f"the supervisor exited with {fire.process.returncode}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("app", nargs="?", default="plain", choices=["plain", "aiohttp", "fastapi"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kills", action="store_true")
    parser.add_argument("--sharing", default="inherit")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    fire = plait.run(run(options.app, options.sharing, options.seconds, options.kills, options.clients, options.seed))
    wrong = judge(fire, options.clients)
    shares = sorted(fire.by_worker.values(), reverse=True)
    print(f"{dict(fire.counts)}, failed in kills: {len(fire.failures) - len(fire.unexplained())}, requests by worker: {shares[:12]}")
    print("\n".join(wrong[:20]) or "all is well")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
