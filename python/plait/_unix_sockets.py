# mypy: disable-error-code="attr-defined"
"""Unix sockets: asyncio's own set-up, over native transports and listeners.

``connect`` puts it in place.
"""

import functools
import os
from asyncio import unix_events
from asyncio.log import logger
from typing import Any


def connect(loop_type: Any) -> None:
    """Give the loop the methods of asyncio's Unix loop."""
    loop_type.create_unix_connection = unix_events._UnixSelectorEventLoop.create_unix_connection
    loop_type.create_unix_server = unix_events._UnixSelectorEventLoop.create_unix_server
    # From 3.13 on: the servers' sockets whose files go with them, and the files' inodes.
    files: Any = functools.cached_property(lambda _loop: {})
    files.__set_name__(loop_type, "_unix_server_sockets")
    loop_type._unix_server_sockets = files
    loop_type._stop_serving = _removing_files(loop_type._stop_serving)


def _removing_files(stop_serving: Any) -> Any:
    """asyncio's own method cannot be lent: it calls its parent's."""

    def _stop_serving(self: Any, sock: Any) -> None:
        inode = self._unix_server_sockets.pop(sock, None)
        path = sock.getsockname() if inode is not None else None
        stop_serving(self, sock)
        if path is None:
            return
        try:
            if os.stat(path).st_ino == inode:
                os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            logger.error("Unable to clean up listening UNIX socket %r: %r", path, error)

    return _stop_serving
