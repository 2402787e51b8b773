"""A pool's end: by hand, by the collector, with a deadline. What was submitted is done before, unless somebody says otherwise."""

import gc
import os
import weakref

import pytest
from pool_tasks import LIMIT, add, is_gone, note_and_wait, until, wait_for_file

from plait.concurrent.futures import CancelledError, ProcessPoolExecutor, TaskKilled


def test_what_was_submitted_is_done(context):
    executor = ProcessPoolExecutor(2, context)
    futures = [executor.submit(add, number) for number in range(100)]
    pids = list(executor._processes)
    executor.shutdown()
    assert [future.result(0) for future in futures] == list(range(1, 101))
    assert all(is_gone(process) for process in pids)
    with pytest.raises(RuntimeError, match="^cannot schedule new futures after shutdown$"):
        executor.submit(add, 1)
    executor.shutdown()


def test_without_waiting(fork):
    executor = ProcessPoolExecutor(2, fork)
    futures = [executor.submit(add, number) for number in range(50)]
    executor.shutdown(wait=False)
    assert [future.result(LIMIT) for future in futures] == list(range(1, 51))
    helper = executor._executor_manager_thread
    helper.join(LIMIT)
    assert not helper.is_alive()


def test_cancel_futures(fork, tmp_path):
    executor = ProcessPoolExecutor(1, fork)
    running = executor.submit(wait_for_file, str(tmp_path / "go"))
    waiting = [executor.submit(add, number) for number in range(20)]
    until(running.running)
    executor.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in waiting)
    (tmp_path / "go").touch()
    assert running.result(LIMIT)
    executor.shutdown()


def test_with_a_deadline(context, tmp_path):
    executor = ProcessPoolExecutor(1, context)
    path = tmp_path / "begun"
    running = executor.submit(note_and_wait, str(path))
    waiting = executor.submit(add, 1)
    until(path.exists)
    pids = list(executor._processes)
    executor.shutdown(timeout=0.1)
    assert all(is_gone(process) for process in pids)
    with pytest.raises(TaskKilled):
        running.result(0)
    with pytest.raises(CancelledError):
        waiting.result(0)


def test_a_deadline_that_is_not_needed(fork):
    executor = ProcessPoolExecutor(1, fork)
    future = executor.submit(add, 1)
    executor.shutdown(timeout=LIMIT)
    assert future.result(0) == 2


def test_a_pool_that_was_never_used():
    with ProcessPoolExecutor(2):
        pass
    ProcessPoolExecutor(2).shutdown(timeout=1)


def test_a_pool_that_nobody_has_any_more_does_its_work_and_ends(fork):
    executor = ProcessPoolExecutor(2, fork)
    futures = [executor.submit(add, number) for number in range(50)]
    helper, reference, pids = executor._executor_manager_thread, weakref.ref(executor), list(executor._processes)
    del executor
    gc.collect()
    assert reference() is None
    assert [future.result(LIMIT) for future in futures] == list(range(1, 51))
    helper.join(LIMIT)
    assert not helper.is_alive() and all(is_gone(process) for process in pids)


def test_options_keep_the_pool(fork):
    options = ProcessPoolExecutor(1, fork).options(retries=2)
    gc.collect()
    assert options.submit(add, 1).result(LIMIT) == 2
    assert list(options.map(add, [1, 2])) == [2, 3]
    options.submit(os.getpid).result(LIMIT)
    helper = options._core._helper
    del options
    gc.collect()
    helper.join(LIMIT)
    assert not helper.is_alive()
