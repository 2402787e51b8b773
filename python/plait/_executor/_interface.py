"""What all executors of ``plait.executor`` have in common."""

import concurrent.futures
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plait._process_pool._stats import PoolStats


class Executor(concurrent.futures.Executor):
    """An executor on one of the engines; ``plait.executor`` makes them.

    A standard executor: ``submit`` returns futures that ``concurrent.futures.wait`` and ``as_completed`` take, plait's and the standard ones, and that are awaited by
    ``await future``, ``asyncio.wrap_future`` and ``loop.run_in_executor``, on the loop's thread and without another. What is here is beyond that.
    """

    engine: str
    """Which one it is: "threads", "processes", "dask" or "ray"."""

    @abstractmethod
    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """Have ``fn`` called for each of the arguments, and iterate over what it returns, in their order.

        Args:
            fn: what to call, with one argument from each of the iterables.
            iterables: where the arguments come from. Without a buffersize they are all taken at once.
            timeout: how many seconds it may take, from now on, until the last result is there; None: any number.
            chunksize: so many calls are one task; without meaning for threads.
            buffersize: how many tasks there may be at most that nobody has asked for; None: any number.

        Raises:
            TimeoutError: a result was not there in time. Of the iterator, as is whatever ``fn`` raises. Then what has not begun is cancelled.
            RuntimeError: it was shut down. TypeError, ValueError: buffersize is no integer, or less than one.
        """

    @abstractmethod
    def options(self, *, timeout: float | None = None, retries: int | None = None) -> Any:
        """The same executor, with something said about the calls that are submitted by what this returns, which has ``submit`` and ``map``.

        Args:
            timeout: a call may take so many seconds, from when it begins; then it is ended, and its future has a TimeoutError.
            retries: so many times a call is tried again whose worker died; None: as the executor was made.

        Raises:
            ValueError: timeout is not more than zero; retries is negative.
            NotSupported: the engine cannot end a call.

        Safe to call from all threads. No standard counterpart.
        """

    @abstractmethod
    def put(self, value: Any) -> Any:
        """Keep a value where the workers are: in the engine's own store. What this returns stands for it, as an argument (not inside of one) of any number of calls of this executor.

        Raises:
            Whatever pickle raises, and what the engine's store does.

        Safe to call from all threads. No standard counterpart; ``Client.scatter`` of Dask, ``ray.put``.
        """

    @abstractmethod
    def stats(self) -> "PoolStats":
        """What the executor and its workers have done. Safe to call from all threads. No standard counterpart."""

    @abstractmethod
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False, timeout: float | None = None) -> None:
        """Take no more calls, and let go of the engine when all is done.

        Args:
            wait: until that is so.
            cancel_futures: calls that have not begun are cancelled.
            timeout: after so many seconds whatever runs is ended (its future has a ``TaskKilled``), and what has not begun is cancelled; None: never. It takes ``wait`` for granted.

        Raises:
            NotSupported: with a timeout, by threads: calls that cannot be ended still run.

        Safe to call from all threads, and more than once.
        """


def checked(timeout: float | None, retries: int | None) -> None:
    """Refuse what ``options`` was told, in the process pool's words."""
    if timeout is not None and timeout <= 0:
        raise ValueError("timeout must be more than 0")
    if retries is not None and retries < 0:
        raise ValueError("retries must be >= 0")
