"""ThreadPoolExecutor, on both sides."""

import concurrent.futures
import contextvars
import gc
import itertools
import os
import pickle
import queue
import re
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import pytest
from futures_sides import Gate, both, check_that_plait_ran, is_plaits
from thread_sides import until

futures = both


@pytest.fixture
def pool(futures):
    with futures.ThreadPoolExecutor(3) as pool:
        check_that_plait_ran(futures, pool, pool.submit(int))
        yield pool


def test_what_it_is(futures, pool):
    assert isinstance(pool, concurrent.futures.Executor) and isinstance(pool, concurrent.futures.ThreadPoolExecutor)
    assert issubclass(futures.ThreadPoolExecutor, concurrent.futures.ThreadPoolExecutor)
    assert pool._max_workers == 3 and pool._shutdown is False and pool._broken is False
    assert pool._work_queue.qsize() == 0 and pool._work_queue.empty()
    assert type(pool._idle_semaphore._value) is int
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(pool)


def test_arguments(futures):
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="^max_workers must be greater than 0$"):
            futures.ThreadPoolExecutor(wrong)
    with pytest.raises(TypeError, match="^initializer must be a callable$"):
        futures.ThreadPoolExecutor(initializer=3)
    with futures.ThreadPoolExecutor() as pool:
        processors = getattr(os, "process_cpu_count", os.cpu_count)()
        assert pool._max_workers == min(32, processors + 4)


def test_submit_takes_every_argument(pool):
    def show(*args, **kwargs):
        return args, kwargs

    assert pool.submit(show, 1, 2, fn=3, self=4, executor=5, context=6).result(10) == ((1, 2), {"fn": 3, "self": 4, "executor": 5, "context": 6})
    with pytest.raises(TypeError, match="submit"):
        pool.submit()
    with pytest.raises(TypeError, match="'int' object is not callable"):
        pool.submit(3).result(10)


def test_exceptions(pool):
    def fails():
        raise LookupError("lost")

    future = pool.submit(fails)
    with pytest.raises(LookupError, match="^lost$") as caught:
        future.result(10)
    assert [entry.name for entry in caught.traceback][-1] == "fails"
    for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):
        assert type(pool.submit(lambda kind=kind: (_ for _ in ()).throw(kind())).exception(10)) is kind
    assert pool.submit(int).result(10) == 0, "the worker goes on"


def test_names_and_reuse(futures):
    with futures.ThreadPoolExecutor(3, thread_name_prefix="mine") as pool:
        for _ in range(20):
            assert pool.submit(lambda: threading.current_thread().name).result(10) == "mine_0"
            # The worker has come back before it is needed again.
            until(lambda: not is_plaits(futures) and pool._idle_semaphore._value or is_plaits(futures) and not running(pool))
        assert len(pool._threads) == 1
    with futures.ThreadPoolExecutor(1) as pool:
        assert re.fullmatch(r"ThreadPoolExecutor-\d+_0", pool.submit(lambda: threading.current_thread().name).result(10))


def running(pool):
    """Whether a worker is not asleep: it would be in /proc as running."""
    states = [open(f"/proc/self/task/{thread.native_id}/stat").read().rpartition(")")[2].split()[0] for thread in pool._threads]
    return any(state != "S" for state in states)


def test_grows_as_needed_and_not_more(futures):
    gate = Gate()
    with futures.ThreadPoolExecutor(4) as pool:
        waiting = []
        for count in range(1, 5):
            waiting.append(pool.submit(gate, count))
            gate.await_inside(count)
            assert len(pool._threads) == count
        waiting += [pool.submit(gate, 5), pool.submit(gate, 6)]
        assert len(pool._threads) == 4 and pool._work_queue.qsize() == 2
        assert [future.running() for future in waiting] == [True] * 4 + [False] * 2
        gate.open()
        assert [future.result(10) for future in waiting] == [1, 2, 3, 4, 5, 6]


