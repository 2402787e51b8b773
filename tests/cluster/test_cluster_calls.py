"""Coroutines that are run by the workers of a cluster: results, errors, order, bounds, cancellation."""

import asyncio
import functools
import gc
import pickle
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import cluster_tasks as tasks
import pytest
from cluster_tasks import auntil

import plait
import plait.multiprocessing


def run(coroutine: Any) -> Any:
    """On plait's loop, with a limit against hangs."""
    return plait.run(asyncio.wait_for(coroutine, tasks.PATIENCE))


def test_calls_are_made_and_answered() -> None:
    async def main() -> None:
        async with plait.Cluster(2, 4) as cluster:
            assert await cluster.apply(tasks.add, 1, other=2) == 3
            futures = [cluster.submit(tasks.double, number) for number in range(100)]
            assert await asyncio.gather(*futures) == [2 * number for number in range(100)]
            assert await cluster.apply(tasks.loop_type) == "plait"
            assert await cluster.apply(tasks.length, bytes(3_000_000)) == 3_000_000
            assert await cluster.apply(tasks.zeros, 3_000_000) == bytes(3_000_000)
            stats = cluster.stats()
            assert stats.done == 104
            assert (stats.queued, stats.running, stats.restarts) == (0, 0, 0)
            assert sum(worker.tasks for worker in stats.workers) == 104
            # Many travel together.
            assert stats.transport == "rings"

    run(main())


def test_both_workers_work_and_no_more_at_once_than_they_may() -> None:
    async def main() -> None:
        async with plait.Cluster(2, per_worker=3) as cluster:
            await auntil(lambda: len([worker for worker in cluster.stats().workers if worker.pid]) == 2)
            seen: dict[int, int] = {}
            async for pid, most in cluster.map(tasks.count_running, [0.01] * 200):
                seen[pid] = max(most, seen.get(pid, 0))
            assert set(seen.values()) == {3}
            assert 1 <= len(seen) <= 2

    run(main())


@pytest.mark.parametrize("ordered", [True, False])
def test_map_gives_each_result_once(ordered: bool) -> None:
    async def main() -> None:
        async with plait.Cluster(2) as cluster:
            results = [result async for result in cluster.map(tasks.double, range(2000), ordered=ordered)]
            assert (results if ordered else sorted(results)) == [2 * number for number in range(2000)]
            assert await cluster.map(tasks.add, [1, 2, 3], [10, 20, 30], ordered=ordered, buffersize=1) == [11, 22, 33]
            assert await cluster.map(tasks.double, [], ordered=ordered) == []

    run(main())


def test_results_come_in_order_or_as_they_are_there(tmp_path: Path) -> None:
    async def main() -> None:
        async with plait.Cluster(2, per_worker=2) as cluster:
            for ordered in (False, True):
                directory = tmp_path / str(ordered)
                directory.mkdir()
                results = cluster.map(tasks.in_reverse, range(4), [str(directory)] * 4, ordered=ordered)
                waiting = asyncio.ensure_future(anext(results))
                got = []
                for number in (3, 2, 1, 0):
                    (directory / str(number)).touch()
                    if not ordered:
                        got.append(await waiting)
                        waiting = asyncio.ensure_future(anext(results))
                if ordered:
                    got = [await waiting, *[result async for result in results]]
                else:
                    with pytest.raises(StopAsyncIteration):
                        await waiting
                assert got == ([0, 1, 2, 3] if ordered else [3, 2, 1, 0])

    run(main())


@pytest.mark.parametrize("ordered", [True, False])
def test_arguments_are_taken_as_results_are_asked_for(ordered: bool) -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            taken.append(number)
            yield number
            number += 1

    async def main() -> None:
        async with plait.Cluster(1, per_worker=4) as cluster:
            results = cluster.map(tasks.double, endless(), ordered=ordered, buffersize=8)
            assert not taken
            for asked in range(1, 50):
                await anext(results)
                assert len(taken) < asked + 8
            await results.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(results)

    run(main())


