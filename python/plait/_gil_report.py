"""A report of `plait.gil` in words: the table, and what could be done."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plait.gil import Holder, Place, Report, Thread

#: More rows than these are summed up in one.
MOST_THREADS = 12
MOST_HOLDERS = 8
#: Advice is given about what takes such a share of the time.
_MUCH, _SOME, _LITTLE = 0.5, 0.2, 0.05
#: A thread that holds the GIL so long at a stretch is felt by the others, in seconds.
_LONG_TURN = 0.05


def text(report: "Report") -> str:
    """The whole report."""
    return "\n".join([headline(report), "", *table(report), "", *_held_at(report), *_fine_print(report)])


def headline(report: "Report") -> str:
    """The GIL in one line."""
    seconds = report.seconds or 1e-9
    return (
        f"GIL: held {_percent(report.held / seconds)} of {report.seconds:.1f} s, free {_percent(report.free / seconds)}, "
        f"{report.switches:,} switches ({report.switches / seconds:,.0f} a second); "
        f"threads waited {report.waited:.1f} s for it in all"
    )


def columns(thread: "Thread", seconds: float) -> tuple[str, ...]:
    """One thread's row: shares of the whole time."""
    shares = [_percent(part / (seconds or 1e-9)) for part in (thread.held, thread.waited, thread.outside, thread.idle)]
    cpu = "?" if thread.cpu is None else f"{thread.cpu:.2f} s"
    return (shorten(thread.name, 28) + ("" if thread.alive else " +"), *shares, cpu, _milliseconds(thread.longest))


HEADINGS = ("thread", "held", "waited", "outside", "idle", "CPU", "longest hold")


def table(report: "Report") -> list[str]:
    """A line for each thread."""
    rows = [columns(thread, report.seconds) for thread in report.threads[:MOST_THREADS]]
    widths = [max(len(cell) for cell in column) for column in zip(HEADINGS, *rows, strict=True)]

    def line(cells: tuple[str, ...]) -> str:
        first, rest = cells[0].ljust(widths[0]), zip(cells[1:], widths[1:], strict=True)
        return "  ".join([first, *(cell.rjust(width) for cell, width in rest)])

    lines = [line(HEADINGS), *(line(row) for row in rows)]
    left = report.threads[MOST_THREADS:]
    if left:
        lines.append(f"… and {len(left)} more, which held it {sum(thread.held for thread in left):.2f} s in all")
    return lines


def _held_at(report: "Report") -> Iterator[str]:
    if not report.holders:
        return
    yield "held in"
    for holder in report.holders[:MOST_HOLDERS]:
        yield f"{_percent(holder.share):>6}  {place(holder)}  [{shorten(', '.join(holder.threads), 40)}]"
    if report.holders[MOST_HOLDERS:]:
        yield f"        … and {len(report.holders) - MOST_HOLDERS} more lines"


def place(holder: "Holder") -> str:
    """Where it was held, with a path as short as it can be from here."""
    return "(no line of Python)" if holder.place is None else _place(holder.place)


def _place(place: "Place") -> str:
    return f"{short_path(place.file)}:{place.line} in {place.function}"


