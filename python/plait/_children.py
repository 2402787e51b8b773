"""Children of multiprocessing run under plait too.

A child that is spawned (or comes out of the fork server) is a fresh interpreter: it is sent a dictionary of
preparations (``sys.path``, ``sys.argv``, the main module's name), carries them out, imports the program's main module
and only then unpickles the work. So the dictionary is given one more entry which, as it is unpickled, installs plait:
before any of the program's own code runs. multiprocessing passes over keys that it does not know.

Rejected: a ``.pth`` file or ``sitecustomize`` (they run in every interpreter of the machine, or hide the user's own), an
environment variable alone (nothing in a child would read it), `multiprocessing.set_executable` (it would hide the real
interpreter from programs that look).
"""

import multiprocessing.spawn
from collections.abc import Callable, Mapping
from typing import Any

from plait._swap import Swap


class _InstallsWhenUnpickled:
    """Stands in the preparations for one call of ``plait.install`` in the child."""

    def __init__(self, choices: Mapping[str, bool]) -> None:
        self._choices = dict(choices)

    def __reduce__(self) -> tuple[Callable[..., None], tuple[dict[str, bool]]]:
        return _install, (self._choices,)


def _install(choices: dict[str, bool]) -> None:
    from plait._install import install  # the two files know each other; this one is only needed in a child

    install(**choices)


def swap(choices: Callable[[], Mapping[str, bool]]) -> Swap:
    """The change to multiprocessing; `choices` gives the keywords of ``install`` when a child starts."""
    original = multiprocessing.spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return {**original(name), "plait": _InstallsWhenUnpickled(choices())}

    return Swap(multiprocessing.spawn, "get_preparation_data", get_preparation_data)
