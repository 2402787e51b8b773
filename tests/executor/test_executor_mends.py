"""What went wrong once: calls that nobody settled, answers that could not come back, and waits that could not end."""

import asyncio
import contextlib
import contextvars
import subprocess
import sys
import threading

import pytest
from executor_packages import needs
from executor_tasks import LIMIT, add, note_and_wait, tell_process_and_wait, until

import plait
from plait._executor import _context
from plait._executor._calls import Calls
from plait._executor._context import Carrier
from plait.concurrent.futures import ClusterLost, TaskKilled, wait

CLUSTERS = ["dask", "ray"]


# ---- what comes back


@pytest.mark.parametrize("engine", CLUSTERS)
def test_an_instance_of_a_class_that_goes_by_value(executor):
    pytest.importorskip("cloudpickle")

    class Page:
        def __init__(self, words):
            self.words = words

    class NoPage(Exception):
        pass

    def refuse():
        raise NoPage(404)

    page = executor.submit(lambda words: Page(words + 1), 2).result(LIMIT)
    assert type(page) is Page and page.words == 3
    with pytest.raises(NoPage) as caught:
        executor.submit(refuse).result(LIMIT)
    assert caught.value.args == (404,) and "refuse" in str(caught.value.__cause__)


def test_chunks_take_what_was_put(executor):
    stored = executor.put(list(range(100)))
    assert list(executor.map(len, [stored] * 5, chunksize=2)) == [100] * 5
    assert list(executor.map(add, [stored] * 3, [[n] for n in range(3)], chunksize=2)) == [[*range(100), n] for n in range(3)]


# ---- calls that nobody would settle


class Refusing:
    """An engine that is closed while it is handed a call."""

    name = "refusing"
    tells_what_runs = False

    def __init__(self, calls):
        self.calls = calls
        self.is_closed = False

    def is_here(self):
        return False

    def start(self, calls):
        self.calls.close(False)
        raise ClusterLost("it is gone")

    def close(self):
        self.is_closed = True


def test_a_call_that_is_refused_while_the_executor_is_shut_down():
    calls = Calls(Carrier(False))
    calls.engine = Refusing(calls)
    with pytest.raises(ClusterLost):
        calls.submit(add, [((1,), {})], 0, None)
    assert calls.wait(LIMIT)
    assert calls._closed.wait(LIMIT) and calls.engine.is_closed


@pytest.fixture
def on_a_client(dask_address):
    """An executor on a client of the program's, and that client."""
    from distributed import Client

    client = Client("tcp://" + dask_address, set_as_default=False)
    executor = plait.executor("dask", client=client)
    yield executor, client
    executor.shutdown(timeout=LIMIT)
    client.close()


def test_a_client_that_is_closed_before_answers_are_fetched(on_a_client, monkeypatch):
    from plait._executor import _dask

    executor, client = on_a_client
    monkeypatch.setattr(_dask, "_SHARE", -1)
    monkeypatch.setattr(_dask, "_TOGETHER", 3600)
    futures = [executor.submit(add, number) for number in range(10)]
    until(lambda: len(executor._core.engine._answered) == 10)
    client.close()
    done, left = wait(futures, LIMIT)
    assert not left and all(isinstance(future.exception(), ClusterLost) for future in done)


def test_what_comes_after_the_client_was_closed(on_a_client, tmp_path):
    executor, client = on_a_client
    running = executor.submit(note_and_wait, str(tmp_path / "begun"), str(tmp_path / "go"))
    until(lambda: (tmp_path / "begun").exists())
    client.close()
    (tmp_path / "go").touch()
    assert isinstance(running.exception(LIMIT), ClusterLost)
    with pytest.raises(ClusterLost, match="the Dask client is closed"):
        executor.submit(add, 1).result(LIMIT)
    with pytest.raises(ClusterLost, match="the Dask client is closed"):
        executor.options(timeout=1)
    assert not running.kill() and not running.cancel()
    executor.shutdown(timeout=LIMIT)


def test_a_call_is_cancelled_when_there_is_no_loop_any_more(on_a_client, monkeypatch):
    executor, _ = on_a_client
    engine = executor._core.engine

    def closed(*_):
        raise RuntimeError("Event loop is closed")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_tell_loop", lambda: None)
        waiting, ended = executor.submit(add, 1), executor.submit(add, 2)
    with monkeypatch.context() as patch:
        patch.setattr(engine._loop, "call_soon_threadsafe", closed)
        assert waiting.cancel() and waiting.cancelled()
        for call in executor._core.all():
            engine.end(call, TaskKilled("it"))
        assert isinstance(ended.exception(LIMIT), TaskKilled)
    assert executor._core.wait(0)