def short_path(path: str) -> str:
    """Relative to the current directory, if it lies below it."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return path
    return path if not os.path.isabs(path) or relative.startswith("..") else relative


def shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _fine_print(report: "Report") -> Iterator[str]:
    yield ""
    if any(not thread.alive for thread in report.threads[:MOST_THREADS]):
        yield "+ ended meanwhile"
    each = report.seconds / report.samples * 1000 if report.samples else 0.0
    cost = report.monitor_cpu / (report.seconds or 1e-9)
    yield f"{report.samples:,} looks, one in {each:.1f} ms; the monitor took {_percent(cost)} of one processor"
    if report.unseen > 0.01 * report.seconds:
        yield f"for {report.unseen:.1f} s more nothing is known: the process was stopped, or had no processor"


# ---- advice


def advice(report: "Report") -> str:
    """What the numbers say, and what could be done: a paragraph for each thing that was found."""
    if report.samples < 50 or not report.seconds:
        return f"why: too little was seen to say anything ({report.samples} looks in {report.seconds:.2f} s)."
    found = [*_contention(report), *_long_holds(report), *_sleeps_while_holding(report), *_waiting(report), *_parallel(report)]
    if not found:
        found = [_quiet(report)]
    return "\n".join(f"why: {paragraph}" for paragraph in found)


def _share(part: float, report: "Report") -> float:
    return part / report.seconds


def _top(report: "Report") -> str:
    top = next((holder for holder in report.holders if holder.place is not None), None)
    return "" if top is None else f" The line that held it most is {place(top)} ({_percent(top.share)})."


def _contention(report: "Report") -> Iterator[str]:
    """Threads that compute in Python, and keep each other waiting."""
    held = _share(report.held, report)
    if held < _MUCH:
        return
    waiting = [thread for thread in report.threads if _share(thread.waited, report) >= _LITTLE]
    busy = [thread for thread in report.threads if _share(thread.held, report) >= _LITTLE]
    computes = f"CPU-bound under the GIL: it was held {_percent(held)} of the time, by {_names(busy or report.threads[:1])}"
    if waiting and report.waited >= _SOME * report.seconds:
        yield (
            f"{computes}, while {_names(waiting)} waited {report.waited:.1f} s for it. More threads will not make this faster: one of them "
            f"runs Python at a time. Processes (concurrent.futures.ProcessPoolExecutor) or a free-threaded build of Python would; so would "
            f"C code that releases the GIL.{_top(report)}"
        )
    else:
        yield (
            f"{computes}, and others waited {report.waited:.2f} s for it in all, which is little. The program is as fast as one thread computes: to use "
            f"more processors it takes processes or a free-threaded build.{_top(report)}"
        )


def _long_holds(report: "Report") -> Iterator[str]:
    """Code that does not let go although others wait: the interpreter's switch interval is 5 ms."""
    thread = max(report.threads, key=lambda thread: thread.longest_wanted, default=None)
    if thread is None or thread.longest_wanted < _LONG_TURN:
        return
    where = f", last seen in {_place(thread.longest_wanted_at)}" if thread.longest_wanted_at else ""
    yield (
        f"{thread.name} kept the GIL for {_milliseconds(thread.longest_wanted)} at a stretch{where}, while others wanted it. Python code gives it up "
        "after 5 ms, so that is C code which does not release it (a large sort, a regular expression, JSON), or a machine with no processor left: "
        "cut the work into smaller pieces, or put it into a process."
    )


def _sleeps_while_holding(report: "Report") -> Iterator[str]:
    asleep = sum(thread.held_asleep for thread in report.threads)
    if _share(asleep, report) >= _LITTLE:
        guilty = [thread for thread in report.threads if _share(thread.held_asleep, report) >= _LITTLE / 2]
        yield (
            f"the GIL was held for {asleep:.1f} s by threads that slept in the kernel ({_names(guilty)}): a C extension that blocks without "
            "releasing it. Everybody else stood still meanwhile; call it in a process, or have the extension mended."
        )


def _waiting(report: "Report") -> Iterator[str]:
    """Programs that mostly wait for something else."""
    if _share(report.held, report) >= _SOME:
        return
    sleepers = [thread for thread in report.threads if thread.seen and thread.idle / thread.seen >= 0.8]
    if len(sleepers) < 4 or sum(thread.outside for thread in report.threads) >= _SOME * report.seconds:
        return
    yield (
        f"I/O-bound: the GIL was free {_percent(_share(report.free, report))} of the time, and {len(sleepers)} of {len(report.threads)} threads slept "
        f"for at least 80% of theirs. The GIL is not in the way. Coroutines would wait for the same with one thread; blocking calls that have no "
        f"coroutine can stay in an executor (asyncio.to_thread)."
    )


def _parallel(report: "Report") -> Iterator[str]:
    outside = [thread for thread in report.threads if _share(thread.outside, report) >= _SOME]
    if outside and _share(report.held, report) < _MUCH:
        total = sum(thread.outside for thread in outside)
        yield (
            f"{_names(outside)} ran {total:.1f} s outside the GIL (held {_percent(_share(report.held, report))}): C code that releases it. Threads do help "
            "here, up to the number of processors; from a coroutine, call it in an executor (asyncio.to_thread)."
        )


def _quiet(report: "Report") -> str:
    held, waited = _percent(_share(report.held, report)), report.waited
    return f"nothing to complain of: the GIL was held {held} of the time, and threads waited {waited:.2f} s for it in {report.seconds:.1f} s."


def _names(threads: "list[Thread]") -> str:
    names = [thread.name for thread in threads]
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"
