"""What comes in the midst of the pool's own work: the collector, a fork, a signal's handler, a callback that takes long, a moment without processes."""

import errno
import gc
import os
import signal
import threading
import time
from collections import deque
from pathlib import Path

import pytest
from pool_tasks import LIMIT, add, end, pid, until, wait_for_file

from plait import _native
from plait._process_pool import _core, _messages, _pickling
from plait._process_pool._task import Task
from plait.concurrent.futures import ProcessPoolExecutor, WorkerDied
from plait.multiprocessing import get_context


class Holder:
    """In a cycle with a pool, so that the collector ends both."""

    def __init__(self, pool):
        self.pool = pool
        self.itself = self


@pytest.mark.parametrize("kind", ["executor", "pool"])
def test_the_collector_may_end_a_pool_under_its_lock(kind, monkeypatch, tmp_path):
    """It ran the end of the pool in the midst of the helper's bookkeeping, and waited for the lock that the helper had."""
    collects = threading.Event()
    account = _core.Core._account_for_all

    def account_and_collect(self):
        if collects.is_set():
            gc.collect()
        account(self)

    monkeypatch.setattr(_core.Core, "_account_for_all", account_and_collect)
    opened = str(tmp_path / "open")
    gc.disable()
    try:
        if kind == "executor":
            holder = Holder(ProcessPoolExecutor(1))
            core, submit = holder.pool._core, holder.pool.submit
        else:
            holder = Holder(get_context("fork").Pool(1))
            core, submit = holder.pool._core, lambda *call: holder.pool.apply_async(call[0], call[1:])
        helper = core._helper
        submit(add, 1)
        submit(wait_for_file, opened)
        until(lambda: any(worker.sent for worker in core._workers.values()))
        helper = helper or core._helper
        del submit, holder
        collects.set()
        Path(opened).touch()
        helper.join(LIMIT)
        assert not helper.is_alive()
    finally:
        gc.enable()


@pytest.mark.parametrize("way", ["let go", "shutdown", "kill"])
def test_a_child_that_was_forked_in_the_midst_of_it_hangs_nowhere(way):
    """A thread of the parent's had the lock, and in the child nobody ever opened it."""
    executor = ProcessPoolExecutor(1)
    future = executor.submit(add, 1)
    assert future.result(LIMIT) == 2
    with executor._core._lock:
        child = os.fork()
        if not child:
            signal.alarm(LIMIT)
            if way == "let go":
                del executor
                gc.collect()
            elif way == "shutdown":
                executor.shutdown(cancel_futures=True)
                executor.shutdown(timeout=1)
            else:
                executor._core._kill(future)
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert executor.submit(add, 1).result(LIMIT) == 2
    executor.shutdown()


def test_a_signal_handler_may_wait_for_a_call_of_the_pool_that_its_thread_waits_for(forked, tmp_path):
    """The thread was reading the answers, and waited for somebody to do so."""
    opened = str(tmp_path / "open")
    seen = []

    def handler(*_):
        seen.append(forked.submit(add, 1).result(LIMIT))
        Path(opened).touch()

    forked.submit(add, 1).result(LIMIT)
    future = forked.submit(wait_for_file, opened)
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        threading.Timer(0.2, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1)).start()
        assert future.result(LIMIT) is True
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [2]


def test_who_waits_for_one_result_has_no_time_for_the_callbacks_of_another(forked, tmp_path):
    opened, called, release = str(tmp_path / "open"), threading.Event(), threading.Event()
    threads = []

    def callback(_):
        threads.append(threading.current_thread())
        called.set()
        release.wait(LIMIT)

    first, second = forked.submit(pid), forked.submit(wait_for_file, opened)
    slow = forked.submit(add, 1)
    slow.add_done_callback(callback)
    first.result(LIMIT)
    with pytest.raises(TimeoutError):
        second.result(0.5)
    until(called.is_set)
    assert threads != [threading.current_thread()]
    release.set()
    Path(opened).touch()
    assert second.result(LIMIT) is True and slow.result(LIMIT) == 2


def test_a_worker_that_cannot_be_started_just_now_is_started_later(fork, monkeypatch):
    with ProcessPoolExecutor(2, fork) as executor:
        assert executor.submit(add, 1).result(LIMIT) == 2
        core, refused = executor._core, []
        start = core._start_worker

        def start_later(restarts):
            if len(refused) < 3:
                refused.append(restarts)
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            start(restarts)

        monkeypatch.setattr(core, "_start_worker", start_later)
        with pytest.raises(WorkerDied):
            executor.submit(end, "kill").result(LIMIT)
        assert list(executor.map(add, range(50))) == list(range(1, 51))
        until(lambda: len(core._workers) == 2)
        assert refused == [1, 1, 1] and executor.stats().restarts == 1


def test_to_take_calls_back_does_not_look_through_all_that_wait(forked):
    """It did for each of them, and a long map whose calls are quick but for some took five times as long."""

    class Calls(deque):
        looks = 0

        def __contains__(self, call):
            Calls.looks += 1
            return super().__contains__(call)

    core = forked._core
    forked.submit(add, 1).result(LIMIT)
    core._queue = Calls(core._queue)
    assert sum(forked.map(slow_at_times, range(5_000))) == sum(range(5_000))
    assert Calls.looks < 50


def slow_at_times(number):
    if number % 500 == 0:
        time.sleep(0.05)
    return number


def test_what_are_no_arguments_is_the_results_error():
    with get_context("fork").Pool(1) as pool:
        for arguments, words in (((5,), "after * must be an iterable, not int"), (((1,), 5), r"after \*\* must be a mapping, not int")):
            result = pool.apply_async(add, *arguments)
            with pytest.raises(TypeError, match=words.replace("* must be an", r"\* must be an")):
                result.get(LIMIT)


both = threading.Barrier(2, timeout=LIMIT)


class Meets:
    """Whoever unpickles it waits for another who does."""

    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return meet, (self.value,)


def meet(value):
    both.wait()
    return value


@pytest.mark.parametrize("kind", ["RETURNED", "RAISED"])
def test_an_answer_that_two_threads_have_is_given_once(kind):
    """A thread that is interrupted when it takes answers leaves them for others, and may have them nevertheless. Who came second failed, and if that was the helper, the pool was broken."""
    failures = []
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        task = Task(_native.process_future(pool._core), [], 0, None)
        task.future.set_running_or_notify_cancel()
        parts = _pickling.dump(Meets(ValueError("on purpose")))

        def answer():
            try:
                pool._core._answer(task, getattr(_messages, kind), parts)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=answer) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
    assert failures == []
    found = task.future.result() if kind == "RETURNED" else task.future.exception()
    assert type(found) is ValueError and found.args == ("on purpose",)
