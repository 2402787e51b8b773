"""``os.unlink`` and ``os.remove`` of a worker: the file of a Unix socket that workers share is not theirs to remove.

Programs remove a file that was left over before they bind, and their own when they end; uvicorn does. With others listening there it would be gone for all, since a socket that has lost its file cannot be
given another. The supervisor removes it when nobody listens any more.
"""

import os
import stat
from typing import Any

from plait._workers.inside.control import Control

_unlink = os.unlink
_remove = os.remove
_control: Control | None = None


def put_in_place(control: Control) -> None:
    """Replace the functions, in this process."""
    global _control
    _control = control
    os.unlink, os.remove = unlink, remove
    os.supports_dir_fd.add(unlink)  # as shutil asks


def take_away() -> None:
    """Put the standard ones back."""
    global _control
    _control = None
    os.unlink, os.remove = _unlink, _remove
    os.supports_dir_fd.discard(unlink)


def unlink(path: Any, *, dir_fd: int | None = None) -> None:
    """As the standard one."""
    if not _is_shared(path, dir_fd):
        _unlink(path, dir_fd=dir_fd)


def remove(path: Any, *, dir_fd: int | None = None) -> None:
    """As the standard one."""
    if not _is_shared(path, dir_fd):
        _remove(path, dir_fd=dir_fd)


def _is_shared(path: Any, dir_fd: int | None) -> bool:
    if _control is None:
        return False
    try:
        status = os.lstat(path, dir_fd=dir_fd)
    except (OSError, ValueError, TypeError):  # the standard one says what is wrong
        return False
    return stat.S_ISSOCK(status.st_mode) and _control.is_shared_file(status.st_dev, status.st_ino)
