"""The columns of the table: which loop each stands for, how it is made, and the proof that it is what ran.

plait has two. `plait` is what `plait run` gives: `plait.install()`, then plait's loop. `loop-only` is plait's loop
under the standard modules, which tells what the loop gives from what the replaced modules give. The references are
bare servers without Python, in the network workloads only, and plain `open` beside the files: something to look at, and never judged against.

Not every column stands beside every workload. What needs no loop has one peer, the standard library as it is. Queues between
threads and tasks have two, packages made for that; they run on uvloop, the loop that a program in a hurry would give
them (rejected: asyncio's, since then half of what plait gains would be the loop's). The packages for files run on asyncio's: most of
what they cost is the hand-over to a thread, whatever the loop. Pools of processes have two more: `multiprocessing.Pool` and loky; clusters have aiomultiprocess.
Servers of several processes have gunicorn and granian, both on uvloop; and two workers of plait's stand beside one, which is then the peer, and beside `plait run` without any, which is not judged against. Dask's client and Ray stand beside plait's executors over them.
"""

import asyncio
import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

PLAIT = "plait"
LOOP_ONLY = "loop-only"
OTHER_LOOPS = ("asyncio", "uvloop", "rloop")
LOOPS = (PLAIT, LOOP_ONLY, *OTHER_LOOPS)
STANDARD = "standard"
BRIDGES = ("janus", "culsans")
FILES = ("aiofiles", "aiofile", "anyio")
LOKY, POOL, AIOMULTIPROCESS = "loky", "Pool", "aiomultiprocess"
POOLS = (POOL, LOKY, AIOMULTIPROCESS)
GUNICORN, GRANIAN = "gunicorn", "granian"
DASK, RAY = ENGINES = ("dask", "ray")
ONE_WORKER, PLAIN_RUN = "one-worker", "plain-run"
SERVERS = (ONE_WORKER, GUNICORN, GRANIAN)
PEERS = (*OTHER_LOOPS, STANDARD, *BRIDGES, *FILES, *POOLS, *ENGINES, *SERVERS)
# Where plait runs.
INSTALLED = (PLAIT, ONE_WORKER, PLAIN_RUN)
OURS = (*INSTALLED, LOOP_ONLY)
BARE_SERVERS = ("epoll", "io_uring")
PLAIN_OPEN = "open"
REFERENCES = (*BARE_SERVERS, PLAIN_OPEN, PLAIN_RUN)
COLUMNS = (*LOOPS, STANDARD, *POOLS, *ENGINES, *BRIDGES, *FILES, *SERVERS, *REFERENCES)
LABELS = {LOOP_ONLY: "plait (loop only)", STANDARD: "standard library", POOL: "multiprocessing.Pool", PLAIN_OPEN: "plain open()"}
LABELS |= {DASK: "distributed", ONE_WORKER: "one worker", PLAIN_RUN: "plait run, no workers"}
LOOP_OF = dict.fromkeys((*BRIDGES, GUNICORN, GRANIAN), "uvloop") | dict.fromkeys((*FILES, PLAIN_OPEN), "asyncio")
# What has to be installed besides plait for a column to be measured.
PACKAGES: dict[str, tuple[str, ...]] = {"uvloop": ("uvloop",), "rloop": ("rloop",)} | {bridge: (bridge, LOOP_OF[bridge]) for bridge in BRIDGES}
PACKAGES |= {package: (package,) for package in (*FILES, LOKY, AIOMULTIPROCESS)}
PACKAGES |= {GUNICORN: (GUNICORN, "uvicorn", "uvloop"), GRANIAN: (GRANIAN, "uvloop"), DASK: ("distributed",), RAY: (RAY,)}
# The extra of plait's that has a package, where that is not `bench`: Ray is large, and both are optional for plait itself.
EXTRAS = {"distributed": "dask", "cloudpickle": "dask", RAY: "ray"}


def label(column: str) -> str:
    return LABELS.get(column, column)


def prepare(column: str) -> None:
    """Bring the standard modules into the state of this column, before anything takes a name from them."""
    if column in (PLAIT, LOOP_ONLY):
        plait: Any = import_plait()
        if column == PLAIT:
            plait.install()
    elif column not in (*PEERS, PLAIN_OPEN):
        raise ValueError(f"unknown column: {column}")


def new_loop(column: str) -> asyncio.AbstractEventLoop:
    name = LOOP_OF.get(column, column)
    if name == "asyncio":
        return asyncio.SelectorEventLoop()
    # Modules whose types are not to be had here.
    package: Any = sys.modules[PLAIT] if name == LOOP_ONLY else importlib.import_module(name)
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


def identity(column: str, loop: asyncio.AbstractEventLoop | None, uses: Iterable[str]) -> dict[str, object]:
    """What ran: the loop's class and its tasks', if there is a loop, and where each name that the workload uses comes from.

    A name without a module is one of asyncio's. `expected` has where it should come from: from plait's own module of
    that name when plait is installed, and from the standard one, which nobody else has touched, when it is not.
    """
    used = {name: _module(_look_up(name)) for name in uses}
    return {
        "loop_module": None if loop is None else type(loop).__module__,
        "loop_type": None if loop is None else type(loop).__qualname__,
        "task_module": None if loop is None else loop.run_until_complete(_task_module()),
        "plait_imported": PLAIT in sys.modules,
        "plait_installed": column == PLAIT,
        "used": used,
        "expected": {name: _module(_look_up(name, _face)) for name in used} if column == PLAIT else {},
    }


def lacks(error: NotImplementedError) -> dict[str, str]:
    """What a process says of a loop that has not what the workload needs: not a measurement, and no failure either."""
    return {"lacks": str(error) or "NotImplementedError"}


def _look_up(name: str, find: Callable[[str], ModuleType] = importlib.import_module) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(find(module or "asyncio"), attribute)


def _face(module: str) -> ModuleType:
    """plait's own module of that name, which is the standard one where plait has none."""
    name = module if module.partition(".")[0] == PLAIT else f"{PLAIT}.{module}"
    return importlib.import_module(name if importlib.util.find_spec(name) is not None else module)


def _module(thing: object) -> str:
    return getattr(thing, "__module__", None) or type(thing).__module__


async def _task_module() -> str:
    return type(asyncio.current_task()).__module__
