"""Dask's distributed: scheduler, workers and client over TCP, on tornado's IOLoop, which is a face of the running loop."""

import asyncio
import operator
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dask
import stage
from distributed import Client, Event, LocalCluster, Lock, Queue, Variable, Worker, get_worker
from stage import check
from tornado.ioloop import IOLoop

QUIET = {"n_workers": 2, "threads_per_worker": 2, "dashboard_address": None, "silence_logs": False}


@asynccontextmanager
async def cluster(*, processes: bool = False) -> AsyncIterator[Any]:
    # Over TCP also where all are in one process: the loop is to have something to do.
    async with LocalCluster(processes=processes, protocol="tcp", asynchronous=True, host="127.0.0.1", **QUIET) as local:
        async with Client(local, asynchronous=True) as client:
            yield client


def square(number: int) -> int:
    return number * number


def fails(number: int) -> int:
    raise LookupError(f"number {number}")


def waits(name: str) -> None:
    Event(name).wait()


def locked(name: str) -> None:
    with Lock(name):
        total = Variable(name)
        total.set(total.get() + 1)


class Counter:
    count = 0

    def add(self, number: int) -> int:
        self.count += number
        return self.count


def where() -> str:
    worker: Worker = get_worker()
    return stage.loop_name(worker.loop.asyncio_loop)


@check
async def tasks_graphs_and_results() -> None:
    async with cluster() as client:
        assert stage.loop_name(IOLoop.current().asyncio_loop) == stage.LOOP
        assert await client.submit(where, pure=False) == stage.LOOP
        squares = client.map(square, range(500))
        assert await client.gather(squares) == [number * number for number in range(500)]
        assert await client.submit(sum, squares) == sum(number * number for number in range(500))
        graph = dask.delayed(sum)([dask.delayed(operator.mul)(number, 2) for number in range(50)])
        assert await client.compute(graph) == 2 * sum(range(50))


@check
async def large_data_between_workers() -> None:
    async with cluster() as client:
        large = os.urandom(8 * 1024 * 1024)
        remote = await client.scatter(large)
        await client.replicate(remote, n=2)
        assert all([len(where) == 2 for where in (await client.who_has([remote])).values()])
        assert await client.submit(len, remote) == len(large) and await remote == large


@check
async def errors_timeouts_and_cancellation() -> None:
    async with cluster() as client:
        future = client.submit(fails, 7)
        try:
            await future
            raise AssertionError("no error")
        except LookupError as error:
            assert "number 7" in str(error)
        assert await client.gather([client.submit(square, 2), future], errors="skip") == [4]
        waiting = client.submit(waits, "go")
        try:
            await asyncio.wait_for(waiting.result(), 0.05)
            raise AssertionError("did not time out")
        except TimeoutError:
            pass
        other = client.submit(square, waiting)
        await client.cancel([other])
        assert other.cancelled()
        await Event("go", client=client).set()
        await waiting


@check
async def actors_queues_and_locks() -> None:
    async with cluster() as client:
        counter = await client.submit(Counter, actor=True)
        assert [await counter.add(number) for number in range(10)][-1] == 45
        queue = await Queue("queue", client=client)
        for number in range(20):
            await queue.put(number)
        assert [await queue.get() for _ in range(20)] == list(range(20))
        await Variable("lock", client=client).set(0)
        await client.gather([client.submit(locked, "lock", pure=False) for _ in range(10)])
        assert await Variable("lock", client=client).get() == 10


@check
async def many_clients() -> None:
    async with cluster() as client:

        async def one(number: int) -> int:
            async with Client(client.scheduler.address, asynchronous=True) as other:
                return await other.submit(square, number)

        assert await asyncio.gather(*(one(number) for number in range(10))) == [number * number for number in range(10)]


@check(keeps_sockets=True)
async def worker_processes_and_one_that_is_killed() -> None:
    """Nannies start the workers by multiprocessing's spawn, and start another for one that dies."""
    async with cluster(processes=True) as client:
        assert await client.gather(client.map(square, range(100))) == [number * number for number in range(100)]
        pids = set((await client.run(os.getpid)).values())
        assert len(pids) == 2 and os.getpid() not in pids
        loops = set((await client.run(_loop_of_process)).values())
        assert loops <= ({"plait"} if stage.SIDE == "plait-run" else {"asyncio", "uvloop"}), loops
        os.kill(min(pids), 9)
        assert await client.gather(client.map(square, range(100, 200))) == [number * number for number in range(100, 200)]
        limit = time.monotonic() + 30
        while len(now := set((await client.run(os.getpid, on_error="ignore")).values())) < 2 or min(pids) in now:
            assert time.monotonic() < limit, "no worker was started in its place"
            await asyncio.sleep(0.05)


async def _loop_of_process() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


@check
def a_blocking_client_with_its_own_loop_thread() -> None:
    if stage.SIDE == "plait-loop":
        raise stage.LeftOut("distributed makes the loop of its thread by itself, no factory can be handed in")
    with LocalCluster(processes=False, protocol="tcp", host="127.0.0.1", **QUIET) as local, Client(local) as client:
        assert stage.loop_name(client.loop.asyncio_loop) == stage.LOOP
        assert client.gather(client.map(square, range(100))) == [number * number for number in range(100)]
        assert client.submit(square, 7).result(timeout=30) == 49


if __name__ == "__main__":
    stage.go()
