"""What a worker under measurement says of itself, so that the bench can refuse what runs on something else than its column says."""

import asyncio
import importlib
import json
import os
import sys
from typing import Any

HELLO = "Hello, world!\n"


async def whoami() -> str:
    """In JSON. To be awaited by a coroutine that answers a request."""
    loop = asyncio.get_running_loop()
    is_imported = "plait" in sys.modules
    # With plait installed the name is that of plait's own module.
    faces: dict[str, Any] = {"Queue": importlib.import_module("plait.asyncio").Queue.__module__} if is_imported else {}
    return json.dumps(
        {
            "pid": os.getpid(),
            "loop_module": type(loop).__module__,
            "loop_type": type(loop).__qualname__,
            # One of the loop's making: servers may have tasks of their own.
            "task_module": await loop.create_task(_task_module()),
            "plait_imported": is_imported,
            "plait_installed": asyncio.Queue.__module__ == faces.get("Queue"),
            "used": {"Queue": asyncio.Queue.__module__},
            "expected": faces,
        }
    )


async def _task_module() -> str:
    return type(asyncio.current_task()).__module__
