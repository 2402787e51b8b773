"""One body over all four engines."""

import asyncio
import concurrent.futures
import contextvars
import gc
import itertools
import os
import threading
import weakref

import pytest
from executor_tasks import LIMIT, NotLoadable, add, append, die, die_at_first, fail_deeply, make_unpicklable, note_and_wait, place, raise_it, request, until, user, variables

import plait
from plait.concurrent import futures as plaits
from plait.concurrent.futures import CancelledError, NotLoaded, NotSupported, TaskKilled, WorkerDied


def test_submit(executor):
    assert executor.submit(add, 1).result(LIMIT) == 2
    assert executor.submit(add, "a", b="b").result(LIMIT) == "ab"
    assert executor.submit(pow, 2, 100).result(LIMIT) == 2**100


def test_it_is_where_it_says(executor, engine):
    process, thread = executor.submit(place).result(LIMIT)
    assert (process == os.getpid()) == (engine == "threads")
    assert (process, thread) != place()
    assert executor.engine == engine
    assert isinstance(executor, concurrent.futures.Executor)


def test_futures_are_standard(executor):
    future = executor.submit(add, 1)
    assert isinstance(future, concurrent.futures.Future)
    called = []
    future.add_done_callback(called.append)
    assert future.result(LIMIT) == 2 and future.done() and not future.cancelled() and future.exception() is None
    until(lambda: called == [future])


def test_many_at_once(executor):
    futures = [executor.submit(add, number) for number in range(300)]
    assert [future.result(LIMIT) for future in futures] == list(range(1, 301))


@pytest.mark.parametrize("module", [concurrent.futures, plaits], ids=["standard", "plait"])
def test_wait_and_as_completed(executor, module):
    futures = {executor.submit(add, number): number for number in range(20)}
    done, not_done = module.wait(futures, LIMIT)
    assert done == set(futures) and not not_done
    futures = {executor.submit(add, number): number for number in range(20)}
    assert sorted(future.result() for future in module.as_completed(futures, LIMIT)) == list(range(1, 21))
    failing = [executor.submit(raise_it, ValueError("it")), executor.submit(add, 1)]
    done, _ = module.wait(failing, LIMIT, return_when=module.FIRST_EXCEPTION)
    assert failing[0] in done


@pytest.mark.parametrize("module", [concurrent.futures, plaits], ids=["standard", "plait"])
def test_who_waits_for_several_hears_of_a_cancelled_one(executor, module, tmp_path):
    futures = [executor.submit(note_and_wait, str(tmp_path / f"begun{n}"), str(tmp_path / "go")) for n in range(4)]
    # Behind those that run; at the latest the executor knows of the cancellation when it comes to it.
    cancelled = executor.submit(add, 1)
    assert cancelled.cancel() and cancelled.cancelled()
    (tmp_path / "go").touch()
    done, _ = module.wait([*futures, cancelled], LIMIT)
    assert done == {*futures, cancelled}
    with pytest.raises(CancelledError):
        cancelled.result(LIMIT)


def test_map(executor):
    assert list(executor.map(add, range(50), range(50), timeout=LIMIT)) == [2 * n for n in range(50)]
    assert list(executor.map(add, range(50), chunksize=7)) == list(range(1, 51))
    assert list(executor.map(add, [])) == []


def test_map_with_a_buffer(executor):
    taken = itertools.count()
    results = executor.map(add, taken, buffersize=5)
    assert [next(results) for _ in range(20)] == list(range(1, 21))
    # As many as were asked for, and the buffer; the counter's next is the first that was not taken.
    assert next(taken) <= 26
    results.close()


def test_map_raises_in_its_place(executor):
    results = executor.map(divmod, [4, 4, 4], [2, 0, 1])
    assert next(results) == (2, 0)
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_map_is_out_of_time(executor, tmp_path):
    results = executor.map(note_and_wait, [str(tmp_path / "begun")], [str(tmp_path / "go")], timeout=0.05)
    with pytest.raises(TimeoutError):
        next(results)
    (tmp_path / "go").touch()


