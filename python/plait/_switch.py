"""Switches in the environment. The kill switch: ``PLAIT_DISABLE=1`` turns plait off without touching the program.

It is read at each call, not at import, so that a program may set it for itself before it calls
``plait.install()``. Making a loop by name (``plait.new_event_loop()``) is not switched off: whoever names
plait's loop gets it, and a switch that returned another class there would break type checks.

``PLAIT_WATCHDOG`` switches the watchdog of loops on or off, or sets its threshold.

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


#: Seconds for which something may hold a loop, where nothing else is said.
_THRESHOLD = 0.1


def watchdog(setting: str | None = None, *, default: float | None = None) -> float | None:
    """The threshold of the watchdog in seconds; None: it is off.

    Args:
        setting: a number of seconds, ``on``, or ``off`` (``0`` is off as well); None asks the environment, ``PLAIT_WATCHDOG``.
        default: what counts where the environment says nothing.

    Raises:
        ValueError: the setting is none of these.
    """
    text = os.environ.get("PLAIT_WATCHDOG", "") if setting is None else setting
    if setting is None and not text:
        return default
    word = text.strip().lower()
    if word in ("off", "no", "false"):
        return None
    if word in ("on", "yes", "true"):
        return _THRESHOLD
    seconds = float(word)
    if seconds == 0:
        return None
    if not 0.001 <= seconds <= 3600:
        raise ValueError(f"{text!r} is no threshold: between 0.001 and 3600 seconds")
    return seconds


def watch_loops_if_asked(*, default: float | None = None) -> None:
    """Switch the watchdog on if the environment asks for it, or by default."""
    try:
        threshold = watchdog(default=default)
    except ValueError:
        value = os.environ["PLAIT_WATCHDOG"]
        print(f"plait: PLAIT_WATCHDOG={value} is neither a number of seconds, nor on, nor off", file=sys.stderr)
        threshold = default
    if threshold is not None:
        from plait._native import watch_loops

        watch_loops(threshold)


def watchdog_by_default() -> None:
    """As under ``plait run``."""
    watch_loops_if_asked(default=_THRESHOLD)
