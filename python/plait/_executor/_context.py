"""Context variables on their way to another thread, process or machine.

A context can be copied for a thread, but not pickled, nor can a variable: it is known by the object. So what crosses is where a module keeps the variable, and the pickled
value; on the other side that module is imported, and the call runs in a context of its own in which the variables are set. Variables of the ``__main__`` program are found in the
``__main__`` of a worker process that imports it, too (multiprocessing's do, a cluster's do not); where they are not, the call fails and says so.
"""

import contextvars
import importlib
import math
import pickle
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

# Module, name, pickled value.
Carried = list[tuple[str, str, bytes]]

# Where variables were found. A variable is never removed by its module in practice.
_places: "dict[contextvars.ContextVar[Any], tuple[str, str]]" = {}
# Those that no module had, and when that was. To look through all modules takes milliseconds, so for variables that are just in the caller's context it is done again after so many seconds.
_unplaced: "dict[contextvars.ContextVar[Any], float]" = {}
_LOOK = 1.0
_MOST_UNPLACED = 256


class Carrier:
    """What an executor was told by ``carry_context``."""

    def __init__(self, which: "bool | Iterable[contextvars.ContextVar[Any]]") -> None:
        self.everything = which is True
        self.variables: tuple[contextvars.ContextVar[Any], ...] = ()
        if not isinstance(which, bool):
            self.variables = tuple(which)
            for variable in self.variables:
                if not isinstance(variable, contextvars.ContextVar):
                    raise TypeError(f"carry_context takes a bool or ContextVars, not {type(variable).__name__!r} object")
        self.carries = self.everything or bool(self.variables)

    def for_thread(self) -> contextvars.Context:
        """The caller's context, or one with these variables alone."""
        if self.everything:
            return contextvars.copy_context()
        here = contextvars.copy_context()
        there = contextvars.Context()
        for variable in self.variables:
            if variable in here:
                there.run(variable.set, here[variable])
        return there

    def for_process(self) -> Carried:
        """The same, pickled.

        Raises:
            ValueError: a variable that was named is global in no module. And whatever pickle raises for the value of one.
        """
        carried: Carried = []
        here = contextvars.copy_context()
        for variable in here if self.everything else self.variables:
            if variable not in here:
                continue
            place = _place_of(variable, self.everything)
            if place is None and not self.everything:
                raise ValueError(f"{variable!r} cannot be carried to another process: no module has it as a global")
            if place is None:
                continue
            try:
                carried.append((*place, pickle.dumps(here[variable])))
            except Exception:
                if not self.everything:
                    raise
        return carried


def call(carried: Carried, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """In the worker: make the call in a context with these variables."""
    context = contextvars.Context()
    for module, name, value in carried:
        context.run(_variable(module, name).set, pickle.loads(value))
    return context.run(function, *args, **kwargs)


def _variable(module: str, name: str) -> "contextvars.ContextVar[Any]":
    variable = getattr(importlib.import_module(module), name, None)
    if not isinstance(variable, contextvars.ContextVar):
        raise LookupError(f"the worker's module {module!r} has no context variable {name!r}, which was to be carried; define it in a module that workers can import")
    return variable


def _place_of(variable: "contextvars.ContextVar[Any]", may_be_nowhere: bool) -> tuple[str, str] | None:
    place = _places.get(variable)
    if place is not None:
        return place
    now = time.monotonic()
    if may_be_nowhere and now - _unplaced.get(variable, -math.inf) < _LOOK:
        return None
    place = _find(variable)
    if place is not None:
        _places[variable] = place
        return place
    if len(_unplaced) >= _MOST_UNPLACED:
        _unplaced.clear()
    _unplaced[variable] = now
    return None


def _find(variable: "contextvars.ContextVar[Any]") -> tuple[str, str] | None:
    """By its own name first, which is what it is mostly called."""
    modules = [(module, getattr(contents, "__dict__", {})) for module, contents in list(sys.modules.items())]
    for module, contents in modules:
        if contents.get(variable.name) is variable:
            return module, variable.name
    for module, contents in modules:
        for name, value in list(contents.items()):
            if value is variable:
                return module, name
    return None
