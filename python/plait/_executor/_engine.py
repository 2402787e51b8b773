"""What an engine of somebody else's must do to be under a `ClusterExecutor`."""

from collections.abc import Sequence
from typing import Any, Protocol

from plait._process_pool._stats import WorkerStats


class Call:
    """A call, from when it is submitted until its future is done."""

    __slots__ = ("ending", "future", "handle", "is_settled", "name", "number", "parcel", "retries", "stored", "timeout")

    def __init__(self, future: Any, parcel: Any, stored: list[Any], retries: int, timeout: float | None, name: str) -> None:
        self.future = future
        self.parcel = parcel  # bytes, or several buffers; None when there is no more use for it
        self.stored = stored  # the engine's references to arguments in its store
        self.retries = retries  # so many times more
        self.timeout = timeout  # seconds
        self.name = name  # of the function, for the engine's own displays
        self.handle: Any = None  # the engine's
        self.number = 0  # the engine's, too
        self.ending: BaseException | None = None  # why it was ended
        self.is_settled = False  # somebody has begun to settle the future, and nobody else is to


class Engine(Protocol):
    """Each method may be called from all threads, and does not block for long, but for `put` and `close`. What becomes of a call it tells the `Calls` that it was given."""

    name: str
    tells_what_runs: bool

    def is_here(self) -> bool:
        """Whether the calling thread is one that tells what becomes of calls: nothing will, while it waits."""

    def start(self, calls: Sequence[Call]) -> None:
        """Have these made. An exception means that none of them is."""

    def forget(self, call: Call) -> None:
        """Its future was cancelled: it need not be made."""

    def end(self, call: Call, why: BaseException) -> None:
        """End it, if it runs: its worker is killed, and it is to fail with `why`. If it is known not to have begun, it is cancelled."""

    def refuse_to_end(self) -> None:
        """Raises NotSupported, if calls cannot be ended."""

    def refuse_timeouts(self) -> None:
        """Raises NotSupported, if calls can have no time-outs."""

    def cancel_waiting(self, calls: Sequence[Call]) -> None:
        """Cancel those of them that have not begun, as far as the engine knows. May block for a moment."""

    def put(self, value: Any) -> Any:
        """A reference to the value in the engine's store."""

    def describe(self) -> list[WorkerStats] | None:
        """Workers that there are, whether they have answered or not; None: it cannot tell."""

    def close(self) -> None:
        """Let go of it. There are no calls any more."""