@pytest.mark.parametrize(("options", "error", "words"), [({"buffersize": 0}, ValueError, "buffersize must be None or > 0"), ({"buffersize": 1.5}, TypeError, "buffersize must be an integer or None")])
def test_map_refuses(executor, options, error, words):
    with pytest.raises(error, match=words):
        executor.map(add, [1], **options)


def test_what_is_raised(executor, engine):
    future = executor.submit(fail_deeply)
    with pytest.raises(ValueError, match="outer") as caught:
        future.result(LIMIT)
    if engine != "threads":  # the other side's traceback comes along, in words
        assert "fail_deeply" in str(caught.value.__cause__)
    with pytest.raises(SystemExit):
        executor.submit(raise_it, SystemExit(3)).result(LIMIT)
    assert executor.submit(add, 1).result(LIMIT) == 2


def test_lambdas_and_closures(executor):
    pytest.importorskip("cloudpickle")
    ten = 10
    assert executor.submit(lambda x: x + ten, 5).result(LIMIT) == 15
    assert list(executor.map(lambda x: x * ten, range(5))) == [0, 10, 20, 30, 40]


def test_what_cannot_be_pickled(executor, engine):
    if engine == "threads":
        pytest.skip("threads pickle nothing")
    with pytest.raises(TypeError, match=r"pickle.*argument 2, \['lock'\]"):
        executor.submit(add, 1, {"lock": make_unpicklable()}).result(LIMIT)
    with pytest.raises(TypeError, match="pickle"):
        executor.submit(make_unpicklable).result(LIMIT)
    with pytest.raises(NotLoaded) as caught:
        executor.submit(add, NotLoadable()).result(LIMIT)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert executor.submit(add, 1).result(LIMIT) == 2


def test_large_arguments_and_results(executor):
    data = os.urandom(3_000_000)
    assert executor.submit(add, data, b"!").result(LIMIT) == data + b"!"


def test_arrays(executor):
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(500_000.0)
    assert (executor.submit(add, array).result(LIMIT) == array + 1).all()
    several = executor.submit(add, [array], [array]).result(LIMIT)
    assert (several[1] == array).all()


def test_put(executor):
    stored = executor.put(list(range(1000)))
    assert executor.submit(len, stored).result(LIMIT) == 1000
    assert executor.submit(add, stored, b=stored).result(LIMIT) == [*range(1000), *range(1000)]
    assert list(executor.map(add, [stored] * 3, [[n] for n in range(3)])) == [[*range(1000), n] for n in range(3)]


def test_put_an_array(executor):
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(200_000)
    stored = executor.put(array)
    assert list(executor.map(numpy.sum, [stored] * 4)) == [array.sum()] * 4


def test_put_goes_nowhere_else(executor, engine, fresh):
    stored = fresh().put([1])
    with pytest.raises(ValueError, match="same executor"):
        executor.submit(len, stored).result(LIMIT)
    if engine != "threads":
        with pytest.raises(TypeError, match="not inside of another object"):
            executor.submit(len, [executor.put(1)]).result(LIMIT)


def test_a_worker_that_dies(executor, engine, tmp_path):
    if engine == "threads":
        pytest.skip("a thread does not die without the program")
    others = [executor.submit(add, number) for number in range(30)]
    dying = executor.submit(die)
    others += [executor.submit(add, number) for number in range(30)]
    with pytest.raises(WorkerDied):
        dying.result(LIMIT)
    if engine != "ray":  # Ray may blame a call that was pipelined to the worker, and has its own rule for that
        assert [future.result(LIMIT) for future in others] == [*range(1, 31), *range(1, 31)]
    assert executor.submit(add, 1).result(LIMIT) == 2


def test_retries(executor, engine, tmp_path):
    if engine == "threads":
        assert executor.options(retries=2).submit(add, 1).result(LIMIT) == 2
        return
    assert executor.options(retries=1).submit(die_at_first, str(tmp_path / "died")).result(LIMIT) == "second"
    with pytest.raises(WorkerDied):
        executor.submit(die_at_first, str(tmp_path / "again")).result(LIMIT)


