"""That n operations are n operations, and that a workload which goes wrong says so."""

import asyncio
import concurrent.futures
import dataclasses
import os
import queue
import shutil
import threading

import pytest
from benching import ANYWHERE

from plait.bench import process
from plait.bench.processes.workloads import (
    IN_PROCESS,
    BetweenProcesses,
    Bridge,
    OnFiles,
    OnLoop,
    OnClusters,
    OnEngines,
    OnPools,
    OnServer,
    OnThreads,
    bridges,
    executors,
    pools,
    queues,
)
from plait.bench.processes.workloads.pairs import beside_loop, together
from plait.bench.processes.workloads.tasks import LONGEST_SLEEP


@pytest.fixture
def loop():
    made = asyncio.SelectorEventLoop()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("call_soon", "call_soon"),
        ("call_later_cancel", "call_later"),
        ("call_soon_threadsafe", "call_soon_threadsafe"),
        ("call_soon_threadsafe_other", "call_soon_threadsafe"),
        ("create_task_await", "create_task"),
        ("gather", "create_task"),
        ("sleeps", "create_task"),
        ("timers", "call_later"),
        ("asyncio_semaphore", "create_task"),
        ("wait", "create_task"),
        ("task_group", "create_task"),
        ("wait_for", "call_at"),
        ("timeout", "call_at"),
        ("run_in_executor", "run_in_executor"),
    ],
)
@pytest.mark.parametrize("n", [1, 2500])
def test_does_what_it_says_n_times(name, method, n):
    calls = 0

    class Counting(asyncio.SelectorEventLoop):
        pass

    def counted(self, *args, **kwargs):
        nonlocal calls
        calls += 1
        return getattr(asyncio.SelectorEventLoop, method)(self, *args, **kwargs)

    setattr(Counting, method, counted)
    loop = Counting()
    try:
        assert IN_PROCESS[name].run(loop, n).n == n
    finally:
        loop.close()
    # The bench's own start and stop, one per batch at most, and the task that drives the workload.
    assert n <= calls <= n + 5


@pytest.mark.parametrize(
    "name", [name for name, workload in IN_PROCESS.items() if isinstance(workload, OnLoop) and workload.warm_up]
)
def test_leaves_the_loop_fit_for_another_run(name, loop):
    IN_PROCESS[name].run(loop, 10)
    IN_PROCESS[name].run(loop, 10)
    assert loop.run_until_complete(asyncio.sleep(0, "still alive")) == "still alive"


def test_the_sleeps_are_the_same_for_everybody(loop, monkeypatch):
    drawn = []

    async def noted(delay):
        drawn.append(delay)

    monkeypatch.setattr(asyncio, "sleep", noted)
    IN_PROCESS["sleeps"].run(loop, 100)
    IN_PROCESS["sleeps"].run(loop, 100)
    assert drawn[:100] == drawn[100:]
    assert len(set(drawn)) == 100 and all(0 <= delay <= LONGEST_SLEEP for delay in drawn)


class TestChildren:
    def test_one_is_started_for_each(self, loop, monkeypatch):
        started = []
        make = asyncio.create_subprocess_exec

        async def noted(*arguments):
            started.append(await make(*arguments))
            return started[-1]

        monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
        assert IN_PROCESS["spawn_true"].run(loop, 5).n == 5
        assert [child.returncode for child in started] == [0] * 5

    def test_one_that_fails_is_noticed(self, loop, monkeypatch):
        monkeypatch.setattr(shutil, "which", lambda name: "/bin/false" if name == "true" else None)
        with pytest.raises(RuntimeError, match="true said that it failed"):
            IN_PROCESS["spawn_true"].run(loop, 1)


@pytest.mark.parametrize("name", ["readline", "readuntil", "readexactly"])
class TestStreams:
    def test_the_reader_is_looked_up_when_it_is_made(self, name, loop, monkeypatch):
        reads = 0

        class Reader(asyncio.StreamReader):
            async def counted(self, *args):
                nonlocal reads
                reads += 1
                return await getattr(asyncio.streams.StreamReader, name)(self, *args)

        setattr(Reader, name, Reader.counted)
        monkeypatch.setattr(asyncio, "StreamReader", Reader)
        IN_PROCESS[name].run(loop, 300)
        assert reads == 300

    @pytest.mark.parametrize("answer", [b"", b"the same for every call\r\n"])
    def test_a_reader_that_gives_something_else_is_noticed(self, name, loop, monkeypatch, answer):
        class Reader(asyncio.StreamReader):
            async def wrong(self, *_):
                return answer

        setattr(Reader, name, Reader.wrong)
        monkeypatch.setattr(asyncio, "StreamReader", Reader)
        with pytest.raises(RuntimeError, match="wrong data"):
            IN_PROCESS[name].run(loop, 10)


