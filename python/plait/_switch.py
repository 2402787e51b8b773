"""Switches in the environment. The kill switch: ``PLAIT_DISABLE=1`` turns plait off without touching the program.

It is read at each call, not at import, so that a program may set it for itself before it calls
``plait.install()``. Making a loop by name (``plait.new_event_loop()``) is not switched off: whoever names
plait's loop gets it, and a switch that returned another class there would break type checks.

``PLAIT_DEBUG=1`` has deadlocks explained; ``plait run --debug`` sets it, so that the program's children hear of it too.
"""

import os
import sys
import threading

_lock = threading.Lock()
_said = False


def disabled() -> bool:
    """Whether the environment switches plait off; the first time that it does, stderr is told so.

    Safe to call from any thread.
    """
    global _said
    if os.environ.get("PLAIT_DISABLE", "") in ("", "0"):
        return False
    with _lock:
        first, _said = not _said, True
    if first and sys.stderr is not None:
        print("plait: disabled by PLAIT_DISABLE=1; the standard modules are used.", file=sys.stderr)
    return True


def debugging() -> bool:
    """Whether the environment asks for deadlocks to be explained."""
    return os.environ.get("PLAIT_DEBUG", "") not in ("", "0")


def debug() -> None:
    """Ask for it."""
    os.environ["PLAIT_DEBUG"] = "1"
