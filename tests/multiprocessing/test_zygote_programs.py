"""Whole programs with the start method ``zygote``: their main module, how they end, and that nothing is left of them however they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LIMIT = 60
WAYS = {"python": [sys.executable], "plait run": [sys.executable, "-m", "plait", "run"]}


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(("PLAIT", "PYTHON"))}


def written(tmp_path, source):
    script = tmp_path / "program.py"
    script.write_text("from plait import multiprocessing\nimport os, signal, sys, time\ncontext = multiprocessing.get_context('zygote')\n" + source)
    return str(script)


def run(tmp_path, source, way="python"):
    done = subprocess.run([*WAYS[way], written(tmp_path, source)], capture_output=True, text=True, timeout=LIMIT, env=environment())
    return done.returncode, done.stdout, done.stderr


def start(tmp_path, source):
    return subprocess.Popen([sys.executable, written(tmp_path, source)], stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment())


def until(condition):
    give_up = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def session(pid):
    """The processes of a session that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, belongs = path.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if belongs == str(pid) and state not in "ZX":
            found.append(path.parent.name)
    return found


MAIN = """
print("imported as", __name__, flush=True)

class Job:
    def __init__(self, number):
        self.number = number

def work(job, connection):
    connection.send((type(job) is Job, job.number * 2, sys.modules["__main__"].__name__, Job.__module__, sys.argv[1:]))

if __name__ == "__main__":
    for number in range(3):
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(Job(number), theirs))
        process.start()
        print(ours.recv(), flush=True)
        process.join()
"""


@pytest.mark.parametrize("way", WAYS)
def test_the_main_module_is_imported_once_for_all(tmp_path, way):
    lines = ["imported as __main__", "imported as __mp_main__"] + [f"(True, {number * 2}, '__mp_main__', '__mp_main__', [])" for number in range(3)]
    assert run(tmp_path, MAIN, way) == (0, "\n".join([*lines, ""]), "")


def test_a_main_module_that_is_not_imported_in_the_zygote(tmp_path):
    source = MAIN.replace('if __name__ == "__main__":\n', 'if __name__ == "__main__":\n    context.set_zygote_preload([])\n')
    status, out, err = run(tmp_path, source)
    assert (status, err) == (0, "") and out.count("imported as __mp_main__") == 3 and out.count("'__mp_main__', '__mp_main__'") == 3


def test_a_main_module_without_a_guard(tmp_path):
    status, _, err = run(tmp_path, "process = context.Process(target=int)\nprocess.start()\nprocess.join()\nsys.exit(process.exitcode)\n")
    assert status == 1 and err.count("An attempt has been made to start a new process before the") == 2, "once as a warning of the zygote's, once from the process"


@pytest.mark.parametrize("way", WAYS)
def test_processes_are_on_plait_if_the_program_is(tmp_path, way):
    source = """
import asyncio
async def which():
    return type(asyncio.get_running_loop()).__module__
def tell():
    print(asyncio.run(which()), flush=True)
if __name__ == "__main__":
    process = context.Process(target=tell)
    process.start()
    process.join()
"""
    expected = "plait\n" if way == "plait run" else "asyncio.unix_events\n"
    assert run(tmp_path, source, way) == (0, expected, "")


def test_what_is_done_at_the_end_of_the_program_and_of_processes(tmp_path):
    source = """
import atexit, threading
def daemonic(connection):
    connection.send(os.getppid())
    signal.pause()
def joined():
    atexit.register(print, "exit function")
    threading.Thread(target=lambda: (time.sleep(0.05), print("its thread"))).start()
    sys.stdout.write("not flushed\\n")
if __name__ == "__main__":
    ours, theirs = context.Pipe()
    context.Process(target=daemonic, args=(theirs,), daemon=True).start()
    zygote = ours.recv()
    context.Process(target=joined).start()
    atexit.register(lambda: print("left of the zygote:", os.path.exists(f"/proc/{zygote}")))
    import multiprocessing.util as util
    atexit.unregister(util._exit_function)
    atexit.register(util._exit_function)
"""
    status, out, err = run(tmp_path, source)
    assert (status, err) == (0, "")
    assert sorted(out.splitlines()) == ["exit function", "its thread", "left of the zygote: False", "not flushed"]