@pytest.mark.parametrize("ordered", [True, False])
def test_arguments_may_arrive(ordered: bool) -> None:
    async def arriving() -> AsyncIterator[int]:
        for number in range(50):
            await asyncio.sleep(0)
            yield number

    async def broken() -> AsyncIterator[int]:
        yield 1
        raise LookupError("no more")

    async def main() -> None:
        async with plait.Cluster(2, per_worker=4) as cluster:
            results = await cluster.map(tasks.double, arriving(), ordered=ordered, buffersize=5)
            assert sorted(results) == [2 * number for number in range(50)]
            with pytest.raises(LookupError, match="no more"):
                await cluster.map(tasks.double, broken(), ordered=ordered)
            with pytest.raises(TypeError, match="must be the only one"):
                cluster.map(tasks.add, arriving(), [1])

    run(main())


def test_errors_come_with_the_workers_traceback() -> None:
    async def main() -> None:
        async with plait.Cluster(1) as cluster:
            with pytest.raises(LookupError, match="lost") as caught:
                await cluster.apply(tasks.fail, "lost")
            text = "".join(traceback.format_exception(caught.value))
            assert "cluster_tasks.py" in text
            assert "raise LookupError(text)" in text
            wrong: Any = tasks.plain
            with pytest.raises(TypeError, match="a coroutine function was expected: .* returned int"):
                await cluster.apply(wrong, 1)
            with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
                await cluster.apply(tasks.unpicklable)
            with pytest.raises(Exception, match="argument 1"):
                await cluster.apply(tasks.length, asyncio.get_running_loop())
            assert await cluster.apply(tasks.double, 4) == 8

    run(main())


@pytest.mark.parametrize("ordered", [True, False])
def test_a_map_ends_with_the_first_error_or_gives_it(ordered: bool) -> None:
    async def main() -> None:
        async with plait.Cluster(1) as cluster:
            results = await cluster.map(tasks.fail, ["a", "b"], ordered=ordered, return_exceptions=True)
            assert sorted(map(str, results)) == ["a", "b"]
            results = cluster.map(tasks.fail, ["a", "b"], ordered=ordered)
            with pytest.raises(LookupError):
                await anext(results)
            with pytest.raises(StopAsyncIteration):
                await anext(results)

    run(main())


def test_cancelling_cancels_the_coroutine_in_its_worker(tmp_path: Path) -> None:
    async def main() -> None:
        async with plait.Cluster(1, per_worker=2) as cluster:
            path = str(tmp_path)
            one = cluster.submit(tasks.begin_and_wait, path, "one")
            other = cluster.submit(tasks.begin_and_wait, path, "other")
            third = cluster.submit(tasks.begin_and_wait, path, "third")
            await auntil((tmp_path / "one has begun").exists)
            await auntil((tmp_path / "other has begun").exists)
            one.cancel()
            await auntil((tmp_path / "one was cancelled").exists)
            with pytest.raises(asyncio.CancelledError):
                await one
            # Its place is free; and the other was not disturbed.
            await auntil((tmp_path / "third has begun").exists)
            (tmp_path / "other may end").touch()
            assert await other == "other"
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(third, 0.01)
            await auntil((tmp_path / "third was cancelled").exists)
            await auntil(lambda: cluster.stats().running == 0)

    run(main())


def test_a_call_that_was_not_sent_is_not_made_when_it_is_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        async with plait.Cluster(1, per_worker=1) as cluster:
            path = str(tmp_path)
            one = cluster.submit(tasks.begin_and_wait, path, "one")
            other = cluster.submit(tasks.begin_and_wait, path, "other")
            await auntil((tmp_path / "one has begun").exists)
            other.cancel()
            (tmp_path / "one may end").touch()
            assert await one == "one"
            assert await cluster.apply(tasks.double, 1) == 2
            assert not (tmp_path / "other has begun").exists()

    run(main())


