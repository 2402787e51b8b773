"""The results for people to read: tables by rich on a terminal where it is installed, else plain text.

Both are drawn from the same rows, so that they cannot say different things. In a pipe or a log it is always plain text:
there rich would take the width for 80 columns and break the figures. One table per group, each with the columns
that it needs: the reference servers belong to the network only.
"""

import sys

from .machine import described
from .processes.columns import LOOP_ONLY, PLAIT, label
from .processes.workloads import GROUPS, WORKLOADS, Load
from .results import Results
from .targets import TARGETS
from .units import Unit, measure_of, percent, rate, share, time, unit_for

Row = tuple[str, ...]
Table = tuple[str, Row, list[Row]]


def show(results: Results, times: bool) -> None:
    made = tables(results, times)
    if not (sys.stdout.isatty() and _by_rich(made)):
        for title, header, rows in made:
            print(f"{title}\n{plain(header, rows)}\n")
    print(notes(results))


def tables(results: Results, times: bool) -> list[Table]:
    return [_table(results, group, times) for group in GROUPS if _of(results, group)]


def _of(results: Results, group: str) -> list[str]:
    return [name for name in results.runs if WORKLOADS[name].group == group]


def _table(results: Results, group: str, times: bool) -> Table:
    names = _of(results, group)
    columns = tuple(column for column in results.columns if any(column in results.runs[name] for name in names))
    both = PLAIT in columns and LOOP_ONLY in columns
    header = ("workload", "unit", *map(label, columns), "best peer", "share", *(["loop only"] if both else []))
    rows = [_row(results, name, columns, both, times) for name in names]
    return group, (*header, "target", "aim", "met"), rows


def _row(results: Results, name: str, columns: Row, both: bool, times: bool) -> Row:
    medians = [value for column in columns if (value := results.value(name, column)) is not None]
    unit = unit_for(WORKLOADS[name], medians)
    target, met, peer = TARGETS.get(name), results.met(name), results.best_peer(name)
    limit, aim = (None, None) if target is None else (target.share, target.aim)
    ours = PLAIT if PLAIT in columns else LOOP_ONLY
    shares = [results.share(name, column) for column in ((PLAIT, LOOP_ONLY) if both else (ours,))]
    return (
        name,
        measure_of(WORKLOADS[name], unit),
        *(_cell(results, name, column, unit, times) for column in columns),
        "-" if peer is None else label(peer),
        *(share(value, limit) for value in shares),
        share(limit),
        share(aim),
        "-" if met is None else "yes" if met else "NO",
    )


def _cell(results: Results, name: str, column: str, unit: Unit, times: bool) -> str:
    if column not in results.runs[name]:
        return "-"
    spread = results.spread(name, column)
    if spread is None:
        return results.not_measured(name, column)
    lines = [unit.number(spread.median)]
    if len(results.runs[name][column]) > 1:
        lines[0] += f" ±{percent(spread.deviation)}"
    workload = WORKLOADS[name]
    per_second = results.value(name, column, "requests_per_s")
    if isinstance(workload, Load) and per_second is not None:
        lines.append(rate(per_second))
    for said, what in (("wall", "wall_ns"), ("cpu", "cpu_ns")):
        value = results.value(name, column, what)
        if (times or what in workload.beside) and what != workload.judged and value is not None:
            lines.append(f"{said} {time(value)}")
    return "\n".join(lines)


def _by_rich(made: list[Table]) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table as RichTable
    except ImportError:
        return False
    console = Console(markup=False, highlight=False)
    for title, header, rows in made:
        table = RichTable(*header, title=title, title_justify="left", show_lines=any("\n" in row[2] for row in rows))
        for i, column in enumerate(table.columns):
            column.justify = "right" if i > 1 else "left"
            # A narrow terminal breaks the cells; a figure cut short by an ellipsis would be a wrong one.
            column.overflow = "fold"
        for row in rows:
            table.add_row(*row)
        console.print(table)
    return True


def plain(header: Row, rows: list[Row]) -> str:
    """Columns padded to their widest cell: names and units to the left, figures to the right."""
    lines = [line for row in (header, *rows) for line in _split(row)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i > 1 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _split(row: Row) -> list[Row]:
    """A row whose cells have several lines, as rows of one line each."""
    cells = [cell.split("\n") for cell in row]
    height = max(map(len, cells))
    return [tuple(cell[i] if i < len(cell) else "" for cell in cells) for i in range(height)]


def notes(results: Results) -> str:
    """What has to be known beside the figures: where they come from, what is missing, what went wrong."""
    lines = [f"{heading}: {text}" for heading, text in described(results.environment).items()]
    lines.append(
        "Shown is the median of the rounds, ± how far the farthest round is from it. Share: plait's median over that of "
        "the best peer, smaller is better. Target: what it may be at most. Aim: where it should end."
    )
    lines += [f"{remark}" for remark in results.remarks]
    lines += [f"{label(column)}: {advice}" for column, advice in results.missing.items()]
    lines += results.lacks()
    lines += [f"FAILED: {f.workload} on {label(f.column)}, round {f.round + 1}: {f.reason}" for f in results.failures]
    return "\n".join(lines)
