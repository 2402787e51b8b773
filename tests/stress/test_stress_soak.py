"""A short soak (tests/stress/soak): every way to open, use, cut, cancel and close a connection, and nothing left of any."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parent / "soak"
# Memory is another matter after minutes than after a second: `make soak` looks at it without this.
SHORT = ("--slack", "8", "--at-once", "50")


def soak(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SOAK), *SHORT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=55)


def counts(said: str) -> dict[str, int]:
    summary = re.search(r"^[\d,]+ connections in .*$", said, re.MULTILINE)
    assert summary is not None, said
    found = re.findall(r"([\d,]+) (cancelled|cut|used to the end|failed)", summary.group())
    return {what: int(number.replace(",", "")) for number, what in found}


def test_over_tcp():
    ended = soak("--tcp", "3000", "--tls", "0")
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    told = counts(ended.stdout)
    assert sum(told.values()) == 3000
    assert told["cancelled"] > 100 and told["cut"] > 20 and "failed" not in told
    assert re.search(r"^classes here: plait\S*; there: plait\S*$", ended.stdout, re.MULTILINE)


def test_over_tls():
    ended = soak("--tcp", "0", "--tls", "300")
    if "has no TLS yet" in ended.stdout:
        assert ended.returncode == 1
        pytest.skip("TLS is not native so far")
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    assert sum(counts(ended.stdout).values()) == 300


def test_what_is_left_over_is_noticed():
    sys.path.insert(0, str(SOAK))
    try:
        from census import Census, growth, leaks
    finally:
        sys.path.remove(str(SOAK))
    before = Census(100 << 20, 10, 1, 1)
    assert leaks("here", before, before) == [] == growth("here", before, Census(105 << 20, 10, 1, 1), 0.05, 0)
    assert leaks("here", before, Census(0, 11, 2, 3)) == [
        "here: 10 descriptors before, 11 after", "here: 1 tasks before, 2 after", "here: 1 threads before, 3 after",
    ]  # fmt: skip
    (said,) = growth("here", before, Census(106 << 20, 10, 1, 1), 0.05, 0)
    assert said.startswith("here: memory grew by 6.0%")


def test_a_scripts_payloads_name_their_connection():
    sys.path.insert(0, str(SOAK))
    try:
        from script import script
    finally:
        sys.path.remove(str(SOAK))
    made = [script(1, "tcp", number, 0.1) for number in range(500)]
    assert made == [script(1, "tcp", number, 0.1) for number in range(500)]
    assert len({payload for one in made for payload in one.payloads}) == sum(len(one.payloads) for one in made)
    assert {one.end for one in made} == {"close", "close and wait", "abort", "end of file"}
    assert 20 < sum(one.cancelled_after is not None for one in made) < 100
    assert len({one.source for one in made}) == 250