@pytest.mark.parametrize("how", ["aclose", "forgotten", "cancelled"])
def test_a_map_that_is_left_cancels_the_rest(tmp_path: Path, how: str) -> None:
    async def main() -> None:
        async with plait.Cluster(1, per_worker=4) as cluster:
            names = [str(number) for number in range(4)]
            results: Any = cluster.map(tasks.begin_and_wait, [str(tmp_path)] * 4, names)
            first = asyncio.ensure_future(anext(results))
            for name in names:
                await auntil((tmp_path / f"{name} has begun").exists)
            if how == "cancelled":
                first.cancel()
            else:
                (tmp_path / "0 may end").touch()
                assert await first == "0"
            if how == "aclose":
                await results.aclose()
            del results, first
            gc.collect()
            for name in names[1:]:
                await auntil((tmp_path / f"{name} was cancelled").exists)

    run(main())


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("arriving", [True, False])
def test_a_map_that_nobody_has_any_more_cancels_the_rest(tmp_path: Path, ordered: bool, arriving: bool) -> None:
    """Calls that are out, and a task that waits for arguments, do not keep it."""
    left: list[int] = []

    async def names() -> AsyncIterator[str]:
        try:
            for number in range(1000):
                yield str(number)
        finally:
            left.append(1)

    async def main() -> None:
        async with plait.Cluster(1, per_worker=4) as cluster:
            call = functools.partial(tasks.begin_and_wait, str(tmp_path))
            results: Any = cluster.map(call, names() if arriving else map(str, range(1000)), ordered=ordered, buffersize=4)
            (tmp_path / "0 may end").touch()
            assert await anext(results) == "0"
            for name in "123":
                await auntil((tmp_path / f"{name} has begun").exists)
            del results
            for name in "123":
                await auntil((tmp_path / f"{name} was cancelled").exists)
            if arriving:
                await auntil(lambda: left)
            assert await cluster.apply(tasks.double, 2) == 4

    run(main())


def test_a_map_that_is_collected_while_the_pool_is_at_work(tmp_path: Path) -> None:
    """The collector may come at any moment, in which the pool's lock may be held."""

    async def main() -> None:
        async with plait.Cluster(1, per_worker=2) as cluster:
            results: Any = cluster.map(tasks.begin_and_wait, [str(tmp_path)] * 2, ["one", "other"])
            first = asyncio.ensure_future(anext(results))
            await auntil((tmp_path / "other has begun").exists)
            (tmp_path / "one may end").touch()
            assert await first == "one"
            del first
            with cluster._core._lock:
                del results
            await auntil((tmp_path / "other was cancelled").exists)

    run(main())


def test_the_end_waits_or_cancels(tmp_path: Path) -> None:
    async def main() -> None:
        async with plait.Cluster(1) as cluster:
            future = cluster.submit(tasks.later, 7, 0.2)
        assert future.done()
        assert future.result() == 7
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            cluster.submit(tasks.double, 1)
        with pytest.raises(ZeroDivisionError):
            async with plait.Cluster(1) as cluster:
                future = cluster.submit(tasks.begin_and_wait, str(tmp_path), "one")
                await auntil((tmp_path / "one has begun").exists)
                raise ZeroDivisionError
        assert (tmp_path / "one was cancelled").exists()
        with pytest.raises(asyncio.CancelledError):
            await future

    run(main())


def test_a_close_with_a_deadline_ends_what_runs(tmp_path: Path) -> None:
    from plait.concurrent.futures import TaskKilled

    async def main() -> None:
        cluster = plait.Cluster(1)
        future = cluster.submit(tasks.begin_and_wait, str(tmp_path), "one")
        await auntil((tmp_path / "one has begun").exists)
        await cluster.close(timeout=0.1)
        with pytest.raises(TaskKilled):
            await future

    run(main())


@pytest.mark.parametrize("method", ["spawn", "forkserver", "zygote"])
def test_every_start_method_and_a_loop_of_asyncios(method: str) -> None:
    async def main() -> list[int]:
        async with plait.Cluster(2, mp_context=plait.multiprocessing.get_context(method)) as cluster:
            return await cluster.map(tasks.double, range(20))

    assert asyncio.run(asyncio.wait_for(main(), tasks.PATIENCE)) == [2 * number for number in range(20)]


