"""`plait bench`: from callbacks and tasks over locks, streams and sockets to HTTP and memory, on plait and its peers, in one run.

    plait bench                              everything, five rounds
    plait bench --quick                      a first look, in a few minutes
    plait bench --only call_soon,gather      two workloads
    plait bench --html index.html            the same as a page to look at, print or send
    plait bench --check                      exit status 1 if a target share is missed

The column `plait` is what `plait run` would give: `plait.install()`, then plait's loop; `plait (loop only)` is the loop
with the standard modules unpatched. The peers are asyncio's SelectorEventLoop, uvloop and rloop, for threads the standard
library, between threads and tasks janus and culsans, and packages made for the purpose elsewhere, as far as they are installed. Each measurement has a process
of its own.

Read in this order: `processes` (what is measured, and what runs in processes of its own), `plan` (how often and in which
order), `runner` with `process`, `network` and `cores` (carrying it out), `results` (medians and shares), `targets` (what is
owed), `table`, `page` and `progress` (what is shown).

It is part of the package, not only of the repository, because the question it answers is how plait does on the
reader's own machine.
"""

import argparse
import fnmatch
import json
import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from . import cores, network, page, plan, runner, table
from .processes.columns import COLUMNS, LOOP_ONLY, PLAIT
from .processes.workloads import WORKLOADS
from .progress import progress
from .results import Results
from .targets import TARGETS

__all__ = ["main"]

Number = TypeVar("Number", int, float)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = _parser().parse_args(arguments)
    if options.list:
        _list()
        return 0
    results = _measured(options, shlex.join(["plait", "bench", *arguments]))
    table.show(results, options.times)
    if options.json is not None:
        options.json.write_text(json.dumps(results.as_json(), indent=2) + "\n", encoding="utf-8")
    if options.html is not None:
        options.html.write_text(page.page(results), encoding="utf-8")
    return _exit_code(results, options.check)


def _measured(options: argparse.Namespace, command: str) -> Results:
    chosen = cores.choose()
    wanted = plan.without_installing(options.loops) if options.loop_only else options.loops
    only, absent = runner.split_installed(options.only)
    columns, missing = runner.split_available(wanted, only, chosen)
    rounds = options.rounds or (plan.QUICK_ROUNDS if options.quick else plan.ROUNDS)
    scale = options.scale or (plan.QUICK_SCALE if options.quick else plan.SCALE)
    made = plan.Plan(only, columns, rounds, scale, network.most_connections())
    with progress(made.runs) as on_step:
        return runner.measure(made, missing, absent, chosen, command, on_step)


def _exit_code(results: Results, check: bool) -> int:
    if check and not results.all_targets_met():
        return 1
    # A measurement that failed is not a measurement: a script should not have to read the table to see it.
    return 1 if results.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="plait bench", description="Measure plait against asyncio, uvloop, rloop and others.")
    add = parser.add_argument
    add("--rounds", type=_positive(int), metavar="N", help=f"how often each is measured (default {plan.ROUNDS})")
    add("--scale", type=_positive(float), metavar="F", help="multiplies every workload's size (default 1)")
    quick = f"a first look: --rounds {plan.QUICK_ROUNDS} --scale {plan.QUICK_SCALE}"
    add("--quick", action="store_true", help=quick)
    only = "workloads, comma-separated; patterns such as 'echo_*' are understood"
    add("--only", type=_names(WORKLOADS), default=tuple(WORKLOADS), metavar="NAMES", help=only)
    among = f"of {','.join(COLUMNS)}, comma-separated"
    add("--loops", type=_names(COLUMNS), default=COLUMNS, metavar="NAMES", help=among)
    add("--loop-only", action="store_true", help=f"{LOOP_ONLY} without {PLAIT}: nothing is installed anywhere")
    add("--times", action="store_true", help="show wall and CPU time beside what is judged")
    add("--json", type=_writable, metavar="FILE", help="write everything measured to FILE")
    add("--html", type=_writable, metavar="FILE", help="write a page with charts to FILE")
    add("--check", action="store_true", help="exit with 1 if a target share is missed")
    add("--list", action="store_true", help="list the workloads and stop")
    return parser


def _positive(kind: Callable[[str], Number]) -> Callable[[str], Number]:
    def parse(text: str) -> Number:
        number = kind(text)
        if not 0 < number < float("inf"):
            raise argparse.ArgumentTypeError(f"must be more than 0: {text}")
        return number

    # argparse names the function when the text is no number at all.
    parse.__name__ = kind.__name__
    return parse


def _writable(text: str) -> Path:
    """Found out before the minutes of measuring, not after them; what the file holds is left alone until then."""
    try:
        with open(text, "a", encoding="utf-8"):
            return Path(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot be written: {error}") from None


def _names(known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """Some of `known`, in the order given; patterns as the shell's are understood."""

    def parse(text: str) -> tuple[str, ...]:
        wanted = [part for part in text.split(",") if part]
        chosen = {part: fnmatch.filter(known, part) for part in wanted}
        unknown = [part for part, names in chosen.items() if not names]
        if unknown or not wanted:
            raise argparse.ArgumentTypeError(f"{text!r}: choose from {', '.join(known)}")
        return tuple(dict.fromkeys(name for names in chosen.values() for name in names))

    return parse


def _list() -> None:
    for name, workload in WORKLOADS.items():
        target = TARGETS.get(name)
        judged = "no target" if target is None else f"target share {target.share:.2f}"
        print(f"{name:28}{workload.n:>10,} x {workload.per:17}{judged:19}  {workload.about}")
