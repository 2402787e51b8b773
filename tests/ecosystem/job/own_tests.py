"""The packages' own test suites, from their source distributions, on plait and on stock asyncio: the sets of failures are compared.

Only the tests and their settings are taken out of the archive: what is tested is the package that is installed. On plait the suite
runs under ``plait run``; which loops asyncio made then is counted by a plugin (own_tests_plugin.py), and a suite on plait that made none of plait's
counts as failed. What fails on both is the package's or the machine's. What fails on plait only is run there once more by itself: a test that
passes then is told apart, since on another day it is stock asyncio that loses the race against the test's clock.
"""

import json
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

from catalogue import _installed
from runs import _clean_environment, _kill_session
from servers import all_servers
from suites import SUITES, Suite

HERE = Path(__file__).parent
DESELECTED = HERE / "deselected.txt"
REQUIREMENTS = "pip install -r tests/ecosystem/requirements-own-tests.txt"
# Beside the tests, what they may look for in the directory that they run in.
SETTINGS = ("pyproject.toml", "setup.cfg", "pytest.ini", "tox.ini", "conftest.py", "README.md", "LICENSE")
DOWNLOAD_SECONDS = 180.0
COLUMNS = "| package | version | on plait | on asyncio | tests that made a loop of plait's | fail on plait only | on asyncio only | on both | deselected |"
# More than these are no race with a clock.
MOST_AGAIN = 40


@dataclass
class Compared:
    """What one suite came to. The outcomes are by the tests' names: passed, failed, skipped."""

    package: str
    version: str
    plait: dict[str, str] = field(default_factory=dict)
    asyncio: dict[str, str] = field(default_factory=dict)
    deselected: int = 0
    on_plait: int = 0
    again: dict[str, str] = field(default_factory=dict)
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
        found = sorted(self.suspects | missing)
        return [name for name in found if self.again.get(name) != "passed"] + ([self.trouble] if self.trouble else [])

    @property
    def suspects(self) -> set[str]:
        return self._failed(self.plait) - self._failed(self.asyncio)

    @property
    def unsteady(self) -> list[str]:
        return sorted(name for name, outcome in self.again.items() if outcome == "passed")

    @property
    def only_on_asyncio(self) -> list[str]:
        return sorted(self._failed(self.asyncio) - self._failed(self.plait))

    @property
    def on_both(self) -> list[str]:
        return sorted(self._failed(self.plait) & self._failed(self.asyncio))

    def cell(self, outcomes: dict[str, str]) -> str:
        if not outcomes:
            return "-"
        counts = {kind: list(outcomes.values()).count(kind) for kind in ("passed", "failed", "skipped")}
        return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


