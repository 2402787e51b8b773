"""`plait bench`: the loop's and the tasks' workloads on plait and on its peers, in one run.

    plait bench                              everything, five rounds
    plait bench --only call_soon,gather      two workloads
    plait bench --loop-only                  plait's loop, the standard modules unpatched
    plait bench --check                      exit status 1 if a target share is missed

The column `plait` is what `plait run` would give: `plait.install()`, then plait's loop. The peers are asyncio's
SelectorEventLoop, uvloop and rloop, as far as they are installed. Each measurement has a process of its own.

Read in this order: `workloads` (what is measured), `child` (one measurement), `runner` (the rounds), `results`
(medians and shares), `targets` (what is owed), `table` and `progress` (what is shown).

It is part of the package, not only of the repository, because the question it answers is how plait does on the
reader's own machine.
"""

import argparse
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from . import runner, table
from .progress import progress
from .results import LOOPS, Results
from .targets import TARGET_SHARES
from .workloads import WORKLOADS

__all__ = ["main"]

Number = TypeVar("Number", int, float)


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    if options.list:
        _list()
        return 0
    loops, missing = runner.split_installed(options.loops)
    plan = runner.Plan(options.only, loops, options.rounds, options.scale, options.loop_only)
    with progress(plan.runs) as on_step:
        results = runner.measure(plan, missing, on_step)
    table.show(results, options.cpu)
    if options.json is not None:
        options.json.write_text(json.dumps(results.as_json(), indent=2) + "\n", encoding="utf-8")
    return _exit_code(results, options.check)


def _exit_code(results: Results, check: bool) -> int:
    if check and not results.all_targets_met():
        return 1
    # A measurement that failed is not a measurement: a script should not have to read the table to see it.
    return 1 if results.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="plait bench", description="Measure plait against asyncio, uvloop and rloop.")
    add = parser.add_argument
    add("--rounds", type=_positive(int), default=5, metavar="N", help="how often each is measured (default 5)")
    add("--scale", type=_positive(float), default=1.0, metavar="F", help="multiplies every workload's size (default 1)")
    add("--only", type=_names(WORKLOADS), default=tuple(WORKLOADS), metavar="NAMES", help="workloads, comma-separated")
    add("--loops", type=_names(LOOPS), default=LOOPS, metavar="NAMES", help=f"of {','.join(LOOPS)}, comma-separated")
    add("--loop-only", action="store_true", help="plait's loop without plait.install()")
    add("--cpu", action="store_true", help="show CPU time beside wall time")
    add("--json", type=_writable, metavar="FILE", help="write everything measured to FILE")
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
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name for name in text.split(",") if name))
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise argparse.ArgumentTypeError(f"{text!r}: choose from {', '.join(known)}")
        return names

    return parse


def _list() -> None:
    for name, workload in WORKLOADS.items():
        target = TARGET_SHARES.get(name)
        judged = "no target" if target is None else f"target share {target:.2f}"
        print(f"{name:28}{workload.n:>10,}  {workload.unit:12}{judged:20}{workload.about}")