def test_calls_begin_in_order(futures):
    begun, gate = [], Gate()
    with futures.ThreadPoolExecutor(1) as pool:
        pool.submit(gate)
        gate.await_inside(1)
        waiting = [pool.submit(begun.append, n) for n in range(100)]
        gate.open()
        concurrent.futures.wait(waiting, 10)
    assert begun == list(range(100))


def test_cancel(futures):
    gate, ran = Gate(), []
    with futures.ThreadPoolExecutor(1) as pool:
        runs = pool.submit(gate, 1)
        gate.await_inside(1)
        waits = pool.submit(ran.append, 1)
        assert (runs.cancel(), waits.cancel()) == (False, True)
        last = pool.submit(ran.append, 2)
        gate.open()
        assert last.result(10) is None and runs.result(10) == 1
        until(lambda: waits._state == "CANCELLED_AND_NOTIFIED")
    assert ran == [2]


def test_shutdown(futures):
    gate = Gate()
    pool = futures.ThreadPoolExecutor(1)
    first, second = pool.submit(gate, 1), pool.submit(gate, 2)
    gate.await_inside(1)
    pool.shutdown(wait=False)
    assert pool._shutdown is True
    for refused in (lambda: pool.submit(int), lambda: pool.map(int, [1])):
        with pytest.raises(RuntimeError, match="^cannot schedule new futures after shutdown$"):
            refused()
    assert not first.done() and not second.cancelled()
    gate.open()
    pool.shutdown()
    assert (first.result(0), second.result(0)) == (1, 2)
    assert not any(thread.is_alive() for thread in pool._threads)
    pool.shutdown(wait=True, cancel_futures=True)


def test_shutdown_cancels_what_waits(futures):
    gate = Gate()
    pool = futures.ThreadPoolExecutor(2)
    running = [pool.submit(gate, n) for n in range(2)]
    waiting = [pool.submit(gate, n) for n in range(50)]
    gate.await_inside(2)
    pool.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in waiting)
    gate.open()
    pool.shutdown()
    assert [future.result(0) for future in running] == [0, 1] and gate.inside == 2


def test_an_executor_that_is_dropped_ends_its_threads(futures):
    pool = futures.ThreadPoolExecutor(3)
    gate = Gate()
    waiting = [pool.submit(gate, n) for n in range(5)]
    gate.await_inside(3)
    threads = list(pool._threads)
    known = weakref.ref(pool)
    del pool
    gc.collect()
    assert known() is None
    gate.open()
    assert [future.result(10) for future in waiting] == list(range(5)), "what was submitted is done"
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_initializer(futures):
    local = threading.local()

    def initialise(a, b):
        local.made = (a, b, threading.get_ident())

    with futures.ThreadPoolExecutor(2, initializer=initialise, initargs=("a", "b")) as pool:
        for _ in range(10):
            assert pool.submit(lambda: local.made == ("a", "b", threading.get_ident())).result(10)


def test_an_initializer_that_fails(futures, caplog):
    gate = Gate()

    def fails():
        gate()
        raise LookupError("of an initializer")

    with futures.ThreadPoolExecutor(1, initializer=fails) as pool:
        waiting = [pool.submit(int) for _ in range(3)]
        gate.open()
        for future in waiting:
            with pytest.raises(concurrent.futures.thread.BrokenThreadPool, match="^A thread initializer failed, the thread pool is not usable anymore$"):
                future.result(10)
        for refused in (lambda: pool.submit(int), lambda: list(pool.map(int, [1]))):
            with pytest.raises(concurrent.futures.BrokenExecutor, match="^A thread initializer failed, the thread pool is not usable anymore$"):
                refused()
    assert caplog.messages == ["Exception in initializer:"] and caplog.records[0].exc_info[0] is LookupError


# ---- map


