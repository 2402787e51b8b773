"""``multiprocessing.sharedctypes``, whose synchronized objects are guarded by plait's lock; the objects themselves are the standard ones.

What is made here without a context gets its lock from plait's. ``RawValue``, ``RawArray``, ``copy`` and ``synchronized`` are the standard functions.
"""

from multiprocessing import sharedctypes as _standard
from typing import Any

from plait.multiprocessing.context import _default_context

__all__ = list(_standard.__all__)


def Value(typecode_or_type: Any, *args: Any, lock: Any = True, ctx: Any = None) -> Any:
    """A value in memory that processes share.

    Args:
        typecode_or_type: a type of ctypes, or a code as in ``array``.
        args: what the type is made with.
        lock: True for a lock of its own, a lock, or False for a value that nothing guards.
        ctx: the context that makes the lock.

    Raises:
        AttributeError: `lock` is no lock.

    Counterpart: ``multiprocessing.Value``.
    """
    return _standard.Value(typecode_or_type, *args, lock=lock, ctx=ctx or _default_context.get_context())


def Array(typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True, ctx: Any = None) -> Any:
    """An array in memory that processes share: of a size, zeroed, or of what a sequence has. Otherwise as `Value`. Counterpart: ``multiprocessing.Array``."""
    return _standard.Array(typecode_or_type, size_or_initializer, lock=lock, ctx=ctx or _default_context.get_context())


def __getattr__(name: str) -> Any:
    """The rest of the standard module."""
    return getattr(_standard, name)
