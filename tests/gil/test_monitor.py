"""The interface of plait.gil: what it refuses, what becomes of it at exit and after a fork, what it costs."""

import _thread
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import types

import plait.gil
import pytest
from known_truth import computes, watch

pytestmark = pytest.mark.skipif(not plait.gil.exists(), reason="this Python has no GIL")


def python(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, timeout=60)


def test_one_monitor_at_a_time() -> None:
    with plait.gil.monitor():
        with pytest.raises(RuntimeError, match="being watched already"):
            plait.gil.start()
    with pytest.raises(RuntimeError, match="is not being watched"):
        plait.gil.stop()
    with pytest.raises(RuntimeError, match="is not being watched"):
        plait.gil.snapshot()


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), 61])
def test_an_interval_that_is_none(interval: float) -> None:
    with pytest.raises(ValueError, match="is no interval"):
        plait.gil.start(interval=interval)
    with pytest.raises(RuntimeError, match="is not being watched"):
        plait.gil.stop()


@pytest.mark.parametrize("budget", [0, -1, 1.5, float("nan")])
def test_a_budget_that_is_none(budget: float) -> None:
    with pytest.raises(ValueError, match="is no share of a processor"):
        plait.gil.start(budget=budget)


def test_a_snapshot_grows_and_the_threads_of_the_monitor_are_not_in_it() -> None:
    before = threading.active_count()
    plait.gil.start()
    try:
        while (first := plait.gil.snapshot()).samples < 5:
            pass
        while (second := plait.gil.snapshot()).samples <= first.samples:
            pass
        assert {row.name for row in second.threads} <= {thread.name for thread in threading.enumerate()}
        assert threading.active_count() == before
    finally:
        report = plait.gil.stop()
    assert report.samples > second.samples
    assert "thread" in report.text()
    assert json.loads(report.json())["samples"] == report.samples


def test_the_times_of_a_thread_add_up() -> None:
    watched = watch(0.5, one=computes, two=computes)
    for row in watched.report.threads:
        assert row.seen <= watched.report.seconds * 1.001
    total = watched.report.held + watched.report.free
    assert total == pytest.approx(watched.report.seconds, rel=0.05)


def test_a_program_that_does_not_stop_it_ends_well() -> None:
    done = python("import plait.gil, threading, time; plait.gil.start(); print('well')\n"
                  "for _ in range(20): threading.Thread(target=time.sleep, args=(0.001,)).start()")
    assert (done.returncode, done.stdout, done.stderr) == (0, "well\n", "")


def test_a_child_begins_without() -> None:
    done = python("""
import os, plait.gil
plait.gil.start()
if os.fork() == 0:
    try:
        plait.gil.stop()
    except RuntimeError as error:
        print(error, flush=True)
    with plait.gil.monitor() as report:
        for _ in range(2_000_000): pass
    print(report.samples > 0, report.threads[0].name, flush=True)
    os._exit(0)
print(os.wait()[1], plait.gil.stop().samples > 0)
""", "-W", "ignore")
    assert done.stdout.splitlines() == ["the GIL is not being watched", "True MainThread", "0 True"], done.stderr


def test_an_interpreter_that_cannot_be_looked_into_is_told() -> None:
    """Where the switch interval is not what the interpreter says, the GIL is not found; nothing is guessed."""
    done = python("""
import sys, plait.gil
real, sys.getswitchinterval = sys.getswitchinterval, lambda: 0.123
try:
    plait.gil.start()
except RuntimeError as error:
    print(error)
sys.getswitchinterval = real
plait.gil.start(); print(plait.gil.stop().samples > 0)
""")
    assert done.stdout.splitlines() == ["plait cannot look into this interpreter: the GIL was not found", "True"]


def test_it_starts_while_threads_come_and_go() -> None:
    """One that has been made and has not begun is on the interpreter's list, too."""
    for _ in range(100):
        _thread.start_new_thread(lambda: None, ())
        plait.gil.start()
        plait.gil.stop()


