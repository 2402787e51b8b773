"""plait: one Rust runtime for every kind of Python concurrency, a drop-in for asyncio.

Three ways in, from the least to the most:

* ``plait.run(main())``, or ``plait.new_event_loop`` wherever a loop factory is asked for
  (``asyncio.Runner(loop_factory=…)``, ``uvicorn --loop plait:new_event_loop``): nothing is patched;
* ``from plait import asyncio``: the standard module's names, on plait's loop;
* ``plait.install()``, or ``plait run app.py`` from the shell: the standard modules themselves use plait.

The files here are thin on purpose: signatures and docstrings, with the algorithms in the native module.
Beware when editing them: ``plait.asyncio`` is a module of this package, so the standard one is always
imported absolutely, and never into this file's namespace.
"""

import sys

if sys.platform != "linux":
    raise ImportError("plait runs on Linux only for now.", name="plait")

from plait import asyncio
from plait._install import install, uninstall
from plait._loop import new_event_loop, run
from plait._native import EventLoop, Future, Task, __version__

__all__ = [
    "EventLoop",
    "Future",
    "Task",
    "__version__",
    "asyncio",
    "install",
    "new_event_loop",
    "run",
    "uninstall",
]

if sys.version_info < (3, 16):  # asyncio drops its policies in 3.16
    from plait._policy import EventLoopPolicy as EventLoopPolicy

    __all__ += ["EventLoopPolicy"]
