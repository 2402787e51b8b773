"""A pool that recurses into itself says so; one that only looks like it does not."""

import re
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED
from pathlib import Path

import pytest
from plait import _native, _pool_deadlock
from plait.concurrent import futures
from told import Program, Said, until

Run = Callable[..., Program]
HEAD = """
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
pool = ThreadPoolExecutor({workers}, thread_name_prefix="deep")
meet = threading.Barrier({workers})
def inner(n):
    return n
"""


def program(tmp_path: Path, workers: int, body: str) -> str:
    path = tmp_path / "recursing.py"
    path.write_text(HEAD.format(workers=workers) + textwrap.dedent(body))
    return str(path)


@pytest.mark.parametrize("way", ["pool.submit(inner, 1).result()", "pool.submit(inner, 1).exception()", "list(pool.map(inner, range(3)))"])
@pytest.mark.parametrize("workers", [1, 3])
def test_it_is_explained(run: Run, tmp_path: Path, workers: int, way: str) -> None:
    body = f"""
    def outer():
        meet.wait()
        return {way}
    outers = [pool.submit(outer) for _ in range({workers})]
    print("waits", flush=True)
    outers[0].result()
    """
    recursing = run("--debug", program(tmp_path, workers, body))
    recursing.until(recursing.err, f"{workers}. thread")
    recursing.until(recursing.err, f"return {way}")
    until(lambda: recursing.text(recursing.err).endswith("\n\n"))
    said = recursing.text(recursing.err)
    assert recursing.process.poll() is None, "it waits on"
    recursing.kill()
    assert said.count("plait: deadlock:") == 1, said
    who = "the only thread of a pool waits" if workers == 1 else f"all {workers} threads of a pool wait"
    assert said.startswith(f"plait: deadlock: {who} for "), said
    assert {name for name in re.findall(r"^\d\. thread '([^']+)'", said, re.M)} == {f"deep_{n}" for n in range(workers)}
    assert len(re.findall(r"waits for <Future at 0x\w+ state=pending>, of the same pool", said)) == workers
    assert said.count(f"return {way}") == workers


@pytest.mark.parametrize("way", ["wait([future])", "list(as_completed([future]))", "wait([future], return_when='FIRST_COMPLETED')"])
def test_so_are_waits_for_several(run: Run, tmp_path: Path, way: str) -> None:
    body = f"""
    def outer():
        future = pool.submit(inner, 1)
        return {way}
    pool.submit(outer).result()
    """
    recursing = run("--debug", program(tmp_path, 1, body))
    recursing.until(recursing.err, f"return {way}")
    recursing.kill()
    assert recursing.text(recursing.err).count("plait: deadlock: the only thread of a pool waits") == 1


def test_what_can_go_on_is_not_reported(said: Said) -> None:
    with futures.ThreadPoolExecutor(2) as pool, futures.ThreadPoolExecutor(1) as other:
        assert type(pool.submit(int)) is _native.ConcurrentFuture
        assert pool.submit(lambda: pool.submit(int).result()).result(10) == 0, "there is another thread"
        assert pool.submit(lambda: other.submit(int).result()).result(10) == 0, "another pool"
        assert pool.submit(lambda: list(pool.map(abs, [-1, -2]))).result(10) == [1, 2]
    with futures.ThreadPoolExecutor(1) as pool:

        def times_out() -> bool:
            waiting = pool.submit(int)
            with pytest.raises(TimeoutError):
                waiting.result(0.01)
            return waiting.cancel()

        assert pool.submit(times_out).result(10)

        def has_another_hope() -> int:
            of_nobody: futures.Future[int] = futures.Future()
            hope: list[object] = [pool.submit(int), of_nobody]
            of_nobody.set_running_or_notify_cancel()
            other_pool = futures.ThreadPoolExecutor(1)
            other_pool.submit(of_nobody.set_result, 5)
            done, _ = futures.wait(hope, return_when=FIRST_COMPLETED)  # type: ignore[type-var]
            other_pool.shutdown()
            return len(done)

        assert pool.submit(has_another_hope).result(10) == 1
    assert said.count() == 0


def test_somebody_cancels_and_it_goes_on(said: Said) -> None:
    inner: list[futures.Future[int]] = []
    with futures.ThreadPoolExecutor(1) as pool:

        def outer() -> object:
            inner.append(pool.submit(int))
            try:
                return inner[0].result()
            except futures.CancelledError as error:
                return error

        waiting = pool.submit(outer)
        until(lambda: said.count() == 1)
        assert inner[0].cancel()
        assert isinstance(waiting.result(10), futures.CancelledError)
        assert pool.submit(int).result(10) == 0
    assert said.count() == 1 and said.records[0].getMessage().startswith("plait: deadlock: the only thread of a pool")


def test_threads_that_are_started_while_a_pool_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of all pools' threads grows whenever it could, as by other threads."""

    class Queue:
        may_grow = False

    grown: list[threading.Thread] = []

    def grow(*_: object) -> None:
        thread = threading.Thread.__new__(threading.Thread)
        grown.append(thread)
        _pool_deadlock._pools[thread] = None

    queue = Queue()
    with futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result(10)
        monkeypatch.setitem(_pool_deadlock._pools, next(iter(pool._threads)), queue)
        sys.setprofile(grow)
        try:
            stuck = _pool_deadlock._stuck(queue)
        finally:
            sys.setprofile(None)
            for thread in grown:
                del _pool_deadlock._pools[thread]
    assert stuck == [] and grown


def test_what_fails_in_the_looking_does_not_fail_the_program(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    asked = threading.Event()

    def fails(pool: object) -> None:
        asked.set()
        raise LookupError("of the explainer")

    monkeypatch.setattr(_pool_deadlock, "_stuck", fails)
    was_on = _native.explain_deadlocks(True)
    try:
        with futures.ThreadPoolExecutor(2) as pool:
            assert pool.submit(lambda: pool.submit(asked.wait, 10).result()).result(20) is True
    finally:
        _native.explain_deadlocks(was_on)
    said = capfd.readouterr().err
    assert said.startswith("plait: a pool's deadlock could not be looked for:\nTraceback") and said.endswith("LookupError: of the explainer\n")
