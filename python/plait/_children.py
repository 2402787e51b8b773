"""Children of multiprocessing run under plait too, and its contexts make plait's locks, queues and pools.

A child that is spawned (or comes out of the fork server) is a fresh interpreter: it is sent a dictionary of
preparations (``sys.path``, ``sys.argv``, the main module's name), carries them out, imports the program's main module
and only then unpickles the work. So the dictionary is given one more entry which, as it is unpickled, installs plait:
before any of the program's own code runs. multiprocessing passes over keys that it does not know.

Rejected: a ``.pth`` file or ``sitecustomize`` (they run in every interpreter of the machine, or hide the user's own), an
environment variable alone (nothing in a child would read it), `multiprocessing.set_executable` (it would hide the real
interpreter from programs that look).

What a context makes is replaced where it is made: the methods of the standard contexts, and the functions of the package, which are those of its default context. The classes
stay under their names in ``multiprocessing.synchronize``, ``queues`` and ``pool``: programs derive from them and override what is private to them.
"""

import multiprocessing.context
import multiprocessing.spawn
import types
from collections.abc import Callable, Mapping
from typing import Any

from plait._swap import Swap
from plait.multiprocessing._factories import NAMES, Factories


class _InstallsWhenUnpickled:
    """Stands in the preparations for one call of ``plait.install`` in the child."""

    def __init__(self, choices: Mapping[str, bool]) -> None:
        self._choices = dict(choices)

    def __reduce__(self) -> tuple[Callable[..., None], tuple[dict[str, bool]]]:
        return _install, (self._choices,)


def _install(choices: dict[str, bool]) -> None:
    from plait._install import install  # the two files know each other; this one is only needed in a child

    install(**choices)


def swaps(choices: Callable[[], Mapping[str, bool]]) -> list[Swap]:
    """The changes to multiprocessing; `choices` gives the keywords of ``install`` when a child starts."""
    context = multiprocessing.context
    made = [Swap(context.BaseContext, name, vars(Factories)[name]) for name in NAMES]
    made += [Swap(multiprocessing, name, types.MethodType(vars(Factories)[name], context._default_context)) for name in NAMES]
    return [_preparations(choices), *made]


def _preparations(choices: Callable[[], Mapping[str, bool]]) -> Swap:
    original = multiprocessing.spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return {**original(name), "plait": _InstallsWhenUnpickled(choices())}

    return Swap(multiprocessing.spawn, "get_preparation_data", get_preparation_data)
