"""How objects cross between a pool and its workers.

By pickle's protocol 5, whose buffers (of a NumPy array, say) are left out of the pickle and cross in memory that both processes have. What multiprocessing
knows how to pickle (connections, sockets, what was registered with its ``ForkingPickler``) crosses too. Pickle itself keeps bytes inside, and copies them twice more: long ones
that are an argument, or the result, are left out too.

Numbers, strings, short bytes and None, alone or as the arguments of a function that goes by its name, are marshalled: there is nothing about them that a program could have pickle do in another
way, and it takes half as long. A pickle of protocol 5 begins with a byte that nothing marshalled begins with.

A function that goes by its name is pickled once: the call has the bytes in its place, and the worker keeps what it loaded from them. What cannot go by name (lambdas,
closures, functions of an interactive ``__main__``) crosses by cloudpickle, if that is installed.
"""

import copyreg
import io
import marshal
import pickle
import sys
from collections import ChainMap
from multiprocessing.reduction import ForkingPickler
from types import BuiltinFunctionType, FunctionType
from typing import Any

from plait._process_pool import _blame

PROTOCOL = 5
_PICKLED = pickle.PROTO[0]
# Of marshal's format: without references, which would be looked for.
_MARSHAL = 2
_reducers: Any = ForkingPickler


class Pickler(pickle.Pickler):
    """With the reducers of multiprocessing and of copyreg, as they are when it is used."""

    dispatch_table: Any = ChainMap(_reducers._extra_reducers, copyreg.dispatch_table)


# What has neither reducers nor buffers.
_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})
_BYTES = frozenset({bytes, bytearray})
# And is never long.
_SCALARS = _PLAIN - _BYTES
# From so many on, memory of their own costs less than to copy them.
_LONG = 64 << 10
# Functions that go by name, pickled.
_known: dict[Any, bytes] = {}
_MOST_KNOWN = 256


class _LeftOut:
    """Long bytes, which are to be a buffer of their own."""

    def __init__(self, of: Any) -> None:
        self._of = of

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self._of), (pickle.PickleBuffer(self._of),)


def _is_long(thing: Any) -> bool:
    return type(thing) in _BYTES and len(thing) >= _LONG


def dump(thing: Any) -> list[Any]:
    """The pickle, and the buffers that were left out of it."""
    if type(thing) in _SCALARS:
        return [_dump_plain(thing)]
    if _is_long(thing):
        thing = _LeftOut(thing)
    elif type(thing) in _PLAIN:
        return [_dump_plain(thing)]
    buffers: list[Any] = []
    file = io.BytesIO()
    Pickler(file, PROTOCOL, buffer_callback=buffers.append).dump(thing)
    if not buffers:
        return [file.getvalue()]
    return [file.getbuffer(), *[buffer.raw() for buffer in buffers]]


def _dump_plain(thing: Any) -> bytes:
    try:
        return marshal.dumps(thing, _MARSHAL)
    except ValueError:  # a string of more than two gigabytes
        return pickle.dumps(thing, PROTOCOL)


def load(parts: list[Any]) -> Any:
    """What `dump` was given."""
    first = parts[0]
    # What is long comes in memory that is shared, whose bytes are to be looked at through a view.
    if (first if type(first) is bytes else memoryview(first))[0] != _PICKLED:
        return marshal.loads(first)
    return pickle.loads(first, buffers=parts[1:])


def dump_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """A call, as `load_call` wants it.

    Raises:
        Whatever pickle raises; the message says where in the call the object is.
    """
    try:
        kind = type(function)
        named = _known.get(function) if kind is FunctionType or kind is BuiltinFunctionType else None
        if named is None:
            named = _name(function)
        for argument in args:
            kind = type(argument)
            if kind not in _SCALARS and (kind not in _PLAIN or _is_long(argument)):
                break
        else:
            if not kwargs and type(named) is bytes:
                return [_dump_plain((named, args, kwargs))]
        # What is there twice is one object on the other side too.
        long = {id(thing): _LeftOut(thing) for thing in (*args, *kwargs.values()) if _is_long(thing)}
        if long:
            args = tuple(long.get(id(thing), thing) for thing in args)
            kwargs = {name: long.get(id(thing), thing) for name, thing in kwargs.items()}
        return dump((named, args, kwargs))
    except Exception as error:
        parts = _by_cloudpickle(function, args, kwargs)
        if parts is not None:
            return parts
        _blame.explain(error, function, args, kwargs, _fails, _cloudpickle() is not None)
        raise


def _name(function: Any) -> Any:
    """What stands for it in a pickle: bytes, if it goes by its name."""
    if type(function) is not FunctionType and type(function) is not BuiltinFunctionType:
        return function
    if type(function) is BuiltinFunctionType and not isinstance(function.__self__, type(sys)):
        return function  # a method, which goes with its object
    if function.__module__ == "__main__" and not _main_can_be_imported() and _cloudpickle() is not None:
        raise pickle.PicklingError(f"Can't pickle {function!r}: its module has no name")
    pickled = pickle.dumps(function, PROTOCOL)
    if len(_known) < _MOST_KNOWN:
        _known[function] = pickled
    return pickled


def _main_can_be_imported() -> bool:
    """Whether workers that are started anew have the same ``__main__``. (An interactive one has no file; a forked worker knows only what was there when it was forked.)"""
    main = sys.modules.get("__main__")
    return main is not None and (getattr(main, "__spec__", None) is not None or hasattr(main, "__file__"))


def _cloudpickle() -> Any:
    try:
        import cloudpickle  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    return cloudpickle


def _by_cloudpickle(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any] | None:
    """The same by value, where cloudpickle is there and can do it."""
    return dump_by_value((function, args, kwargs))


def dump_by_value(thing: Any) -> list[Any] | None:
    """As `dump`, with what cannot go by its name, where cloudpickle is there and can do it."""
    cloudpickle = _cloudpickle()
    if cloudpickle is None:
        return None
    buffers: list[Any] = []
    file = io.BytesIO()
    pickler = cloudpickle.CloudPickler(file, PROTOCOL, buffer_callback=buffers.append)
    pickler.dispatch_table = ChainMap(_reducers._extra_reducers, pickler.dispatch_table)
    try:
        pickler.dump(thing)
    except Exception:
        return None
    return [file.getvalue(), *[buffer.raw() for buffer in buffers]]


def _fails(thing: Any) -> BaseException | None:
    """What pickle raises for it."""
    try:
        dump(thing)
    except Exception as error:
        return error
    return None


def load_call(parts: list[Any], known: dict[bytes, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """What `dump_call` was given. `known` keeps functions that go by name."""
    function, args, kwargs = load(parts)
    if type(function) is bytes:
        loaded = known.get(function)
        if loaded is None:
            loaded = known[function] = pickle.loads(function)
        function = loaded
    return function, args, kwargs
