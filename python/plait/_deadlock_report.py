"""A deadlock in words: who waits for what, who holds it, and every stack.

It is written by a strand that is about to wait for ever, about others that do already, so nothing here may wait for any of them. No lock of the program is taken
and nothing of its own is asked to describe itself, where that can be helped: locks are shown by type and address, source lines are read from
files only, and what raises is passed over. stderr is written past ``sys.stderr``, which has a lock and may be anybody's. Logging has locks, too, and handlers
of any kind, so a record is made last, in a thread that is made for it: if it has to wait for ever, it waits alone.
"""

import _thread
import linecache
import logging
import os
import sys
import threading
import tokenize  # noqa: F401  linecache imports it when it is needed: too late, where a module's import is part of the deadlock
import traceback
from collections.abc import Callable
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plait._deadlock import Held, Need, Strand

_OURS = os.path.dirname(__file__) + os.sep
_NAMES = {"plait.threading": "threading", "plait.asyncio": "asyncio", "plait": "plait"}
_threads: dict[int, threading.Thread] = vars(threading)["_active"]  # read without its lock


def caller() -> "tuple[CodeType, int | None] | None":
    """Where the program is: the innermost line that is not plait's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
    return None if frame is None else (frame.f_code, frame.f_lineno)


def report(circle: "list[Need]") -> None:
    """Say it, on stderr and through logging."""
    say(lambda: _in_words(circle), f"of {len(circle)}")


def say(describe: Callable[[], str], what: str) -> None:
    """The same with any text."""
    try:
        text = describe()
    except Exception as error:
        text = f"plait: a deadlock {what}, which could not be described: {type(error).__name__}\n"
    _say(text)


def say_failure(what: str) -> None:
    """An explainer has raised, which is being handled: the same with that."""
    _say(f"plait: {what}:\n{traceback.format_exc()}")


def _say(text: str) -> None:
    _write(text)
    try:
        _thread.start_new_thread(_log, (text,))
    except RuntimeError:  # the interpreter is about to end, or there are too many threads
        pass


def _write(text: str) -> None:
    rest = text.encode(errors="backslashreplace")
    try:
        while rest:
            rest = rest[os.write(2, rest) :]
    except OSError:  # closed, or full and not to be waited for
        pass


def _log(text: str) -> None:
    logger = logging.getLogger("plait")
    if logger.hasHandlers():  # else it would go to stderr, where it stands already
        logger.error("%s", text.rstrip())


# ---- the text


def _in_words(circle: "list[Need]") -> str:
    parts = [_headline(circle)]
    parts += [_paragraph(number, need, number % len(circle) + 1) for number, need in enumerate(circle, 1)]
    return "\n".join(parts) + "\n"


def _headline(circle: "list[Need]") -> str:
    if len(circle) == 1:
        who = "one waits for itself. It cannot go on"
    elif len(circle) == 2:
        who = "two wait for each other. They cannot go on"
    else:
        who = f"{len(circle)} wait in a circle, each for the next and the last for the first. They cannot go on"
    return f"plait: deadlock: {who} unless somebody else releases a lock.\n"


def _paragraph(number: int, need: "Need", after: int) -> str:
    lines = [f"{number}. {_name(need.strand)}"]
    on = "itself" if need.on == need.strand else f"{after}. {_name(need.on)}"
    if need.held is None:
        lines.append(f"   cannot run, since its thread is blocked by {on}")
    else:
        lines.append(f"   waits for {_lock(need.wait.lock)}")
        lines += _holder(on, need.held)
    lines.append("   stack, most recent call last:")
    lines += _indented(_stack(need.strand)) or ["     (none to be seen)"]
    return "\n".join(lines) + "\n"


def _holder(on: str, held: "Held") -> list[str]:
    if held.taken is None:
        return [f"   which was handed to {on}, which has not run since"]
    code, line = held.taken
    return [f"   which is held by {on}, and was taken here:", *_indented([_line(code, line)])]


def _indented(frames: list[traceback.FrameSummary]) -> list[str]:
    return ["   " + line for entry in traceback.format_list(frames) for line in entry.splitlines()]


def _lock(lock: Any) -> str:
    made = type(lock)
    module = _NAMES.get(made.__module__, made.__module__)
    return f"<{module}.{made.__qualname__} at {id(lock):#x}>"


def _name(strand: "Strand") -> str:
    thread = thread_name(strand.thread.ident)
    runs = strand.runs()
    if runs is None:
        return thread
    if hasattr(runs, "gr_frame"):
        return f"greenlet at {id(runs):#x} in {thread}"
    try:
        name = repr(str(runs.get_name()))
    except Exception:
        name = f"at {id(runs):#x}"
    return f"task {name} in {thread}"


def thread_name(ident: int) -> str:
    try:
        return f"thread {str(_threads[ident].name)!r} ({ident})"
    except Exception:  # not one of threading's
        return f"thread {ident}"


# ---- stacks


def _stack(strand: "Strand") -> list[traceback.FrameSummary]:
    """Outermost first, without plait's own lines at either end."""
    try:
        frames = _frames(strand)
    except Exception:
        return []
    return _of_the_program(frames)


def stack_of_thread(ident: int) -> list[str]:
    """The same of a thread, as lines."""
    return _indented(_of_the_program(_outwards(sys._current_frames().get(ident))))


def _of_the_program(frames: "_Frames") -> list[traceback.FrameSummary]:
    first, last = 0, len(frames)
    while last > first and _is_ours(frames[last - 1][0]):
        last -= 1
    while first < last and (_is_ours(frames[first][0]) or frames[first][0].f_code.co_filename == "<frozen runpy>"):
        first += 1
    if first < last and frames[first][0].f_code.co_filename.endswith(f"{os.sep}plait"):  # the command itself
        first += 1
    return [_line(frame.f_code, line) for frame, line in frames[first:last]]


_Frames = list[tuple[FrameType, "int | None"]]


def _frames(strand: "Strand") -> _Frames:
    runs = strand.runs()
    if runs is None:
        return _of_thread(strand)
    if hasattr(runs, "gr_frame"):
        return _outwards(runs.gr_frame) or _of_thread(strand)
    return _of_task(strand, runs.get_coro())


def _of_thread(strand: "Strand") -> _Frames:
    return _outwards(sys._current_frames().get(strand.thread.ident))


def _of_task(strand: "Strand", coroutine: Any) -> _Frames:
    """A task that is running has its frames on its thread's stack; one that is suspended is a chain of what it awaits."""
    outermost = _frame_of(coroutine)
    running = _of_thread(strand)
    for index, (frame, _) in enumerate(running):
        if frame is outermost:
            return running[index:]
    frames: _Frames = []
    suspended = outermost
    while suspended is not None:
        frames.append((suspended, suspended.f_lineno))
        coroutine = _awaited(coroutine)
        suspended = _frame_of(coroutine)
    return frames


def _frame_of(coroutine: Any) -> FrameType | None:
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(coroutine, name, None)
        if isinstance(frame, FrameType):
            return frame
    return None


def _awaited(coroutine: Any) -> Any:
    for name in ("cr_await", "gi_yieldfrom", "ag_await"):
        if hasattr(coroutine, name):
            return getattr(coroutine, name)
    return None


def _outwards(frame: FrameType | None) -> _Frames:
    frames: _Frames = []
    while frame is not None:
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    return frames[::-1]


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_OURS)


def _line(code: CodeType, line: int | None) -> traceback.FrameSummary:
    source = linecache.getline(code.co_filename, line or 0)
    return traceback.FrameSummary(code.co_filename, line, code.co_name, lookup_line=False, line=source)
