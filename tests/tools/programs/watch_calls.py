"""Prints what sys.settrace, sys.setprofile or sys.monitoring (the argument) tells about the subject's own code."""

import asyncio
import json
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import subject
import which_loop

MONITORED = (
    *("PY_START", "PY_RESUME", "PY_YIELD", "PY_RETURN", "PY_UNWIND", "PY_THROW"),
    *("RAISE", "RERAISE", "EXCEPTION_HANDLED", "LINE", "CALL"),
)

seen: list[tuple[str, str, int]] = []


def note(event: str, code: CodeType, line: int) -> None:
    if code.co_filename == subject.__file__:
        seen.append((event, code.co_name, line))


def is_an_end(error: object) -> bool:
    """Whether an error is an awaitable's way to say that it is done: one may raise StopIteration(None) or leave it out."""
    return isinstance(error, StopIteration)


def trace(frame: FrameType, event: str, argument: Any) -> Any:
    if event != "exception" or not (is_an_end(argument[1]) or argument[0] is StopIteration):  # 3.11: not made yet
        note(event, frame.f_code, frame.f_lineno)
    return trace


def profile(frame: FrameType, event: str, argument: object) -> None:
    if event in ("call", "return"):  # c_call and c_return name the C functions of each loop's own making
        note(event, frame.f_code, frame.f_lineno)


def run() -> None:
    asyncio.run(subject.main())


def with_settrace() -> None:
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)


def with_setprofile() -> None:
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)


def monitor(event: str) -> Callable[..., None]:
    def called(code: CodeType, line_or_offset: int, *details: object) -> None:
        if not any(map(is_an_end, details)):
            note(event, code, line_or_offset)

    return called


def with_monitoring() -> None:
    monitoring = sys.monitoring
    tool, all_events = monitoring.PROFILER_ID, 0
    monitoring.use_tool_id(tool, "tests")
    for name in MONITORED:
        event = getattr(monitoring.events, name)
        monitoring.register_callback(tool, event, monitor(name))
        all_events |= event
    monitoring.set_events(tool, all_events)
    try:
        run()
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)


if __name__ == "__main__":
    {"settrace": with_settrace, "setprofile": with_setprofile, "monitoring": with_monitoring}[sys.argv[1]]()
    print(json.dumps(seen))
    which_loop.say()