def test_a_time_out(executor, engine, tmp_path):
    if engine == "threads":
        with pytest.raises(NotSupported, match='executor\\("processes"\\)'):
            executor.options(timeout=1)
        return
    quick = executor.options(timeout=LIMIT)
    late = executor.options(timeout=0.3).submit(note_and_wait, str(tmp_path / "begun"), str(tmp_path / "never"))
    with pytest.raises(TimeoutError, match="the call took longer than 0.3 seconds"):
        late.result(LIMIT)
    assert (tmp_path / "begun").exists()
    assert quick.submit(add, 1).result(LIMIT) == 2
    assert list(quick.map(add, range(5))) == [1, 2, 3, 4, 5]


def test_kill(executor, engine, tmp_path):
    future = executor.submit(note_and_wait, str(tmp_path / "begun"), str(tmp_path / "go"))
    until(lambda: (tmp_path / "begun").exists())
    if engine == "threads":
        assert not future.kill()
        (tmp_path / "go").touch()
        assert future.result(LIMIT) == "over"
        return
    assert future.kill()
    with pytest.raises(TaskKilled, match="the call was ended by kill"):
        future.result(LIMIT)
    assert not future.kill()
    assert executor.submit(add, 1).result(LIMIT) == 2
    done = executor.submit(add, 1)
    done.result(LIMIT)
    assert not done.kill()


@pytest.mark.parametrize(("options", "words"), [({"timeout": 0}, "timeout must be more than 0"), ({"timeout": -1}, "timeout must be more than 0"), ({"retries": -1}, "retries must be >= 0")])
def test_options_refuse(executor, options, words):
    with pytest.raises(ValueError, match=words):
        executor.options(**options)


def test_context_is_not_carried_unless_asked_for(executor):
    context = contextvars.copy_context()
    context.run(request.set, "one")
    assert context.run(executor.submit, variables).result(LIMIT) == ("none", "nobody")


def test_context_is_carried(fresh):
    executor = fresh(carry_context=True)
    context = contextvars.copy_context()
    context.run(request.set, "one")
    # Nobody finds this one, nor can its value be pickled.
    context.run(contextvars.ContextVar("hidden").set, make_unpicklable())
    assert context.run(executor.submit, variables).result(LIMIT) == ("one", "nobody")
    assert list(context.run(lambda: list(executor.map(add, range(3))))) == [1, 2, 3]
    assert executor.submit(variables).result(LIMIT) == ("none", "nobody")


def test_some_of_the_context_is_carried(fresh):
    executor = fresh(carry_context=[user])
    context = contextvars.copy_context()
    context.run(request.set, "one")
    context.run(user.set, "me")
    assert context.run(executor.submit, variables).result(LIMIT) == ("none", "me")


def test_context_that_cannot_be_carried(engine, fresh):
    if engine == "threads":
        pytest.skip("threads carry everything")
    hidden = contextvars.ContextVar("hidden")
    executor = fresh(carry_context=[hidden])
    hidden.set(1)
    with pytest.raises(ValueError, match="no module has it as a global"):
        executor.submit(add, 1)


@pytest.mark.parametrize("run", [asyncio.run, plait.run], ids=["asyncio", "plait"])
def test_on_a_loop(executor, run):
    async def main():
        loop = asyncio.get_running_loop()
        assert await executor.submit(add, 1) == 2
        assert await asyncio.wrap_future(executor.submit(add, 2)) == 3
        assert await loop.run_in_executor(executor, add, 3) == 4
        assert await asyncio.gather(*[loop.run_in_executor(executor, add, number) for number in range(50)]) == list(range(1, 51))
        with pytest.raises(ZeroDivisionError):
            await executor.submit(divmod, 1, 0)

    run(main())


@pytest.mark.parametrize("run", [asyncio.run, plait.run], ids=["asyncio", "plait"])
def test_a_task_that_is_cancelled_cancels_the_call(executor, run, tmp_path):
    async def main():
        running = [executor.submit(note_and_wait, str(tmp_path / f"begun{n}"), str(tmp_path / "go")) for n in range(4)]
        future = executor.submit(append, str(tmp_path / "made"), "x")

        async def wait():
            await future

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (tmp_path / "go").touch()
        for other in running:
            await other
        # On Dask and Ray four calls may be too few to keep both workers from the fifth: then it was made, and nobody has its result.
        assert future.cancelled() or future.done()

    run(main())


