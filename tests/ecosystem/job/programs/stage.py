"""What the programs share: a program is a list of checks, each run for itself and reported at once.

The same file runs on three sides. ``asyncio``: the interpreter's own loop. ``plait-run``: started by ``plait run``, the program says
``asyncio.run`` and knows nothing of plait. ``plait-loop``: only the loop is plait's, by its factory, and every module is the standard one.
On each side a check fails also when it ran on another loop than that, when the loop had to report an error that nobody handled, when it
left a task behind or an open socket: a package that closes cleanly on asyncio is to close cleanly on plait.

A line for each check goes into the file named by ECOSYSTEM_RESULTS, before it begins and after it ended, so that what hangs or crashes has
a name. Without that variable the lines are printed: every program can be run by hand.
"""

import asyncio
import gc
import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIDE = os.environ.get("ECOSYSTEM_SIDE", "asyncio")
# The package whose loop has to be found.
LOOP = "asyncio" if SIDE == "asyncio" else "plait"
PATIENCE = 60.0

Check = Callable[[], Awaitable[None] | None]


@dataclass(frozen=True)
class _Checked:
    function: Check
    keeps_sockets: bool
    tolerates: str | None


_checks: list[_Checked] = []


class LeftOut(Exception):
    """A check that cannot be run here; the message tells what is missing and how to get it."""


def check(function: Check | None = None, *, keeps_sockets: bool = False, tolerates: str | None = None) -> Any:
    """The function is a check, a coroutine function or a plain one.

    ``keeps_sockets``: the package is known to keep some for the process. ``tolerates``: words in reports of the loop's that are the
    package's own doing, on any loop.
    """

    def add(function: Check) -> Check:
        _checks.append(_Checked(function, keeps_sockets, tolerates))
        return function

    return add if function is None else add(function)


def loop_name(loop: asyncio.AbstractEventLoop | None = None) -> str:
    """``plait`` or ``asyncio``, by the real type: plait's loop answers ``__class__`` with asyncio's."""
    return type(loop or asyncio.get_running_loop()).__module__.partition(".")[0]


def python(*arguments: str) -> list[str]:
    """The command for a Python program that is to run as this one does."""
    return [sys.executable, *(("-m", "plait", "run") if SIDE == "plait-run" else ()), *arguments]


def runner_options() -> dict[str, Any]:
    """For what takes ``loop_factory``: plait's, where only the loop is to be plait's."""
    if SIDE != "plait-loop":
        return {}
    import plait

    return {"loop_factory": plait.new_event_loop}


def from_environment(name: str) -> str:
    """An address that the job hands over."""
    try:
        return os.environ[name]
    except KeyError:
        raise LeftOut(os.environ.get(f"{name}_MISSING", f"{name} is not set")) from None


def certificates() -> Path:
    """A directory with ``ca.pem``, ``server.pem`` and ``server.key``, for 127.0.0.1 and localhost."""
    return Path(from_environment("ECOSYSTEM_CERTIFICATES"))


def _open_sockets() -> int:
    gc.collect()
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:  # the directory's own
            pass
    return count


async def _with_care(function: Check, complaints: list[str]) -> None:
    loop = asyncio.get_running_loop()
    assert loop_name(loop) == LOOP, f"ran on {type(loop)!r}"

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        complaints.append(context["message"] + (f" ({error!r})" if error else ""))

    loop.set_exception_handler(complain)
    result = function()
    assert result is not None
    async with asyncio.timeout(PATIENCE):
        await result
    # What a package ends without waiting for it gets a few turns to go.
    for _ in range(10):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"left tasks behind: {left}"


def _run(check: _Checked) -> None:
    function = check.function
    if not inspect.iscoroutinefunction(function):
        function()
        return
    before = _open_sockets()
    complaints: list[str] = []
    with asyncio.Runner(**runner_options()) as runner:
        runner.run(_with_care(function, complaints))
    complaints = [words for words in complaints if check.tolerates is None or check.tolerates not in words]
    assert not complaints, f"the loop reported: {complaints}"
    after = _open_sockets()
    assert check.keeps_sockets or after <= before, f"{after - before} sockets were left open"


def _outcome(check: _Checked) -> tuple[str, str]:
    try:
        _run(check)
    except LeftOut as error:
        return "left out", str(error)
    except (Exception, asyncio.CancelledError) as error:
        traceback.print_exc()
        return "failed", f"{type(error).__name__}: {_root(error)}"
    return "passed", ""


def _root(error: BaseException) -> str:
    """The message, and that of the first error in a group: the group's own tells only how many there are."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    message = str(error).strip() or repr(error)
    if isinstance(error.__cause__, NotImplementedError):
        message += f" (NotImplementedError: {error.__cause__})"
    return message


def go() -> None:
    """Run what was collected; exits with the number of failures."""
    results = os.environ.get("ECOSYSTEM_RESULTS")
    wanted = sys.argv[1:]
    failures = 0

    def report(line: dict[str, Any]) -> None:
        if results is None:
            print(json.dumps(line), flush=True)
        else:
            with open(results, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    for check in _checks:
        if wanted and check.function.__name__ not in wanted:
            continue
        name = check.function.__name__.replace("_", " ")
        report({"check": name, "outcome": "begun"})
        print(f"--- {name}", file=sys.stderr, flush=True)
        began = time.monotonic()
        outcome, reason = _outcome(check)
        failures += outcome == "failed"
        report({"check": name, "outcome": outcome, "reason": reason, "seconds": round(time.monotonic() - began, 2)})
    report({"check": "", "outcome": "ended"})
    sys.exit(min(failures, 100))
