"""An asynchronous ``pathlib.Path``: methods that ask the file system are coroutines, all others are the standard ones.

It is a `pathlib.PurePath`: parts, suffixes, joining, comparing and hashing are inherited, and it compares equal to a standard path of the same
name. What a method gives that is a path is one of these.
"""

import os
import pathlib
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from typing import Any, Self

from . import _whole
from ._directories import Batches
from ._engine import in_thread
from ._open import Opening
from ._open import open as open_file

_PATHS_IN_ONE_HOP = 256
# Those whose result is a path, a tuple of such, or something else.
_QUESTIONS = """stat lstat exists is_file is_dir is_symlink is_mount is_socket is_fifo is_block_device is_char_device is_junction
    samefile owner group chmod lchmod mkdir rmdir unlink touch symlink_to hardlink_to rename replace readlink resolve absolute expanduser""".split()


class Path(pathlib.PurePosixPath):
    """See the module's text. Each method: one hop; arguments, result and errors of the standard one. Counterpart: ``pathlib.Path``."""

    __slots__ = ()

    def _standard(self) -> pathlib.Path:
        return pathlib.Path(self)

    def _own(self, path: Any) -> Self:
        return type(self)(path)

    @classmethod
    async def cwd(cls) -> Self:
        """The current directory."""
        return cls(await in_thread(os.getcwd))

    @classmethod
    async def home(cls) -> Self:
        """The user's home directory."""
        return cls(await in_thread(pathlib.Path.home))

    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Opening:
        """Open the file: `plait.fs.open`."""
        return open_file(str(self), mode, buffering, encoding, errors, newline)

    async def read_bytes(self) -> bytes:
        """Read all of the file: `plait.fs.read_bytes`."""
        return await _whole.read_bytes(str(self))

    async def read_text(self, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> str:
        """Read all of the text file: `plait.fs.read_text`."""
        return await _whole.read_text(str(self), encoding, errors, newline)

    async def write_bytes(self, data: Any, *, durable: bool = False, atomic: bool = False) -> int:
        """Write all of the file: `plait.fs.write_bytes`."""
        return await _whole.write_bytes(str(self), data, durable=durable, atomic=atomic)

    async def write_text(
        self,
        data: str,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        durable: bool = False,
        atomic: bool = False,
    ) -> int:
        """Write all of the text file: `plait.fs.write_text`."""
        path = str(self)
        return await _whole.write_text(path, data, encoding, errors, newline, durable=durable, atomic=atomic)

    def iterdir(self) -> Batches[Self]:
        """The paths in the directory, as an asynchronous iterator. An error comes with its first step."""
        return Batches(lambda: iter(self._standard().iterdir()), _PATHS_IN_ONE_HOP, self._own)

    def glob(self, pattern: str, **options: Any) -> Batches[Self]:
        """The paths that match, as an asynchronous iterator."""
        return Batches(lambda: self._standard().glob(pattern, **options), _PATHS_IN_ONE_HOP, self._own)

    def rglob(self, pattern: str, **options: Any) -> Batches[Self]:
        """The same in the whole tree."""
        return Batches(lambda: self._standard().rglob(pattern, **options), _PATHS_IN_ONE_HOP, self._own)

    async def walk(
        self,
        top_down: bool = True,
        on_error: Callable[[OSError], Any] | None = None,
        follow_symlinks: bool = False,
    ) -> AsyncIterator[tuple[Self, list[str], list[str]]]:
        """The tree of directories, as an asynchronous iterator; on every Python, though the standard one has it from 3.12 on."""
        source = _walk(self._standard(), top_down, on_error, follow_symlinks)
        while (found := await in_thread(next, source, None)) is not None:
            directory, directories, files = found
            yield self._own(directory), directories, files


def _walk(top: pathlib.Path, top_down: bool, on_error: Any, follow_symlinks: bool) -> Any:
    if hasattr(top, "walk"):
        return top.walk(top_down, on_error, follow_symlinks)
    return os.walk(top, top_down, on_error, follow_symlinks)


def _question(name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    standard = getattr(pathlib.Path, name)

    @wraps(standard)
    async def ask(self: Path, *args: Any, **kwargs: Any) -> Any:
        answer = await in_thread(standard, self._standard(), *args, **kwargs)
        return self._own(answer) if isinstance(answer, pathlib.PurePath) else answer

    ask.__qualname__ = f"Path.{name}"
    return ask


for _name in _QUESTIONS:
    # is_junction came with 3.12.
    if hasattr(pathlib.Path, _name):
        setattr(Path, _name, _question(_name))
del _name
