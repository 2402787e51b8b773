"""The columns of the table: which loop each stands for, how it is made, and the proof that it is what ran.

plait has two. `plait` is what `plait run` gives: `plait.install()`, then plait's loop. `loop-only` is plait's loop
under the standard modules, which tells what the loop gives from what the replaced modules give. The references are
bare servers without Python, in the network workloads only: something to look at, and never judged against.
"""

import asyncio
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

PLAIT = "plait"
LOOP_ONLY = "loop-only"
PEERS = ("asyncio", "uvloop", "rloop")
LOOPS = (PLAIT, LOOP_ONLY, *PEERS)
REFERENCES = ("epoll", "io_uring")
LABELS = {LOOP_ONLY: "plait (loop only)"}


def label(column: str) -> str:
    return LABELS.get(column, column)


def new_loop(column: str) -> asyncio.AbstractEventLoop:
    if column == "asyncio":
        return asyncio.SelectorEventLoop()
    if column in (PLAIT, LOOP_ONLY):
        plait: Any = import_plait()
        if column == PLAIT:
            plait.install()
    elif column not in PEERS:
        raise ValueError(f"unknown loop: {column}")
    # One of two modules whose types are not to be had here.
    package: Any = sys.modules[PLAIT] if column == LOOP_ONLY else importlib.import_module(column)
    loop: asyncio.AbstractEventLoop = package.new_event_loop()
    return loop


def import_plait() -> ModuleType:
    """Import the plait that this file is part of, wherever it lies: not another one that happens to be installed."""
    if PLAIT not in sys.modules:
        package = Path(__file__).absolute().parents[2]
        spec = importlib.util.spec_from_file_location(
            PLAIT, package / "__init__.py", submodule_search_locations=[str(package)]
        )
        assert spec is not None and spec.loader is not None
        sys.modules[PLAIT] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[PLAIT])
    return sys.modules[PLAIT]


def identity(column: str, loop: asyncio.AbstractEventLoop, uses: Iterable[str]) -> dict[str, object]:
    """What ran: the loop's class, its tasks' class, and where each name of asyncio that the workload uses comes from.

    `expected` has where it should come from: from plait's own asyncio when plait is installed, and from the standard
    one, which nobody else has touched, when it is not.
    """
    used = {name: _module(getattr(asyncio, name)) for name in uses}
    mirror: Any = sys.modules["plait.asyncio"] if column == PLAIT else None
    return {
        "loop_module": type(loop).__module__,
        "loop_type": type(loop).__qualname__,
        "task_module": loop.run_until_complete(_task_module()),
        "plait_imported": PLAIT in sys.modules,
        "plait_installed": column == PLAIT,
        "used": used,
        "expected": {name: _module(getattr(mirror, name)) for name in used} if mirror is not None else {},
    }


def _module(thing: object) -> str:
    return getattr(thing, "__module__", None) or type(thing).__module__


async def _task_module() -> str:
    return type(asyncio.current_task()).__module__