def test_map(pool):
    assert list(pool.map(pow, range(5), itertools.repeat(2))) == [0, 1, 4, 9, 16]
    assert list(pool.map(int, [])) == [] and list(pool.map(int)) == []
    results = pool.map(divmod, [1, 2, 3], [1, 0, 1])
    assert next(results) == (1, 0)
    with pytest.raises(ZeroDivisionError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_map_takes_its_arguments_at_once_and_no_longer_than_the_shortest(pool):
    taken = []

    def arguments():
        for n in range(4):
            taken.append(n)
            yield n

    results = pool.map(lambda a, b: (a, b), arguments(), "abcdef")
    assert taken == [0, 1, 2, 3]
    assert list(results) == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]


def test_map_whose_arguments_fail(pool):
    def arguments():
        yield 1
        raise LookupError("no more")

    with pytest.raises(LookupError, match="^no more$"):
        pool.map(int, arguments())


def test_map_in_time(pool):
    gate = Gate()
    results = pool.map(gate, [1, 2], timeout=0.01)
    with pytest.raises(TimeoutError):
        next(results)
    gate.open()
    assert list(pool.map(int, [1, 2], timeout=10)) == [1, 2]


def test_a_map_that_is_left_cancels_what_has_not_begun(futures):
    gate = Gate()
    with futures.ThreadPoolExecutor(1) as pool:
        results = pool.map(lambda n: n or gate(), range(50))
        first = pool.map(int, ["7"])  # behind all of them
        gate.await_inside(1)
        results_2 = pool.map(int, range(10))
        gate.open()
        assert next(results) is None
        results.close()
        assert next(first) == 7
        assert list(results_2) == list(range(10))


def test_map_keeps_no_reference_to_what_it_yields(pool):
    class Thing:
        pass

    for thing in pool.map(lambda _: Thing(), range(10)):
        known = weakref.ref(thing)
        del thing
        # Without the GIL another thread's object is freed later, or by the collector.
        until(lambda known=known: gc.collect() is None or known() is None)


def has_buffersize(futures):
    return is_plaits(futures) or sys.version_info >= (3, 14)


def test_buffersize(futures, pool):
    if not has_buffersize(futures):
        pytest.skip("the standard map has it from 3.14")
    for wrong, error, text in (("1", TypeError, "an integer or None"), (0, ValueError, "None or > 0"), (-1, ValueError, "None or > 0")):
        with pytest.raises(error, match=f"^buffersize must be {text}$"):
            pool.map(int, [1], buffersize=wrong)
    taken = []

    def arguments():
        for n in itertools.count():
            taken.append(n)
            yield n

    results = pool.map(str, arguments(), buffersize=3)
    assert taken == [0, 1, 2]
    assert [next(results) for _ in range(5)] == ["0", "1", "2", "3", "4"]
    assert taken == list(range(8))
    results.close()
    assert list(pool.map(pow, range(10), [2] * 10, buffersize=4, timeout=10)) == [n * n for n in range(10)]
    assert list(pool.map(int, [], buffersize=2)) == []


def test_a_buffered_map_does_not_keep_its_executor(futures):
    if not has_buffersize(futures):
        pytest.skip("the standard map has it from 3.14")
    pool = futures.ThreadPoolExecutor(1)
    results = pool.map(str, itertools.count(), buffersize=2)
    known = weakref.ref(pool)
    del pool
    gc.collect()
    assert known() is None
    assert list(results) == ["0", "1"]


# ---- contexts


def test_contexts_are_carried_when_asked_for(futures):
    variable = contextvars.ContextVar("variable", default="of the worker")
    variable.set("of the caller")
    with futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(variable.get).result(10) == "of the worker"
    if not is_plaits(futures):
        return  # cannot be asked
    with futures.ThreadPoolExecutor(1, carry_context=True) as pool:
        assert pool.submit(variable.get).result(10) == "of the caller"
        pool.submit(variable.set, "of a call").result(10)
        assert list(pool.map(lambda _: variable.get(), range(2))) == ["of the caller"] * 2
    assert variable.get() == "of the caller"


# ---- subclasses, and programs that look inside


