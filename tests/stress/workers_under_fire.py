"""Requests without end while workers are replaced (SIGHUP) and killed (-9) at random. On a reload no request may fail; on a kill only those that the worker had.

    python tests/stress/workers_under_fire.py [app] [--seconds S] [--kills] [--sharing inherit|reuseport] [--clients N] [--seed N]

`app` is one of tests/workers/apps: plain, aiohttp, fastapi. The clients are native (`plait._native.bench_endurance`), in a process of their own. Half of them open a connection for each request, the others keep
theirs until they are told that it will be closed. Each failure is told with how and when it was seen. Explained by a kill is one that was seen in a moment after it; and not by one that refuses, answers wrongly or says nothing:
the sockets are the supervisor's, so even in a kill nobody may meet that. A kept connection that is closed before any of a response has come is stale: as in HTTP, the request is sent again on a new one.
Without a kill there should be none of those either, since clients are told beforehand.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

APPS = Path(__file__).parent.parent / "workers" / "apps"
PATIENCE = 60.0
# A failure belongs to a kill if it is seen so many seconds after it at most: the machine may be busy.
AFTERMATH = 2.0
# A client that is silent for so long has been forgotten. Workers that die young one after the other make the next wait, up to ten seconds.
SILENCE = 50.0
# What a kill may do to a request.
EXPLAINED = {"reset", "closed", "cut", "stale"}

CLIENT = """
import json, sys
from plait import _native

order = json.loads(sys.argv[1])
report = _native.bench_endurance("127.0.0.1", order.pop("port"), b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n", **order)
report["bodies"] = {body.decode(): count for body, count in report["bodies"].items()}
report["failures"] = [(at, how, before.decode()) for at, how, before in report["failures"]]
print(json.dumps(report))
"""


class Fire:
    """A run: the supervisor, what was done to it, and what the clients saw."""

    def __init__(self, app: str, sharing: str, workers: int) -> None:
        self.port = free_port()
        self.log: IO[bytes] = tempfile.TemporaryFile()
        script = str(APPS / f"{app}_app.py")
        command = [sys.executable, "-m", "plait", "run", "--workers", str(workers), "--sharing", sharing, script, str(self.port)]
        self.process = subprocess.Popen(command, stderr=self.log)
        self.counts: Counter[str] = Counter()
        self.by_worker: dict[str, int] = {}
        self.failures: list[tuple[float, str, str]] = []
        self.kills: list[tuple[float, int]] = []

    def said(self) -> str:
        return os.pread(self.log.fileno(), 1 << 22, 0).decode(errors="replace")

    def until(self, words: str, count: int = 1) -> None:
        end = time.monotonic() + PATIENCE
        while self.said().count(words) < count:
            assert self.process.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.02)

    def pids(self) -> list[int]:
        """Of the supervisor's children."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in text.split()]

    def begin_clients(self, clients: int, seconds: float) -> "subprocess.Popen[str]":
        order = {"port": self.port, "opening": clients // 2, "keeping": clients - clients // 2, "seconds": seconds, "timeout": SILENCE}
        return subprocess.Popen([sys.executable, "-c", CLIENT, json.dumps(order)], stdout=subprocess.PIPE, text=True)

    def note(self, report: dict[str, Any]) -> None:
        self.counts.update(new=report["opened"], kept=report["kept"])
        self.by_worker = report["bodies"]
        self.failures = [(at, how, before) for at, how, before in report["failures"]]
        self.counts.update(how for _, how, _ in self.failures)

    # ---- what is done to it

    def reload(self) -> None:
        before = self.said().count("are reloaded")
        self.process.send_signal(signal.SIGHUP)
        self.until("are reloaded", before + 1)
        self.counts["reloads"] += 1

    def kill(self, chance: random.Random) -> None:
        pids = self.pids()
        if pids:
            pid = chance.choice(pids)
            self.kills.append((time.monotonic(), pid))
            os.kill(pid, signal.SIGKILL)
            self.counts["kills"] += 1

    def unexplained(self) -> list[tuple[float, str, str]]:
        """Failures that are not due to a kill; where it is known which worker it was, to one of that."""

        def is_explained(at: float, how: str, before: str) -> bool:
            return how in EXPLAINED and any(0 <= at - kill <= AFTERMATH and before in ("", str(pid)) for kill, pid in self.kills)

        return [failure for failure in self.failures if not is_explained(*failure)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def run(app: str, sharing: str, seconds: float, kills: bool, clients: int, seed: int, workers: int = 2) -> Fire:
    """The whole. The supervisor is ended, too."""
    chance = random.Random(seed)
    fire = Fire(app, sharing, workers)
    try:
        fire.until("workers are ready")
        asking = fire.begin_clients(clients, seconds)
        end = time.monotonic() + seconds
        while time.monotonic() < end and asking.poll() is None:
            if kills and (not fire.kills or chance.random() < 0.7):
                fire.kill(chance)
            else:
                fire.reload()
            time.sleep(chance.uniform(0.1, 1.0))
        told, _ = asking.communicate(timeout=PATIENCE + SILENCE)
        assert asking.returncode == 0, "the clients could not go on"
        fire.note(json.loads(told))
    finally:
        fire.process.terminate()
        fire.process.wait(PATIENCE)
    return fire


def judge(fire: Fire, clients: int) -> list[str]:
    """What is wrong."""
    began = fire.kills[0][0] if fire.kills else 0.0
    wrong = [f"a request failed without a kill: {how} at {at - began:.3f} s, of worker {before or '?'}" for at, how, before in fire.unexplained()]
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
    fire = run(options.app, options.sharing, options.seconds, options.kills, options.clients, options.seed)
    wrong = judge(fire, options.clients)
    shares = sorted(fire.by_worker.values(), reverse=True)
    print(f"{dict(fire.counts)}, failed in kills: {len(fire.failures) - len(fire.unexplained())}, requests by worker: {shares[:12]}")
    print("\n".join(wrong[:20]) or "all is well")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
