"""The Makefile's scripts, with made-up commands on the PATH: what they choose, and what they say when something is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A directory to be the whole PATH: the shell's own tools, and nothing else yet."""
    directory = tmp_path / "commands"
    directory.mkdir()
    for tool in ("sh", "grep", "sort", "awk", "head", "sed"):
        found = shutil.which(tool)
        assert found, tool
        (directory / tool).symlink_to(found)
    return directory


def add(commands: Path, name: str, script: str) -> None:
    (commands / name).write_text(f"#!/bin/sh\n{script}\n")
    (commands / name).chmod(0o755)


def script(name: str, *arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROJECT / "scripts" / name), *arguments], env={"PATH": str(path)}, capture_output=True, text=True, timeout=60
    )


def test_the_newest_tested_python_that_runs_is_chosen(commands: Path) -> None:
    add(commands, "python3.13", "echo 'not installed here' >&2; exit 127")
    add(commands, "python3.12", "echo 3.12 /opt/twelve/bin/python")
    add(commands, "python3", "echo 3.11 /usr/bin/python3")
    add(commands, "python3.14", "echo 3.14 /opt/fourteen/bin/python")
    assert script("find-python", path=commands).stdout == "/opt/twelve/bin/python\n"
    listed = script("find-python", "--all", path=commands).stdout
    assert listed == "3.12 /opt/twelve/bin/python\n3.11 /usr/bin/python3\n"


def test_a_newer_python_will_do_when_no_tested_one_is_there(commands: Path) -> None:
    add(commands, "python3.14", "echo 3.14 /opt/fourteen/bin/python")
    assert script("find-python", path=commands).stdout == "/opt/fourteen/bin/python\n"
    assert script("find-python", "--all", path=commands).returncode == 1


def test_the_real_probe_takes_this_python(commands: Path) -> None:
    (commands / "python3").symlink_to(sys.executable)
    found = script("find-python", str(commands / "python3"), path=commands)
    fit = sys.version_info >= (3, 11) and (not hasattr(sys, "_is_gil_enabled") or "free-threading" not in sys.version)
    assert (found.returncode == 0) is fit, found.stderr


def test_no_python_is_said_plainly(commands: Path) -> None:
    none = script("find-python", path=commands)
    assert (none.returncode, none.stdout) == (1, "")
    assert "CPython 3.11 or newer, with its venv module" in none.stderr
    add(commands, "python2", "echo")
    assert "'python2'" in script("find-python", "python2", path=commands).stderr


def test_missing_and_old_tools_are_said_plainly(commands: Path) -> None:
    nothing = script("check-tools", path=commands)
    assert nothing.returncode == 1
    assert "cargo and rustc were not found" in nothing.stderr and "no C linker" in nothing.stderr
    for tool in ("cargo", "cc"):
        add(commands, tool, "true")
    add(commands, "rustc", "echo 'rustc 1.84.1 (e71f9a9a9 2025-01-27)'")
    old = script("check-tools", path=commands)
    assert old.returncode == 1 and "too old; 1.85 or newer" in old.stderr
    add(commands, "rustc", "echo 'rustc 1.85.0 (4d91de4e4 2025-02-17)'")
    good = script("check-tools", path=commands)
    assert (good.returncode, good.stderr) == (0, "")


def test_no_free_threaded_python_is_said_plainly(commands: Path) -> None:
    for tool in ("bash", "dirname", "cat"):
        (commands / tool).symlink_to(shutil.which(tool) or "")
    environment = {"PATH": str(commands), "HOME": str(commands), "PYTHON_FT": str(commands / "nowhere")}
    command = [str(PROJECT / "scripts" / "free-threaded")]
    none = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert none.returncode == 1 and "PYTHON_FT=" in none.stderr
    assert subprocess.run([*command, "--find"], env=environment, capture_output=True, timeout=60).returncode == 1


def test_extras_are_read_from_the_project() -> None:
    listed = subprocess.run(
        [sys.executable, str(PROJECT / "scripts" / "extra-requirements"), "demo", "bench"],
        capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    assert any(line.startswith("aiohttp") for line in listed) and any(line.startswith("uvloop") for line in listed)


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_every_target_is_known_to_make() -> None:
    targets = ["demo", "test", "test-free-threaded", "cpython-tests", "loom", "bench", "check-types", "lint", "build", "clean", "help"]
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    listed = subprocess.run(["make", "help"], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True).stdout
    for target in targets:
        assert f"  make {target} " in listed
        dry = subprocess.run(["make", "-n", target], cwd=PROJECT, env=environment, capture_output=True, text=True)
        assert dry.returncode == 0, dry.stderr
