"""map: order, time-outs, chunks, buffers, progress; and quick calls that are sent together are as separate as others."""

import os
import pty
import subprocess
import sys
import threading
import time

import pytest
from pool_tasks import LIMIT, add, end, pid, wait_for_file

from plait.concurrent.futures import WorkerDied


def divide(a, b):
    return a / b


@pytest.mark.parametrize("chunksize", [1, 7])
def test_results_come_in_order(pool, chunksize):
    assert list(pool.map(add, range(300), range(300), chunksize=chunksize)) == [2 * n for n in range(300)]


def test_an_exception_comes_in_its_place(forked):
    results = forked.map(divide, [1, 1, 1], [1, 0, 2])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_time_out(forked, tmp_path):
    results = forked.map(wait_for_file, [str(tmp_path / "go")], timeout=0.05)
    with pytest.raises(TimeoutError):
        next(results)
    (tmp_path / "go").touch()


def test_wrong_arguments(forked):
    with pytest.raises(ValueError, match=r"chunksize must be >= 1\."):
        forked.map(add, [1], chunksize=0)
    with pytest.raises(ValueError, match="buffersize"):
        forked.map(add, [1], buffersize=0)
    with pytest.raises(TypeError, match="buffersize"):
        forked.map(add, [1], buffersize="1")
    assert forked.submit(add, 1).result(LIMIT) == 2


def test_no_more_is_taken_than_the_buffer_holds(forked):
    taken = []

    def numbers():
        for number in range(1_000):
            taken.append(number)
            yield number

    results = forked.map(add, numbers(), buffersize=5)
    assert len(taken) == 5
    assert [next(results) for _ in range(3)] == [1, 2, 3]
    assert len(taken) == 8
    assert list(results) == list(range(4, 1_001))


def test_a_call_that_takes_long_does_not_hold_up_those_that_were_sent_with_it(forked, tmp_path):
    list(forked.map(add, range(200)))  # calls are quick
    go = str(tmp_path / "go")
    futures = [forked.submit(add, number) for number in range(50)]
    slow = forked.submit(wait_for_file, go)
    futures += [forked.submit(add, number) for number in range(50, 150)]
    assert [future.result(LIMIT) for future in futures] == [number + 1 for number in range(150)]
    assert not slow.done()
    open(go, "w").close()
    assert slow.result(LIMIT)


def test_both_workers_wait_and_the_third_call_is_free(forked, tmp_path):
    """Calls that wait for each other have as many workers as there are, however quick the calls before them were."""
    list(forked.map(add, range(200)))
    first = forked.submit(wait_for_file, str(tmp_path / "first"))
    second = forked.submit(note, str(tmp_path / "first"))
    assert second.result(LIMIT) and first.result(LIMIT)


def note(path):
    open(path, "w").close()
    return True


def test_what_is_not_asked_for_is_cancelled(forked, tmp_path):
    go = str(tmp_path / "go")
    results = forked.map(wait_for_file, [go] * 20)
    threading.Timer(0.05, open(go, "w").close).start()
    assert next(results)
    results.close()
    assert forked.submit(add, 1).result(LIMIT) == 2


def test_deaths_in_a_map(forked):
    results = forked.map(die_at, range(30))
    assert [next(results) for _ in range(10)] == list(range(10))
    with pytest.raises(WorkerDied):
        next(results)
    assert forked.options(retries=1).submit(add, 1).result(LIMIT) == 2


def die_at(number):
    if number == 10:
        end("kill")
    return number


def test_both_workers_take_part(forked):
    pids = set(forked.map(slow_pid, range(20)))
    assert len(pids) == 2


def slow_pid(_):
    time.sleep(0.02)
    return pid()


def test_progress_by_a_function(forked):
    told = []
    assert list(forked.map(add, range(5), progress=lambda done, total: told.append((done, total)))) == [1, 2, 3, 4, 5]
    assert told == [(number, 5) for number in range(6)]


PROGRAM = """
import sys
sys.path.insert(0, {path!r})
if {plain}:
    sys.modules["rich"] = None
    sys.modules["rich.console"] = None
from pool_tasks import add
from plait.concurrent.futures import ProcessPoolExecutor
if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        assert list(pool.map(add, range(30), progress=True)) == list(range(1, 31))
"""


@pytest.mark.parametrize("plain", [True, False])
def test_progress_on_a_terminal_and_elsewhere(plain, tmp_path):
    if not plain:
        pytest.importorskip("rich")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(path=os.path.dirname(__file__), plain=plain))
    quiet = subprocess.run([sys.executable, program], capture_output=True, timeout=LIMIT, check=True)
    assert quiet.stderr == b""
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen([sys.executable, program], stderr=theirs) as process:
        os.close(theirs)
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the other side is closed
            pass
        assert process.wait(LIMIT) == 0
    os.close(ours)
    assert (b"map: 30 of 30" in shown) if plain else (b"100%" in shown)
