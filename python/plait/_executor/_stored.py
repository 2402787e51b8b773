"""An argument that lies in the engine's store."""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from plait._process_pool._map import make_chunk


class Stored:
    """What ``executor.put`` returns. The value is let go of when nobody has this any more."""

    __slots__ = ("__weakref__", "_owner", "_reference")

    def __init__(self, owner: Any, reference: Any) -> None:
        self._owner = owner
        self._reference = reference

    def __reduce__(self) -> Any:
        raise TypeError("what put() returned goes as an argument of submit() or map(), not inside of another object")

    def taken_by(self, owner: Any) -> Any:
        """The engine's own reference.

        Raises:
            ValueError: it lies in the store of another executor.
        """
        if owner is not self._owner:
            raise ValueError("what put() returned is for calls of the same executor only")
        return self._reference


class Place:
    """Stands in a pickled call for what the engine hands over beside it."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return Place, (self.number,)


def flat(function: Callable[..., Any], calls: Iterable[tuple[tuple[Any, ...], dict[str, Any]]]) -> tuple[Callable[..., Any], Iterable[tuple[tuple[Any, ...], dict[str, Any]]]]:
    """The same calls, with the arguments of a chunk of ``map`` as arguments of the one call, where those that are stored are looked for."""
    if function is not make_chunk:
        return function, calls
    return make_flat_chunk, (((target, len(chunk), *chain.from_iterable(chunk)), {}) for (target, chunk), _ in calls)


def make_flat_chunk(function: Any, count: int, *arguments: Any) -> list[Any]:
    """In the worker: `count` calls, which have as many arguments each."""
    width = len(arguments) // count
    return [function(*arguments[at : at + width]) for at in range(0, len(arguments), width)]


def take_out(owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any], list[Any]]:
    """The call's arguments with a `Place` for each that is stored, and the engine's references to these."""
    references: list[Any] = []
    # Written out, for it is done for every call, and nearly none has one.
    for argument in args:
        if type(argument) is Stored:
            args = tuple([_placed(argument, owner, references) for argument in args])
            break
    if kwargs:
        kwargs = {name: _placed(argument, owner, references) for name, argument in kwargs.items()}
    return args, kwargs, references


def _placed(argument: Any, owner: Any, references: list[Any]) -> Any:
    if type(argument) is not Stored:
        return argument
    references.append(argument.taken_by(owner))
    return Place(len(references) - 1)


def put_back(args: tuple[Any, ...], kwargs: dict[str, Any], values: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """In the worker, or in a thread: the arguments as they were."""

    def taken(argument: Any) -> Any:
        return values[argument.number] if type(argument) is Place else argument

    return tuple(map(taken, args)), {name: taken(argument) for name, argument in kwargs.items()}
