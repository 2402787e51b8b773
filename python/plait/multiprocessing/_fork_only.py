"""What was made by a fork context is for forked children: a spawned one is refused it, in the words of the standard library.

Here it could be handed over. But a program that gets away with it on plait breaks elsewhere.
"""

from multiprocessing import context
from typing import Any


def is_fork(ctx: Any) -> bool:
    """Whether this context, or without one the program's, starts processes by fork."""
    ctx = ctx or context._default_context.get_context()  # type: ignore[attr-defined, unused-ignore]
    return bool(ctx.get_start_method() == "fork")


def refuse() -> None:
    """Raise what the standard library raises."""
    raise RuntimeError(
        "A SemLock created in a fork context is being shared with a process in a spawn context. This is not supported. "
        "Please use the same context to create multiprocessing objects and Process."
    )
