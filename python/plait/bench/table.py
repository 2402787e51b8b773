"""The results for people to read: a table by rich on a terminal where it is installed, else plain text.

Both are drawn from the same rows, so that they cannot say different things. In a pipe or a log it is always plain text:
there rich would take the width for 80 columns and break the figures.
"""

import sys
from statistics import median

from .results import Results, Run
from .targets import TARGET_SHARES
from .workloads import WORKLOADS

Row = tuple[str, ...]


def show(results: Results, cpu: bool) -> None:
    header, rows = _header(results), [_row(results, workload, cpu) for workload in results.runs]
    if not (sys.stdout.isatty() and _by_rich(header, rows, lines=cpu)):
        print(plain(header, rows))
    print(notes(results))


def _by_rich(header: Row, rows: list[Row], lines: bool) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        return False
    table = Table(*header, show_lines=lines)
    for i, column in enumerate(table.columns):
        column.justify = "right" if i else "left"
        # A narrow terminal breaks the cells; a figure cut short by an ellipsis would be a wrong one.
        column.overflow = "fold"
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)
    return True


def plain(header: Row, rows: list[Row]) -> str:
    """Columns padded to their widest cell, the first to the left and the figures to the right."""
    lines = [line for row in (header, *rows) for line in _split(row)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(line, widths)))
        for line in lines
    )


def notes(results: Results) -> str:
    """What has to be known beside the figures: where they come from, what is missing, what went wrong."""
    env = results.environment
    packages = env["packages"]
    assert isinstance(packages, dict)
    lines = [
        f"{env['implementation']} {env['python']}{'' if env['gil'] else ' without the GIL'}; "
        f"{env['system']} {env['machine']}, {env['usable_cpus']} of {env['cpus']} CPUs usable",
        ", ".join(f"{name} {version}" for name, version in packages.items()) or "no packages but the standard library",
        "median (min-max) over the rounds; share is plait's median over that of the best peer, smaller is better",
    ]
    if results.options["loop_only"]:
        lines.append("plait: its loop only, with the standard modules unpatched")
    lines += [f"{loop}: {advice}" for loop, advice in results.missing.items()]
    lines += [f"FAILED: {f.workload} on {f.loop}, round {f.round + 1}: {f.reason}" for f in results.failures]
    return "\n".join(lines)


def _header(results: Results) -> Row:
    return ("workload", *results.loops, "best peer", "share", "target", "met")


def _row(results: Results, workload: str, cpu: bool) -> Row:
    share, target, met = results.share(workload), TARGET_SHARES.get(workload), results.met(workload)
    return (
        f"{workload} ({WORKLOADS[workload].unit})",
        *(_cell(results.runs[workload][loop], cpu) for loop in results.loops),
        results.best_peer(workload) or "-",
        "-" if share is None else f"{share:.2f}",
        "-" if target is None else f"{target:.2f}",
        "-" if met is None else "yes" if met else "NO",
    )


def _cell(runs: list[Run], cpu: bool) -> str:
    if not runs:
        return "failed"
    values = [run.value for run in runs]
    cell = f"{median(values):,.0f} ({min(values):,.0f}-{max(values):,.0f})"
    return f"{cell}\ncpu {median(run.cpu_ns for run in runs):,.0f} ns" if cpu else cell


def _split(row: Row) -> list[Row]:
    """A row whose cells have several lines, as rows of one line each."""
    cells = [cell.split("\n") for cell in row]
    height = max(map(len, cells))
    return [tuple(cell[i] if i < len(cell) else "" for cell in cells) for i in range(height)]
