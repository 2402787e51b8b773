"""``plait.multiprocessing.Pool``: the same bodies on the standard pool and on plait's, and what only plait's does."""

import gc
import itertools
import multiprocessing
import multiprocessing.pool as standard
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from pathlib import Path

import pytest
from plait.concurrent.futures import NotLoaded, WorkerDied
from plait.multiprocessing import get_context
from plait.multiprocessing import pool as ours

LIMIT = 60
METHODS = ["fork", "spawn", "forkserver", "zygote"]

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(params=["stock", "plait"])
def make(request):
    """``Pool``, of the standard library or of plait; forked, which is quick."""
    context = multiprocessing.get_context("fork")
    cls = standard.Pool if request.param == "stock" else ours.Pool
    return lambda *args, **keywords: cls(*args, **{"context": context, **keywords})


@pytest.fixture
def pool(make):
    with make(2) as made:
        yield made
    made.join()


@pytest.fixture
def plaits():
    with ours.Pool(2, context=get_context("fork")) as made:
        yield made
    made.join()


def double(x):
    return 2 * x


def fail(x=None):
    raise ValueError("on purpose", x)


def sleep_then(seconds, x):
    time.sleep(seconds)
    return x


def pid(_=None):
    return os.getpid()


def until(condition):
    give_up = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


# --- the same on both


def test_apply(pool):
    assert pool.apply(divmod, (7, 3)) == (2, 1) and pool.apply(dict, (), {"a": 1}) == {"a": 1} and pool.apply(int) == 0
    with pytest.raises(ValueError, match="on purpose"):
        pool.apply(fail)


def test_an_error_has_the_remote_traceback(pool):
    with pytest.raises(ValueError) as caught:
        pool.apply(fail, (3,))
    assert caught.value.args == ("on purpose", 3)
    assert type(caught.value.__cause__) is standard.RemoteTraceback and 'raise ValueError("on purpose", x)' in str(caught.value.__cause__)


def test_results(pool):
    done, failed = pool.apply_async(double, (2,)), pool.apply_async(fail)
    done.wait(LIMIT)
    failed.wait(LIMIT)
    assert isinstance(done, standard.AsyncResult) and done.ready() and done.successful() and done.get() == done.get(0) == 4
    assert failed.ready() and not failed.successful()
    slow = pool.apply_async(sleep_then, (0.3, "there"))
    assert not slow.ready()
    with pytest.raises(ValueError, match="not ready"):
        slow.successful()
    with pytest.raises(multiprocessing.TimeoutError):
        slow.get(timeout=0.01)
    assert slow.wait(0) is None and slow.get(LIMIT) == "there"
    assert len(pool._cache) == 0


def test_callbacks(pool):
    told, errors = [], []
    for function in (double, fail):
        result = pool.apply_async(function, (1,), callback=told.append, error_callback=errors.append)
        result.wait(LIMIT)
    for function in (double, fail):
        result = pool.map_async(function, [1, 2], 1, told.append, errors.append)
        result.wait(LIMIT)
    until(lambda: len(told) == 2 and len(errors) == 2)
    assert told == [2, [2, 4]] and [type(error) for error in errors] == [ValueError] * 2


@pytest.mark.parametrize("chunksize", [None, 1, 2, 7, 1000])
@pytest.mark.parametrize("n", [0, 1, 13])
def test_maps(pool, n, chunksize):
    expected = [double(x) for x in range(n)]
    assert pool.map(double, range(n), chunksize) == pool.map_async(double, iter(range(n)), chunksize).get(LIMIT) == expected
    assert pool.starmap(divmod, zip(range(n), itertools.repeat(3)), chunksize) == [divmod(x, 3) for x in range(n)]
    assert pool.starmap_async(divmod, [(x, 3) for x in range(n)], chunksize).get(LIMIT) == [divmod(x, 3) for x in range(n)]
    assert list(pool.imap(double, range(n), chunksize or 1)) == expected
    assert sorted(pool.imap_unordered(double, range(n), chunksize or 1)) == expected


