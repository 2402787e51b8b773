"""Standard file objects that exist already, made asynchronous: each method one hop to the loop's executor.

For what is not opened here: the standard streams, files of other libraries, ``io.BytesIO``. Counterpart: ``aiofiles.threadpool.wrap``.
"""

import io
import sys
from collections.abc import Callable
from typing import Any, Self

from ._engine import in_thread

_COROUTINES = """close flush isatty read read1 readall readinto readinto1 readline readlines peek seek seekable tell truncate writable
    write writelines""".split()
_PLAIN = "closed name mode raw buffer encoding errors newlines line_buffering detach fileno readable".split()


class AsyncWrapped:
    """A standard file object whose methods are coroutines. It is asked for anew each time, so that ``sys.stdout`` may be replaced."""

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find

    @property
    def _file(self) -> Any:
        return self._find()

    def __getattr__(self, name: str) -> Any:
        if name in _COROUTINES:
            method = getattr(self._file, name)

            async def call(*args: Any, **kwargs: Any) -> Any:
                return await in_thread(method, *args, **kwargs)

            return call
        if name in _PLAIN:
            return getattr(self._file, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        line = await in_thread(self._file.readline)
        if line:
            return line
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await in_thread(self._file.close)


def wrap(file: Any) -> AsyncWrapped:
    """Make a standard file object asynchronous.

    Args:
        file: an object of ``io``, or a wrapper of the standard ``tempfile``.

    Raises:
        TypeError: it is no such thing.

    Its methods are for tasks of any loop; called at the same time, they are as safe as the object itself. A call goes on when it is cancelled.
    """
    if not isinstance(file, io.IOBase) and not hasattr(file, "file"):
        raise TypeError(f"Unsupported io type: {file}.")
    return AsyncWrapped(lambda: file)


stdin = AsyncWrapped(lambda: sys.stdin)
stdout = AsyncWrapped(lambda: sys.stdout)
stderr = AsyncWrapped(lambda: sys.stderr)
stdin_bytes = AsyncWrapped(lambda: sys.stdin.buffer)
stdout_bytes = AsyncWrapped(lambda: sys.stdout.buffer)
stderr_bytes = AsyncWrapped(lambda: sys.stderr.buffer)