NAMED = (
    ("Fails on plait only:", lambda suite: suite.only_on_plait),
    ("Failed once on plait only, and passed when it was run again:", lambda suite: suite.unsteady),
)


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
    try:
        done = subprocess.run([*command, "-d", str(directory), f"{package}=={version}"], capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
    except subprocess.TimeoutExpired:
        return f"its source distribution did not come within {DOWNLOAD_SECONDS:g} seconds"
    archives = list(directory.glob("*.tar.gz"))
    if done.returncode or not archives:
        return f"no source distribution: {(done.stderr.strip().splitlines() or ['none found'])[-1]}"
    with tarfile.open(archives[0]) as archive:
        for member in archive.getmembers():
            _, _, inner = member.name.partition("/")
            if inner.startswith("tests/") or inner in SETTINGS:
                archive.extract(member.replace(name=inner), directory / "suite", filter="data")
    return "" if (directory / "suite" / "tests").is_dir() else "the source distribution has no tests"


def _command(suite: Suite, side: str, servers: dict[str, str], tests: list[str] | None) -> list[str]:
    """`tests`: only these, instead of the suite's whole."""
    by = ("-m", "plait", "run") if side == "plait" else ()
    command = [sys.executable, *by, "-m", "pytest", *(part.format_map(servers) for part in suite.arguments)]
    if tests is not None:
        command[command.index(suite.arguments[0])] = tests[0]
        command += tests[1:]
    # One process (uvicorn asks for eight): which loops were made, and in which order the tests ran, is then the same on each run.
    command += ["-q", "-n0", "-p", "own_tests_plugin", "-p", "no:cacheprovider", "--timeout=60", "--color=no"]
    if not suite.pytest_asyncio:
        command += ["-p", "no:asyncio"]
    return command + [f"--deselect={name}" for name in deselected(suite.package)]


def _places(servers: dict[str, str]) -> dict[str, str]:
    """The servers' addresses as a suite's arguments name them."""
    host, _, port = servers.get("ECOSYSTEM_POSTGRES", "").partition(":")
    return {"POSTGRES_HOST": host, "POSTGRES_PORT": port, "REDIS": servers.get("ECOSYSTEM_REDIS", "")}


@dataclass
class Ran:
    outcomes: dict[str, str]
    trouble: str = ""
    on_plait: int = 0  # tests that made a loop of plait's


def _run(suite: Suite, side: str, place: Path, log: Path, servers: dict[str, str], tests: list[str] | None = None) -> Ran:
    results = place.parent / f"{log.stem}.jsonl"
    environment = _clean_environment() | {name: value.format_map(_places(servers)) for name, value in suite.environment}
    environment.pop("NO_PROXY", None)  # the suites have tests of it; no proxy is named any more
    environment |= {"PYTHONPATH": str(HERE), "ECOSYSTEM_RESULTS": str(results), "ECOSYSTEM_SIDE": side}
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(suite, side, _places(servers), tests), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            cwd=place, env=environment, start_new_session=True,
        )  # fmt: skip
        trouble = ""
        try:
            status = process.wait(suite.seconds)
            if status not in (0, 1):
                trouble = f"pytest ended with {status} on {side} ({log.name})"
        except subprocess.TimeoutExpired:
            trouble = f"did not end within {suite.seconds:g} seconds on {side}"
        finally:
            _kill_session(process)
    return _read(results, side, trouble)


def _read(results: Path, side: str, trouble: str) -> Ran:
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()] if results.exists() else []
    outcomes = {_steady_name(line["test"]): line["outcome"] for line in lines if "test" in line}
    loops = Counter(line["loop"] for line in lines if "loop" in line)
    if trouble and lines and "begun" in lines[-1]:
        trouble += f", in {lines[-1]['begun']}"
        outcomes[_steady_name(lines[-1]["begun"])] = "failed"
    if not outcomes:
        trouble = trouble or f"no test ran on {side}"
    if not trouble and (side == "plait") != ("plait" in loops):
        trouble = f"on {side}, the tests made these loops: {dict(loops)}"
    return Ran(outcomes, trouble, loops["plait"])


def _steady_name(name: str) -> str:
    """A parameter's repr may hold an address, which is another on each run."""
    return re.sub(r"0x[0-9a-f]{6,}", "0x…", name)


def _unable(suite: Suite, servers: dict[str, str]) -> str:
    """What is missing for this suite, in words; nothing if it can be run."""
    if not _installed(suite.package):
        return "not installed (pip install -r tests/ecosystem/requirements.txt)"
    if missing := [name for name in suite.needs if not _installed(name)]:
        return f"{', '.join(missing)} not installed ({REQUIREMENTS})"
    return "; ".join(servers[f"ECOSYSTEM_{name.upper()}_MISSING"] for name in suite.servers if f"ECOSYSTEM_{name.upper()}_MISSING" in servers)


