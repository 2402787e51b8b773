"""``plait.fs.os.path``: the functions of ``os.path`` that ask the file system, as coroutines. Counterpart: ``aiofiles.os.path``."""

from os import path
from typing import Any

from ._engine import in_thread

__all__ = [
    "abspath",
    "exists",
    "getatime",
    "getctime",
    "getmtime",
    "getsize",
    "isdir",
    "isfile",
    "islink",
    "ismount",
    "lexists",
    "realpath",
    "samefile",
    "sameopenfile",
]


def _wrapped(name: str) -> Any:
    function = getattr(path, name)

    async def run(*args: Any, loop: Any = None, executor: Any = None, **kwargs: Any) -> Any:
        return await in_thread(function, *args, **kwargs)

    run.__name__ = run.__qualname__ = name
    run.__doc__ = function.__doc__
    return run


for _name in __all__:
    globals()[_name] = _wrapped(_name)
del _name