def test_workers_that_say_nothing_when_a_call_is_ended(on_a_client, tmp_path, monkeypatch):
    from plait._executor import _dask

    executor, client = on_a_client
    future = executor.submit(note_and_wait, str(tmp_path / "begun"), str(tmp_path / "go"))
    until(lambda: (tmp_path / "begun").exists())

    async def say_nothing(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(_dask, "_PATIENCE", 0.1)
    monkeypatch.setattr(client, "run", say_nothing)
    assert future.kill()
    with pytest.raises(TaskKilled) as caught:
        future.result(LIMIT)
    assert "its worker may still be at it" in caught.value.__notes__[0]
    (tmp_path / "go").touch()


@pytest.mark.parametrize("engine", CLUSTERS)
def test_a_call_with_a_time_out_is_ended_though_it_was_cancelled(executor, tmp_path):
    told = tmp_path / "process"
    future = executor.options(timeout=1).submit(tell_process_and_wait, str(told))
    until(told.exists)
    process = int(told.read_text())
    assert future.cancel()
    until(lambda: not is_running(process))


def is_running(process):
    with contextlib.suppress(OSError):
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    return False


# ---- waits that could not end


@pytest.mark.parametrize("engine", CLUSTERS)
def test_a_shutdown_by_the_thread_that_settles_futures(fresh, engine, tmp_path):
    executor = fresh()
    raised, called = [], threading.Event()

    def shut_down(_):
        try:
            executor.shutdown()
        except RuntimeError as error:
            raised.append(str(error))
        called.set()

    future = executor.submit(note_and_wait, str(tmp_path / "begun"), str(tmp_path / "go"))
    future.add_done_callback(shut_down)
    (tmp_path / "go").touch()
    assert called.wait(LIMIT)
    assert raised == ["cannot join current thread"]
    executor.shutdown()


SESSIONS = """
import math, time
import plait, ray
from plait.concurrent.futures import ClusterLost, wait

first = plait.executor("ray", max_workers=1)
assert first.submit(math.factorial, 5).result(60) == 120
futures = [first.submit(time.sleep, 600) for _ in range(3)] + [first.options(timeout=500).submit(time.sleep, 600)]
ray.shutdown()
assert not wait(futures, 60).not_done
assert any(isinstance(future.exception(), ClusterLost) for future in futures)
try:
    first.submit(math.factorial, 5)
except ClusterLost as error:
    assert "the program has ended it" in str(error)
else:
    raise AssertionError("a session began by itself")
assert not ray.is_initialized()

second = plait.executor("ray", max_workers=1)
first.shutdown()
assert ray.is_initialized() and second.submit(math.factorial, 6).result(60) == 720
second.shutdown()
assert not ray.is_initialized()
third = plait.executor("ray", max_workers=1)
waiting = third.submit(time.sleep, 600)
ray.shutdown()
print("end")  # and exits, though nobody has shut the third down
"""


def test_the_program_ends_the_ray_session():
    needs("ray")
    done = subprocess.run([sys.executable, "-c", SESSIONS], capture_output=True, text=True, timeout=4 * LIMIT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "end"


LEAVES = """
import sys
import plait

def append(path, text):
    with open(path, "a") as file:
        file.write(text + "\\n")

executor = plait.executor("dask://" + sys.argv[1], connect_timeout=60)
futures = [executor.submit(append, sys.argv[2], str(number)) for number in range(20)]
"""


def test_what_was_submitted_is_done_before_the_program_exits(dask_address, tmp_path):
    pytest.importorskip("cloudpickle")
    command = [sys.executable, "-c", LEAVES, dask_address, str(tmp_path / "made")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * LIMIT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted((tmp_path / "made").read_text().split(), key=int) == [str(number) for number in range(20)]


# ---- what is left, and what it costs


def test_nothing_is_left_in_dask(on_a_client, tmp_path):
    executor, client = on_a_client
    futures = [executor.submit(add, number) for number in range(100)]
    for future in futures[::5]:
        future.cancel()
    futures += [executor.submit(divmod, 1, 0), executor.options(timeout=LIMIT).submit(add, 1)]
    results = executor.map(add, range(1000), buffersize=10)
    next(results)
    results.close()
    wait(futures, LIMIT)
    engine = executor._core.engine
    until(lambda: not client.futures and not engine._finished)
    until(lambda: not client.run_on_scheduler(number_of_tasks))
    assert not executor._core._calls and not engine._moves and not engine._numbered and not engine._clocks and not engine._answered
    until(lambda: len(engine._following) == 1)  # who watches the loop


def number_of_tasks(dask_scheduler):
    return sum(not key.startswith("append") for key in dask_scheduler.tasks)


def test_dask_is_not_asked_for_each_answer(on_a_client, monkeypatch):
    executor, client = on_a_client
    asked = []
    fetch = executor._core.engine._fetch

    async def counted():
        asked.append(None)
        await fetch()

    monkeypatch.setattr(executor._core.engine, "_fetch", counted)
    assert [future.result(LIMIT) for future in [executor.submit(add, number) for number in range(400)]] == list(range(1, 401))
    assert len(asked) < 200


def test_variables_that_are_nowhere_are_not_looked_for_each_time(monkeypatch):
    looked = []
    find = _context._find
    monkeypatch.setattr(_context, "_find", lambda variable: looked.append(variable) or find(variable))
    monkeypatch.setattr(_context, "_LOOK", 3600.0, raising=False)
    variable = contextvars.ContextVar("nowhere")
    context = contextvars.Context()
    context.run(variable.set, 1)
    for _ in range(5):
        assert context.run(Carrier(True).for_process) == []
    assert looked == [variable]
    with pytest.raises(ValueError, match="no module has it as a global"):
        context.run(Carrier([variable]).for_process)
