"""Which object of a call cannot be pickled, and where it is: "argument 2, ['callback']"."""

import pickle
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

_DEEPEST = 12
_WIDEST = 1_000


def explain(
    error: Exception,
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    fails: Callable[[Any], BaseException | None],
    has_cloudpickle: bool,
) -> None:
    """Have the error say where the object is; its type stays."""
    named = [("the function", function)]
    named += [(f"argument {number}", argument) for number, argument in enumerate(args, 1)]
    named += [(f"argument {name!r}", argument) for name, argument in kwargs.items()]
    for place, thing in named:
        if fails(thing) is not None:
            path, culprit = _find(thing, fails)
            where = f"{place}, {path}" if path else place
            _add(error, f"{where}: {type(culprit).__qualname__} object", callable(culprit) and not has_cloudpickle)
            return


def _add(error: Exception, where: str, cloudpickle_would_help: bool) -> None:
    text = f"it is {where}"
    if cloudpickle_would_help:
        text += " (with the package cloudpickle, functions and classes that cannot go by name cross, too)"
    if type(error) in (pickle.PicklingError, TypeError, AttributeError, ValueError) and len(error.args) == 1:
        error.args = (f"{error.args[0]}; {text}",)
    else:
        error.add_note(text)


def _find(thing: Any, fails: Callable[[Any], BaseException | None]) -> tuple[str, Any]:
    """The way to the innermost object that cannot be pickled, in Python's words."""
    path = ""
    for _ in range(_DEEPEST):
        inner = next(((step, part) for step, part in islice(_inside(thing), _WIDEST) if fails(part) is not None), None)
        if inner is None:
            break
        path += inner[0]
        thing = inner[1]
    return path, thing


def _inside(thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, dict):
        for key, value in thing.items():
            yield f"[{key!r}]", value
    elif isinstance(thing, (list, tuple)):
        for number, value in enumerate(thing):
            yield f"[{number}]", value
    elif isinstance(thing, (set, frozenset)):
        for value in thing:
            yield "{…}", value
    elif not isinstance(thing, type) and not callable(thing):
        for name, value in getattr(thing, "__dict__", {}).items():
            yield f".{name}", value
