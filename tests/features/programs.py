"""Programs of their own, run by ``plait run`` like ``python`` runs them, and by ``python`` with plait's modules in place of the standard ones."""

import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "plait", "run"]

# Of a program that is run in each way. "host" is the one without plait, with which the others are compared.
WAYS = {"host": [sys.executable], "run": COMMAND, "mirror": [sys.executable]}

# What is not over by then hangs.
LIMIT = 30
NAP = 0.005


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PLAIT", "PYTHON"))}


def run(tmp_path: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    script = write(tmp_path, source)
    return subprocess.run([*COMMAND, *options, script], capture_output=True, text=True, timeout=LIMIT, env=environment())


def run_as(way: str, tmp_path: Path, source: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [*WAYS[way], write(tmp_path, spelled(way, source))]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=LIMIT, env=environment())


def same_in_each_way(tmp_path: Path, source: str, stdin: str = "") -> tuple[int, str, str]:
    """How the program ended and what it wrote, which is the same without plait, under ``plait run``, and with plait's modules."""
    ends = {}
    for way in WAYS:
        done = run_as(way, tmp_path, source, stdin)
        ends[way] = done.returncode, done.stdout, done.stderr
    assert ends["run"] == ends["host"]
    assert ends["mirror"] == ends["host"]
    return ends["host"]


def spelled(way: str, source: str) -> str:
    """The program with the line changed that brings plait's modules in, where `way` is that way."""
    if way != "mirror":
        return source
    changed, times = re.subn(r"(?m)^(\s*)import (asyncio|multiprocessing|queue|threading)$", r"\1from plait import \2", source)
    changed, more = re.subn(r"(?m)^(\s*)from (multiprocessing\b\S*|concurrent\.futures) import", r"\1from plait.\2 import", changed)
    assert times + more, "the program imports nothing that plait has"
    return changed


def write(tmp_path: Path, source: str) -> str:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return str(path)


def start(tmp_path: Path, source: str) -> "subprocess.Popen[bytes]":
    command = [*COMMAND, write(tmp_path, source)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())


@contextmanager
def running(way: str, tmp_path: Path, source: str, **streams: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """The program as a process, which is gone when the block is left."""
    command = [*WAYS[way], write(tmp_path, spelled(way, source))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), **{**pipes, **streams}) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_all_its_threads_sleep(process: "subprocess.Popen[bytes]") -> None:
    """Returns when the process can go on only if somebody else does something: no thread has run in between several looks."""
    give_up = time.monotonic() + LIMIT
    quiet, before = 0, None
    while quiet < 5:
        assert time.monotonic() < give_up, "it does not come to rest"
        assert process.poll() is None, "it ended"
        seen = _switches(process.pid)
        quiet = quiet + 1 if seen is not None and seen == before else 0
        before = seen
        time.sleep(NAP)


def _switches(pid: int) -> "dict[str, list[str]] | None":
    """Per thread how often it was switched, which changes whenever it has run. None if one of them runs now."""
    switches = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            lines = Path(f"/proc/{pid}/task/{thread}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return None
        told = dict(line.split(":\t") for line in lines if line.startswith(("State", "voluntary", "nonvoluntary")))
        if not told["State"].startswith("S"):
            return None
        switches[thread] = [told["voluntary_ctxt_switches"], told["nonvoluntary_ctxt_switches"]]
    return switches
