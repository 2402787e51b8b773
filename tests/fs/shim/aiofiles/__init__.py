"""A package of aiofiles' name that is plait.fs: its own tests import it, and find out whether they can tell the difference."""

from plait.fs import open, os, stderr, stderr_bytes, stdin, stdin_bytes, stdout, stdout_bytes, tempfile

from . import threadpool

__all__ = [
    "open",
    "os",
    "stderr",
    "stderr_bytes",
    "stdin",
    "stdin_bytes",
    "stdout",
    "stdout_bytes",
    "tempfile",
    "threadpool",
]
