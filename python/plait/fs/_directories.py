"""Directories, trees and copies: whole operations of the standard library, one hop each; a long directory is read in batches."""

import asyncio
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, Self, TypeVar

from ._engine import in_thread

_T = TypeVar("_T")
# So many entries are fetched in one hop.
_BATCH = 256


class DirEntry:
    """An entry of a directory. Counterpart: ``os.DirEntry``, whose methods that may ask the file system are coroutines here."""

    __slots__ = ("_entry",)

    def __init__(self, entry: "os.DirEntry[Any]") -> None:
        self._entry = entry

    @property
    def name(self) -> Any:
        return self._entry.name

    @property
    def path(self) -> Any:
        return self._entry.path

    def __fspath__(self) -> Any:
        return self._entry.__fspath__()

    def inode(self) -> int:
        return self._entry.inode()

    async def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return await in_thread(self._entry.stat, follow_symlinks=follow_symlinks)  # type: ignore[no-any-return]

    async def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return await self._ask(self._entry.is_dir, follow_symlinks)

    async def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return await self._ask(self._entry.is_file, follow_symlinks)

    async def _ask(self, question: Callable[..., bool], follow_symlinks: bool) -> bool:
        # The directory itself tells what is no link: then no hop is needed.
        if not follow_symlinks or not self._entry.is_symlink():
            return question(follow_symlinks=False)
        return await in_thread(question, follow_symlinks=True)  # type: ignore[no-any-return]

    def is_symlink(self) -> bool:
        return self._entry.is_symlink()

    def __repr__(self) -> str:
        return f"<plait.fs.DirEntry {self.name!r}>"


class Batches(Generic[_T]):
    """An asynchronous iterator over one that has to be asked in a thread; also a context manager, which closes that one."""

    def __init__(self, make: Callable[[], Any], batch: int, dress: Callable[[Any], _T]) -> None:
        self._make = make
        self._batch = batch
        self._dress = dress
        self._source: Any = None
        self._there: list[Any] = []
        self._over = False
        # The hop that is under way: one whose caller was cancelled goes on, and what it brings is for the next one.
        self._fetching: asyncio.Future[list[Any]] | None = None

    def _fetch(self) -> list[Any]:
        if self._source is None:
            self._source = self._make()
        batch = list(itertools.islice(self._source, self._batch))
        if not batch:
            self._close()
        return batch

    def _close(self) -> None:
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _T:
        while not self._there:
            if self._over:
                raise StopAsyncIteration
            await self._next_batch()
        return self._dress(self._there.pop())

    async def _next_batch(self) -> None:
        fetching = self._fetching
        if fetching is None:
            fetching = self._fetching = asyncio.ensure_future(in_thread(self._fetch))
        try:
            batch = await asyncio.shield(fetching)
        except asyncio.CancelledError:
            if fetching.cancelled():
                self._fetching = None
            raise
        except BaseException:
            self._fetching = None
            raise
        if self._fetching is fetching:
            self._fetching = None
            self._there = batch[::-1]
            self._over = not batch

    async def aclose(self) -> None:
        self._over = True
        self._there = []
        if self._fetching is not None:
            # A thread is at it.
            await asyncio.wait([self._fetching])
            self._fetching = None
        await in_thread(self._close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


def scandir(path: Any = ".") -> Batches[DirEntry]:
    """Go through a directory: ``async for entry in scandir(path)``, and ``async with`` to leave early.

    Args:
        path: a str, bytes or path-like object, or a descriptor.

    Returns:
        An asynchronous iterator of `DirEntry`, in the kernel's order; "." and ".." are left out.

    Raises:
        OSError: from the first step on, as ``os.scandir``.

    For tasks of any loop. Cancelled, the directory is closed with the iterator. Counterpart: ``os.scandir``.
    """
    return Batches(lambda: os.scandir(path), _BATCH, DirEntry)


async def walk(
    top: Any, topdown: bool = True, onerror: Callable[[OSError], Any] | None = None, followlinks: bool = False
) -> AsyncIterator[tuple[Any, list[Any], list[Any]]]:
    """Go through a tree of directories.

    Args:
        top, topdown, onerror, followlinks: as of ``os.walk``; with topdown the list of directories may be changed to choose where it goes on.
            onerror is called in a thread.

    Returns:
        An asynchronous iterator of ``(directory, names of directories, names of other files)``; one hop for each directory.

    Raises:
        What onerror raises.

    For tasks of any loop. Cancelled, it is over. Counterpart: ``os.walk``.
    """
    source = os.walk(top, topdown, onerror, followlinks)
    while (found := await in_thread(next, source, None)) is not None:
        yield found


async def copyfile(src: Any, dst: Any, *, follow_symlinks: bool = True) -> Any:
    """Copy what is in a file; one hop. Arguments, result and errors: ``shutil.copyfile``. Cancelled, it goes on."""
    return await in_thread(shutil.copyfile, src, dst, follow_symlinks=follow_symlinks)


async def copy(src: Any, dst: Any, *, follow_symlinks: bool = True) -> Any:
    """Copy a file with its permissions; one hop. Arguments, result and errors: ``shutil.copy``. Cancelled, it goes on."""
    return await in_thread(shutil.copy, src, dst, follow_symlinks=follow_symlinks)


async def copy2(src: Any, dst: Any, *, follow_symlinks: bool = True) -> Any:
    """Copy a file with all that belongs to it; one hop. Arguments, result and errors: ``shutil.copy2``. Cancelled, it goes on."""
    return await in_thread(shutil.copy2, src, dst, follow_symlinks=follow_symlinks)


async def copytree(src: Any, dst: Any, **options: Any) -> Any:
    """Copy a tree; one hop. Arguments, result and errors: ``shutil.copytree``. Cancelled, it goes on."""
    return await in_thread(shutil.copytree, src, dst, **options)


async def rmtree(path: Any, ignore_errors: bool = False, **options: Any) -> None:
    """Delete a tree; one hop. Arguments and errors: ``shutil.rmtree``. Cancelled, it goes on."""
    await in_thread(shutil.rmtree, path, ignore_errors, **options)
