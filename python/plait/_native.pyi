# The native module (crates/plait-py). Its classes stand in for the standard ones, whose methods and types they keep, so
# the stubs inherit what is the same. At run time they are leaves: isinstance sees the bases, issubclass does not.

import asyncio
from typing import Any, TypeVar

_T = TypeVar("_T")

__version__: str

class EventLoop(asyncio.BaseEventLoop):
    def __init__(self) -> None: ...

class Future(asyncio.Future[_T]): ...
class Task(asyncio.Task[_T]): ...

class Handle(asyncio.Handle):
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

class TimerHandle(asyncio.TimerHandle):
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
