"""Whole files, by name: one hop each, or none where a small file is cached."""

import io
import os
from typing import Any

from ._engine import current_engine, wanted

_TRUNCATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


async def read_bytes(path: Any) -> bytes:
    """Read all of a file.

    Args:
        path: a str, bytes or path-like object.

    Returns:
        Its contents.

    Raises:
        OSError: as the standard ``open`` and ``read``, with errno and filename.

    For tasks of any loop. Cancelled, nothing is left open. Counterpart: ``pathlib.Path.read_bytes``.
    """
    engine = current_engine()
    data = engine.read_path(path if isinstance(path, str | bytes) else os.fspath(path))
    return data if isinstance(data, bytes) else await wanted(engine, data)


async def read_text(
    path: Any, encoding: str | None = None, errors: str | None = None, newline: str | None = None
) -> str:
    """Read all of a text file.

    Args:
        path: a str, bytes or path-like object.
        encoding, errors, newline: as of the standard ``open``.

    Returns:
        The text.

    Raises:
        OSError: as `read_bytes`. UnicodeDecodeError: the bytes are no text of that encoding.

    For tasks of any loop. Cancelled, nothing is left open. Counterpart: ``pathlib.Path.read_text``.
    """
    encoding = io.text_encoding(encoding)
    data = await read_bytes(path)
    if encoding == "utf-8" and newline is None and b"\r" not in data:
        return data.decode("utf-8", errors or "strict")
    return io.TextIOWrapper(io.BytesIO(data), encoding, errors, newline).read()


async def write_bytes(path: Any, data: Any, *, durable: bool = False, atomic: bool = False) -> int:
    """Write all of a file, which is made if it was not there.

    Args:
        path: a str, bytes or path-like object.
        data: bytes-like.
        durable: return only when it is on the disk (``fsync``).
        atomic: write a new file beside the old one, bring it to the disk, rename it over the old one and bring the directory to the disk.
            Whoever reads finds the old contents or the new ones, whole, also after a crash. Permissions are kept, a symbolic
            link is followed; other hard links of the file keep the old contents. Includes durable.

    Returns:
        How many bytes were written.

    Raises:
        OSError: as the standard ``open`` and ``write``, with errno and filename; ``written`` tells how many bytes were written before. An atomic
            write has not changed the file then; any other has cut it.

    For tasks of any loop. Cancelled, it goes on being written. Counterpart: ``pathlib.Path.write_bytes``.
    """
    engine = current_engine()
    name = path if isinstance(path, str | bytes) else os.fspath(path)
    if atomic:
        return await engine.replace_path(name, data)
    return await engine.write_path(name, data, _TRUNCATE, durable)


async def write_text(
    path: Any,
    data: str,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    *,
    durable: bool = False,
    atomic: bool = False,
) -> int:
    """Write all of a text file.

    Args:
        path, durable, atomic: as of `write_bytes`.
        data: the text.
        encoding, errors, newline: as of the standard ``open``.

    Returns:
        How many characters were written.

    Raises:
        OSError: as `write_bytes`. UnicodeEncodeError: the encoding has no such character; then nothing was touched.

    For tasks of any loop. Cancelled, it goes on being written. Counterpart: ``pathlib.Path.write_text``.
    """
    if not isinstance(data, str):
        raise TypeError(f"data must be str, not {type(data).__name__}")
    memory = io.BytesIO()
    text = io.TextIOWrapper(memory, io.text_encoding(encoding), errors, newline)
    text.write(data)
    text.flush()
    await write_bytes(path, memory.getbuffer(), durable=durable, atomic=atomic)
    return len(data)
