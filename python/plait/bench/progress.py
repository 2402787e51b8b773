"""Says on stderr what is being measured: a run takes minutes and would otherwise look dead.

rich draws a bar where it is installed and somebody is watching; anything else gets plain text. On a terminal that is
one line, rewritten; in a log it is a line per step.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """Yields a function to be called with what is about to run, `total` times."""
    show = _plain if not sys.stderr.isatty() else _bar
    with show(total) as step:
        yield step


@contextmanager
def _bar(total: int) -> Iterator[Callable[[str], None]]:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        with _plain(total) as step:
            yield step
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        begun = 0

        def step(what: str) -> None:
            nonlocal begun
            # What is about to run is not done yet.
            bar.update(task, completed=begun, description=what)
            begun += 1

        yield step


@contextmanager
def _plain(total: int) -> Iterator[Callable[[str], None]]:
    rewrite = sys.stderr.isatty()
    begun = 0

    def step(what: str) -> None:
        nonlocal begun
        begun += 1
        line = f"[{begun}/{total}] {what}"
        # \033[K clears what a longer line left behind.
        print(f"\r{line}\033[K" if rewrite else line, end="" if rewrite else "\n", file=sys.stderr, flush=True)

    try:
        yield step
    finally:
        if rewrite:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