def _compare(suite: Suite, logs: Path, servers: dict[str, str]) -> Compared:
    version = metadata.version(suite.package) if _installed(suite.package) else "-"
    compared = Compared(suite.package, version, deselected=len(deselected(suite.package)), left_out=_unable(suite, servers))
    with tempfile.TemporaryDirectory(prefix="plait-own-tests-") as name:
        directory = Path(name)
        compared.left_out = compared.left_out or _fetch(suite.package, compared.version, directory)
        if compared.left_out:
            print(f"{suite.package:>16} left out: {compared.left_out}", flush=True)
            return compared
        ran: dict[str, Ran] = {}
        for side in ("asyncio", "plait"):
            began = time.monotonic()
            ran[side] = _run(suite, side, directory / "suite", logs / f"own-{suite.package}-{side}.log", servers)
            print(f"{suite.package:>16} {side:<10} {compared.cell(ran[side].outcomes)} {time.monotonic() - began:.0f} s {ran[side].trouble}", flush=True)
        compared.asyncio, compared.plait, compared.trouble = ran["asyncio"].outcomes, ran["plait"].outcomes, ran["plait"].trouble
        compared.on_plait = ran["plait"].on_plait
        if ran["asyncio"].trouble:  # there is nothing to compare with
            compared.left_out = f"stock asyncio: {ran['asyncio'].trouble}"
        elif 0 < len(compared.suspects) <= MOST_AGAIN:
            again = _run(suite, "plait", directory / "suite", logs / f"own-{suite.package}-again.log", servers, sorted(compared.suspects))
            compared.again = {test: outcome for test, outcome in again.outcomes.items() if test in compared.suspects}
    return compared


def run_all(names: list[str], logs: Path) -> list[Compared]:
    chosen = [suite for suite in SUITES if not names or suite.package in names]
    if missing := [name for name in ("pytest-timeout", "pytest-xdist") if not _installed(name)]:
        return [Compared(suite.package, "-", left_out=f"{' and '.join(missing)} not installed ({REQUIREMENTS})") for suite in chosen]
    with tempfile.TemporaryDirectory(prefix="plait-ecosystem-") as name:
        with all_servers(Path(name), logs, {server for suite in chosen for server in suite.servers}) as servers:
            compared = [_compare(suite, logs, servers) for suite in chosen]
    for result in compared:
        _saved(result.package, logs).write_text(json.dumps(asdict(result)), "utf-8")
    return compared


def _saved(package: str, logs: Path) -> Path:
    return logs / f"own-{package}.json"


def last_of_each(logs: Path) -> list[Compared]:
    """What each suite came to when it was last run here: all of them together take an hour, so the page may be made one by one."""
    found = []
    for suite in SUITES:
        saved = _saved(suite.package, logs)
        found.append(Compared(**json.loads(saved.read_text("utf-8"))) if saved.exists() else Compared(suite.package, "-", left_out="not run here yet"))
    return found


def _by_file(names: list[str]) -> str:
    """What fails on both is not plait's to explain: where it is, not each name (a machine without IPv6 fails a hundred of anyio's)."""
    return ", ".join(f"{count} in `{file}`" for file, count in Counter(name.partition("::")[0] for name in names).items())


def section(suites: list[Compared], versions: str) -> str:
    lines = [versions, "", COLUMNS, "| --- " * (COLUMNS.count("|") - 1) + "|"]
    for suite in suites:
        counts = (suite.on_plait, len(suite.only_on_plait), len(suite.only_on_asyncio), len(suite.on_both), suite.deselected)
        cells = [suite.cell(suite.plait), suite.cell(suite.asyncio), *map(str, counts)]
        lines.append(f"| {suite.package} | {suite.version} | {' | '.join(cells if not suite.left_out else ['left out', *'------'])} |")
    for title, names in NAMED:
        found = [f"- {suite.package}: `{name}`" for suite in suites for name in names(suite)]
        lines += ["", title, "", *found] if found else []
    for suite in suites:
        if suite.on_both:
            lines += ["", f"{suite.package}, fails on both: {_by_file(suite.on_both)}."]
    left_out = [f"- {suite.package}: {suite.left_out}" for suite in suites if suite.left_out]
    return "\n".join(lines + (["", "Left out, which is not passed:", "", *left_out] if left_out else []))


def on_terminal(suites: list[Compared]) -> str:
    lines = []
    for suite in suites:
        lines.append(f"{suite.package} {suite.version}: " + (f"left out: {suite.left_out}" if suite.left_out else f"plait {suite.cell(suite.plait)}; asyncio {suite.cell(suite.asyncio)}"))
        lines += [f"    on plait only: {name}" for name in suite.only_on_plait]
        lines += [f"    once on plait only, passed when run again: {name}" for name in suite.unsteady]
        lines += [f"    on asyncio only: {name}" for name in suite.only_on_asyncio]
        lines += [f"    on both: {_by_file(suite.on_both)}"] if suite.on_both else []
    return "\n".join(lines)
