"""Functions of the standard library that run as they are, with some names meaning plait's classes.

So they stay those of the Python that runs them. Rejected: to write them again, which follows no later Python; to patch their
modules, which changes them for everybody.
"""

import functools
from types import FunctionType
from typing import Any


def with_names(function: Any, **names: Any) -> Any:
    """The same function, to which these global names mean something else. The others are looked up as of now."""
    copy = FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return functools.update_wrapper(copy, function)
