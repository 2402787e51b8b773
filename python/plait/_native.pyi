# The native module (crates/plait-py). Its classes stand in for the standard ones, whose methods and types they keep, so the
# stubs inherit all that is the same and write down only what is not. At run time they are leaves: isinstance sees the bases
# given here, issubclass does not. tests/faces/stubtest-allowlist.txt says what the check of these stubs passes over, and why.

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from socket import socket
from types import GenericAlias
from typing import Any, Never, TypeVar, final

from typing_extensions import disjoint_base

_T = TypeVar("_T")

__all__ = [
    "__version__",
    "EventLoop",
    "Future",
    "FutureIter",
    "Task",
    "TaskStepMethWrapper",
    "TaskWakeupMethWrapper",
    "Handle",
    "TimerHandle",
    "TcpTransport",
    "SockOp",
    "registered_tasks",
    "after_fork_in_child",
]

__version__: str

# --- what programs meet

@disjoint_base
class EventLoop(asyncio.BaseEventLoop):
    async def sock_recv(self, sock: socket, n: int) -> bytes: ...

@disjoint_base
class Future(asyncio.Future[_T]):
    def __init__(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None: ...
    def set_result(self, result: _T) -> None: ...
    def set_exception(self, exception: type[BaseException] | BaseException) -> None: ...
    def add_done_callback(self, callback: Callable[[Any], object], /, *, context: Context | None = None) -> None: ...
    def remove_done_callback(self, callback: Callable[[Any], object], /) -> int: ...
    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias: ...

@disjoint_base
class Task(asyncio.Task[_T]):
    def set_result(self, _result: Any) -> Never: ...
    def set_exception(self, _exception: Any) -> Never: ...
    def set_name(self, value: object) -> None: ...
    def get_context(self) -> Context: ...  # on every Python, as the loop needs it; asyncio's has it from 3.12

@disjoint_base
class Handle(asyncio.Handle):
    def get_context(self) -> Context: ...  # likewise

@disjoint_base
class TimerHandle(asyncio.TimerHandle): ...

@final
class TcpTransport(asyncio.Transport): ...

# --- what the loop and its tasks make for themselves

@final
class FutureIter:
    """What a future's ``__await__`` returns."""

    def __iter__(self) -> FutureIter: ...
    def __next__(self) -> Any: ...
    def send(self, _value: Any) -> Any: ...
    def throw(self, type: Any, value: Any = None, traceback: Any = None, /) -> Any: ...
    def close(self) -> None: ...

@final
class SockOp:
    """A socket operation under way; awaitable, and a coroutine to who asks (``asyncio.iscoroutine``)."""

    def __iter__(self) -> SockOp: ...
    def __next__(self) -> Any: ...
    def __await__(self) -> Generator[Any, Any, Any]: ...
    def send(self, _value: Any) -> Any: ...
    def throw(self, type: Any, value: Any = None, traceback: Any = None, /) -> Any: ...
    def close(self) -> None: ...
    @property
    def cr_running(self) -> bool: ...
    __name__: str
    __qualname__: str

@final
class TaskStepMethWrapper:
    """The callback that takes a task one step further; named as asyncio's own is."""

    __qualname__: str
    @property
    def __self__(self) -> Task[Any]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> None: ...

@final
class TaskWakeupMethWrapper:
    """The callback that a task leaves with the future it waits for; named as asyncio's own is."""

    __qualname__: str
    @property
    def __self__(self) -> Task[Any]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> None: ...

def registered_tasks() -> list[Task[Any]]: ...
def after_fork_in_child() -> None: ...
