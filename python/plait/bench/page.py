"""The results as one page of HTML: to look at, to print, to send to somebody.

Everything is in the one file: a page that fetches a font or a script looks different next year, or tells somebody who
reads it. A chart is a list of bars with its figures written beside them, so that it is its own table: a screen reader,
a text browser and a copy to the clipboard get every figure, and colours only repeat what is said. Rejected: a library
for charts (a megabyte of script for some rectangles), SVG (its text does not flow: what fits a screen
does not fit a telephone) and JSON drawn by a script (nothing to see without it, and nothing to print).
"""

from html import escape
from pathlib import Path

from .chart import LEGEND, chart, identifier, wrapping
from .machine import described
from .processes.columns import LOOP_ONLY, PLAIT, label
from .processes.workloads import GROUPS, WORKLOADS
from .results import Results
from .targets import TARGETS
from .units import share
from .verdict import in_words, mark, number_of_targets

STYLE = Path(__file__).with_name("page.css")

TITLES = {
    "scheduling": ("Scheduling", "Callbacks and timers, before there is a task."),
    "tasks": ("Tasks", "Making tasks, waiting for them, putting them to sleep."),
    "waiting": ("Waiting", "Waiting with a limit of time, and waiting for several."),
    "synchronisation": ("Synchronisation", "asyncio's queue and locks, between the tasks of one loop."),
    "threads": (
        "Threads",
        "threading and queue, beside the standard library's own. Two threads that meet run on a core each; what CPU time "
        "they took together stands beside.",
    ),
    "processes": (
        "Processes",
        "What one process hands to another, without a loop. The only peer is the standard library.",
    ),
    "executors": (
        "Executors",
        "Calls that other threads make: a pool of concurrent.futures beside the standard library's own, and a loop's default executor.",
    ),
    "pools": (
        "Pools of processes",
        "Calls that other processes make: ProcessPoolExecutor beside the standard library's own, loky's and, for maps, multiprocessing.Pool. And coroutines: plait.Cluster beside aiomultiprocess.",
    ),
    "engines": (
        "Engines",
        "Calls that a worker of Dask's or Ray's makes: what plait.executor lays over the engine, beside the engine's own client. One worker, in processes apart.",
    ),
    "bridges": (
        "Bridges",
        "Queues between threads and tasks: plait.Queue on plait's loop beside packages made for it, which run on uvloop.",
    ),
    "streams": ("Streams", "Reading from a StreamReader that has it all already: the stream alone, no socket."),
    "network": (
        "Network",
        "Echo servers on loopback, each in a process and on a core of its own; the client is the same for all. "
        "Judged is the CPU time that the server takes per request. The reference servers, epoll and io_uring, "
        "are bare ones without Python: for orientation, never judged against, and not limits.",
    ),
    "tls": (
        "TLS",
        "The same echo servers over TLS. The client is one of Python's ssl module with blocking sockets, the same for all; its "
        "CPU time is not in the figure.",
    ),
    "udp": (
        "UDP",
        "Datagrams, answered one by one, and a flood of them, of which the kernel drops what is not taken in time: there the "
        "figure is per datagram received. The reference server only counts them.",
    ),
    "transfers": ("Transfers", "Much data over one connection: what the server's CPU takes for each mebibyte."),
    "subprocesses": ("Subprocesses", "Starting a program and waiting for its end: the CPU time of who starts it."),
    "processes": (
        "Processes",
        "multiprocessing, beside the standard library's own. A process is started by spawn there, and by the zygote here.",
    ),
    "files": (
        "Files",
        "Files of which the kernel has all in memory: plait.fs on plait's loop, the packages on asyncio's. What plain open takes for the same, "
        "while the loop waits, stands beside: for orientation, never judged against.",
    ),
    "http": (
        "HTTP",
        "uvicorn and aiohttp saying hello: what is left of a loop's advantage in a program that does something.",
    ),
    "workers": (
        "Workers",
        "Applications in two workers that share a port: the CPU time of all their processes for each request. Beside one worker of plait's, and "
        "beside other servers with two, which run on uvloop. Client and servers share two cores.",
    ),
    "memory": ("Memory", "How much a process grows for each thing that it holds."),
}

HOW = (
    "Every measurement has a process of its own. The peers never meet plait: in their processes it is not even imported, "
    "and each process says which loop and which classes it really ran on; what ran on something else is thrown away.",
    "The column plait is what <code>plait run</code> gives: the standard modules use plait. In plait (loop only) they "
    "are untouched, and only the loop is plait's. Targets are for the former.",
    "A workload is measured in rounds. In a round each column has its turn, and the order rotates from round to round. "
    "A bar is the median of the rounds, the line across its end reaches from the lowest round to the highest. Where two "
    "of these lines overlap, the difference between their bars means little.",
    "The share is plait's median divided by the best peer's in the same run: 1 is level with it, 0.5 is half. The target is "
    "the largest share that plait allows itself, the aim is where the work on it should end. Shares can be compared "
    "between machines; nanoseconds cannot.",
)

# Columns of words are set to the left, of figures to the right.
WORDS = ("Verdict", "Best peer")
_WORDS = ' class="words"'


