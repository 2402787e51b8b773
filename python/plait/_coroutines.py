"""Coroutines that may ``yield``: a third cheaper to wait in than what ``async def`` allows.

``await future`` makes an iterator, which yields the future. A coroutine that yields it itself needs none; but ``async def`` knows no bare
``yield``, so such a coroutine is written as a generator function, and gets a coroutine's flag.
"""

import inspect
from collections.abc import Callable, Generator
from functools import update_wrapper
from types import FunctionType
from typing import Any


def coroutine_function(function: Callable[..., Generator[Any, None, Any]]) -> Any:
    """What ``async def`` would have made of a generator function, were ``yield`` allowed in it.

    A flag of its code tells the interpreter which of the two to make, as `types.coroutine` does it with another flag.
    """
    assert isinstance(function, FunctionType)
    flags = function.__code__.co_flags & ~inspect.CO_GENERATOR | inspect.CO_COROUTINE
    code = function.__code__.replace(co_flags=flags)
    made: Any = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    update_wrapper(made, function)
    del made.__wrapped__
    return made
