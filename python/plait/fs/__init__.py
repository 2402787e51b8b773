"""Asynchronous files: the interface of aiofiles and of an async ``pathlib.Path``, whole files in one call, durable writes.

    from plait import fs

    async with fs.open("notes.txt") as file:
        async for line in file:
            ...
    data = await fs.read_bytes("picture.png")
    await fs.write_text("state.json", text, atomic=True)

What lies in the kernel's caches is had at once, without a hand-over. Everything else is done by io_uring, where the kernel and the
container let us, else by a few threads, with one hop for each operation; ``fs.engine()`` tells which. Works on plait's loops and on
others. See docs/files.md.
"""

from . import os, tempfile
from ._directories import DirEntry, copy, copy2, copyfile, copytree, rmtree, scandir, walk
from ._engine import engine
from ._files import AsyncBufferedRandom, AsyncBufferedReader, AsyncBufferedWriter, AsyncFileIO
from ._open import open
from ._path import Path
from ._text import AsyncTextIOWrapper
from ._whole import read_bytes, read_text, write_bytes, write_text
from ._wrapped import AsyncWrapped, stderr, stderr_bytes, stdin, stdin_bytes, stdout, stdout_bytes, wrap

__all__ = [
    "AsyncBufferedRandom",
    "AsyncBufferedReader",
    "AsyncBufferedWriter",
    "AsyncFileIO",
    "AsyncTextIOWrapper",
    "AsyncWrapped",
    "DirEntry",
    "Path",
    "copy",
    "copy2",
    "copyfile",
    "copytree",
    "engine",
    "open",
    "os",
    "read_bytes",
    "read_text",
    "rmtree",
    "scandir",
    "stderr",
    "stderr_bytes",
    "stdin",
    "stdin_bytes",
    "stdout",
    "stdout_bytes",
    "tempfile",
    "walk",
    "wrap",
    "write_bytes",
    "write_text",
]