def test_a_map_that_fails(pool):
    with pytest.raises(ValueError, match="on purpose"):
        pool.map(fail, range(5))
    with pytest.raises(ZeroDivisionError):
        pool.starmap(divmod, [(1, 1), (1, 0)])
    assert pool.map(double, [1]) == [2]


class BrokenIterable:
    def __init__(self, good, length):
        self.good, self.length = good, length

    def __len__(self):
        return self.length

    def __iter__(self):
        yield from range(self.good)
        raise KeyError("broken")


def test_iterables_that_raise(pool):
    with pytest.raises(KeyError, match="broken"):
        pool.map(double, iter(BrokenIterable(3, 0)))
    with pytest.raises(KeyError, match="broken"):
        pool.map_async(double, BrokenIterable(0, 1), 1).get(LIMIT)
    for imap in (pool.imap, pool.imap_unordered):
        for chunksize in (1, 2):
            results = imap(double, BrokenIterable(4, 9), chunksize)
            seen = []
            with pytest.raises(KeyError, match="broken"):
                for each in results:
                    seen.append(each)
            assert set(seen) <= {0, 2, 4, 6} and (imap == pool.imap_unordered or seen == [0, 2, 4, 6])


def test_imap_fails_where_a_call_did(pool):
    results = pool.imap(lambda_free, [1, 0, 2])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert next(results) == 0.5
    with pytest.raises(StopIteration):
        next(results)


def lambda_free(x):
    return 1 / x


def test_imap_with_a_timeout(pool):
    results = pool.imap(sleep_then_first, [(0.3, 1)])
    assert isinstance(results, standard.IMapIterator)
    with pytest.raises(multiprocessing.TimeoutError):
        results.next(timeout=0.01)
    assert results.next(LIMIT) == 1


def sleep_then_first(pair):
    return sleep_then(*pair)


def test_an_endless_iterable(pool):
    taken = itertools.count()
    results = pool.imap(double, taken)
    assert [next(results) for _ in range(1000)] == [2 * x for x in range(1000)]


@pytest.mark.parametrize(
    ("args", "keywords", "error", "words"),
    [
        ((0,), {}, ValueError, "Number of processes must be at least 1"),
        ((-1,), {}, ValueError, "Number of processes must be at least 1"),
        ((1,), {"maxtasksperchild": 0}, ValueError, "maxtasksperchild must be a positive int or None"),
        ((1,), {"maxtasksperchild": "1"}, ValueError, "maxtasksperchild must be a positive int or None"),
        ((1, 3), {}, TypeError, "initializer must be a callable"),
    ],
)
def test_bad_arguments(make, args, keywords, error, words):
    if sys.version_info < (3, 12) and "maxtasksperchild" in keywords and make(1).__class__ is standard.Pool:
        pytest.skip("from 3.12 on")
    with pytest.raises(error, match=words):
        make(*args, **keywords)


def test_bad_chunks(pool):
    for imap in (pool.imap, pool.imap_unordered):
        with pytest.raises(ValueError, match="Chunksize must be 1\\+, not 0"):
            imap(double, [1], 0)


initialized = None


def initialize(*args):
    global initialized
    initialized = args


def was_initialized(_=None):
    return initialized


def test_an_initializer(make):
    with make(2, initialize, (1, "two")) as pool:
        assert pool.map(was_initialized, range(4)) == [(1, "two")] * 4
    pool.join()


