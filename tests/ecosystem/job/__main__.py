"""Real packages on plait, against real servers, beside stock asyncio: ``make ecosystem``.

Every program of the catalogue runs on its sides, one after another, each in a process of its own; then the table is printed and written
into docs/ecosystem.md. ``--full`` runs the packages' own test suites as well. The status is 1 when something fails on plait that
passes on asyncio, else 0: a failure on both is the package's or the machine's, and is told as such.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

sys.path.append(str(Path(__file__).parents[3] / "scripts"))

import own_tests
import page
from catalogue import CATALOGUE, SIDES, Program
from runs import Run, run
from servers import all_servers
from steadiness import failed_again

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "ecosystem.md"
LOGS = ROOT / "build" / "ecosystem"


def _chosen(names: list[str]) -> list[Program]:
    unknown = set(names) - {program.name for program in CATALOGUE}
    if unknown:
        sys.exit(f"there is no program {', '.join(sorted(unknown))}; there are {', '.join(program.name for program in CATALOGUE)}")
    return [program for program in CATALOGUE if not names or program.name in names]


def _run_program(program: Program, sides: list[str], environment: dict[str, str], directory: Path, deadline: float) -> page.Row:
    if missing := program.missing():
        return page.Row(program, {}, f"{' and '.join(missing)} not installed (pip install -r tests/ecosystem/requirements.txt)")
    runs: dict[str, Run] = {}
    for side in program.sides:
        if side in sides:
            began = time.monotonic()
            if began > deadline:  # one side says nothing without the others
                return page.Row(program, {}, "the time of the whole job was over before its turn (--seconds)")
            runs[side] = run(program, side, environment, directory, LOGS / f"{program.name}-{side}.log")
            row = page.Row(program, runs)
            print(f"{program.name:>16} {side:<10} {row.cell(side).strip('*'):<14} {time.monotonic() - began:5.1f} s", flush=True)
    row = page.Row(program, runs)
    _try_again(row, environment, directory)
    return row


def _try_again(row: page.Row, environment: dict[str, str], directory: Path) -> None:
    """Checks that failed on plait only, and pass when the program runs again, have passed."""
    program = row.program

    def again(names: list[str]) -> set[str]:
        failed = set()
        for side in {name.split(", ")[1] for name in names}:
            repeated = run(program, side, environment, directory, LOGS / f"{program.name}-{side}-again.log")
            failed |= {_name(program, side, outcome.check) for outcome in repeated.failed}
        return failed

    only_on_plait = {_name(program, side, check): (side, check) for check, sides, _ in row.failures() if "asyncio" not in sides for side in sides}
    for name in set(only_on_plait) - set(failed_again(only_on_plait, again)):
        side, check = only_on_plait[name]
        outcome = row.runs[side].named(check)
        assert outcome is not None
        outcome.outcome = "passed"


def _name(program: Program, side: str, check: str) -> str:
    return f"{program.name}, {side}, {check or 'the start'}"


def _run_programs(names: list[str], sides: list[str], seconds: float) -> list[page.Row]:
    deadline = time.monotonic() + seconds
    programs = _chosen(names)
    wanted = {server for program in programs for server in program.servers}
    with tempfile.TemporaryDirectory(prefix="plait-ecosystem-") as name:
        directory = Path(name)
        with all_servers(directory, LOGS, wanted) as environment:
            return [_run_program(program, sides, environment, directory, deadline) for program in programs]


def _end(number: int, frame: FrameType | None) -> None:
    # timeout(1) sends its signal twice, and the second one would cut short what the first one began.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)  # by way of the finally blocks: the servers are to be ended


def main() -> int:
    parser = argparse.ArgumentParser(prog="make ecosystem", description="Real packages on plait, against real servers.")
    parser.add_argument("programs", nargs="*", help="names from the catalogue; all of them when none is named")
    parser.add_argument("--side", action="append", choices=list(SIDES), help="only this one (may be given again)")
    parser.add_argument("--full", action="store_true", help="the packages' own test suites as well")
    parser.add_argument("--own-tests", action="append", metavar="PACKAGE", help="only the own test suite of this one (may be given again)")
    parser.add_argument("--seconds", type=float, default=720.0, help="no program begins later than this, without the own test suites (%(default)g)")
    parser.add_argument("--no-page", action="store_true", help="leave docs/ecosystem.md as it is")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    # A shell's background job ignores SIGINT, and so would every program that is to be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    LOGS.mkdir(parents=True, exist_ok=True)
    # A part of the programs does not make their table. Of the own suites the last result of each is kept.
    write = not (options.no_page or options.programs or options.side or options.own_tests)
    failures, counts = 0, []
    if not options.own_tests:
        rows = _run_programs(options.programs, options.side or list(SIDES), options.seconds)
        print("\n" + page.on_terminal(rows), flush=True)
        failures += sum(row.own_failures() for row in rows)
        counts.append(f"{sum(row.ran() for row in rows)} of {len(rows)} rows ran")
        if write:
            page.replace_section(PAGE, "programs", page.programs_section(rows, page.versions()))
    if options.full or options.own_tests:
        suites = own_tests.run_all(options.own_tests or [], LOGS)
        print("\n" + own_tests.on_terminal(suites), flush=True)
        failures += sum(len(suite.only_on_plait) for suite in suites)
        counts.append(f"{sum(not suite.left_out for suite in suites)} of {len(suites)} own suites ran")
        if not options.no_page:
            page.replace_section(PAGE, "own tests", own_tests.section(own_tests.last_of_each(LOGS), page.versions()))
    print(f"\necosystem: {', '.join(counts)}, {failures} failed on plait only. Logs: {LOGS.relative_to(ROOT)}")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