def test_an_initializer_is_awaited_before_all_else() -> None:
    async def main() -> None:
        async with plait.Cluster(1, initializer=tasks.prepare, initargs=("this",)) as cluster:
            assert await cluster.apply(tasks.what_was_prepared) == ["this"]

    run(main())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": 0}, "workers must be >= 1"),
        ({"per_worker": 0}, "per_worker must be >= 1"),
        ({"retries": -1}, "retries must be >= 0"),
        ({"max_tasks_per_worker": -1}, "max_tasks_per_worker must be >= 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plait.Cluster(**wrong)


def test_what_map_refuses() -> None:
    async def main() -> None:
        async with plait.Cluster(1) as cluster:
            with pytest.raises(ValueError, match="buffersize must be None or > 0"):
                cluster.map(tasks.double, [1], buffersize=0)
            with pytest.raises(TypeError, match="at least one iterable"):
                cluster.map(tasks.double)

    run(main())


def test_calls_that_are_cancelled_at_any_moment_are_answered() -> None:
    async def main() -> None:
        async with plait.Cluster(2, per_worker=2) as cluster:
            await cluster.map(tasks.double, range(200))  # so quick that many are sent ahead
            for round_ in range(60):
                futures = [cluster.submit(tasks.add, number) for number in range(30)]
                for _ in range(round_ % 7):
                    await asyncio.sleep(0)
                for future in futures[round_ % 3 :: 2]:
                    future.cancel()
                results = await asyncio.gather(*futures, return_exceptions=True)
                for number, result in enumerate(results):
                    assert result == number or isinstance(result, asyncio.CancelledError)
            await auntil(lambda: cluster.stats().running == 0)
            await auntil(lambda: cluster.stats().queued == 0)

    run(main())


def test_what_was_sent_ahead_is_given_back_to_those_who_have_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with plait.Cluster(2, per_worker=2) as cluster:
            # A worker that is started may not be ready yet, and the other would do it all.
            while len([worker for worker in cluster.stats().workers if worker.tasks]) < 2:
                await asyncio.gather(*(cluster.submit(tasks.later, 0, 0.01) for _ in range(8)))
            await cluster.map(tasks.double, range(2000))
            # One worker is taken up; what was sent to it beyond that must not wait for it.
            names = ["a", "b", "c"]
            blocked = [cluster.submit(tasks.begin_and_wait, str(tmp_path), name) for name in names]
            quick = [cluster.submit(tasks.double, number) for number in range(300)]
            assert await asyncio.gather(*quick) == [2 * number for number in range(300)]
            for name in names:
                (tmp_path / f"{name} may end").touch()
            assert await asyncio.gather(*blocked) == names

    run(main())


@pytest.mark.parametrize("number", [1, 700, 10_000])
def test_a_map_that_is_awaited_is_in_order_however_many_are_there(number: int) -> None:
    async def main() -> None:
        async with plait.Cluster(2, 4) as cluster:
            assert await cluster.map(tasks.double, range(number)) == [2 * value for value in range(number)]
            # More than may be out at once, and those that were submitted are done when they are asked for.
            results = cluster.map(tasks.double, range(number), buffersize=64)
            assert await anext(results) == 0
            await auntil(lambda: cluster.stats().queued + cluster.stats().running == 0)
            assert await results == [2 * value for value in range(1, number)]

    run(main())


@pytest.mark.parametrize("returns", [False, True])
def test_an_error_in_the_midst_of_what_is_there(returns: bool) -> None:
    async def main() -> None:
        async with plait.Cluster(2, 4) as cluster:
            results = cluster.map(tasks.none_of, range(40), [7] * 40, return_exceptions=returns)
            assert await anext(results) == 0
            await auntil(lambda: cluster.stats().queued + cluster.stats().running == 0)
            if returns:
                rest = await results
                assert [value for value in rest if not isinstance(value, ValueError)] == [value for value in range(1, 40) if value != 7]
                assert type(rest[6]) is ValueError
                return
            with pytest.raises(ValueError, match="not 7"):
                await results
            assert await results == []

    run(main())
