"""How a call is pickled for a cluster's worker: as for a process of the pool, but for what belongs to ``__main__``, which a worker of a cluster has another of.

Functions of ``__main__``, lambdas and closures go by value, by cloudpickle. A function is pickled once, with the globals that it uses as they are then, as Ray does it: to pickle it for every
call would cost more than most calls.
"""

import weakref
from types import FunctionType
from typing import Any

from plait._executor._worker import Parcel
from plait._process_pool import _pickling

_by_value: "weakref.WeakKeyDictionary[Any, bytes]" = weakref.WeakKeyDictionary()
_MAIN = b"__main__"


def pack(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "bytes | Parcel":
    """The call in bytes.

    Raises:
        Whatever pickle raises; the message says where in the call the object is.
    """
    parts = None
    mentions = 0
    if _goes_by_value(function):
        parts, mentions = _with_function_by_value(function, args, kwargs)
    if parts is None:
        parts = _pickling.dump_call(function, args, kwargs)
    if bytes(parts[0]).count(_MAIN) > mentions:
        parts = _pickling._by_cloudpickle(function, args, kwargs) or parts
    return bytes(parts[0]) if len(parts) == 1 else Parcel(parts)


def _goes_by_value(function: Any) -> bool:
    return type(function) is FunctionType and (function.__module__ == "__main__" or "<" in function.__qualname__)


def _with_function_by_value(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any] | None, int]:
    """The parts, and how often the function itself speaks of ``__main__``."""
    pickled = _by_value.get(function)
    try:
        if pickled is None:
            import cloudpickle  # type: ignore[import-not-found,import-untyped,unused-ignore]

            pickled = _by_value[function] = cloudpickle.dumps(function, _pickling.PROTOCOL)
        return _pickling.dump((pickled, args, kwargs)), pickled.count(_MAIN)
    except Exception:
        return None, 0  # it is tried again, by who can say what is wrong
