"""The watchdog's reports in words."""

import asyncio
import functools
import linecache
import os
import threading
from collections.abc import Callable
from typing import Any

from plait.watchdog import Frame, Stall


def read(data: dict[str, Any], what: str, task: str | None, counted: Callable[[object], int]) -> Stall:
    """From what the native module tells."""
    evidence = data["evidence"]
    stack = tuple(Frame(**frame) for frame in reversed(data["stack"]))
    causes = _causes(evidence)
    place: object = stack[-1] if stack else what
    return Stall(
        what=what,
        task=task,
        seconds=data["seconds"],
        lasts=data["still"],
        cause=max(causes, key=lambda cause: causes[cause], default="unknown"),
        causes=causes,
        cpu=evidence["cpu"],
        target=evidence["target"],
        holder=_holder(evidence["holder"]),
        stack=stack,
        thread=_thread_name(data["native_id"]),
        count=counted(place),
    )


def _causes(evidence: dict[str, Any]) -> dict[str, float]:
    seen = {
        "computing": evidence["computed"],
        "collecting garbage": evidence["collected"],
        "waiting for the GIL": evidence["waited"],
        "waiting for a processor": evidence["queued"],
    }
    for name, looks in evidence["calls"]:
        # A futex that is not the GIL's is some other lock.
        words = {None: "asleep in the kernel", "futex": "waiting for a lock (futex)"}
        seen[words.get(name, f"in the system call {name}")] = looks
    return {cause: looks / evidence["looks"] for cause, looks in seen.items() if looks}


def _thread_name(native_id: int) -> str:
    for thread in threading.enumerate():
        if thread.native_id == native_id:
            return thread.name
    return f"thread {native_id}"


def _holder(holder: dict[str, Any] | None) -> str | None:
    if holder is None:
        return None
    place = holder["place"]
    where = "" if place is None else f", {_short(place['file'])}:{place['line']} in {place['function']}"
    return f"thread {_thread_name(holder['native_id'])!r}{where}"


def running_task(native_id: int) -> Any:
    """The task that runs in that thread, if a loop there has one."""
    ident = next((thread.ident for thread in threading.enumerate() if thread.native_id == native_id), None)
    tasks: dict[Any, Any] = getattr(asyncio.tasks, "_current_tasks", {})
    for loop, task in list(tasks.items()):
        if ident is not None and getattr(loop, "_thread_id", None) == ident:
            return task
    return None


def described(culprit: Any) -> tuple[str, str | None]:
    """What ran, in words; and the name of the task, if it is one. A program's own `__repr__` that fails costs these words, not the report."""
    try:
        return _described(culprit)
    except Exception:
        return f"an object of the type {type(culprit).__name__}", None


def _described(culprit: Any) -> tuple[str, str | None]:
    if culprit is None:
        return "the loop", None
    if isinstance(culprit, asyncio.Task):
        return f"task {culprit.get_name()!r} ({_coroutine(culprit)})", culprit.get_name()
    if isinstance(culprit, asyncio.Handle):
        callback = getattr(culprit, "_callback", None)
        return f"callback {_called(callback)}", None
    if isinstance(culprit, asyncio.BaseTransport):
        protocol: Any = getattr(culprit, "get_protocol", lambda: None)()
        return f"{type(protocol).__name__} of a transport", None
    return f"callback {_called(culprit)}", None


def _coroutine(task: "asyncio.Task[Any]") -> str:
    coroutine = task.get_coro()
    return str(getattr(coroutine, "__qualname__", None) or type(coroutine).__name__)


def _called(callback: Any) -> str:
    while isinstance(callback, functools.partial):  # not whatever has a `func`: a Mock has one for ever
        callback = callback.func
    name = getattr(callback, "__qualname__", None)
    if name is None:
        return repr(callback)
    code = getattr(callback, "__code__", None)
    return str(name) if code is None else f"{name} ({_short(code.co_filename)}:{code.co_firstlineno})"


def text(stall: Stall) -> str:
    """The whole report, with the lines of the source where they can be found."""
    held = f"has been held for {stall.seconds:.2f} s, and still is," if stall.lasts else f"was held for {stall.seconds:.2f} s"
    causes = sorted(stall.causes.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{cause} {100 * share:.0f}%" for cause, share in causes) or "nothing could be seen"
    often = "" if stall.count == 1 else f"; {_ordinal(stall.count)} time in this place"
    lines = [f"the loop in {stall.thread!r} {held} by {stall.what}: {shares}{often}"]
    if stall.target is not None:
        lines.append(f"  on {stall.target}")
    if stall.holder is not None:
        lines.append(f"  the GIL was held by {stall.holder}")
    for frame in stall.stack:
        lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
        source = linecache.getline(frame.file, frame.line).strip()
        if source:
            lines.append(f"    {source}")
    return "\n".join(lines)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _short(path: str) -> str:
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return path
    return path if relative.startswith("..") else relative
