"""Where memfd is forbidden, as in some sandboxes, there is another way for everything."""

import multiprocessing
import signal
from typing import Any

import plait.multiprocessing
import pytest
from pool_tasks import LIMIT, add, forbid_memfd

from plait.concurrent import futures
from plait.concurrent.futures import ProcessPoolExecutor


def in_a_process_of_its_own(body: Any) -> None:
    """It can never make a memfd again."""
    process = multiprocessing.get_context("spawn").Process(target=body)
    process.start()
    process.join(LIMIT * 2)
    assert process.exitcode == 0


def pool_without_memfd() -> None:
    forbid_memfd()
    for method in ("fork", "spawn"):
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as executor:
            assert executor.submit(add, 1).result(LIMIT) == 2
            assert list(executor.map(add, range(100))) == list(range(1, 101))
            long = bytes(range(256)) * 40_000
            assert executor.submit(add, long, b"x").result(LIMIT) == long + b"x"
            with pytest.raises(futures.WorkerDied, match="SIGKILL"):
                executor.submit(signal.raise_signal, signal.SIGKILL).result(LIMIT)
            assert executor.submit(add, 1).result(LIMIT) == 2
            stats = executor.stats()
            assert stats.transport == "sockets" and stats.messages > 100


def test_a_pool_goes_by_sockets() -> None:
    in_a_process_of_its_own(pool_without_memfd)


def adds(lock: Any, numbers: Any, sums: Any) -> None:
    total = 0
    while (number := numbers.get(timeout=LIMIT)) is not None:
        with lock:
            total += number
    sums.put(total)


def means_without_memfd() -> None:
    forbid_memfd()
    for method in ("fork", "spawn"):
        context = plait.multiprocessing.get_context(method)
        lock, numbers, sums = context.Lock(), context.Queue(), context.SimpleQueue()
        assert type(lock).__module__.startswith("plait.") and type(numbers).__module__.startswith("plait.")
        workers = [context.Process(target=adds, args=(lock, numbers, sums)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for number in [*range(2_000), None, None]:
            numbers.put(number)
        assert sum(sums.get() for _ in workers) == sum(range(2_000))
        for worker in workers:
            worker.join(LIMIT)
            assert worker.exitcode == 0
        with context.Pool(2) as pool:
            assert pool.map(abs, range(-10, 0)) == list(range(10, 0, -1))


def test_locks_and_queues_lie_in_files_without_a_name() -> None:
    in_a_process_of_its_own(means_without_memfd)
