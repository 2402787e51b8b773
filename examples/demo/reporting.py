"""How a scenario speaks: progress while it works, one JSON line when it is done.

The JSON line is the last line on stdout, so a program that started the scenario can read it without
a protocol of its own. `--progress` draws a bar on stderr for people; `--progress lines` prints
fractions on stdout for a program that draws its own bar. rich is imported only for the bar: the
scenarios themselves run without it. Rejected: a bar that the parent passes on as it is, because two
processes that move one cursor garble the terminal.
"""

import argparse
import asyncio
import json
import sys
from typing import NoReturn

# More lines than this nobody sees, and printing would show in the measurement.
LINES = 50


def add_progress_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--progress", nargs="?", const="bar", choices=("bar", "lines"),
        help="draw a progress bar, or print progress as JSON lines",
    )


def count(text: str) -> int:
    """An argparse type: a whole number from 1 up."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def loop_name() -> str:
    return class_name(asyncio.get_running_loop())


def class_name(thing: object) -> str:
    """Its own class, not what its `__class__` says it stands for."""
    kind = type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"


class Progress:
    """Counts finished steps and shows them as asked: a bar, lines, or not at all."""

    def __init__(self, manner: str | None, title: str, total: int) -> None:
        self.done = 0
        self.total = total
        self._shown = 0
        self._lines = manner == "lines"
        self._bar = _open_bar(title, total) if manner == "bar" else None

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self) -> None:
        self.done += 1
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=self.done)
        elif self._lines and self.done * LINES // self.total > self._shown:
            self._shown = self.done * LINES // self.total
            print(json.dumps({"progress": self.done / self.total}), flush=True)


def _open_bar(title, total):
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    bar = Bar(console=console, disable=not console.is_terminal)
    bar.add_task(title, total=total)
    return bar


def finish(*, scenario: str, ran_on: str, seconds: float, verified: str, problems: list[str],
           **facts: object) -> NoReturn:
    """Print the outcome and end the program: with success only if nothing was wrong."""
    outcome = {"scenario": scenario, "ran_on": ran_on, "seconds": seconds,
               "verified": verified, "problems": problems, **facts}
    print(json.dumps(outcome), flush=True)
    sys.exit(1 if problems else 0)