def page(results: Results) -> str:
    groups = [group for group in GROUPS if any(WORKLOADS[name].group == group for name in results.runs)]
    parts = [
        _header(results, groups),
        _problems(results),
        _shares(results, groups),
        *(_group(results, group) for group in groups),
        _how(results),
    ]
    style = STYLE.read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>plait bench, {escape(_date(results))}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def _date(results: Results) -> str:
    return str(results.environment["date"])[:10]


def _header(results: Results, groups: list[str]) -> str:
    met, judged = number_of_targets(results)
    counted = f"{met} of {judged} targets met" if judged else "nothing could be judged"
    told = described(results.environment)
    links = "".join(f'<li><a href="#{group}">{TITLES[group][0]}</a></li>' for group in groups)
    return (
        f'<header>\n<h1>plait bench</h1>\n<p class="lead">{counted}. Shorter bars are better, everywhere.</p>\n'
        f'<p class="quiet">{escape(_date(results))}. {escape(told["Versions"])}. {escape(told["Machine"])}.</p>\n'
        f'{LEGEND}\n<nav aria-label="Groups"><ul><li><a href="#shares">Shares</a></li>{links}'
        '<li><a href="#how">How this was measured</a></li></ul></nav>\n</header>\n<main>'
    )


def _problems(results: Results) -> str:
    """What is not in the charts, before them: who looks at a page should not have to look for it."""
    said = [
        *results.remarks,
        *(f"{label(column)} was not measured: {why}" for column, why in results.missing.items()),
        *results.lacks(),
        *(f"Failed: {f.workload} on {label(f.column)}, round {f.round + 1}: {f.reason}" for f in results.failures),
    ]
    if not said:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in said)
    heading = '<h2 id="not-measured">What is missing</h2>'
    return f'<section aria-labelledby="not-measured">{heading}<ul>{items}</ul></section>'


def _shares(results: Results, groups: list[str]) -> str:
    # What decides comes first: on a telephone the rest is reached by scrolling.
    heads = ("Workload", "Share", "Target", "Verdict", "Aim", "Loop only", "Best peer")
    head = "".join(f'<th scope="col"{_WORDS if name in WORDS else ""}>{name}</th>' for name in heads)
    bodies = []
    for group in groups:
        names = [name for name in results.runs if WORKLOADS[name].group == group]
        title = f'<tr><th scope="rowgroup" colspan="{len(heads)}">{TITLES[group][0]}</th></tr>'
        bodies.append(f'<tbody class="group">{title}{"".join(_share_row(results, name) for name in names)}</tbody>')
    return (
        '<section aria-labelledby="shares"><h2 id="shares">Shares</h2>\n'
        '<p class="quiet">What plait takes of what the best peer takes: less is better.</p>\n'
        '<div class="scroll" role="region" aria-labelledby="shares" tabindex="0"><table aria-labelledby="shares">\n'
        f"<thead><tr>{head}</tr></thead>\n" + "\n".join(bodies) + "\n</table></div></section>"
    )


def _share_row(results: Results, name: str) -> str:
    target = TARGETS.get(name)
    limit, aim = (None, None) if target is None else (target.share, target.aim)
    link = f'<a class="code" href="#{identifier(name)}">{wrapping(name)}</a>'
    return (
        f'<tr><th scope="row">{link}</th><td>{share(results.share(name), limit)}</td>'
        f"<td>{share(limit)}</td><td{_WORDS}>{mark(results, name)}</td><td>{share(aim)}</td>"
        f"<td>{share(results.share(name, LOOP_ONLY), limit)}</td>"
        f"<td{_WORDS}>{_best_peer(results, name)}</td></tr>"
    )


def _best_peer(results: Results, name: str) -> str:
    peer = results.best_peer(name)
    return "-" if peer is None else escape(label(peer))


def _group(results: Results, group: str) -> str:
    title, about = TITLES[group]
    names = [name for name in results.runs if WORKLOADS[name].group == group]
    charts = [chart(results, name, in_words(results, name)) for name in names]
    # The first chart stays with the heading on paper.
    opening = f'<div class="keep"><h2 id="{group}">{title}</h2>\n<p>{about}</p>\n{charts[0]}</div>'
    return f'<section aria-labelledby="{group}">{opening}\n' + "\n".join(charts[1:]) + "</section>"


def _how(results: Results) -> str:
    facts = described(results.environment) | {
        "Rounds": f"{results.options['rounds']}, at scale {results.options['scale']:g}",
    }
    told = "".join(f"<dt>{escape(heading)}</dt><dd>{escape(text)}</dd>" for heading, text in facts.items())
    told = told.replace("<dt>Command</dt><dd>", '<dt>Command</dt><dd class="code">', 1)
    paragraphs = "".join(f"<p>{text}</p>" for text in HOW)
    return (
        f'<section aria-labelledby="how"><h2 id="how">How this was measured</h2>\n<dl>{told}</dl>\n{paragraphs}</section>'
        '\n</main>\n<footer class="quiet">'
        f"<p>Made by <code>plait bench</code>, plait {escape(_version(results))}.</p></footer>"
    )


def _version(results: Results) -> str:
    packages = results.environment["packages"]
    assert isinstance(packages, dict)
    return str(packages[PLAIT])
