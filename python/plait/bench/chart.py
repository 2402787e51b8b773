"""One workload as a bar chart: a list, each entry a name, a figure and a bar."""

from html import escape

from .processes.columns import LOOP_ONLY, PLAIT, REFERENCES, label
from .processes.workloads import WORKLOADS
from .results import Results, Spread
from .targets import TARGETS
from .units import Unit, measure_of, rate, time, unit_for

LEGEND = (
    '<ul class="legend" aria-label="How the bars are drawn">'
    + "".join(
        f'<li class="row {kind}"><span class="track" aria-hidden="true"><span class="bar"></span></span>{said}</li>'
        for kind, said in (
            ("plait", "plait"),
            ("loop-only", "plait (loop only)"),
            ("peer best", "best peer"),
            ("peer", "other peers"),
            ("reference", "reference server"),
        )
    )
    + '<li class="row"><span class="track" aria-hidden="true"><span class="mark" style="left:50%"></span></span>target</li>'
    + "</ul>"
)


def chart(results: Results, name: str, verdict: str) -> str:
    """A figure that is kept in one piece on paper."""
    workload, columns = WORKLOADS[name], list(results.runs[name])
    spreads = {column: spread for column in columns if (spread := results.spread(name, column)) is not None}
    unit = unit_for(workload, (spread.median for spread in spreads.values()))
    widest = max((spread.max for spread in spreads.values()), default=0.0) or 1.0
    rows = "".join(_row(results, name, column, spreads.get(column), unit, widest) for column in columns)
    heading = f'<h3 id="{identifier(name)}" class="code">{wrapping(name)}</h3>'
    about = f"{escape(workload.about[:1].upper() + workload.about[1:])}. In {escape(measure_of(workload, unit))}."
    return (
        f"<figure><figcaption>{heading}<p>{about}</p><p>{verdict}</p></figcaption>\n"
        f'<ul class="chart" aria-label="{escape(name)}, {escape(measure_of(workload, unit))}">{rows}</ul></figure>'
    )


def identifier(name: str) -> str:
    """The page has headings of its own, some of which are called like a workload."""
    return f"workload-{escape(name)}"


def wrapping(name: str) -> str:
    """Long names may break after an underscore, and there only."""
    return escape(name).replace("_", "_<wbr>")


def _row(results: Results, name: str, column: str, spread: Spread | None, unit: Unit, widest: float) -> str:
    best = column == results.best_peer(name)
    kind = _kind(column) + (" best" if best else "")
    tag = ' <span class="tag">★ best peer</span>' if best else ""
    label_ = f'<span class="name">{escape(label(column))}{tag}</span>'
    if spread is None:
        return f'<li class="row {kind}">{label_}<span class="value failed">{results.not_measured(name, column)}</span></li>'
    bar = f'<span class="bar" style="width:{spread.median / widest:.2%}"></span>'
    several = len(results.runs[name][column]) > 1
    if several:
        left, width = spread.min / widest, (spread.max - spread.min) / widest
        bar += f'<span class="whisker" style="left:{left:.2%};width:{width:.2%}"></span>'
    if column == PLAIT:
        bar += _target_mark(results, name, widest)
    figure = f"<b>{unit.figure(spread.median)}</b>"
    if several:
        figure += f" <small>{unit.number(spread.min)} to {unit.number(spread.max)}</small>"
    figure += _beside(results, name, column)
    track = f'<span class="track" aria-hidden="true">{bar}</span>'
    return f'<li class="row {kind}">{label_}{track}<span class="value">{figure}</span></li>'


def _kind(column: str) -> str:
    return column if column in (PLAIT, LOOP_ONLY) else "reference" if column in REFERENCES else "peer"


def _target_mark(results: Results, name: str, widest: float) -> str:
    """Where the bar of plait should end at the latest."""
    target, peer = TARGETS.get(name), results.best_peer(name)
    theirs = results.value(name, peer) if peer is not None else None
    if target is None or theirs is None:
        return ""
    return f'<span class="mark" style="left:{target.share * theirs / widest:.2%}"></span>'


def _beside(results: Results, name: str, column: str) -> str:
    """What a network workload has besides what it is judged by, and the CPU time of threads that wait for each other."""
    per_second, slowest, cpu = (results.value(name, column, what) for what in ("requests_per_s", "p99_ns", "cpu_ns"))
    if per_second is not None:
        said = rate(per_second) + ("" if slowest is None else f", p99 {time(slowest)}")
    elif cpu is not None and "cpu_ns" in WORKLOADS[name].beside:
        said = f"{time(cpu)} of CPU"
    else:
        return ""
    # The comma is for where the break is not shown: on paper.
    return f'<span class="apart">, </span><br><small>{said}</small>'