def test_life_and_end(make):
    pool = make(2)
    assert (pool._state, pool._processes, len(pool._pool)) == ("RUN", 2, 2)
    assert repr(pool) == f"<{type(pool).__module__}.Pool state=RUN pool_size=2>"
    with pytest.raises(ValueError, match="Pool is still running"):
        pool.join()
    processes = pool._pool
    assert all(process.is_alive() and process.daemon for process in processes)
    assert [process.name.rpartition("-")[0] for process in processes] == ["ForkPoolWorker"] * 2
    result = pool.apply_async(sleep_then, (0.1, 1))
    feeding = pool.imap(double, range(100))
    pool.close()
    for ask in (pool.apply, pool.apply_async, lambda f: pool.map(f, []), lambda f: pool.imap(f, []), lambda f: pool.starmap_async(f, []), lambda f: pool.__enter__()):
        with pytest.raises(ValueError, match="Pool not running"):
            ask(double)
    pool.join()
    assert result.get(0) == 1 and list(feeding) == [2 * x for x in range(100)]
    assert not any(process.is_alive() for process in processes) and repr(pool).endswith(".Pool state=CLOSE pool_size=2>")
    pool.close()
    pool.terminate()
    pool.join()


def test_terminate(make):
    pool = make(2)
    results = [pool.apply_async(time.sleep, (LIMIT,)) for _ in range(4)]
    before = time.monotonic()
    pool.terminate()
    pool.join()
    assert time.monotonic() - before < LIMIT / 2 and len(results) == 4
    assert repr(pool).endswith("state=TERMINATE pool_size=2>")


def test_workers_are_replaced_after_so_many_calls(make):
    with make(1, maxtasksperchild=2) as pool:
        pids = [pool.apply(pid) for _ in range(7)]
    assert len(set(pids)) == 4 and pids[0] == pids[1] != pids[2]
    pool.join()


def test_what_cannot_be_pickled(pool):
    with pytest.raises(Exception, match="[Pp]ickle"):
        pool.apply(double, (threading.Lock(),))
    with pytest.raises(standard.MaybeEncodingError, match="Error sending result: .*lambda.* Reason: "):
        pool.apply(unpicklable)
    with pytest.raises(NotImplementedError, match="pool objects cannot be passed between processes or pickled"):
        pickle.dumps(pool)
    assert pool.apply(double, (1,)) == 2


def unpicklable():
    return lambda: None


def test_a_pool_that_nobody_closes_is_complained_of(make):
    pool = make(1)
    words = f"unclosed running multiprocessing pool {pool!r}"
    process = pool._pool[0]
    with pytest.warns(ResourceWarning) as caught:
        del pool
        gc.collect()
    assert [str(each.message) for each in caught if each.category is ResourceWarning] == [words]
    del caught  # which refers to the pool
    gc.collect()
    # The pool's helper reaps it, too: who comes second is told nothing, until the first has noted the exit code.
    until(lambda: process.exitcode is not None)


def test_nothing_of_a_call_is_kept(pool):
    class Thing:
        pass

    references = []
    for _ in range(3):
        told = Thing()
        references.append(weakref.ref(told))
        pool.apply_async(double, (1,), callback=lambda _, told=told: None).get(LIMIT)
    del told
    until(lambda: gc.collect() is not None and not any(reference() for reference in references))


def test_subclasses_say_how_processes_are_made():
    made = []

    class Mine(ours.Pool):
        @staticmethod
        def Process(context, *args, **keywords):
            made.append(context)
            return context.Process(*args, **keywords)

    context = get_context("fork")
    with Mine(2, context=context) as pool:
        assert pool.apply(double, (2,)) == 4 and made == [context, context]
    pool.join()
    assert isinstance(pool, standard.Pool) and issubclass(ours.Pool, standard.Pool) and ours.ThreadPool is standard.ThreadPool


# --- plait's alone


@pytest.mark.parametrize("method", METHODS)
def test_start_methods(method):
    with get_context(method).Pool(2, initialize, ("here",)) as pool:
        assert type(pool) is ours.Pool
        assert pool.map(double, range(9)) == list(range(0, 18, 2))
        assert pool.apply(was_initialized) == ("here",)
        with pytest.raises(ValueError, match="on purpose"):
            pool.apply(fail)
        assert pool.apply(double, (b"x" * 300_000,)) == b"x" * 600_000
    pool.join()


def die(how):
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), getattr(signal, how))