LIVES = """
def worker(connection, ignores):
    if ignores:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection.send(os.getppid())
    while True:
        signal.pause()

def start(daemon, ignores=False):
    ours, theirs = context.Pipe()
    process = context.Process(target=worker, args=(theirs, ignores), daemon=daemon)
    process.start()
    return process.pid, ours.recv()

if __name__ == "__main__":
    (first, zygote), (second, _) = start(False), start(True)
    third = start(False, True)[0]
    END
    print(first, second, third, zygote, flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("forked", [False, True], ids=["", "while a fork of the program lives on"])
def test_nothing_is_left_of_a_program_that_is_killed(tmp_path, forked):
    fork = "if os.fork() == 0:\n        signal.pause()" if forked else "pass"
    with start(tmp_path, LIVES.replace("END", fork)) as program:
        try:
            pids = program.stdout.readline().split()
            assert len(pids) == 4 and all(map(runs, pids))
            program.kill()
            until(lambda: not any(map(runs, pids)))
        finally:
            os.killpg(program.pid, signal.SIGKILL)


def test_nothing_is_left_of_a_program_that_does_not_wait(tmp_path):
    with start(tmp_path, LIVES.replace("signal.pause()\n", "os._exit(3)\n", 2).replace("        os._exit(3)", "        signal.pause()").replace("END", "pass")) as program:
        pids = program.stdout.readline().split()
        until(lambda: not any(map(runs, pids)))
        assert program.wait(LIMIT) == 3


def test_a_program_that_is_killed_while_its_zygote_imports(tmp_path):
    (tmp_path / "imports_for_ever.py").write_text("import signal\nprint('importing', flush=True)\nsignal.pause()\n")
    source = "if __name__ == '__main__':\n    context.set_zygote_preload(['imports_for_ever'])\n    context.Process(target=int).start()\n"
    with start(tmp_path, source) as program:
        assert program.stdout.readline() == "importing\n"
        program.kill()
        program.wait(LIMIT)
        until(lambda: not session(program.pid))


def test_an_interrupt_from_the_terminal(tmp_path):
    source = """
def worker(connection):
    try:
        connection.send(os.getppid())
        signal.pause()
    except KeyboardInterrupt:
        connection.send("interrupted")

if __name__ == "__main__":
    ours, theirs = context.Pipe()
    process = context.Process(target=worker, args=(theirs,))
    process.start()
    ours.recv()
    try:
        print("ready", flush=True)
        ours.poll(60)
        time.sleep(0)
    except KeyboardInterrupt:
        print(ours.recv())
        process.join()
        other = context.Process(target=sys.exit, args=(3,))
        other.start()
        other.join()
        print(process.exitcode, other.exitcode)
"""
    with start(tmp_path, source) as program:
        assert program.stdout.readline() == "ready\n"
        os.killpg(program.pid, signal.SIGINT)
        assert program.stdout.read() == "interrupted\n0 3\n"
        assert program.wait(LIMIT) == 0
        until(lambda: not session(program.pid))


@pytest.mark.parametrize("variable", [{}, {"OPENBLAS_NUM_THREADS": "1"}])
def test_numpy(tmp_path, variable, monkeypatch):
    pytest.importorskip("numpy")
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    source = """
import warnings
def total(connection):
    import numpy
    connection.send((os.getppid(), int(numpy.arange(5).sum())))
if __name__ == "__main__":
    import plait.multiprocessing._zygote.client as client
    context.set_zygote_preload(["numpy"])
    ours, theirs = context.Pipe()
    with warnings.catch_warnings(record=True) as caught:
        context.Process(target=total, args=(theirs,)).start()
    parent, told = ours.recv()
    spawned = any("start by spawn" in str(each.message) for each in caught)
    print(told, spawned == (parent == os.getpid()) == (client.client._zygote is None), spawned)
"""
    status, out, err = run(tmp_path, source)
    assert (status, err) == (0, "") and out.startswith("10 True ")
    if variable:
        assert out == "10 True False\n"
