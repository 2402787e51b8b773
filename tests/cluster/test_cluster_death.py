"""Workers of a cluster that die: what they ran is lost, or tried again; all else is as if nothing had happened."""

import asyncio
import os
import random
import signal
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import cluster_tasks as tasks
import pytest
from cluster_tasks import auntil

import plait
from plait.concurrent.futures import WorkerDied


def run(coroutine: Any) -> Any:
    return plait.run(asyncio.wait_for(coroutine, tasks.PATIENCE))


def test_a_worker_that_dies_loses_what_it_ran_and_is_replaced() -> None:
    async def main() -> None:
        async with plait.Cluster(1, per_worker=2) as cluster:
            (before,) = {await cluster.apply(tasks.pid)}
            died = cluster.submit(tasks.die)
            waiting = [cluster.submit(tasks.double, number) for number in range(50)]
            with pytest.raises(WorkerDied) as caught:
                await died
            assert caught.value.pid == before
            assert caught.value.exitcode == -signal.SIGKILL
            results = await asyncio.gather(*waiting, return_exceptions=True)
            lost = [result for result in results if isinstance(result, WorkerDied)]
            assert len(lost) <= 1, "it had two at most"
            assert [result for result in results if isinstance(result, int)] == [2 * number for number, result in enumerate(results) if isinstance(result, int)]
            assert await cluster.apply(tasks.pid) != before
            assert cluster.stats().restarts == 1

    run(main())


def test_a_call_is_tried_again_if_that_was_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with plait.Cluster(1, retries=1) as cluster:
            assert await cluster.apply(tasks.die_once, str(tmp_path / "died")) > 0
            with pytest.raises(WorkerDied):
                await cluster.apply(tasks.die)

    run(main())


def test_workers_killed_at_random_lose_nothing_else() -> None:
    async def main() -> None:
        chance = random.Random(5)
        async with plait.Cluster(2, per_worker=8, retries=100) as cluster:

            async def kill() -> None:
                for _ in range(6):
                    pids = await auntil(lambda: [worker.pid for worker in cluster.stats().workers if worker.tasks])
                    os.kill(chance.choice(pids), signal.SIGKILL)
                    await asyncio.sleep(chance.uniform(0.05, 0.3))

            killing = asyncio.ensure_future(kill())
            done = 0
            while not killing.done():
                results = await cluster.map(tasks.add, range(300), [1] * 300)
                assert results == list(range(1, 301))
                done += 1
            await killing
            assert done > 0
            assert cluster.stats().restarts >= 1

    run(main())


def test_a_cancelled_call_is_not_tried_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with plait.Cluster(1, retries=5) as cluster:
            pid = await cluster.apply(tasks.pid)
            os.kill(pid, signal.SIGSTOP)
            call = cluster.submit(tasks.begin_and_wait, str(tmp_path), "one")
            await auntil(lambda: cluster.stats().running == 1)
            call.cancel()
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await cluster.apply(tasks.double, 2) == 4

    run(main())


def test_an_initializer_that_fails_breaks_the_cluster() -> None:
    async def main() -> None:
        async with plait.Cluster(1, initializer=tasks.cannot) as cluster:
            with pytest.raises(BrokenProcessPool):
                await cluster.apply(tasks.double, 1)
            with pytest.raises(BrokenProcessPool):
                cluster.submit(tasks.double, 1)

    run(main())


def test_workers_are_replaced_after_so_many_calls() -> None:
    async def main() -> None:
        async with plait.Cluster(1, per_worker=4, max_tasks_per_worker=10) as cluster:
            pids = [await cluster.apply(tasks.pid) for _ in range(10)]
            assert len(set(pids)) == 1
            later = await asyncio.gather(*(cluster.submit(tasks.pid) for _ in range(15)))
            assert pids[0] not in later
            assert len(set(later)) == 2

    run(main())