@pytest.mark.parametrize(("how", "words", "code"), [("SIGKILL", "was ended by SIGKILL", -9), ("SIGSEGV", "was ended by SIGSEGV", -11), ("exit", "exited with code 3", 3)])
def test_a_worker_that_dies_loses_its_call_alone(plaits, how, words, code):
    others = plaits.map_async(double, range(200), 1)
    with pytest.raises(WorkerDied, match=words) as caught:
        plaits.apply(die, (how,))
    assert caught.value.exitcode == code
    assert others.get(LIMIT) == [double(x) for x in range(200)]
    assert plaits.map(double, range(20)) == [double(x) for x in range(20)]
    until(lambda: len(plaits._pool) == 2)  # the other may have done all of it before there is a new one


def test_workers_that_die_in_maps_of_all_kinds(plaits):
    with pytest.raises(WorkerDied):
        plaits.map(die, ["SIGKILL"])
    results = plaits.imap(die_if, [0, 1, 2, 3])
    assert next(results) == 0
    with pytest.raises(WorkerDied):
        next(results)
    assert list(results) == [2, 3]
    unordered = plaits.imap_unordered(die_if, [0, 1, 2, 3])
    seen, died = set(), 0
    for _ in range(4):
        try:
            seen.add(next(unordered))
        except WorkerDied:
            died += 1
    assert (seen, died) == ({0, 2, 3}, 1)


def die_if(x):
    if x == 1:
        die("SIGKILL")
    return x


def test_a_call_that_exits(plaits):
    with pytest.raises(WorkerDied, match=r"the call would have ended its worker by sys.exit\(3\)"):
        plaits.apply(sys.exit, (3,))
    assert plaits.apply(double, (1,)) == 2


class ExitsWhenUnpickled:
    def __reduce__(self):
        return sys.exit, (5,)


def test_an_answer_that_exits(plaits):
    with pytest.raises(NotLoaded, match="what came back from the worker could not be unpickled") as caught:
        plaits.apply(ExitsWhenUnpickled)
    assert type(caught.value.__cause__) is SystemExit and plaits.apply(double, (1,)) == 2


def test_an_initializer_that_fails():
    from concurrent.futures.process import BrokenProcessPool

    with ours.Pool(2, fail, context=get_context("fork")) as pool:
        with pytest.raises(BrokenProcessPool):
            pool.apply(double, (1,))
    pool.join()


def test_what_was_not_answered_when_it_was_terminated():
    pool = ours.Pool(1, context=get_context("fork"))
    running, waiting = pool.apply_async(time.sleep, (LIMIT,)), pool.map_async(double, range(9))
    results = pool.imap(double, itertools.repeat(1))
    pool.terminate()
    for result in (running, waiting):
        with pytest.raises(WorkerDied, match="the pool was terminated"):
            result.get(LIMIT)
    with pytest.raises((WorkerDied, StopIteration)):
        results.next(LIMIT)
    pool.join()


def test_a_worker_that_ignores_sigterm(monkeypatch):
    from plait.multiprocessing import _pool_core

    monkeypatch.setattr(_pool_core, "_GRACE", 0.1)
    pool = ours.Pool(1, signal.signal, (signal.SIGTERM, signal.SIG_IGN), context=get_context("fork"))
    assert pool.apply(double, (1,)) == 2
    process = pool._pool[0]
    pool.apply_async(time.sleep, (LIMIT,))
    until(lambda: pool.stats().running == 1)
    pool.terminate()
    pool.join()
    assert process.exitcode == -signal.SIGKILL


def test_a_callback_that_raises_keeps_nobody_waiting(plaits, caplog):
    assert plaits.apply_async(double, (1,), callback=fail).get(LIMIT) == 2
    assert plaits.map_async(double, [1, 2], 1, callback=fail).get(LIMIT) == [2, 4]
    with pytest.raises(ValueError):
        plaits.apply_async(fail, (), error_callback=fail).get(LIMIT)
    until(lambda: caplog.text.count("exception calling callback") == 3)
    assert plaits._cache == {}