def test_an_overridden_submit_is_what_map_calls(futures):
    class Counting(futures.ThreadPoolExecutor):
        submitted = 0

        def submit(self, fn, /, *args, **kwargs):
            self.submitted += 1
            return super().submit(fn, *args, **kwargs)

    with Counting(2) as pool:
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
        assert pool.submit(int).result(10) == 0
        assert pool.submitted == 3


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_submit_that_is_patched_into_the_class(futures, where):
    """Tools that follow programs do that, before plait is imported or when it is installed."""
    before, after = ("patch()", "") if where == "before" else ("", "patch()")
    asyncio_run = "plait.run" if is_plaits(futures) else "asyncio.run"
    program = f"""
    import asyncio, concurrent.futures, contextvars, functools
    submitted = []
    def patch():
        submit = concurrent.futures.ThreadPoolExecutor.submit
        @functools.wraps(submit)
        def patched(self, fn, /, *args, **kwargs):
            submitted.append(fn)
            return submit(self, fn, *args, **kwargs)
        concurrent.futures.ThreadPoolExecutor.submit = patched
    {before}
    if {is_plaits(futures)}:
        import plait
        plait.install()
    {after}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        print(pool.submit(divmod, 7, 2).result(), list(pool.map(abs, [-1, -2, -3])), len(submitted))
        print(len(pool._threads) <= 2, (not {is_plaits(futures)}) or type(pool._work_queue).__name__ == "WorkQueue")
    async def main():
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return await asyncio.to_thread(abs, -4), await loop.run_in_executor(pool, abs, -5), len(submitted)
    print({asyncio_run}(main()))
    if {is_plaits(futures)}:
        variable = contextvars.ContextVar("variable", default=1)
        variable.set(2)
        with concurrent.futures.ThreadPoolExecutor(1, carry_context=True) as pool:
            print(pool.submit(variable.get).result())
    def fails():
        raise LookupError
    import logging
    logging.disable()
    pool = concurrent.futures.ThreadPoolExecutor(1, initializer=fails)
    print(type(pool.submit(int).exception()).__name__)
    pool.shutdown()
    try:
        pool.submit(int)
    except RuntimeError as error:
        print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60)
    said = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert said[:3] == ["(3, 1) [1, 2, 3] 4", "True True", "(4, 5, 6)"]
    assert said[3:] == ["2"] * is_plaits(futures) + ["BrokenThreadPool", "A thread initializer failed, the thread pool is not usable anymore"]


def test_an_overridden_adjust_thread_count(futures):
    class Eager(futures.ThreadPoolExecutor):
        asked = 0

        def _adjust_thread_count(self):
            self.asked += 1
            super()._adjust_thread_count()

    with Eager(2) as pool:
        assert [pool.submit(abs, -n).result(10) for n in range(5)] == list(range(5))
        assert pool.asked == 5


def daemons(futures):
    """Packages that make daemon threads copy the standard `_adjust_thread_count`."""
    from concurrent.futures.thread import _worker

    class Daemons(futures.ThreadPoolExecutor):
        def _adjust_thread_count(self):
            if self._idle_semaphore.acquire(timeout=0):
                return

            def weakref_cb(_, q=self._work_queue):
                q.put(None)

            if len(self._threads) < self._max_workers:
                args = (weakref.ref(self, weakref_cb), self._work_queue, self._initializer, self._initargs)
                thread = threading.Thread(target=_worker, args=args, daemon=True)
                thread.start()
                self._threads.add(thread)

    return Daemons


def test_the_standard_worker_on_its_queue(futures):
    with daemons(futures)(2) as pool:
        assert list(pool.map(lambda n: (n, threading.current_thread().daemon), range(20))) == [(n, True) for n in range(20)]
        threads = list(pool._threads)
    assert not any(thread.is_alive() for thread in threads)


def test_standard_workers_of_an_executor_that_is_dropped_end(futures):
    pool = daemons(futures)(2)
    assert list(pool.map(abs, range(20))) == list(range(20))
    threads = list(pool._threads)
    del pool
    gc.collect()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_standard_worker_of_a_broken_pool_waits(futures, caplog):
    """It is to be told to go by the pool's end, not to look for it again and again."""
    made = []

    def fails_once_made():
        made.append(1)
        if len(made) > 1:
            raise LookupError

    gate = Gate()
    pool = daemons(futures)(2, initializer=fails_once_made)
    running = pool.submit(gate)
    gate.await_inside(1)
    assert type(pool.submit(int).exception(10)) is concurrent.futures.thread.BrokenThreadPool
    gate.open()
    running.result(10)
    with pytest.raises(concurrent.futures.BrokenExecutor):
        pool.submit(int)
    used = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - used < 0.25
    pool.shutdown()
    assert not any(thread.is_alive() for thread in pool._threads)


