"""What is plait's own about executors: names are resolved beside them, and a loop that waits for a pool leaves nothing behind."""

import asyncio
import contextvars
import gc
import socket
import subprocess
import sys
import textwrap
import threading
import weakref

import plait
import pytest
from plait import _executors, _native, _offload

BLOCKED = 64
is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)


class Blocker:
    """Blocks whoever calls it, until it is opened."""

    def __init__(self) -> None:
        self.inside = 0
        self._go = threading.Event()
        self._lock = threading.Lock()
        self._came = threading.Semaphore(0)

    def __call__(self, *args, **keywords):
        with self._lock:
            self.inside += 1
        self._came.release()
        assert self._go.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))]

    def await_inside(self, count: int) -> None:
        for _ in range(count):
            assert self._came.acquire(timeout=10)

    def open(self) -> None:
        self._go.set()


@pytest.fixture
def blocker():
    blocker = Blocker()
    yield blocker
    blocker.open()


def test_blocked_calls_do_not_keep_names_from_being_resolved(blocker):
    async def main():
        loop = asyncio.get_running_loop()
        blocked = [loop.run_in_executor(None, blocker) for _ in range(BLOCKED)]
        blocker.await_inside(loop._default_executor._max_workers)
        found = await asyncio.wait_for(loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM), 10)
        assert found[0][4] == ("127.0.0.1", 80)
        assert await asyncio.wait_for(loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV), 10) == ("127.0.0.1", "80")
        assert type(loop._resolver) is _executors.ThreadPoolExecutor and type(loop._resolver._work_queue) is _native.WorkQueue
        assert not any(future.done() for future in blocked)
        blocker.open()
        await asyncio.wait(blocked)

    plait.run(main())


def test_blocked_names_do_not_keep_calls_from_being_made(blocker, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", blocker)

    async def main():
        loop = asyncio.get_running_loop()
        blocked = [loop.create_task(loop.getaddrinfo("a.test", n)) for n in range(BLOCKED)]
        await asyncio.sleep(0)
        await asyncio.to_thread(blocker.await_inside, _offload.MOST_RESOLVERS)
        assert blocker.inside == _offload.MOST_RESOLVERS
        assert await asyncio.wait_for(asyncio.to_thread(divmod, 7, 2), 10) == (3, 1)
        blocker.open()
        assert [found[0][4][1] for found in await asyncio.gather(*blocked)] == [1] * BLOCKED

    plait.run(main())


def test_resolvers_go_with_the_loop():
    async def main():
        loop = asyncio.get_running_loop()
        await loop.getaddrinfo("127.0.0.1", 1)
        resolvers.extend(loop._resolver._threads)
        assert [thread.name for thread in resolvers] == ["plait-resolver_0"]

    for close in (True, False):
        resolvers: list[threading.Thread] = []
        if close:  # without the executors' shutdown
            loop = plait.new_event_loop()
            loop.run_until_complete(main())
            loop.close()
            assert loop._resolver is None
        else:
            plait.run(main())
            assert not resolvers[0].is_alive(), "asyncio.run waits for them"
        resolvers[0].join(10)
        assert not resolvers[0].is_alive()


def test_a_subclass_that_overrides_run_in_executor_is_asked():
    class Mine(plait.EventLoop):
        asked = 0

        def run_in_executor(self, executor, func, *args):
            self.asked += 1
            return super().run_in_executor(executor, func, *args)

    loop = Mine()
    try:
        assert loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 7))[0][4][1] == 7
        assert loop.run_until_complete(loop.run_in_executor(None, int)) == 0
        assert loop.asked == 2
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def test_contexts_are_carried_into_offloaded_calls():
    variable = contextvars.ContextVar("variable", default="none")

    async def main():
        loop = asyncio.get_running_loop()
        variable.set("the task's")
        with _executors.ThreadPoolExecutor(1, carry_context=True) as pool:
            return await loop.run_in_executor(pool, variable.get), await loop.run_in_executor(None, variable.get)

    assert plait.run(main()) == ("the task's", "none")


def test_nothing_is_left_of_offloaded_calls():
    class Thing:
        pass

    async def main():
        loop = asyncio.get_running_loop()
        thing = Thing()
        known = weakref.ref(thing)
        future = loop.run_in_executor(None, lambda thing: None, thing)
        del thing
        await future
        return known

    known = plait.run(main())
    gc.collect()
    assert known() is None


