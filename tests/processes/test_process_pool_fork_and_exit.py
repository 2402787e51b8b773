"""Forks of a program with a pool, and its end."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pool_tasks import LIMIT, add, is_gone, note_and_wait, pid, until

from plait.concurrent.futures import ProcessPoolExecutor

HERE = os.path.dirname(__file__)


def in_child(body):
    """What a forked child writes."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            text = body()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as file:
        text = file.read()
    os.waitpid(child, 0)
    return text


def test_a_forked_child_must_not_use_the_pool(forked, tmp_path):
    pending = forked.submit(note_and_wait, str(tmp_path / "begun"))
    assert in_child(lambda: forked.submit(add, 1)) == "RuntimeError: the process pool belongs to the process that made it, which this one was forked from"
    assert in_child(lambda: pending.result(LIMIT)) == "RuntimeError: the process pool belongs to the process that made it, which this one was forked from"
    assert forked.submit(add, 1).result(LIMIT) == 2
    assert pending.kill()


def own_pool() -> str:
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as executor:
        return str(executor.submit(add, 20, 22).result(LIMIT))


def test_a_forked_child_may_have_a_pool_of_its_own(forked):
    assert forked.submit(add, 1).result(LIMIT) == 2
    assert in_child(own_pool) == "42"
    assert forked.submit(add, 1).result(LIMIT) == 2


def test_a_worker_may_have_a_pool_of_its_own(pool):
    assert pool.submit(own_pool).result(LIMIT) == "42"


def descriptors() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass
    return found


def test_a_forked_worker_has_no_descriptor_of_another_pool(forked, fork):
    forked.submit(add, 1).result(LIMIT)
    with ProcessPoolExecutor(1, fork) as other:
        theirs = other.submit(descriptors).result(LIMIT)
    # The socket, the memory and the bell of its own link.
    assert sum("plait-link" in name for name in theirs) <= 1
    assert sum("plait-bell" in name for name in theirs) <= 1


PROGRAM = """
import multiprocessing, os, sys, time
sys.path.insert(0, {here!r})
from pool_tasks import *
from plait.concurrent.futures import ProcessPoolExecutor

def later(path):
    time.sleep(0.2)
    open(path, "w").close()

if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, multiprocessing.get_context({method!r}))
    {body}
"""


def run(tmp_path, method, body, **options):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(here=HERE, method=method, body=body))
    return subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=LIMIT, check=False, **options)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_was_submitted_is_done_before_the_program_ends(tmp_path, method):
    ran = run(tmp_path, method, f"[pool.submit(later, {str(tmp_path)!r} + f'/{{n}}') for n in range(4)]")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert all((tmp_path / str(number)).exists() for number in range(4))


def test_the_program_raises(tmp_path):
    ran = run(tmp_path, "fork", "pool.submit(add, 1).result(); raise ValueError('mine')")
    assert ran.returncode == 1 and ran.stderr.rstrip().endswith("ValueError: mine") and ran.stderr.count("Traceback") == 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_nothing_is_left_when_the_program_is_killed(tmp_path, method):
    program = tmp_path / "program.py"
    begun = tmp_path / "begun"
    body = f"pool.submit(add, 1).result(); pool.submit(note_and_wait, {str(begun)!r}); print(*pool._processes, flush=True); time.sleep(3600)"
    program.write_text(PROGRAM.format(here=HERE, method=method, body=body))
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as process:
        pids = [int(word) for word in process.stdout.readline().split()]
        until(lambda: begun.exists() and begun.read_text())
        pids.append(int(begun.read_text()))
        os.kill(process.pid, signal.SIGKILL)
    for worker in pids:
        until(lambda worker=worker: is_gone(worker))


def test_a_worker_outlives_the_thread_that_started_it(fork):
    """Its parent's death ends it, not that of a thread."""
    import threading

    with ProcessPoolExecutor(1, fork) as executor:
        pids = []
        thread = threading.Thread(target=lambda: pids.append(executor.submit(pid).result(LIMIT)))
        thread.start()
        thread.join(LIMIT)
        assert executor.submit(pid).result(LIMIT) == pids[0]
        assert Path(f"/proc/{pids[0]}").exists()