@pytest.mark.parametrize("name", ["_max_workers", "_shutdown", "_broken", "_work_queue"])
def test_attributes_of_one_that_is_not_initialised(futures, name):
    class Late(futures.ThreadPoolExecutor):
        def __init__(self):
            assert not hasattr(self, name) and getattr(self, name, 7) == 7
            with pytest.raises(AttributeError, match=f"^'Late' object has no attribute '{name}'$"):
                getattr(self, name)
            super().__init__(1)

    with Late() as pool:
        assert pool.submit(int).result(10) == 0


def test_attributes_hidden_by_a_subclass(futures, caplog):
    class Hides(futures.ThreadPoolExecutor):
        _shutdown = False
        _broken = False

    pool = Hides(1)
    assert pool.submit(int).result(10) == 0
    pool.shutdown()
    assert not any(thread.is_alive() for thread in pool._threads)
    with pytest.raises(RuntimeError, match="^cannot schedule new futures after shutdown$"):
        pool.submit(int)
    gate = Gate()

    def fails():
        gate()
        raise LookupError

    pool = Hides(1, initializer=fails)
    cancelled, *waiting = [pool.submit(int) for _ in range(3)]
    if is_plaits(futures):  # the standard one tells nobody who comes after one that was cancelled
        cancelled.cancel()
    gate.open()
    for future in waiting:
        assert type(future.exception(10)) is concurrent.futures.thread.BrokenThreadPool
    with pytest.raises(concurrent.futures.BrokenExecutor, match="^A thread initializer failed"):
        pool.submit(int)
    pool.shutdown()


def test_another_queue_in_its_place(futures):
    class Newest(futures.ThreadPoolExecutor):
        def __init__(self, *args):
            super().__init__(*args)
            self._work_queue = queue.LifoQueue()

    gate, order = Gate(), []
    pool = Newest(1)
    pool.submit(gate)
    gate.await_inside(1)
    waiting = [pool.submit(order.append, n) for n in range(3)]
    gate.open()
    concurrent.futures.wait(waiting, 10)
    assert order == [2, 1, 0]
    pool.shutdown()


def test_a_queue_that_is_drained_by_hand(futures):
    gate = Gate()
    with futures.ThreadPoolExecutor(1) as pool:
        pool.submit(gate)
        gate.await_inside(1)
        waiting = [pool.submit(divmod, 7, n) for n in (1, 2)]
        item = pool._work_queue.get_nowait()
        assert (item.future is waiting[0], item.fn, item.args, dict(item.kwargs)) == (True, divmod, (7, 1), {})
        item.run()
        assert waiting[0].result(0) == (7, 0)
        assert pool._work_queue.get_nowait().future.cancel() and waiting[1].cancelled()
        with pytest.raises(queue.Empty):
            pool._work_queue.get_nowait()
        gate.open()


def test_a_work_item_of_ones_own(futures):
    done = threading.Event()

    class Item:
        def run(self):
            done.set()

    with futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result(10)
        pool._work_queue.put(Item())
        assert done.wait(10)


def test_a_work_item_for_a_pool_that_was_shut_down(futures):
    if not is_plaits(futures):
        pytest.skip("the standard queue takes it, and nobody ever takes it out")
    pool = futures.ThreadPoolExecutor(1)
    pool.shutdown()
    pool._work_queue.put(None)
    with pytest.raises(RuntimeError, match="^cannot put into the queue of a pool that takes no more calls$"):
        pool._work_queue.put(object())


