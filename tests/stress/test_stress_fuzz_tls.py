"""The fuzzer of the TLS machine (tests/stress/fuzz_tls): what it knows goes well, what it makes up in a few seconds too, and it notices."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).parent / "fuzz_tls"
CORPUS = sorted((FUZZER / "corpus").glob("*.hex"))
PARTS = 4


def fuzzer(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(FUZZER), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110)


@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_known(part):
    scripts = [path.read_text().strip() for path in CORPUS[part::PARTS]]
    assert len(scripts) > 10
    played = fuzzer("--play", *scripts)
    assert (played.returncode, played.stderr) == (0, ""), played.stdout + played.stderr
    assert [line for line in played.stdout.splitlines() if not line.startswith(" ")] == scripts


def test_what_is_made_up():
    made_up = fuzzer("--seconds", "5")
    assert made_up.returncode == 0, made_up.stdout + made_up.stderr
    assert " 0 went wrong" in made_up.stdout


BROKEN = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
import play
real = play.Play.receive
def receive(self, actor, data):
    real(self, actor, {broken})
play.Play.receive = receive
fuzzer = sys.argv[1] + "/__main__.py"
sys.argv[1:] = ["--seconds", "20", "--most", "1", "--seed", "1"]
runpy.run_path(fuzzer, run_name="__main__")
"""


@pytest.mark.parametrize("broken", ["data[:-1]", "data[::-1]", "data + b'x'"])
def test_it_notices(broken):
    """A byte lost, in disorder, or too many: on plait's side alone, as a fault of the machine would be."""
    program = BROKEN.replace("{broken}", f"({broken}) if self.native and len(data) > 1 else data")
    made_up = subprocess.run([sys.executable, "-c", program, str(FUZZER)], capture_output=True, text=True, timeout=110)
    assert made_up.returncode == 1, made_up.stdout + made_up.stderr
    assert " 1 went wrong" in made_up.stdout and "    * " in made_up.stdout