def test_a_bound_on_what_nobody_has_asked_for(plaits):
    taken = []

    def items():
        for x in itertools.count():
            taken.append(x)
            yield x

    for imap in (plaits.imap, plaits.imap_unordered):
        taken.clear()
        results = imap(double, items(), buffersize=3)
        until(lambda: len(taken) == 4)
        assert next(results) in (0, 2, 4)
        until(lambda: len(taken) == 5)
        with pytest.raises(ValueError, match="Buffersize must be 1\\+, not 0"):
            imap(double, [1], buffersize=0)
        with pytest.raises(ValueError, match="Chunksize must be 1\\+, not 0"):
            imap(double, [1], 0, buffersize=1)


def test_a_bounded_imap_does_not_keep_a_closed_pool():
    pool = ours.Pool(1, context=get_context("fork"))
    results = pool.imap(double, range(50), buffersize=2)
    assert next(results) == 0
    pool.close()
    pool.join()
    assert list(results) == [2 * x for x in range(1, 50)]


def test_it_is_the_executors_transport_that_runs(plaits):
    before = plaits.stats()
    plaits.map(double, range(100), 1)
    after = plaits.stats()
    assert after.messages > before.messages and after.done - before.done == 100 and {worker.pid for worker in after.workers} == {process.pid for process in plaits._pool}


def test_arrays_cross_beside_the_pickle(plaits):
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(300_000, dtype=float)
    assert plaits.apply(numpy.sum, (array,)) == array.sum()
    assert (plaits.map(double, [array, array])[1] == 2 * array).all()


def test_many_threads_at_one_pool(plaits):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(plaits.map(double, range(50), 1))) for _ in range(6)]
    threads += [threading.Thread(target=lambda: answers.append([plaits.apply(double, (x,)) for x in range(50)])) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert answers == [[double(x) for x in range(50)]] * 12


def test_a_forked_child_leaves_it_alone(plaits):
    plaits.apply(double, (1,))
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            plaits.apply(double, (1,))
        except RuntimeError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"which this one was forked from" in os.read(reader, 1000)
    assert plaits.apply(double, (1,)) == 2


def run(tmp_path, source):
    script = Path(tmp_path, "program.py")
    script.write_text("import os, sys, threading, time\nfrom plait.multiprocessing import Pool\n" + source)
    done = subprocess.run([sys.executable, "-W", "ignore", script], capture_output=True, text=True, timeout=LIMIT)
    return done.returncode, done.stdout, done.stderr


def test_a_pool_at_the_end_of_the_program_is_terminated(tmp_path):
    source = """
if __name__ == "__main__":
    pool = Pool(2)
    print(pool.apply(abs, (-1,)), [process.pid for process in pool._pool].__len__())
    result = pool.apply_async(time.sleep, (1000,))
    endless = pool.imap(abs, iter(int, 1))
"""
    assert run(tmp_path, source) == (0, "1 2\n", "")


def test_a_thread_that_outlives_the_main_one_goes_on_with_its_pool(tmp_path):
    source = """
def work():
    threading.main_thread().join()
    print(pool.map(abs, [-1, -2]), pool.apply(abs, (-3,)))
if __name__ == "__main__":
    pool = Pool(2)
    threading.Thread(target=work).start()
"""
    assert run(tmp_path, source) == (0, "[1, 2] 3\n", "")


def test_nothing_is_left_of_pools():
    def there_is():
        gc.collect()
        return len(os.listdir("/proc/self/fd")), threading.active_count(), len(multiprocessing.active_children())

    for end in ("close", "terminate"):
        counts = []
        for _ in range(4):
            pool = ours.Pool(2, context=get_context("fork"))
            assert pool.map(double, range(5)) == [0, 2, 4, 6, 8]
            list(pool.imap(double, range(5)))
            getattr(pool, end)()
            pool.join()
            del pool
            counts.append(there_is())
        assert counts[1] == counts[-1]
