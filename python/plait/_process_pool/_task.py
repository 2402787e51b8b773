"""A call, from when it is submitted until its future is done."""

from typing import Any


class Task:
    """A call. What is sent of it, and what was said about it."""

    __slots__ = ("deadline", "ending", "future", "parts", "retries", "small", "timeout", "worker")

    def __init__(self, future: Any, parts: list[Any], retries: int, timeout: float | None) -> None:
        self.future = future
        self.parts = parts  # the pickled call and its buffers; what was sent in a segment stands here instead
        self.retries = retries  # so many times more
        self.timeout = timeout  # seconds
        self.worker: int | None = None  # the key of the one that it was sent to
        self.deadline: float | None = None  # of the clock `time.monotonic`, when it was sent
        self.small = timeout is None and len(parts) == 1 and len(parts[0]) < SMALL  # it may travel with others
        self.ending: BaseException | None = None  # why its worker was killed


# Calls of at least so many bytes are sent alone.
SMALL = 8 * 1024
