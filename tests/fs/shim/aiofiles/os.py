"""The same functions under the name by which they are imported."""

from plait.fs.os import *  # noqa: F403
from plait.fs.os import path, wrap

__all__ = ["path", "wrap"]