@pytest.mark.parametrize("name", ["sleeping_tasks", "timers"])
def test_memory_is_counted_in_bytes_each(name):
    """In a process of its own, as always: one that freed something before would not have to grow."""
    run = process.run_child(name, "asyncio", 5000, ANYWHERE)
    assert run.n == 5000
    # A resident set grows by pages: a few of them over so many things.
    assert 50 < run.bytes_each < 10_000


@pytest.mark.parametrize(
    ("name", "module", "owner", "methods", "turns", "besides"),
    [
        ("asyncio_queue", asyncio, "Queue", ("put", "get"), 1, 0),
        ("asyncio_lock", asyncio, "Lock", ("acquire", "release"), 1, 0),
        ("asyncio_event", asyncio, "Event", ("set", "wait", "clear"), 2, 0),
        ("threading_semaphore", threading, "Semaphore", ("release",), 1, 0),
        ("threading_event", threading, "Event", ("clear",), 2, 0),
        # Two threads are started, each of which notifies the event by which the standard library knows that it was.
        ("threading_condition", threading, "Condition", ("notify",), 2, 2),
        ("queue", queue, "Queue", ("put", "get"), 1, 0),
        ("queue_priority", queue, "PriorityQueue", ("put", "get"), 1, queues.WAITING),
        ("queue_producer_consumer", queue, "Queue", ("put", "get"), 1, 0),
        ("executor_map", concurrent.futures, "ThreadPoolExecutor", ("submit",), 1, executors.WORKERS),
        ("executor_round_trip", concurrent.futures, "ThreadPoolExecutor", ("submit",), 1, 1),
        ("queue_two_threads", queue, "Queue", ("put", "get"), 1, 0),
    ],
)
@pytest.mark.parametrize("n", [1, 301])
def test_a_primitive_is_looked_up_when_it_is_made_and_used_n_times(
    name, module, owner, methods, turns, besides, n, loop, monkeypatch
):
    # Not a counter that is added to: two threads would have to share it.
    calls = {method: [] for method in methods}

    def counting(method):
        def called(self, *args, **kwargs):
            calls[method].append(None)
            return getattr(super(Counting, self), method)(*args, **kwargs)

        return called

    Counting = type(owner, (getattr(module, owner),), {method: counting(method) for method in methods})
    monkeypatch.setattr(module, owner, Counting)
    workload = IN_PROCESS[name]
    assert workload.run(loop if isinstance(workload, OnLoop) else None, n).n == n
    assert {method: len(made) for method, made in calls.items()} == dict.fromkeys(methods, turns * n + besides)


class TestWrongPrimitivesAreNoticed:
    """A quick one that loses, doubles or mixes up what it is given would look like a good one."""

    @pytest.mark.parametrize(("name", "module"), [("asyncio_queue", asyncio), ("queue", queue)])
    def test_items(self, name, module, loop, monkeypatch):
        class Queue(module.Queue):
            def _get(self):
                super()._get()
                return "another"

        monkeypatch.setattr(module, "Queue", Queue)
        workload = IN_PROCESS[name]
        with pytest.raises(RuntimeError, match="wrong data"):
            workload.run(loop if isinstance(workload, OnLoop) else None, 10)

    @pytest.mark.parametrize("name", ["executor_map", "executor_round_trip"])
    def test_results(self, name, monkeypatch):
        class Pool(concurrent.futures.ThreadPoolExecutor):
            def submit(self, fn, /, *args):
                return super().submit(max, *args, 7)

        monkeypatch.setattr(concurrent.futures, "ThreadPoolExecutor", Pool)
        with pytest.raises(RuntimeError, match="wrong data"):
            IN_PROCESS[name].run(None, 10)

    def test_order(self, monkeypatch):
        monkeypatch.setattr(queue, "PriorityQueue", queue.LifoQueue)
        with pytest.raises(RuntimeError, match="wrong data"):
            IN_PROCESS["queue_priority"].run(None, 10)

    def test_permits(self, loop, monkeypatch):
        class Semaphore(asyncio.Semaphore):
            def release(self):
                super().release()
                super().release()

        monkeypatch.setattr(asyncio, "Semaphore", Semaphore)
        with pytest.raises(RuntimeError, match="permits were given back"):
            IN_PROCESS["asyncio_semaphore"].run(loop, 30)

        class Free(threading.Semaphore):
            def acquire(self, blocking=True, timeout=None):
                return True

        monkeypatch.setattr(threading, "Semaphore", Free)
        with pytest.raises(RuntimeError, match="a permit was lost or made"):
            IN_PROCESS["threading_semaphore"].run(None, 10)


