"""Who waits for a process pool's futures: threads, several of them, tasks of plait's loop and of asyncio's; and Ctrl-C while a thread waits."""

import asyncio
import concurrent.futures
import os
import signal
import threading
import time

import pytest
from pool_tasks import LIMIT, add, end, note_and_wait, pid, until, wait_for_file

import plait
from plait.concurrent import futures


def test_many_threads_wait(forked):
    results = []

    def wait(number):
        for turn in range(50):
            results.append(forked.submit(add, number, turn).result(LIMIT) - number - turn)

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert results == [0] * 300


def test_a_thread_that_waits_for_another_result_reads_all(forked, tmp_path):
    go = str(tmp_path / "go")
    slow = forked.submit(wait_for_file, go)
    waiter = threading.Thread(target=slow.result, args=(LIMIT,))
    waiter.start()
    # It reads for this thread, too.
    assert [forked.submit(add, number).result(LIMIT) for number in range(30)] == list(range(1, 31))
    open(go, "w").close()
    waiter.join(LIMIT)
    assert slow.done()


def test_nobody_waits(forked):
    done = [forked.submit(add, number) for number in range(200)]
    until(lambda: all(future.done() for future in done))
    assert [future.result(0) for future in done] == list(range(1, 201))


def test_time_outs(forked, tmp_path):
    go = str(tmp_path / "go")
    slow = forked.submit(wait_for_file, go)
    for timeout in (0, 0.01, -1):
        with pytest.raises(TimeoutError):
            slow.result(timeout)
    with pytest.raises(TimeoutError):
        slow.exception(0.01)
    open(go, "w").close()
    assert slow.exception(LIMIT) is None


@pytest.mark.parametrize("run", [plait.run, asyncio.run])
def test_tasks_wait(forked, run):
    async def main():
        loop = asyncio.get_running_loop()
        first = await asyncio.gather(*[loop.run_in_executor(forked, add, number) for number in range(100)])
        second = await asyncio.gather(*[asyncio.wrap_future(forked.submit(add, number)) for number in range(100)])
        with pytest.raises(futures.WorkerDied):
            await loop.run_in_executor(forked, end, "kill")
        return first, second

    first, second = run(main())
    assert first == second == list(range(1, 101))


def test_a_task_that_waits_is_told_natively(forked):
    """No callback of asyncio's is chained: the loop's future follows the pool's."""

    async def main():
        future = forked.submit(time.sleep, 0.05)
        wrapped = asyncio.wrap_future(future)
        assert not future._is_open
        await wrapped
        assert not future._is_open

    plait.run(main())


def test_a_cancelled_task_cancels_what_has_not_begun(fork, tmp_path):
    from plait.concurrent.futures import ProcessPoolExecutor

    go = str(tmp_path / "go")

    async def main(executor):
        running = executor.submit(wait_for_file, go)
        future = executor.submit(add, 1)
        wrapped = asyncio.wrap_future(future)
        await asyncio.sleep(0)
        wrapped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wrapped
        await asyncio.sleep(0)
        assert future.cancelled()
        open(go, "w").close()
        assert await asyncio.wrap_future(running)

    with ProcessPoolExecutor(1, fork) as executor:
        plait.run(main(executor))


def test_a_signal_handler_that_raises_loses_nothing(forked, tmp_path):
    """Ctrl-C ends the wait of the thread that reads, wherever it is, and every result arrives."""

    class Interrupt(Exception):
        pass

    inside = False

    def handler(*_):
        nonlocal inside
        if inside:
            inside = False
            raise Interrupt

    before = signal.signal(signal.SIGALRM, handler)
    submitted, interrupts = [], 0
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
    for number in range(1_500):
        submitted.append(forked.submit(add, number))
        try:
            inside = True
            submitted[-1 - number % 3].result(LIMIT)
            inside = False
        except Interrupt:
            interrupts += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    concurrent.futures.wait(submitted, LIMIT)
    assert interrupts > 0
    assert [future.result(0) for future in submitted] == list(range(1, 1_501))
    assert forked.stats().restarts == 0
    assert forked.submit(add, 1).result(LIMIT) == 2


def test_a_pool_that_waits_takes_no_time(forked, tmp_path):
    """Whatever woke its helper last (here: a deadline that is far away), it sleeps."""
    go = str(tmp_path / "go")
    future = forked.options(timeout=LIMIT * 10).submit(wait_for_file, go)
    until(future.running)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1
    open(go, "w").close()
    assert future.result(LIMIT)


def test_keyboard_interrupt_while_a_thread_waits(forked, tmp_path):
    path = tmp_path / "begun"
    future = forked.submit(note_and_wait, str(path))

    def interrupt():
        until(path.exists)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    with pytest.raises(KeyboardInterrupt):
        thread.start()
        future.result(LIMIT)
    thread.join()
    assert forked.submit(pid).result(LIMIT)
    assert future.kill()
