"""``plait gil``: a program runs, and a table shows who holds the GIL.

The program runs in a process of its own, as ``plait run`` would run it, and the monitor in it writes what it knows to a pipe, from its native thread. So
the table costs the program nothing: it is drawn by this process, which has a GIL of its own. It goes to stderr; stdin and stdout are the program's.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_USAGE = "usage: plait gil [--json] [--why] [-o FILE] [--interval SECONDS] [--no-live] [script | -m module | -c code] [argument ...]"
_HELP = f"""{_USAGE}

Run a program as `plait run` does, and show who holds the GIL, who waits for it
and in which lines it is held: a live table while it runs, then a report.

  script, -m, -c, -    as for `plait run`
  --why                add what could be done about it, with the numbers
  --json               the report as JSON
  -o FILE              write the report to FILE instead of stderr
  --interval SECONDS   how often to look (0.002)
  --no-live            no live table; without a terminal on stderr there is none

The monitor takes no more than one percent of a processor. The exit status is
the program's (128 + n for one that died of signal n).
PLAIT_DISABLE=1 runs the program without plait, and watches it all the same.
"""
#: How often the table is drawn, in seconds.
_PERIOD = 0.5
#: How often it is looked whether the program has ended while somebody else has its end of the pipe, in milliseconds.
_ENDED_EVERY = 100
#: What the child writes when it cannot watch, and has said so.
_CANNOT = b"\n"


@dataclass
class _Options:
    json: bool = False
    why: bool = False
    live: bool = True
    output: str | None = None
    interval: float = 0.002


class _Misused(Exception):
    pass


def main(argv: Sequence[str]) -> int:
    """Carry out ``plait gil``.

    Args:
        argv: the arguments after the word ``gil``.

    Returns:
        The program's exit status; 2 when the command line is not understood, 1 when there is no GIL or it cannot be watched.
    """
    if argv[:1] == ["--child"]:
        return _child(int(argv[1]), float(argv[2]), argv[3:])
    if argv[:1] in (["-h"], ["--help"]):
        print(_HELP, end="")
        return 0
    try:
        options, program = _parse(argv)
    except _Misused as problem:
        print(f"{_USAGE}\nplait gil: {problem}", file=sys.stderr)
        return 2
    from plait import gil

    if not gil.exists():
        print("plait gil: this Python runs without a GIL: there is none to watch.", file=sys.stderr)
        return 1
    return _watch(options, program)


def _parse(argv: Sequence[str]) -> tuple[_Options, list[str]]:
    options, rest = _Options(), list(argv)
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "--") and rest[0][:2] not in ("-m", "-c"):
        name, equals, value = rest.pop(0).partition("=")
        if name in ("--json", "--why", "--no-live") and not equals:
            setattr(options, *{"--json": ("json", True), "--why": ("why", True), "--no-live": ("live", False)}[name])
            continue
        if name not in ("-o", "--output", "--interval"):
            raise _Misused(f"unknown option {name}")
        if not equals:
            if not rest:
                raise _Misused(f"argument expected for the {name} option")
            value = rest.pop(0)
        if name == "--interval":
            options.interval = _seconds(value)
        else:
            options.output = value
    if rest in ([], ["--"]):
        raise _Misused("a script, -m module or -c code is needed")
    return options, rest


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0.0001 <= seconds <= 60:
        raise _Misused(f"{value!r} is no interval: between 0.0001 and 60 seconds")
    return seconds


# ---- the program's process


def _child(descriptor: int, interval: float, program: Sequence[str]) -> int:
    from plait import _run, gil
    from plait._native import GilMonitor

    os.set_inheritable(descriptor, False)
    try:
        monitor = GilMonitor(interval, gil.BUDGET, descriptor, _PERIOD)
    except (RuntimeError, OSError) as error:
        print(f"plait gil: {error}", file=sys.stderr)
        os.write(descriptor, _CANNOT)
        return 1
    # The monitor has one of its own. A number that the program may close, and use again, is not kept.
    os.close(descriptor)
    os.register_at_fork(after_in_child=monitor.close_in_child)
    process = os.getpid()

    def finish() -> None:
        if os.getpid() == process:
            monitor.stop()  # which writes the last line

    # After the threads that the program did not join have ended.
    atexit.register(finish)
    return _run.main(program)


# ---- the process that shows it


def _watch(options: _Options, program: list[str]) -> int:
    reader, writer = os.pipe()
    interpreter_options: list[str] = vars(subprocess)["_args_from_interpreter_flags"]()
    command = [sys.executable, *interpreter_options, "-m", "plait", "gil", "--child", str(writer), str(options.interval), *program]
    with _passing_signals_on() as pass_to:
        child = subprocess.Popen(command, pass_fds=(writer,))
        pass_to(child)
        os.close(writer)
        try:
            last = _follow(_lines(reader, child), options)
        finally:
            os.close(reader)
        status = child.wait()
    if last is None:
        print("plait gil: the program ended before there was anything to report.", file=sys.stderr)
    elif last:
        _show(last, options)
    return status if status >= 0 else 128 - status


@contextmanager
def _passing_signals_on() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Ctrl-C reaches the program from the terminal itself; what is sent to this process is sent on to it."""
    children: list[subprocess.Popen[bytes]] = []

    def send_on(number: int, _frame: object) -> None:
        for child in children:
            child.send_signal(number)

    before: dict[int, Any] = {}
    for number, handler in ((signal.SIGINT, lambda *_: None), (signal.SIGTERM, send_on), (signal.SIGHUP, send_on)):
        # What is ignored here (`nohup`, a shell's `&`) the program inherits as ignored, which a handler would undo. None: it is not Python's.
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, handler)
    try:
        yield children.append
    finally:
        for caught, handler in before.items():
            signal.signal(caught, handler)


