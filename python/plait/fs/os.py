"""``plait.fs.os``: functions of ``os`` as coroutines, each one hop to the loop's executor. Counterpart: ``aiofiles.os``.

Arguments, results and errors are those of the function of the same name: it is what is called.
"""

import os
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from . import _ospath as path
from ._engine import in_thread

_FUNCTIONS = """access chmod chown copy_file_range getcwd lchown link listdir listxattr getxattr setxattr removexattr lstat makedirs
    mkdir mkfifo readlink remove removedirs rename renames replace rmdir scandir sendfile stat statvfs symlink sync truncate unlink utime
    fsync fdatasync fstat ftruncate""".split()


def wrap(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A coroutine function that calls ``function`` in the loop's executor. Counterpart: ``aiofiles.os.wrap``."""

    @wraps(function)
    async def run(*args: Any, loop: Any = None, executor: Any = None, **kwargs: Any) -> Any:
        return await in_thread(function, *args, **kwargs)

    return run


__all__ = ["path", "wrap", *_FUNCTIONS]
for _name in _FUNCTIONS:
    globals()[_name] = wrap(getattr(os, _name))
del _name
