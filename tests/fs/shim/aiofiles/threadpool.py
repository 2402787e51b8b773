"""Of aiofiles' room of that name: what its tests take."""

from plait.fs import open, wrap

# One test replaces it by a slow one. plait.fs does not call it; the test then only sees that nothing is slow.
sync_open = open

__all__ = ["open", "sync_open", "wrap"]
