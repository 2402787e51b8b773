"""A worker that dies fails the call that it made, and nothing else."""

import os
import signal
from concurrent.futures.process import BrokenProcessPool

import plait.multiprocessing
import pytest
from pool_tasks import LIMIT, DiesOnArrival, add, append, die_at_first, end, is_gone, note_and_wait, pid, until

from plait.concurrent.futures import CancelledError, ProcessPoolExecutor, TaskKilled, WorkerDied


@pytest.mark.parametrize(("how", "words", "code"), [("exit", "exited with code 7", 7), ("kill", "was ended by SIGKILL", -9)])
def test_the_error_says_how_it_died(pool, how, words, code):
    with pytest.raises(WorkerDied, match=words) as caught:
        pool.submit(end, how).result(LIMIT)
    assert isinstance(caught.value, BrokenProcessPool)
    assert caught.value.exitcode == code and caught.value.pid
    if pool._mp_context.get_start_method() != "forkserver":
        assert caught.value.peak_memory > 2**20 and "MiB" in str(caught.value)
    assert pool.submit(add, 1).result(LIMIT) == 2


def test_the_zygote_tells_how_much_memory_it_had():
    with ProcessPoolExecutor(1, plait.multiprocessing.get_context("zygote")) as executor:
        with pytest.raises(WorkerDied, match="MiB") as caught:
            executor.submit(end, "kill").result(LIMIT)
        assert caught.value.peak_memory > 2**20


def test_only_the_call_that_it_made_fails(forked):
    futures = [forked.submit(end, "kill") if number % 50 == 25 else forked.submit(add, number) for number in range(200)]
    failed = []
    for number, future in enumerate(futures):
        try:
            assert future.result(LIMIT) == number + 1
        except WorkerDied:
            failed.append(number)
    assert failed == [25, 75, 125, 175]
    assert forked.stats().restarts == 4


def test_calls_that_were_sent_ahead_go_to_another_and_are_made_once(forked, tmp_path):
    path = str(tmp_path / "made")
    # Quick calls are sent many at a time: those behind the one that dies are with its worker already.
    assert list(forked.map(append, [path] * 300, map(str, range(300)))) == [str(n) for n in range(300)]
    futures = [forked.submit(append, path, str(number)) for number in range(300, 500)]
    futures.insert(100, forked.submit(end, "kill"))
    died = futures.pop(100)
    assert [future.result(LIMIT) for future in futures] == [str(n) for n in range(300, 500)]
    with pytest.raises(WorkerDied):
        died.result(LIMIT)
    with open(path) as file:
        made = [int(line) for line in file]
    assert sorted(made) == list(range(500))


def test_retries(context, tmp_path):
    with ProcessPoolExecutor(1, context, retries=1) as executor:
        assert executor.submit(die_at_first, str(tmp_path / "a")).result(LIMIT) == "second"
        with pytest.raises(WorkerDied):
            executor.submit(end, "kill").result(LIMIT)
        with pytest.raises(WorkerDied):
            executor.options(retries=0).submit(die_at_first, str(tmp_path / "b")).result(LIMIT)
        assert executor.stats().restarts == 4


def test_an_idle_worker_that_dies_is_replaced(forked):
    first = forked.submit(pid).result(LIMIT)
    before = {worker.pid for worker in forked.stats().workers}
    for process in before:
        os.kill(process, signal.SIGKILL)
    until(lambda: forked.stats().restarts == 2)
    assert forked.submit(pid).result(LIMIT) != first
    assert all(is_gone(process) for process in before)


def test_death_while_it_unpickles(forked):
    with pytest.raises(WorkerDied, match="code 5"):
        forked.submit(add, DiesOnArrival()).result(LIMIT)


def test_kill_ends_a_running_call(pool, tmp_path):
    path = tmp_path / "begun"
    future = pool.submit(note_and_wait, str(path))
    until(lambda: path.exists() and path.read_text())
    process = int(path.read_text())
    assert future.kill()
    with pytest.raises(TaskKilled, match="kill"):
        future.result(LIMIT)
    until(lambda: is_gone(process))
    assert not future.kill()
    assert pool.submit(add, 1).result(LIMIT) == 2


def test_kill_of_a_call_that_has_not_begun_cancels_it(fork, tmp_path):
    path = tmp_path / "begun"
    with ProcessPoolExecutor(1, fork) as executor:
        running = executor.submit(note_and_wait, str(path))
        until(path.exists)
        waiting = executor.submit(add, 1)
        assert waiting.kill()
        with pytest.raises(CancelledError):
            waiting.result(LIMIT)
        assert running.kill()
        with pytest.raises(TaskKilled):
            running.result(LIMIT)
        done = executor.submit(add, 1)
        assert done.result(LIMIT) == 2 and not done.kill()


def test_timeout_of_a_call(pool, tmp_path):
    path = tmp_path / "begun"
    pool.submit(add, 1).result(LIMIT)
    future = pool.options(timeout=0.3).submit(note_and_wait, str(path))
    with pytest.raises(TimeoutError, match=r"longer than 0\.3 seconds"):
        future.result(LIMIT)
    assert pool.options(timeout=LIMIT).submit(add, 1).result(LIMIT) == 2
    with pytest.raises(ValueError, match="timeout"):
        pool.options(timeout=0)


def test_a_thread_cannot_be_killed():
    from plait.concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(add, 1)
        future.result(LIMIT)
        assert not future.kill()
