"""The packages' own test suites, from their source distributions, on plait and on stock asyncio: the sets of failures are compared.

Only the tests and their settings are taken out of the archive: what is tested is the package that is installed. On plait the suite
runs under ``plait run``; which loops asyncio made then is counted by a plugin (own_tests_plugin.py), and a suite on plait that made none of plait's
counts as failed. What fails on both is the package's or the machine's.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from catalogue import _installed
from runs import _clean_environment, _kill_session

HERE = Path(__file__).parent
DESELECTED = HERE / "deselected.txt"
SECONDS = 1500.0


@dataclass(frozen=True)
class Suite:
    package: str
    # A test that passes or fails by the time that it takes would be compared with itself.
    arguments: tuple[str, ...] = ()


SUITES = (
    Suite("anyio"),
    Suite("uvicorn"),
    Suite("httpx"),
)


@dataclass
class Compared:
    """What one suite came to. The outcomes are by the tests' names: passed, failed, skipped."""

    package: str
    version: str
    plait: dict[str, str] = field(default_factory=dict)
    asyncio: dict[str, str] = field(default_factory=dict)
    deselected: int = 0
    left_out: str = ""
    trouble: str = ""

    def _failed(self, outcomes: dict[str, str]) -> set[str]:
        return {name for name, outcome in outcomes.items() if outcome == "failed"}

    @property
    def only_on_plait(self) -> list[str]:
        if self.left_out:
            return []
        # A test that never ran on plait is missing there, not passed.
        missing = {name for name, outcome in self.asyncio.items() if outcome == "passed" and name not in self.plait}
        found = sorted((self._failed(self.plait) - self._failed(self.asyncio)) | missing)
        return found + ([self.trouble] if self.trouble else [])

    @property
    def on_both(self) -> list[str]:
        return sorted(self._failed(self.plait) & self._failed(self.asyncio))

    def cell(self, outcomes: dict[str, str]) -> str:
        if not outcomes:
            return "-"
        counts = {kind: list(outcomes.values()).count(kind) for kind in ("passed", "failed", "skipped")}
        return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def deselected(package: str) -> list[str]:
    """Names of tests of `package`, from lines of the form ``package  name  # reason``."""
    names = []
    for line in DESELECTED.read_text("utf-8").splitlines():
        entry, mark, reason = line.partition("  # ")
        if not line or line.startswith("#"):
            continue
        if not (mark and reason):
            raise ValueError(f"{DESELECTED.name}: no reason in {line!r}")
        owner, name = entry.split(maxsplit=1)
        if owner == package:
            names.append(name.strip())
    return names


