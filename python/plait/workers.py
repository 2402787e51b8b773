"""What a program may ask of the supervisor of its workers. It need not: all of this works by itself for programs that know nothing of it.

``plait run --workers N app.py`` and ``plait.run(main, workers=N)`` start workers.
"""

from plait._workers.inside.control import Control

__all__ = ["draining", "number", "ready"]


def number() -> int | None:
    """Which worker this process is, from 1 on; None: none. The worker that takes its place has the same number. Safe to call from any thread. No standard counterpart."""
    return None if Control.current is None else Control.current.place + 1


def ready() -> None:
    """Say that this worker is ready, now.

    Without that it is when it listens for the first time; one that does not listen, when its loop has run for a second. On a reload the worker that it replaces is told to end then.
    Does nothing elsewhere, and the second time. Safe to call from any thread. No standard counterpart.
    """
    if Control.current is not None:
        Control.current.ready()


def draining() -> bool:
    """Whether this worker was told to end: it accepts nothing any more, and finishes what it has. Safe to call from any thread. No standard counterpart."""
    return Control.current is not None and Control.current.leaving
