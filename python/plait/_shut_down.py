"""What a queue that was shut down raises: the standard exceptions, which came with Python 3.13; before, plait's own."""

import asyncio
import queue
import sys

if sys.version_info >= (3, 13):
    ShutDown = queue.ShutDown
    QueueShutDown = asyncio.QueueShutDown
else:

    class ShutDown(Exception):
        """Raised when put/get with shut-down queue."""

    class QueueShutDown(Exception):
        """Raised when putting on to or getting from a shut-down Queue."""

    ShutDown.__module__ = QueueShutDown.__module__ = "plait"
