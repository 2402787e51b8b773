"""Run the host interpreter's own test suites of asyncio, threading and queue on plait.

    python tests/cpython/run.py [--quick] [--stock] [--listed] [-k NAME]… [MODULE…]

Each module runs in a process of its own (see worker.py) under a time limit, two at a time. The tests are imported from the installed
interpreter: a copy would test an asyncio of another version than the one plait stands in for.

CPython's own runner, `python -m test`, was rejected as the way to start them: it starts its own processes, in which
nothing could be patched before the import, and it hides single outcomes.
"""

import argparse
import collections
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import selection
from steadiness import failed_again

# After the worker's own limit, at which it writes where each of its threads is, and exits.
GRACE = 20
running: set[subprocess.Popen] = set()


class Outcome:
    """What one module's notes and its process's end amount to."""

    def __init__(self, module: str, notes: list[dict], how_it_ended: str):
        self.module = module
        self.planned = sum(note["tests"] for note in notes if note["kind"] == "plan")
        self.left_out = collections.Counter()
        for note in notes:
            self.left_out.update(note.get("left_out", {}))
        # Not by name, which doctests of one file share
        self.tests = [note for note in notes if note["kind"] == "outcome"]
        self.listed = collections.Counter(note["list"] for note in notes if note["kind"] == "listed")
        self.stale = [note["id"] for note in notes if note["kind"] == "stale"]
        self.failed_tests = [note["id"] for note in self.tests if note["outcome"] == "failed"]
        self.failures = list(self.failed_tests)
        self.failures += [f"{module}: {note['reason']}" for note in notes if note["kind"] == "hollow"]
        self.failures += [f"{module}: {fault}" for fault in standard_objects(notes)]
        self.children = sum(note["kind"] == "child" for note in notes)
        self.skipped_themselves = {note["id"]: note["reason"] for note in self.tests if note["outcome"] == "skipped"}
        self.passed = sum(note["outcome"] == "passed" for note in self.tests)
        self.unreached = self.skipped_by_fixture = 0
        self.judge_the_end(notes, how_it_ended)

    def judge_the_end(self, notes: list[dict], how_it_ended: str) -> None:
        fixtures = [note for note in notes if note["kind"] == "fixture"]
        self.failures += [note["id"] for note in fixtures if note["outcome"] == "failed"]
        missing = self.planned - len(self.tests)
        if how_it_ended or not any(note["kind"] == "end" for note in notes):
            how_it_ended = how_it_ended or "ended too soon"
            ended = {note["id"] for note in self.tests}
            started = [note["id"] for note in notes if note["kind"] == "started" and note["id"] not in ended]
            self.failures += started or [f"{self.module}: {how_it_ended}"]
            self.unreached = missing - len(started)
            print(f"{self.module}: {how_it_ended} in {', '.join(started) or 'no test'}; {self.unreached} not reached")
        elif fixtures and all(note["outcome"] == "skipped" for note in fixtures):
            self.skipped_by_fixture = missing
            self.skipped_themselves.update((note["id"], note["reason"]) for note in fixtures)
        else:
            self.unreached = missing

    def try_again(self, options) -> None:
        """Tests that failed, and pass by themselves, have passed. Where the module did not come to its end, or more is wrong with it, nothing is tried."""
        if not self.failures or self.unreached or self.failures != self.failed_tests:
            return

        def again(names: list[str]) -> set[str]:
            repeated = run_module(self.module, argparse.Namespace(**{**vars(options), "names": names}))
            found = set(repeated.failures)
            return found if found <= set(names) and not repeated.unreached else set(names)

        self.failures = failed_again(self.failed_tests, again)
        self.passed += len(set(self.failed_tests)) - len(self.failures)

    @property
    def failed(self) -> int:
        return len(self.failures) + self.unreached

    @property
    def skipped(self) -> int:
        by_themselves = sum(note["outcome"] == "skipped" for note in self.tests)
        return by_themselves + self.skipped_by_fixture + self.listed.total()


def standard_objects(notes: list[dict]) -> list[str]:
    """Where the suite made objects of the standard library in the place of plait's."""
    places = collections.defaultdict(list)
    for note in notes:
        if note["kind"] == "standard" and note["place"] not in places[note["name"]]:
            places[note["name"]].append(note["place"])
    return [
        f"made a standard {name} in {len(found)} place{'s'[: len(found) > 1]}, {found[0]} the first"
        for name, found in places.items()
    ]


