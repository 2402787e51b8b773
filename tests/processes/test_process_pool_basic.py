"""A pool of processes does what the standard one does, by every start method."""

import concurrent.futures
import os
import signal
import sys

import pytest
from pool_tasks import LIMIT, add, fail_deeply, pid, raise_it, set_variable, surroundings

import plait
from plait.concurrent import futures
from plait.concurrent.futures import ProcessPoolExecutor


def test_calls_are_made_by_other_processes(pool):
    assert pool.submit(add, 1, b=2).result(LIMIT) == 3
    pids = {pool.submit(pid).result(LIMIT) for _ in range(10)}
    assert os.getpid() not in pids
    assert pids <= {worker.pid for worker in pool.stats().workers}


def test_it_is_an_executor(pool):
    assert isinstance(pool, concurrent.futures.ProcessPoolExecutor)
    assert issubclass(ProcessPoolExecutor, concurrent.futures.Executor)
    future = pool.submit(add, 1)
    assert isinstance(future, concurrent.futures.Future)
    assert type(future) is futures.Future
    assert future.result(LIMIT) == 2


def test_many_calls_and_futures_of_all_kinds(pool):
    submitted = [pool.submit(add, number) for number in range(500)]
    done, not_done = concurrent.futures.wait(submitted, LIMIT)
    assert not not_done and len(done) == 500
    assert sorted(future.result() for future in concurrent.futures.as_completed(submitted, LIMIT)) == list(range(1, 501))


def test_callbacks_come_without_anybody_waiting(pool):
    import threading

    came = threading.Event()
    pool.submit(add, 1).add_done_callback(lambda future: came.set())
    assert came.wait(LIMIT)


def test_an_exception_keeps_type_cause_and_traceback(pool):
    with pytest.raises(ValueError, match="outer") as caught:
        pool.submit(fail_deeply).result(LIMIT)
    assert "KeyError: 'inner'" in str(caught.value.__cause__) and "in fail_deeply" in str(caught.value.__cause__)
    with pytest.raises(SystemExit):
        pool.submit(raise_it, SystemExit(3)).result(LIMIT)
    assert pool.submit(add, 1).result(LIMIT) == 2


def test_workers_have_the_callers_surroundings(context, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLAIT_TEST_POOL", "yes")
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    mask = os.umask(0o027)
    try:
        with ProcessPoolExecutor(1, context) as executor:
            seen = executor.submit(surroundings).result(LIMIT)
    finally:
        os.umask(mask)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert seen["cwd"] == str(tmp_path)
    assert [entry for entry in sys.path if entry] == [entry for entry in seen["path"] if entry]
    if context.get_start_method() != "forkserver":  # whose children are of a process that was started earlier
        assert (seen["variable"], seen["umask"]) == ("yes", 0o027)
        assert signal.SIGUSR2 in seen["blocked"]


def test_initializer(context):
    with ProcessPoolExecutor(2, context, initializer=set_variable, initargs=("set",)) as executor:
        assert executor.submit(surroundings).result(LIMIT)["variable"] == "set"


def test_workers_are_started_as_they_are_needed():
    import multiprocessing

    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as executor:
        for _ in range(3):
            executor.submit(add, 1).result(LIMIT)
        assert len(executor._processes) == 1


def test_max_tasks_per_child():
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=2) as executor:
        pids = [executor.submit(pid).result(LIMIT) for _ in range(4)]
        assert pids[0] == pids[1] != pids[2] == pids[3]
        assert list(executor.map(add, range(10))) == list(range(1, 11))
        assert executor.stats().restarts == 0


def test_wrong_arguments():
    import multiprocessing

    with pytest.raises(ValueError, match="max_workers must be greater than 0"):
        ProcessPoolExecutor(0)
    with pytest.raises(TypeError, match="initializer must be a callable"):
        ProcessPoolExecutor(1, initializer=3)
    with pytest.raises(TypeError, match="max_tasks_per_child must be an integer"):
        ProcessPoolExecutor(1, max_tasks_per_child="3")
    with pytest.raises(ValueError, match="max_tasks_per_child must be >= 1"):
        ProcessPoolExecutor(1, max_tasks_per_child=0)
    with pytest.raises(ValueError, match="incompatible with the 'fork'"):
        ProcessPoolExecutor(1, multiprocessing.get_context("fork"), max_tasks_per_child=1)
    with pytest.raises(ValueError, match="retries"):
        ProcessPoolExecutor(1, retries=-1)


def test_stats(forked):
    assert list(forked.map(add, range(20))) == list(range(1, 21))
    stats = forked.stats()
    assert stats.done == 20 and stats.queued == 0 and stats.restarts == 0
    assert sum(worker.tasks for worker in stats.workers) == 20
    assert all(worker.memory > 2**20 and worker.restarts == 0 for worker in stats.workers)
    assert stats.messages >= 20


def test_the_mirror_has_it():
    assert plait.concurrent.futures.ProcessPoolExecutor is ProcessPoolExecutor
    assert ProcessPoolExecutor.__module__ == "plait.concurrent.futures"
