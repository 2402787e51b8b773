"""How far a map is: a bar by ``rich``, if it is there, else a line. On stderr, and only if that is a terminal; or whatever a function of the caller's makes of it."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

# A line is written at most so often.
_SECONDS = 0.1


def follow(results: Iterator[Any], total: int | None, progress: Any) -> Iterator[Any]:
    """The same results, and something is told of each. Told are calls whose results were asked for."""
    if callable(progress):
        return _follow(results, total, progress, lambda: None)
    if not _is_terminal():
        return results
    show, close = _by_rich(total) or _by_line(total)
    return _follow(results, total, show, close)


def _is_terminal() -> bool:
    stream = sys.stderr
    return stream is not None and hasattr(stream, "isatty") and bool(stream.isatty())


def _follow(results: Iterator[Any], total: int | None, show: Callable[[int, Any], object], close: Callable[[], object]) -> Iterator[Any]:
    done = 0
    try:
        show(0, total)
        for result in results:
            done += 1
            show(done, total)
            yield result
            del result
    finally:
        close()


def _by_rich(total: int | None) -> tuple[Callable[[int, Any], object], Callable[[], object]] | None:
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        return None
    bar = Progress(console=Console(stderr=True))
    task = bar.add_task("map", total=total)
    bar.start()
    return (lambda done, _total: bar.update(task, completed=done)), bar.stop


def _by_line(total: int | None) -> tuple[Callable[[int, Any], object], Callable[[], object]]:
    shown = 0.0

    def show(done: int, _total: Any) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= _SECONDS or done == total:
            shown = now
            sys.stderr.write(f"\rmap: {done}" + (f" of {total}" if total is not None else ""))
            sys.stderr.flush()

    def close() -> None:
        sys.stderr.write("\n")
        sys.stderr.flush()

    return show, close