def run_module(module: str, options) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="plait-cpython-") as directory, tempfile.TemporaryFile("w+", errors="replace") as output:
        report = Path(directory, "report")
        # In a subdirectory, since the suites write their files into the current one
        work = Path(directory, "work")
        work.mkdir()
        command = [sys.executable, str(selection.HERE / "worker.py"), module, str(report)]
        command += ["--time-limit", str(options.time_limit)]
        command += [f"--{flag}" for flag in ("stock", "quick", "listed", "verbose") if getattr(options, flag)]
        command += [part for name in options.names for part in ("-k", name)]
        process = subprocess.Popen(command, cwd=work, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        how_it_ended = wait_for(process, options.time_limit + GRACE)
        output.seek(0)
        print(f"== {module}\n{output.read()}", end="", flush=True)
        lines = report.read_text().splitlines() if report.exists() else []
    return Outcome(module, [json.loads(line) for line in lines], how_it_ended)


def wait_for(process: subprocess.Popen, limit: float) -> str:
    """How a worker ended, in words; empty if it ended well. What it started dies with it."""
    running.add(process)
    try:
        status = process.wait(limit)
    except subprocess.TimeoutExpired:
        return "killed at the time limit"
    finally:
        # Its own session: only what the suite itself started is in that group.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        running.discard(process)
    if status < 0:
        return f"died of {signal.Signals(-status).name}"
    return f"exited with status {status}" if status else ""


def tell_what_did_not_run(outcomes: list[Outcome], verbose: bool) -> None:
    left_out = sum((outcome.left_out for outcome in outcomes), collections.Counter())
    listed = sum((outcome.listed for outcome in outcomes), collections.Counter())
    if left_out:
        print(f"left out: {left_out.total()} tests in {len(left_out)} classes (selection.py)")
        if verbose:
            for name, tests in left_out.items():
                print(f"    {name}: {tests}, {selection.LEFT_OUT[name]}")
    for name in ("skips.txt", "later.txt"):
        if listed[name]:
            print(f"{name}: {listed[name]} tests")
    for outcome in outcomes:
        for name, reason in outcome.skipped_themselves.items():
            print(f"skipped itself: {name}: {reason}")
        for name in outcome.stale:
            print(f"stale line, no such test: {name}")


def parse_arguments():
    known = [module.name for module in selection.for_this_python()]
    parser = argparse.ArgumentParser(description="Run CPython's own suites of asyncio, threading and queue on plait.")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as test_tasks; all of them if none is named")
    parser.add_argument("--quick", action="store_true", help="without what takes long and tells little (selection.py)")
    parser.add_argument("--stock", action="store_true", help="the same tests on the standard library, listed ones too")
    parser.add_argument("--listed", action="store_true", help="only the tests in skips.txt and later.txt")
    parser.add_argument("-k", dest="names", action="append", default=[], metavar="NAME", help="only tests so named")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--lanes", type=int, default=2, metavar="N", help="so many modules beside each other (default: 2)")
    parser.add_argument("--time-limit", type=float, default=300, metavar="SECONDS", help="for each module")
    options = parser.parse_args()
    unknown = set(options.modules) - set(known)
    if unknown:
        parser.error(f"not for this Python, or not known: {', '.join(sorted(unknown))}")
    if not options.modules:
        options.modules = [name for name in known if selection.find(name).quick or not options.quick]
    return options


def main() -> int:
    options = parse_arguments()
    with ThreadPoolExecutor(options.lanes) as lanes:
        try:
            outcomes = list(lanes.map(run_module, options.modules, itertools.repeat(options)))
        except KeyboardInterrupt:
            lanes.shutdown(wait=False, cancel_futures=True)
            for process in set(running):
                process.kill()  # what it started dies with it, see wait_for
            raise
    for outcome in outcomes:
        outcome.try_again(options)
    tell_what_did_not_run(outcomes, options.verbose)
    for outcome in outcomes:
        for failure in outcome.failures:
            print(f"FAILED {failure}")
    print(f"{sum(outcome.children for outcome in outcomes)} interpreters started by the suites had plait installed")
    passed, failed, skipped = (sum(getattr(o, name) for o in outcomes) for name in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    if not passed and not failed:
        print("no test ran", file=sys.stderr)
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
