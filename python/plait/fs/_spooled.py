"""A spooled temporary file: the standard object, which is asked at once while it is in memory, and in a thread when it is a file."""

from types import TracebackType
from typing import Any, Self

from ._engine import in_thread

_PLAIN = "closed encoding errors mode name newlines".split()


class AsyncSpooledTemporaryFile:
    """Counterpart: ``tempfile.SpooledTemporaryFile``, and the class of that name in aiofiles."""

    def __init__(self, spooled: Any, max_size: int) -> None:
        self._file = spooled
        self._max_size = max_size

    async def _ask(self, method: str, *args: Any, grows: bool = False) -> Any:
        function = getattr(self._file, method)
        if self._file._rolled or grows:
            return await in_thread(function, *args)
        return function(*args)

    def _may_roll(self, length: int) -> bool:
        end: int = self._file.tell() + length * 4
        return 0 < self._max_size < end

    def __getattr__(self, name: str) -> Any:
        if name in _PLAIN:
            return getattr(self._file, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    async def read(self, *args: Any) -> Any:
        return await self._ask("read", *args)

    async def readline(self, *args: Any) -> Any:
        return await self._ask("readline", *args)

    async def readlines(self, *args: Any) -> Any:
        return await self._ask("readlines", *args)

    async def write(self, data: Any) -> Any:
        grows = not self._file._rolled and self._may_roll(len(data))
        return await self._ask("write", data, grows=grows)

    async def writelines(self, lines: Any) -> None:
        await self._ask("writelines", lines, grows=self._max_size > 0)

    async def seek(self, *args: Any) -> Any:
        return await self._ask("seek", *args)

    async def tell(self) -> int:
        return await self._ask("tell")  # type: ignore[no-any-return]

    async def truncate(self, *args: Any) -> Any:
        return await self._ask("truncate", *args)

    async def flush(self) -> None:
        await self._ask("flush")

    async def isatty(self) -> bool:
        return await self._ask("isatty")  # type: ignore[no-any-return]

    async def rollover(self) -> None:
        await self._ask("rollover", grows=True)

    async def close(self) -> None:
        await self._ask("close")

    async def fileno(self) -> int:
        return await self._ask("fileno", grows=True)  # type: ignore[no-any-return]

    def readable(self) -> bool:
        return True

    async def writable(self) -> bool:
        return True

    async def seekable(self) -> bool:
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        line = await self.readline()
        if line:
            return line
        raise StopAsyncIteration
