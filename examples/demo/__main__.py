"""The demo: three ordinary asyncio programs and one that computes in processes, on the standard library and on plait, side by side.

    python examples/demo

Every result is checked against the truth and the exit status is 1 if any was wrong: a fast answer that
is wrong is no answer. Times are the scenarios' own and leave out the start of the interpreter. With
several rounds the columns take turns at going first, and the median counts. Rejected: running the
columns at the same time, where they would fight over the cores.
"""

import argparse
import statistics
import sys

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from reporting import count
from runner import PLAIT, STOCK, Outcome, plait_complaint, run

COLUMNS = (STOCK, PLAIT)
# Wide enough for the table where the output is a file and has no width of its own.
FILE_WIDTH = 120


def scenarios(options: argparse.Namespace) -> dict[str, tuple[str, list[str]]]:
    """Each scenario's file and arguments, by the name it has in the table."""
    scan = ["--ports", str(options.ports), "--concurrency", str(options.concurrency)]
    return {
        "port scan": ("port_scan.py", scan),
        "crawl": ("crawl.py", ["--pages", str(options.pages)]),
        "echo load": ("echo_load.py", ["--connections", str(options.connections)]),
        "primes": ("primes.py", ["--limit", str(options.limit)]),
    }


def run_rounds(
    name: str, script: str, arguments: list[str], rounds: int, console: Console
) -> dict[str, list[Outcome]]:
    """Run one scenario on both columns, under one progress bar."""
    outcomes: dict[str, list[Outcome]] = {column: [] for column in COLUMNS}
    bar = Progress(
        TextColumn("{task.description:<26}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
        console=console, disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(name, total=rounds * len(COLUMNS))
        finished = 0
        for number in range(rounds):
            for column in COLUMNS if number % 2 == 0 else reversed(COLUMNS):
                bar.update(task, description=f"{name}: {column}")
                outcome = run(script, arguments, column,
                              lambda part: bar.update(task, completed=finished + part))
                outcomes[column].append(outcome)
                finished += 1
                bar.update(task, completed=finished)
                if not console.is_terminal:
                    console.print(f"{name} on {column}: {told(outcome)}", markup=False, highlight=False)
        bar.update(task, description=name)
    return outcomes


def told(outcome: Outcome) -> str:
    if outcome.problems:
        return "WRONG: " + "; ".join(outcome.problems)
    return f"{outcome.seconds:.2f} s"


def median(outcomes: list[Outcome]) -> float | None:
    """The median time, if every round was right: the time of a wrong answer means nothing."""
    if any(outcome.problems for outcome in outcomes):
        return None
    return statistics.median(outcome.seconds for outcome in outcomes)


def verified(outcomes: dict[str, list[Outcome]]) -> str:
    """What was found right, or everything that was found wrong."""
    problems = {f"{column}: {told(outcome)}": None
                for column, rounds in outcomes.items() for outcome in rounds if outcome.problems}
    sound = {outcome.verified: None for rounds in outcomes.values() for outcome in rounds}
    return "\n".join(problems or sound)


def table_of(results: dict[str, dict[str, list[Outcome]]]) -> Table:
    table = Table(title="The same programs on both")
    table.add_column("scenario", no_wrap=True)
    for column in (*COLUMNS, "ratio"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verified")
    for name, outcomes in results.items():
        stock, plait = (median(outcomes[column]) for column in COLUMNS)
        seconds = [f"{value:.2f} s" if value is not None else "-" for value in (stock, plait)]
        ratio = f"{stock / plait:.2f}x" if stock and plait else "-"
        table.add_row(name, *seconds, ratio, escape(verified(outcomes)))
    return table


def main() -> int:
    options = parse_arguments()
    if complaint := plait_complaint():
        print(f"plait does not run in this interpreter: {complaint}", file=sys.stderr)
        return 2
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_WIDTH)
    results = {name: run_rounds(name, script, arguments, options.rounds, console)
               for name, (script, arguments) in scenarios(options).items()}
    console.print(table_of(results))
    console.print("A ratio above 1 means that plait was faster.", highlight=False)
    wrong = any(outcome.problems for outcomes in results.values()
                for rounds in outcomes.values() for outcome in rounds)
    return 1 if wrong else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="demo", description="Run ordinary programs on the standard library and on plait.")
    parser.add_argument("--rounds", type=count, default=2, help="runs of each scenario on each")
    parser.add_argument("--ports", type=count, default=20_000)
    parser.add_argument("--concurrency", type=count, default=500, help="of the port scan")
    parser.add_argument("--pages", type=count, default=600)
    parser.add_argument("--connections", type=count, default=1_000)
    parser.add_argument("--limit", type=count, default=300_000, help="of the primes, counted over all cores")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