def _without_lines() -> types.CodeType:
    code = compile("start(); stop()", "no_lines.py", "exec")
    # The same units of code, all of the kind that belongs to no line.
    units = len(code.co_code) // 2
    table = bytes(0x80 | 15 << 3 | 7 for _ in range(units // 8))
    return code.replace(co_linetable=table + (bytes([0x80 | 15 << 3 | units % 8 - 1]) if units % 8 else b""))


@pytest.mark.parametrize("code", [compile("start(); stop()", "a\udc80.py", "exec"), _without_lines()], ids=["name", "lines"])
def test_it_starts_in_code_whose_place_cannot_be_compared(code: types.CodeType) -> None:
    problem = None
    try:
        exec(code, {"start": plait.gil.start, "stop": plait.gil.stop})
    except Exception as error:  # not shown by pytest: a line of its traceback has no number
        problem = repr(error)
    assert problem is None


def test_a_thread_that_has_ended_gets_no_others_name() -> None:
    """Its ident is given to the next one."""
    names: dict[int, str] = {}

    def computes_for(seconds: float) -> None:
        names[threading.get_native_id()] = threading.current_thread().name
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            pass

    with plait.gil.monitor() as report:
        for number in range(8):
            thread = threading.Thread(target=computes_for, args=(0.012 if number < 7 else 0.3,), name=f"number {number}")
            thread.start()
            thread.join()
    rows = [row for row in report.threads if row.native_id in names]
    assert "number 7" in {row.name for row in rows}
    for row in rows:
        assert row.name in (names[row.native_id], f"{computes_for.__qualname__} ({row.native_id})")


def test_a_monitor_that_a_child_inherits_is_let_go() -> None:
    """More than once, in a child that starts threads of its own in the memory of the parent's."""
    done = python("""
import os, threading, plait.gil
for _ in range(20):
    plait.gil.start()
    if (child := os.fork()) == 0:
        for _ in range(20):
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
        os._exit(0)
    plait.gil.stop()
    print(os.waitpid(child, 0)[1], end=" ")
""", "-W", "ignore")
    assert done.stdout.split() == ["0"] * 20, done.stderr


def test_where_the_kernel_does_not_tell_what_threads_do_it_says_so_at_once() -> None:
    done = python("""
import os, resource, time, plait.gil
lowest = os.open("/dev/null", os.O_RDONLY)
os.close(lowest)
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))  # there is no room to open a file of /proc
start = time.monotonic()
try:
    plait.gil.start()
except RuntimeError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_NOFILE, limits)
print(time.monotonic() - start < 4)
plait.gil.start(); print(plait.gil.stop().samples > 0)
""")
    assert re.fullmatch(
        "plait cannot look into this interpreter: the kernel does not tell what a thread is at: "
        r"/proc/self/task/\d+/syscall: Too many open files \(os error 24\)\nTrue\nTrue\n",
        done.stdout,
    ), done.stdout + done.stderr


def test_no_descriptor_is_kept() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with plait.gil.monitor():
        during = set(os.listdir("/proc/self/fd"))
    assert during == before


def work(rounds: int) -> float:
    """Seconds of processor time of the whole process for the same work."""
    def part() -> None:
        for _ in range(rounds):
            sum(range(1000))

    start = time.process_time()
    threads = [threading.Thread(target=part) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.process_time() - start


def test_it_costs_less_than_two_percent() -> None:
    """Pairs of runs one after the other, with and without: the median of their ratios; up to three times, on a machine that does other work too."""
    for _ in range(3):
        ratios = []
        for _ in range(7):
            without = work(25_000)
            plait.gil.start()
            watched = work(25_000)
            plait.gil.stop()
            ratios.append(watched / without)
        if statistics.median(ratios) < 1.02:
            return
    pytest.fail(f"the monitor costs {100 * (statistics.median(ratios) - 1):.1f} %")
