"""Processes of multiprocessing: what it takes to start one that has fifty modules, and to learn that it ended.

The peer spawns a fresh interpreter, as a program does that wants nothing of its own state in a child. plait's process comes out of the zygote, which has imported the modules before
the clock runs, as it has in a program after the first process.
"""

import multiprocessing
import sys
import warnings
from pathlib import Path
from typing import Any

from ..columns import PLAIT, STANDARD
from ..fifty_modules import __name__ as FIFTY_MODULES
from ..fifty_modules import there
from .measuring import Measurement, OnThreads, Pins, measure


def process_start(_: Pins, n: int) -> Measurement:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # what plait's starts by spawn after all is not measured as if it were not
        start = _context().Process

        def run() -> None:
            for i in range(n):
                process = start(target=there, args=(i % 100,))
                process.start()
                process.join()
                if process.exitcode != i % 100:
                    raise RuntimeError(f"wrong data: process {i} ended with {process.exitcode}")

        return measure(n, run)


def _context() -> Any:
    """How processes are started where they are to be clean: by spawn, or by the zygote where plait is."""
    here = Path(__file__).resolve()
    _find(here.parents[__name__.count(".")])
    if PLAIT not in sys.modules:
        return multiprocessing.get_context("spawn")
    _find(here.parents[4])
    context: Any = multiprocessing.get_context("zygote")
    context.set_zygote_preload([FIFTY_MODULES])
    return context


def _find(directory: Path) -> None:
    """What was imported from there by its place is to be found by name in processes that are started."""
    if str(directory) not in sys.path:
        sys.path.append(str(directory))


WORKLOADS = (
    OnThreads(
        name="process_start",
        group="processes",
        uses=("multiprocessing.Process",),
        run=process_start,
        n=40,
        per="process",
        about="a process with fifty modules started and joined: the standard spawn against plait's zygote",
        beside=("cpu_ns",),
        columns=(PLAIT, STANDARD),
    ),
)
