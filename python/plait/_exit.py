"""What is done for daemon threads when the interpreter is about to exit."""

import atexit
import threading
from collections.abc import Callable
from types import ModuleType


def connect(native: ModuleType) -> None:
    """Called once, by the native module."""
    atexit.register(_shelter, native.shelter)


def _shelter(shelter: Callable[[list[int]], None]) -> None:
    here = threading.current_thread()
    others = [thread.native_id for thread in threading.enumerate() if thread is not here]
    shelter([thread for thread in others if thread is not None])
