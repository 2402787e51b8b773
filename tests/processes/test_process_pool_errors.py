"""What cannot cross says where it is; what cannot be unpickled fails its call only; a broken initializer breaks the pool in the standard words."""

import logging
import multiprocessing
import pickle
import subprocess
import sys
import threading
from concurrent.futures.process import BrokenProcessPool

import pytest
from pool_tasks import LIMIT, NotLoadable, Unpicklable, add, make, raise_it, until

from plait.concurrent.futures import NotLoaded, ProcessPoolExecutor

try:
    import cloudpickle
except ImportError:
    cloudpickle = None


class Holder:
    def __init__(self, inner):
        self.inner = inner


@pytest.mark.parametrize(
    ("args", "kwargs", "where"),
    [
        ((1, {"callback": Unpicklable()}), {}, r"argument 2, \['callback'\]: Unpicklable object"),
        (([0, (1, Unpicklable())],), {}, r"argument 1, \[1\]\[1\]: Unpicklable object"),
        ((1,), {"b": Holder({"deep": Unpicklable()})}, r"argument 'b', \.inner\['deep'\]: Unpicklable object"),
        ((Unpicklable(),), {}, "argument 1: Unpicklable object"),
    ],
)
def test_what_cannot_be_pickled_is_named(forked, args, kwargs, where):
    future = forked.submit(add, *args, **kwargs)
    assert future.done(), "it is known at once"
    with pytest.raises(TypeError, match="not me.*" + where):
        future.result()
    assert forked.submit(add, 1).result(LIMIT) == 2


def test_the_type_is_pickles(forked):
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object; it is argument 1, \[3\]: lock object"):
        forked.submit(add, {3: threading.Lock()}).result(LIMIT)


@pytest.mark.skipif(cloudpickle is not None, reason="with cloudpickle they cross")
def test_a_lambda_says_what_would_help(forked):
    with pytest.raises((pickle.PicklingError, AttributeError), match="it is the function: function object.*cloudpickle"):
        forked.submit(lambda: 1).result(LIMIT)


@pytest.mark.skipif(cloudpickle is None, reason="cloudpickle is not installed")
def test_lambdas_and_closures_cross_by_cloudpickle(pool):
    base = 40

    def closure(number):
        return base + number

    assert pool.submit(lambda: 1).result(LIMIT) == 1
    assert pool.submit(closure, 2).result(LIMIT) == 42
    assert list(pool.map(closure, range(50))) == [40 + n for n in range(50)]
    assert pool.submit(add, 1).result(LIMIT) == 2


INTERACTIVE = """
import multiprocessing
from plait.concurrent.futures import ProcessPoolExecutor
def twice(x): return 2 * x
with ProcessPoolExecutor(1, multiprocessing.get_context({method!r})) as pool:
    print(pool.submit(twice, 21).result(60))
"""


@pytest.mark.skipif(cloudpickle is None, reason="cloudpickle is not installed")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_functions_of_a_main_without_a_file_cross(method):
    program = INTERACTIVE.format(method=method)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (ran.stdout, ran.stderr) == ("42\n", "")


def test_what_cannot_be_unpickled_in_the_worker_fails_its_call_only(pool):
    before = pool.submit(add, 1)
    with pytest.raises(NotLoaded, match="by the worker") as caught:
        pool.submit(add, NotLoadable()).result(LIMIT)
    assert isinstance(caught.value, BrokenProcessPool)
    assert type(caught.value.__cause__) is RuntimeError and str(caught.value.__cause__) == "not here"
    assert before.result(LIMIT) == 2 and pool.submit(add, 1).result(LIMIT) == 2
    assert pool.stats().restarts == 0


def test_results_that_cannot_cross(forked):
    with pytest.raises(TypeError, match="not me"):
        forked.submit(make, "unpicklable").result(LIMIT)
    with pytest.raises(NotLoaded, match="came back") as caught:
        forked.submit(make, "not loadable").result(LIMIT)
    assert str(caught.value.__cause__) == "not here"
    assert forked.stats().restarts == 0


class Odd(Exception):
    """Cannot be unpickled, as many exceptions of packages."""

    def __init__(self, one, two):
        super().__init__(one)


def test_an_exception_that_cannot_cross(forked):
    with pytest.raises(NotLoaded):
        forked.submit(raise_it_oddly).result(LIMIT)
    assert forked.submit(add, 1).result(LIMIT) == 2


def raise_it_oddly():
    raise_it(Odd(1, 2))


def fail_to_start():
    logging.disable(logging.CRITICAL)
    raise ValueError("no")


def test_a_broken_initializer_breaks_the_pool(context):
    with ProcessPoolExecutor(2, context, initializer=fail_to_start) as executor:
        future = executor.submit(add, 1)
        words = "A process in the process pool was terminated abruptly while the future was running or pending."
        with pytest.raises(BrokenProcessPool) as caught:
            future.result(LIMIT)
        assert str(caught.value) == words
        until(lambda: executor._broken)
        with pytest.raises(BrokenProcessPool, match="A child process terminated abruptly, the process pool is not usable anymore"):
            executor.submit(add, 1)


def test_workers_that_cannot_start_break_the_pool():
    """The worker is never ready: its process cannot be what it is to be."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=add, initargs=(NotLoadable(),)) as executor:
        with pytest.raises(BrokenProcessPool):
            executor.submit(add, 1).result(LIMIT)
