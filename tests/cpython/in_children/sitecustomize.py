"""Installs plait in the interpreters that a suite starts; they import this file before their program.

The worker puts this directory into their PYTHONPATH. Rejected: to put `import plait; plait.install()` in front of the
code that a suite passes with `-c`, which moves the line numbers that it then looks for, and misses scripts. Interpreters
started with -I, -E or -S by a test that insists on it do not come by here, and run without plait.
"""

import os
import sys
from pathlib import Path

try:
    import _interpreters
except ImportError:  # before Python 3.13
    import _xxsubinterpreters as _interpreters


def install() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    try:
        from report import Report
        import standard
    finally:
        del sys.path[0]
    import plait

    report = Report(os.environ["PLAIT_CPYTHON_REPORT"])
    plait.install()
    standard.watch(lambda name, place: report.note("standard", name=name, place=place))
    report.note("child", python=sys.argv[0], plait=plait.__file__)


# plait refuses to be imported in a subinterpreter, which comes by here as well.
if _interpreters.get_current() == _interpreters.get_main():
    install()