class TestPairs:
    def test_each_runs_in_a_thread_of_its_own_where_it_is_pinned(self):
        usable = sorted(os.sched_getaffinity(0))
        pins = (usable[-1], usable[0])
        where = {}
        together(
            pins,
            lambda: where.__setitem__("first", (threading.get_ident(), os.sched_getaffinity(0))),
            lambda: where.__setitem__("second", (threading.get_ident(), os.sched_getaffinity(0))),
        )
        assert [cpus for _, cpus in (where["first"], where["second"])] == [{pins[0]}, {pins[1]}]
        assert threading.get_ident() not in {ident for ident, _ in where.values()}
        assert os.sched_getaffinity(0) == set(usable)

    def test_the_partner_of_one_that_failed_is_not_waited_for(self):
        never = threading.Event()
        try:
            with pytest.raises(ZeroDivisionError):
                together(None, lambda: 1 / 0, never.wait)
        finally:
            never.set()

    def test_a_thread_beside_a_loop_tells_it_how_it_ended(self, loop):
        async def body():
            await beside_loop(loop, None, lambda: None)
            with pytest.raises(ZeroDivisionError):
                await beside_loop(loop, None, lambda: 1 / 0)

        loop.run_until_complete(body())


@pytest.mark.parametrize("name", [name for name, workload in IN_PROCESS.items() if isinstance(workload, Bridge)])
@pytest.mark.parametrize("package", ["plait", "janus", "culsans"])
class TestBridges:
    def test_every_item_goes_all_the_way(self, name, package, loop, queue_of):
        queue_of(package)
        assert IN_PROCESS[name].run(loop, package, None, 250).n == 250

    def test_a_queue_that_mixes_up_its_items_is_noticed(self, name, package, loop, queue_of, monkeypatch):
        queue_of(package)
        made = bridges._queue

        def spoilt(package, size):
            ends = made(package, size)
            return dataclasses.replace(ends, put=lambda item: ends.put(item + 1))

        monkeypatch.setattr(bridges, "_queue", spoilt)
        with pytest.raises(RuntimeError, match="wrong data"):
            IN_PROCESS[name].run(loop, package, None, 10)


@pytest.mark.parametrize("name", [name for name, workload in IN_PROCESS.items() if isinstance(workload, OnFiles)])
@pytest.mark.parametrize("package", ["plait", "aiofiles", "aiofile", "anyio", "open"])
def test_every_file_is_read_to_its_end(name, package, loop):
    if package != "open":
        pytest.importorskip(package)
    assert IN_PROCESS[name].run(loop, package, 100).n == 100


POOL_CALLS = [(name, column) for name in ("pool_round_trip", "pool_map") for column in IN_PROCESS[name].columns if column != "plait"]


class TestPools:
    """What the workloads of pools do, on the pools that are not plait's: whose lines they are does not matter."""

    @pytest.mark.parametrize(("name", "column"), POOL_CALLS)
    def test_every_call_is_answered(self, name, column):
        if column == "loky":
            pytest.importorskip(column)
        # In a process of its own: loky leaves one behind that watches for leaks.
        assert process.run_child(name, column, 20, ANYWHERE).n == 20

    def test_every_array_is_looked_at(self, monkeypatch):
        pytest.importorskip("numpy")
        monkeypatch.setattr(pools, "LENGTH", 10)
        for name in ("pool_array", "pool_array_first", "pool_array_result", "pool_array_result_first"):
            assert IN_PROCESS[name].run("standard", 2).n == 2
        monkeypatch.setattr(pools, "total", len)
        monkeypatch.setattr(pools, "ones", lambda length: range(length + 1))
        with pytest.raises(RuntimeError, match="wrong data"):
            IN_PROCESS["pool_array"].run("standard", 1)

    def test_a_wrong_answer_is_seen(self, monkeypatch):
        monkeypatch.setattr(pools, "same", wrong)
        for name, column in POOL_CALLS:
            if column != "loky":
                with pytest.raises(RuntimeError, match="wrong data"):
                    IN_PROCESS[name].run(column, 20)


def test_every_coroutine_is_answered():
    pytest.importorskip("aiomultiprocess")
    assert process.run_child("cluster_map", "aiomultiprocess", 100, ANYWHERE).n == 100


def wrong(value):
    return value + (value == 7)


@pytest.mark.parametrize("name", [name for name, workload in IN_PROCESS.items() if isinstance(workload, BetweenProcesses)])
@pytest.mark.parametrize("column", ["plait", "standard"])
def test_all_items_go_from_one_process_to_the_other(name, column):
    assert IN_PROCESS[name].run(column, None, 100).n == 100


@pytest.fixture
def queue_of():
    def require(package):
        if not hasattr(pytest.importorskip(package), "Queue"):
            pytest.skip(f"{package} has no Queue")

    return require


def test_the_kinds_are_all_the_kinds_there_are():
    kinds = OnLoop | OnThreads | OnPools | OnClusters | OnEngines | BetweenProcesses | Bridge | OnFiles | OnServer
    assert all(isinstance(workload, kinds) for workload in IN_PROCESS.values())
