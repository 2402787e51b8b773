"""``map`` over a pool of processes: results in the order of the arguments, as they are asked for."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from plait._native import result_or_cancel
from plait._process_pool import _progress


def make_chunk(function: Any, chunk: list[tuple[Any, ...]]) -> list[Any]:
    """Several calls as one, in the worker."""
    return [function(*args) for args in chunk]


def run(
    core: Any,
    function: Callable[..., Any],
    calls: Iterator[tuple[Any, ...]],
    timeout: float | None,
    chunksize: int,
    buffersize: int | None,
    progress: Any,
    retries: int,
    call_timeout: float | None,
) -> Iterator[Any]:
    """The iterator. What can be submitted at once is."""
    end = None if timeout is None else timeout + time.monotonic()
    total: int | None = None
    if progress and buffersize is None:
        everything = list(calls)
        total = len(everything)
        calls = iter(everything)
    if chunksize == 1:
        target: Any = function
        tasks: Iterator[Any] = ((args, {}) for args in calls)
    else:
        target = make_chunk
        tasks = (((function, chunk), {}) for chunk in _chunks(calls, chunksize))

    def submit(some: Iterator[Any]) -> list[Any]:
        futures: list[Any] = core.submit(target, some, retries, call_timeout)
        return futures

    futures = deque(submit(tasks if buffersize is None else islice(tasks, buffersize)))
    more = None if buffersize is None else (lambda: submit(islice(tasks, 1)))
    del calls
    results = _results(futures, more, end)
    if chunksize > 1:
        results = _flat(results)
    if progress:
        return _progress.follow(results, total, progress)
    return results


def _chunks(calls: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(islice(calls, size)):
        yield chunk


def _results(futures: "deque[Any]", more: Callable[[], list[Any]] | None, end: float | None) -> Iterator[Any]:
    """What they return; those that nobody comes for are cancelled."""
    try:
        while futures:
            if more is not None:
                futures.extend(more())
            # Nobody but the caller has a reference to what is yielded.
            if end is None:
                yield result_or_cancel(futures.popleft())
            else:
                yield result_or_cancel(futures.popleft(), end - time.monotonic())
    finally:
        for future in futures:
            future.cancel()


def _flat(results: Iterator[list[Any]]) -> Iterator[Any]:
    for chunk in results:
        chunk.reverse()
        while chunk:
            yield chunk.pop()
