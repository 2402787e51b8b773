"""coverage.py counts the same lines and branches inside native tasks."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from both_loops import PROGRAMS, run_on_both

pytest.importorskip("coverage")

BEFORE_MONITORING = pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
CORES = [
    pytest.param("ctrace", True),
    pytest.param("pytrace", True),
    pytest.param("sysmon", False, marks=BEFORE_MONITORING),
    pytest.param(
        "sysmon",
        True,
        marks=pytest.mark.skipif(sys.version_info < (3, 14), reason="sysmon measures branches from 3.14"),
    ),
]


def measured(data: Path) -> dict[str, Any]:
    """What was measured in the subject's file, function by function."""
    report = data.with_suffix(".json")
    command = [sys.executable, "-m", "coverage", "json", "-q", f"--data-file={data}", "-o", str(report)]
    subprocess.run(command, check=True, timeout=60)
    files: dict[str, dict[str, Any]] = json.loads(report.read_text())["files"]
    (found,) = (measures for name, measures in files.items() if name.endswith("subject.py"))
    return found


@pytest.mark.parametrize(("core", "branch"), CORES)
def test_same_lines_and_branches(core: str, branch: bool, tmp_path: Path) -> None:
    tool = ["-m", "coverage", "run", f"--data-file={tmp_path}/{{loop}}.data", f"--include={PROGRAMS}/*"]
    tool += ["--branch"] if branch else []
    for ran in run_on_both("subject.py", tool=tuple(tool), COVERAGE_CORE=core):
        assert (ran.status, ran.stderr) == (0, "")
    stock, plait = (measured(tmp_path / f"{loop}.data") for loop in ("asyncio", "plait"))
    assert plait == stock
    assert plait["executed_lines"]
    # Of the functions, one is never begun; in others single lines are not reached; the rest is covered whole.
    functions = plait["functions"]
    assert functions["never_starts"]["executed_lines"] == []
    assert functions["branches"]["missing_lines"] == []
    assert functions["waits_until_cancelled"]["missing_lines"] == []
    assert len(functions["recovers"]["missing_lines"]) == 1
    if branch:
        assert functions["branches"]["executed_branches"]
        assert functions["branches"]["missing_branches"] == []