def test_no_thread_for_each_call(executor, tmp_path):
    executor.submit(add, 1).result(LIMIT)
    futures = [executor.submit(note_and_wait, str(tmp_path / f"begun{n}"), str(tmp_path / "go")) for n in range(40)]

    async def main():
        waiting = [asyncio.wrap_future(future) for future in futures]
        threads = threading.active_count()
        (tmp_path / "go").touch()
        await asyncio.gather(*waiting)
        return threads

    before = threading.active_count()
    assert plait.run(main()) <= before + 2


def test_shutdown(fresh, engine):
    executor = fresh()
    futures = [executor.submit(add, number) for number in range(20)]
    executor.shutdown()
    assert [future.result(0) for future in futures] == list(range(1, 21))
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(add, 1)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        list(executor.map(add, [1]))
    executor.shutdown()


def test_shutdown_without_waiting(fresh, tmp_path):
    executor = fresh()
    future = executor.submit(note_and_wait, str(tmp_path / "begun"), str(tmp_path / "go"))
    executor.shutdown(wait=False)
    assert not future.done()
    (tmp_path / "go").touch()
    assert future.result(LIMIT) == "over"


def test_shutdown_that_cancels(fresh, engine, tmp_path):
    executor = fresh()
    running = executor.submit(note_and_wait, str(tmp_path / "begun"), str(tmp_path / "go"))
    until(lambda: (tmp_path / "begun").exists())
    waiting = [executor.submit(note_and_wait, str(tmp_path / f"begun{n}"), str(tmp_path / "go")) for n in range(30)]
    executor.shutdown(wait=False, cancel_futures=True)
    (tmp_path / "go").touch()
    if engine == "ray":  # it does not tell which run
        assert running.cancelled()
    else:
        assert running.result(LIMIT) == "over"
    # Not by wait(): a pool of threads, as the standard one, tells it nothing of calls that were cancelled so.
    until(lambda: all(future.done() for future in waiting))
    assert sum(future.cancelled() for future in waiting) >= 20


def test_shutdown_with_a_deadline(fresh, engine, tmp_path):
    executor = fresh()
    futures = [executor.submit(note_and_wait, str(tmp_path / f"begun{n}"), str(tmp_path / "go")) for n in range(6)]
    until(lambda: (tmp_path / "begun0").exists())
    if engine == "threads":
        with pytest.raises(NotSupported, match="cannot be ended"):
            executor.shutdown(timeout=0.1)
        (tmp_path / "go").touch()
        executor.shutdown()
        assert futures[0].result(0) == "over"
        return
    executor.shutdown(timeout=0.1)
    assert all(future.done() for future in futures)
    ended = [future for future in futures if not future.cancelled()]
    assert futures[0] in ended
    for future in ended:
        assert isinstance(future.exception(0), TaskKilled)
    executor.shutdown(timeout=1)


def test_with(fresh):
    with fresh() as executor:
        future = executor.submit(add, 1)
    assert future.result(0) == 2


def test_nobody_refers_to_it_any_more(spec):
    executor = plait.executor(spec)
    reference = weakref.ref(executor)
    future = executor.submit(add, 1)
    del executor
    gc.collect()
    assert reference() is None
    assert future.result(LIMIT) == 2


def test_stats(fresh, engine, tmp_path):
    executor = fresh()
    assert list(executor.map(add, range(10))) == list(range(1, 11))
    until(lambda: executor.stats().done == 10)
    stats = executor.stats()
    assert stats.running == 0 and stats.queued == 0 and stats.restarts == 0
    assert sum(worker.tasks for worker in stats.workers) == 10
    assert all(worker.pid and worker.memory > 2**20 for worker in stats.workers)
    assert stats.transport == {"threads": "threads", "processes": "rings", "dask": "dask", "ray": "ray"}[engine]
    futures = [executor.submit(note_and_wait, str(tmp_path / f"begun{n}"), str(tmp_path / "go")) for n in range(5)]
    stats = executor.stats()
    assert stats.queued + stats.running == 5
    (tmp_path / "go").touch()
    concurrent.futures.wait(futures, LIMIT)
