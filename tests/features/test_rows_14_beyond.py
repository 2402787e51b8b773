"""Rows 14.x of the feature list that have no folder of their own: 14.1 is tests/crosskind, 14.2 tests/deadlock, 14.3 and 14.4 tests/gil, 14.6 is 6.14."""

import asyncio
import os
import time
from pathlib import Path

import plait
import pytest
from plait.concurrent.futures import TaskKilled, WorkerDied

LIMIT = 60


async def meets(mine: str, other: str) -> int:
    """Computes, without ever awaiting, until the other does as well."""
    Path(mine).touch()
    give_up = time.monotonic() + LIMIT
    while not Path(other).exists():
        assert time.monotonic() < give_up, "the other coroutine did not run at the same time"
    await asyncio.sleep(0)
    return os.getpid()


def test_14_7_coroutines_on_every_core(tmp_path):
    paths = [str(tmp_path / name) for name in "ab"]

    async def main():
        async with plait.Cluster(workers=2, per_worker=1) as cluster:
            return await cluster.map(meets, paths, paths[::-1])

    pids = plait.run(main())
    assert len({*pids, os.getpid()}) == 3


def dies(path: str) -> int:
    """The first time."""
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), 9)
    return 42


def begins(path: str) -> None:
    Path(path).touch()
    time.sleep(LIMIT)


def test_14_5_calls_are_killed_timed_out_and_tried_again(tmp_path):
    """Over processes; tests/executor does it on all engines."""
    with plait.executor("processes", max_workers=2) as executor:
        killed = executor.submit(begins, str(tmp_path / "begun"))
        give_up = time.monotonic() + LIMIT
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < give_up
            time.sleep(0.005)
        assert killed.kill()
        with pytest.raises(TaskKilled):
            killed.result(LIMIT)
        with pytest.raises(TimeoutError):
            executor.options(timeout=0.2).submit(time.sleep, LIMIT).result(LIMIT)
        with pytest.raises(WorkerDied):
            executor.submit(dies, str(tmp_path / "once")).result(LIMIT)
        assert executor.options(retries=1).submit(dies, str(tmp_path / "twice")).result(LIMIT) == 42
