"""``plait run --workers N``: its options, and how it begins."""

import os
import sys
from typing import Any

from plait._workers._settings import Settings

#: The options, by their names: the setting, and how its text is read.
_OPTIONS: dict[str, tuple[str, Any]] = {
    "--workers": ("workers", int),
    "--sharing": ("sharing", str),
    "--deadline": ("deadline", float),
    "--linger": ("linger", float),
    "--start-timeout": ("start_timeout", float),
    "--liveness": ("liveness", lambda text: None if text == "off" else float(text)),
    "--max-requests": ("max_requests", int),
    "--max-memory": ("max_memory", lambda text: int(float(text) * 2**20)),
    "--jitter": ("jitter", float),
}


def is_option(word: str) -> bool:
    """Whether it is one of these."""
    return word.partition("=")[0] in _OPTIONS


def take(chosen: dict[str, Any], option: str, rest: list[str]) -> tuple[str | None, list[str]]:
    """Note ``--workers N`` or ``--workers=N``: what is wrong with it, and what is left of the line."""
    name, equals, text = option.partition("=")
    if not equals:
        if not rest:
            return f"argument expected for the {name} option", rest
        text, rest = rest[0], rest[1:]
    setting, read = _OPTIONS[name]
    try:
        chosen[setting] = read(text)
    except (ValueError, OverflowError):
        return f"{text!r} is no value for {name}", rest
    return None, rest


def settings(chosen: dict[str, Any]) -> Settings:
    """What was said about workers, as a whole. Raises ValueError, which says what is wrong."""
    if "workers" not in chosen:
        raise ValueError("these options need --workers")
    return Settings(**chosen)


def main(settings: Settings, program: list[str]) -> int:
    """Run the program's command line in workers, until it is told to end.

    Returns:
        0; 1 if no worker could be started, of which stderr is told; 2 if there is no such script.
    """
    from plait._workers import WorkersFailed, supervise

    if program[0][:1] != "-" and not os.path.exists(program[0]):
        path = os.path.join(os.getcwd(), program[0])
        print(f"{sys.executable}: can't open file {path!r}: [Errno 2] No such file or directory", file=sys.stderr)
        return 2
    if program[0] == "-":
        print("plait run: with --workers the program cannot come from standard input: each worker would have to read it", file=sys.stderr)
        return 2
    try:
        supervise(settings, {"kind": "program", "arguments": program})
    except WorkersFailed as failure:
        print(f"plait: {failure}", file=sys.stderr)
        return 1
    return 0