def _fetch(package: str, version: str, directory: Path) -> str:
    """Take the tests out of the source distribution; says what was in the way."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-binary", package]
    done = subprocess.run([*command, "-d", str(directory), f"{package}=={version}"], capture_output=True, text=True)
    archives = list(directory.glob("*.tar.gz"))
    if done.returncode or not archives:
        return f"no source distribution: {(done.stderr.strip().splitlines() or ['none found'])[-1]}"
    with tarfile.open(archives[0]) as archive:
        for member in archive.getmembers():
            _, _, inner = member.name.partition("/")
            if inner.startswith("tests/") or inner in ("pyproject.toml", "setup.cfg", "pytest.ini", "tox.ini", "README.md"):
                archive.extract(member.replace(name=inner), directory / "suite", filter="data")
    return "" if (directory / "suite" / "tests").is_dir() else "the source distribution has no tests"


def _run(suite: Suite, side: str, place: Path, log: Path) -> tuple[dict[str, str], str]:
    results = place.parent / f"{side}.jsonl"
    by = ("-m", "plait", "run") if side == "plait" else ()
    command = [sys.executable, *by, "-m", "pytest", "tests", "-q", "-p", "own_tests_plugin", "-p", "no:cacheprovider", "-p", "no:asyncio", "--timeout=60", "--color=no"]
    # pytest-asyncio is none of these suites' plugins, and warns, which they make an error.
    command += [f"--deselect={name}" for name in deselected(suite.package)]
    environment = _clean_environment() | {"PYTHONPATH": str(HERE), "ECOSYSTEM_RESULTS": str(results), "ECOSYSTEM_SIDE": side}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *suite.arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=place, env=environment, start_new_session=True
        )
        trouble = ""
        try:
            status = process.wait(SECONDS)
            if status not in (0, 1):
                trouble = f"pytest ended with {status} on {side} ({log.name})"
        except subprocess.TimeoutExpired:
            trouble = f"did not end within {SECONDS:g} seconds on {side}"
        finally:
            _kill_session(process)
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()] if results.exists() else []
    loops = {name for line in lines for name in line.get("loops", ())}
    if side == "plait" and "plait" not in loops and not trouble:
        trouble = f"no test ran on plait's loop, but on {sorted(loops)}"
    return {line["test"]: line["outcome"] for line in lines if "test" in line}, trouble


def _compare(suite: Suite, logs: Path) -> Compared:
    if not _installed(suite.package):
        return Compared(suite.package, "-", left_out="not installed (pip install -r tests/ecosystem/requirements.txt)")
    compared = Compared(suite.package, metadata.version(suite.package), deselected=len(deselected(suite.package)))
    with tempfile.TemporaryDirectory(prefix="plait-own-tests-") as name:
        directory = Path(name)
        compared.left_out = _fetch(suite.package, compared.version, directory)
        if not compared.left_out:
            troubles: list[str] = []
            for side in ("plait", "asyncio"):
                outcomes, trouble = _run(suite, side, directory / "suite", logs / f"own-{suite.package}-{side}.log")
                setattr(compared, side, outcomes)
                troubles.append(trouble)
                print(f"{suite.package:>16} {side:<10} {compared.cell(outcomes)} {trouble}", flush=True)
            if troubles[1]:  # there is nothing to compare with
                compared.left_out = f"stock asyncio: {troubles[1]}"
            else:
                compared.trouble = troubles[0]
    return compared


def run_all(names: list[str], logs: Path) -> list[Compared]:
    if not _installed("pytest-timeout"):
        return [Compared(suite.package, "-", left_out="pip install -r tests/ecosystem/requirements-own-tests.txt") for suite in SUITES]
    os.environ.pop("PYTEST_ADDOPTS", None)
    return [_compare(suite, logs) for suite in SUITES if not names or suite.package in names]


def section(suites: list[Compared], versions: str) -> str:
    lines = [versions, "", "| package | version | on plait | on asyncio | on plait only | on both | deselected |", "| --- " * 7 + "|"]
    for suite in suites:
        cells = [suite.cell(suite.plait), suite.cell(suite.asyncio), str(len(suite.only_on_plait)), str(len(suite.on_both)), str(suite.deselected)]
        lines.append(f"| {suite.package} | {suite.version} | {' | '.join(cells if not suite.left_out else ['left out', *'----'])} |")
    for title, names in (("Fails on plait only:", lambda s: s.only_on_plait), ("Fails on both:", lambda s: s.on_both)):
        found = [f"- {suite.package}: `{name}`" for suite in suites for name in names(suite)]
        lines += ["", title, "", *found] if found else []
    left_out = [f"- {suite.package}: {suite.left_out}" for suite in suites if suite.left_out]
    return "\n".join(lines + (["", "Left out, which is not passed:", "", *left_out] if left_out else []))


def on_terminal(suites: list[Compared]) -> str:
    lines = []
    for suite in suites:
        lines.append(f"{suite.package} {suite.version}: " + (f"left out: {suite.left_out}" if suite.left_out else f"plait {suite.cell(suite.plait)}; asyncio {suite.cell(suite.asyncio)}"))
        lines += [f"    on plait only: {name}" for name in suite.only_on_plait] + [f"    on both: {name}" for name in suite.on_both]
    return "\n".join(lines)
