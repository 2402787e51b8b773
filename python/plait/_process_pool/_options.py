"""What is said of calls one by one, spelled so that it cannot be taken for their own arguments: ``pool.options(timeout=3).submit(f, x)``."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from plait._process_pool import _map


class Options:
    """A pool, with something said about the calls that are submitted here. See ``ProcessPoolExecutor.options``. Safe to use from all threads."""

    def __init__(self, executor: Any, timeout: float | None, retries: int) -> None:
        self._core = executor._core
        # The pool is there as long as this is, but the one that it keeps itself must not keep it.
        self._executor = executor if getattr(executor, "_options", None) is not None else None
        self.timeout = timeout
        self.retries = retries

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See ``ProcessPoolExecutor.submit``."""
        return self._core.submit(fn, ((args, kwargs),), self.retries, self.timeout)[0]

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        progress: "bool | Callable[[int, int], object]" = False,
    ) -> Iterator[Any]:
        """See ``ProcessPoolExecutor.map``, whose ``timeout`` is for all results together."""
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        calls = zip(*iterables)
        return _map.run(self._core, fn, calls, timeout, chunksize, buffersize, progress, self.retries, self.timeout)