def test_more_workers_than_at_first(futures):
    gate = Gate()
    with futures.ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(gate), pool.submit(gate)]
        gate.await_inside(1)
        pool._max_workers = 2
        waiting.append(pool.submit(gate))
        gate.await_inside(2)
        gate.open()
        concurrent.futures.wait(waiting, 10)


def test_a_callback_that_leaves_ends_the_worker(futures, caplog):
    def leaves(_):
        raise SystemExit

    gate = Gate()
    with futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(gate)
        future.add_done_callback(leaves)
        gate.open()
        for thread in list(pool._threads):
            thread.join(10)
            assert not thread.is_alive()
    assert caplog.messages == ["Exception in worker"]


# ---- fork and exit


def in_a_program(futures, body):
    module = futures.__name__
    program = f"import os, sys, threading, time\nfrom {module.rpartition('.')[0]} import futures\n" + textwrap.dedent(body)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_exit_waits_for_what_was_submitted(futures):
    status, out, err = in_a_program(
        futures,
        """
        pool = futures.ThreadPoolExecutor(2)
        ready = threading.Event()
        def work(n):
            ready.wait()
            os.write(1, b"%d\\n" % n)
        for n in range(20):
            pool.submit(work, n)
        threading.Thread(target=lambda: (time.sleep(0.05), ready.set())).start()
        """,
    )
    assert (status, sorted(map(int, out.split())), err) == (0, list(range(20)), "")


def test_submit_at_exit_is_refused(futures):
    status, out, err = in_a_program(
        futures,
        """
        import atexit
        used, unused = futures.ThreadPoolExecutor(1), futures.ThreadPoolExecutor(1)
        used.submit(int).result()
        @atexit.register
        def at_exit():
            for name, pool in (("used", used), ("unused", unused)):
                for refused in (lambda: pool.submit(int), lambda: pool.map(int, [1])):
                    try:
                        refused()
                    except RuntimeError as error:
                        print(name, error)
        """,
    )
    assert (status, err) == (0, "")
    assert out.splitlines() == ["used cannot schedule new futures after shutdown"] * 2 + ["unused cannot schedule new futures after interpreter shutdown"] * 2


def test_a_call_that_submits_while_the_interpreter_exits(futures):
    status, out, err = in_a_program(
        futures,
        """
        pool = futures.ThreadPoolExecutor(1)
        def work():
            while not futures_thread._shutdown:
                time.sleep(0.001)
            try:
                pool.submit(print, "never")
            except RuntimeError as error:
                os.write(1, str(error).encode())
        import concurrent.futures.thread as futures_thread
        pool.submit(work)
        """,
    )
    assert (status, out, err) == (0, "cannot schedule new futures after interpreter shutdown", "")


def test_a_new_pool_in_a_forked_child(futures):
    status, out, err = in_a_program(
        futures,
        """
        import warnings
        warnings.simplefilter("ignore")
        pool = futures.ThreadPoolExecutor(2)
        assert list(pool.map(abs, range(10))) == list(range(10))
        child = os.fork()
        if not child:
            with futures.ThreadPoolExecutor(2) as fresh:
                assert list(fresh.map(abs, range(10))) == list(range(10))
            pool.shutdown()
            os.write(1, b"child ")
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert list(pool.map(abs, range(10))) == list(range(10))
        print("parent")
        """,
    )
    assert (status, out, err) == (0, "child parent\n", "")


def test_interrupted_while_it_waits(futures):
    status, out, err = in_a_program(
        futures,
        """
        import signal
        pool = futures.ThreadPoolExecutor(1)
        go = threading.Event()
        future = pool.submit(go.wait)
        threading.Thread(target=lambda: (time.sleep(0.2), os.kill(os.getpid(), signal.SIGINT))).start()
        for wait in (future.result,):
            try:
                wait()
            except KeyboardInterrupt:
                print("interrupted")
        go.set()
        print(future.result())
        """,
    )
    assert (status, out, err) == (0, "interrupted\nTrue\n", "")