def _lines(reader: int, child: "subprocess.Popen[bytes]") -> Iterator[str]:
    """What the monitor writes, without what the program died in the midst of. The pipe's end is not enough to wait for: a child of the
    program's, forked by C code, may have it for ever."""
    os.set_blocking(reader, False)
    readable = select.poll()
    readable.register(reader, select.POLLIN)
    rest = b""
    while True:
        ended = child.poll() is not None
        readable.poll(0 if ended else _ENDED_EVERY)
        try:
            part = os.read(reader, 1 << 16)
        except BlockingIOError:
            if ended:
                return
            continue
        if not part:
            return
        *lines, rest = (rest + part).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in lines)


def _follow(lines: Iterator[str], options: _Options) -> str | None:
    """Shows what the monitor writes; returns the last line, which is empty where it cannot watch."""
    last = None
    with _live_table() if options.live and sys.stderr.isatty() else _no_table() as draw:
        for line in lines:
            last = line
            if line:
                draw(line)
    return last


def _report(line: str) -> Any:
    from plait.gil import Report

    report = Report()
    report._fill(line)
    return report


def _show(line: str, options: _Options) -> None:
    report = _report(line)
    if options.json:
        text = json.dumps(report.as_dict() | ({"why": report.advice()} if options.why else {}), indent=2)
    else:
        text = report.text(why=options.why)
    if options.output is None:
        print(text, file=sys.stderr)
        return
    with open(options.output, "w", encoding="utf-8") as file:
        file.write(text + "\n")


# ---- the live table


@contextmanager
def _no_table() -> Iterator[Callable[[str], None]]:
    yield lambda line: None


@contextmanager
def _live_table() -> Iterator[Callable[[str], None]]:
    try:
        from rich.console import Console
        from rich.live import Live
    except ImportError:
        with _plain_table() as draw:
            yield draw
        return
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        yield lambda line: live.update(_rich_table(_report(line)), refresh=True)


def _rich_table(report: Any) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from plait import _gil_report

    table = Table(box=None, pad_edge=False)
    for heading in _gil_report.HEADINGS:
        table.add_column(heading, justify="left" if heading == "thread" else "right")
    for thread in report.threads[: _gil_report.MOST_THREADS]:
        waits = thread.waited > 0.2 * (report.seconds or 1.0)
        table.add_row(*_gil_report.columns(thread, report.seconds), style="yellow" if waits else None)
    holders = [Text(f"{100 * holder.share:5.1f}%  {_gil_report.place(holder)}") for holder in report.holders[:5]]
    return Group(Text(_gil_report.headline(report), style="bold"), table, *holders)


@contextmanager
def _plain_table() -> Iterator[Callable[[str], None]]:
    """Without rich: the table takes the place of the one before."""
    from plait import _gil_report

    drawn = 0

    def erase() -> None:
        if drawn:
            sys.stderr.write(f"\x1b[{drawn}A\x1b[J")

    def draw(line: str) -> None:
        nonlocal drawn
        report = _report(line)
        holders = [f"{100 * holder.share:5.1f}%  {_gil_report.place(holder)}" for holder in report.holders[:5]]
        width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
        lines = [text[:width] for text in [_gil_report.headline(report), *_gil_report.table(report), *holders]]
        erase()
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()
        drawn = len(lines)

    try:
        yield draw
    finally:
        erase()
