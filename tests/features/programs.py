"""Programs of their own, run by ``plait run`` like ``python`` runs them."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

COMMAND = [sys.executable, "-m", "plait", "run"]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PLAIT", "PYTHON"))}


def run(tmp_path: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    script = write(tmp_path, source)
    return subprocess.run([*COMMAND, *options, script], capture_output=True, text=True, timeout=30, env=environment())


def write(tmp_path: Path, source: str) -> str:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return str(path)


def start(tmp_path: Path, source: str) -> "subprocess.Popen[bytes]":
    command = [*COMMAND, write(tmp_path, source)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