def test_where_threads_are_no_threads_the_standard_pool_runs(monkeypatch):
    """gevent's patch puts a function of its own where threading starts threads."""
    name = next(name for name in ("_start_joinable_thread", "_start_new_thread") if hasattr(threading, name))
    starts, started = getattr(threading, name), []

    def start(*args, **keywords):
        started.append(args[0])
        return starts(*args, **keywords)

    monkeypatch.setattr(threading, name, start)
    with _executors.ThreadPoolExecutor(2, initializer=started.append, initargs=("initialised",)) as pool:
        assert type(pool._work_queue) is not _native.WorkQueue
        assert list(pool.map(abs, [-1, -2])) == [1, 2] and pool.submit(divmod, 7, 2).result(10) == (3, 1)
        variable = contextvars.ContextVar("variable", default="none")
        variable.set("the caller's")
        with _executors.ThreadPoolExecutor(1, carry_context=True) as carrying:
            assert carrying.submit(variable.get).result(10) == "the caller's"
            assert list(carrying.map(lambda _: variable.get(), range(2))) == ["the caller's"] * 2

        async def main():
            return await asyncio.get_running_loop().run_in_executor(pool, abs, -3)

        assert plait.run(main()) == 3
    assert "initialised" in started and len(started) >= 2


def test_a_worker_that_calls_built_in_functions_lets_others_run():
    """It runs no bytecode, between two of which the interpreter would look who else wants to run."""
    with _executors.ThreadPoolExecutor(1) as pool:
        go = threading.Event()
        pool.submit(go.wait)
        # A second's work: on a busy machine this thread may have to wait for a processor, too.
        pending = [pool.submit(sum, range(1000)) for _ in range(100_000)]
        more = pool.map(abs, range(200_000))
        go.set()
        pending[0].result(10)
        assert not is_gil_enabled() or not pending[-1].done(), "this thread had its turn long before the last"
        more.close()
        pool.shutdown(cancel_futures=True)


@pytest.mark.skipif(not is_gil_enabled(), reason="there is no GIL to let go of")
def test_so_does_one_whose_calls_are_long():
    much = list(range(2_000_000))  # to add them up takes milliseconds
    with _executors.ThreadPoolExecutor(1) as pool:
        go = threading.Event()
        pool.submit(go.wait)
        pending = [pool.submit(sum, much) for _ in range(64)]
        go.set()
        pending[0].result(10)
        done = sum(future.done() for future in pending)
        pool.shutdown(cancel_futures=True)
    assert done < 24, "this thread had its turn after a few"


# ---- calls that meet the end of the pool, or of the interpreter


@pytest.mark.parametrize("run", ["asyncio.run", "plait.run"])
def test_calls_offloaded_when_the_interpreter_exits_are_refused(run):
    program = """
    import asyncio, atexit, concurrent.futures.thread, plait
    async def main():
        loop = asyncio.get_running_loop()
        for refused in (asyncio.to_thread(int), loop.getaddrinfo("127.0.0.1", 80), loop.getnameinfo(("127.0.0.1", 80), 0)):
            try:
                print(await asyncio.wait_for(refused, 10))
            except RuntimeError as error:
                print(error)
    atexit.register(lambda: RUN(main()))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program).replace("RUN", run)], capture_output=True, text=True, timeout=60)
    # 3.12 starts no thread any more by then, which asyncio needs to shut its executor down.
    assert (done.returncode, "" if sys.version_info[:2] == (3, 12) else done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["cannot schedule new futures after interpreter shutdown"] * 3


class Held(_executors.ThreadPoolExecutor):
    """Whoever submits is held up between putting the call into the queue and starting a thread for it."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.is_held, self.goes_on = threading.Event(), threading.Event()

    def _plait_grow(self):
        self.is_held.set()
        assert self.goes_on.wait(10)
        super()._plait_grow()


def in_a_thread(submit):
    came_to = []

    def body():
        try:
            came_to.append(submit())
        except RuntimeError as error:
            came_to.append(str(error))

    thread = threading.Thread(target=body)
    thread.start()
    return thread, came_to


@pytest.mark.parametrize("end", ["shutdown", "broken", "exit"])
def test_a_call_that_was_put_when_the_end_came_is_refused(end, monkeypatch):
    texts = {
        "shutdown": "cannot schedule new futures after shutdown",
        "broken": "A thread initializer failed, the thread pool is not usable anymore",
        "exit": "cannot schedule new futures after interpreter shutdown",
    }
    pool = Held(2)
    (thread, came_to), (other, came_to_other) = (in_a_thread(lambda: pool.submit(int)) for _ in range(2))
    assert pool.is_held.wait(10)
    if end == "shutdown":
        pool.shutdown()
    elif end == "broken":
        pool._initializer_failed()
    else:
        monkeypatch.setattr(_executors._thread, "_shutdown", True)
    pool.goes_on.set()
    thread.join(10), other.join(10)
    assert came_to == came_to_other == [texts[end]] and not pool._threads


def test_a_call_that_was_put_before_the_end_is_made_by_the_threads_that_there_are(blocker):
    pool = Held(2)
    pool.goes_on.set()
    first = pool.submit(blocker)
    blocker.await_inside(1)
    pool.is_held.clear(), pool.goes_on.clear()
    thread, came_to = in_a_thread(lambda: pool.submit(int))
    assert pool.is_held.wait(10) and not first.done()
    blocker.open()
    pool.shutdown()  # iterates over the threads
    pool.goes_on.set()
    thread.join(10)
    assert came_to[0].result(10) == 0 and len(pool._threads) == 1
