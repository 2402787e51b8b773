"""The watchdog in whole programs: under ``plait run``, after a fork, when the process is stopped."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from plait import gil

BLOCKS = """
import asyncio, time
async def handler():
    time.sleep(0.3)
async def main():
    await asyncio.create_task(handler(), name="request 17")
    await asyncio.sleep(0)
asyncio.run(main())
"""


def plait(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plait", "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | environment)


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "program.py"
    path.write_text(BLOCKS)
    return str(path)


def test_it_is_on_under_plait_run(program: str) -> None:
    done = plait(program)
    assert done.returncode == 0 and done.stdout == ""
    first, *stack = done.stderr.splitlines()
    assert re.match(r"the loop in 'MainThread' was held for 0\.[2-9]\d s by ", first)
    assert "by task 'request 17' (handler): in the system call clock_nanosleep" in first
    assert stack == [f'  File "{program}", line 4, in handler', "    time.sleep(0.3)"]


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (["--watchdog", "off"], {}),
        (["--watchdog=0"], {}),
        (["--watchdog=2"], {}),
        ([], {"PLAIT_WATCHDOG": "off"}),
        ([], {"PLAIT_WATCHDOG": "1.5"}),
        ([], {"PLAIT_DISABLE": "1"}),
    ],
)
def test_it_is_quiet_when_it_is_told_to(program: str, options: list[str], environment: dict[str, str]) -> None:
    done = plait(*options, program, **environment)
    assert done.returncode == 0
    assert "held for" not in done.stderr


def test_the_option_goes_before_the_environment(program: str) -> None:
    assert "request 17" in plait("--watchdog", "0.2", program, PLAIT_WATCHDOG="off").stderr


@pytest.mark.parametrize("setting", ["soon", "-1", "nan", "1e9"])
def test_a_setting_that_is_none(program: str, setting: str) -> None:
    done = plait("--watchdog", setting, program)
    assert done.returncode == 2 and "is no threshold" in done.stderr
    # In the environment it is somebody else's mistake: the program runs.
    done = plait(program, PLAIT_WATCHDOG=setting)
    assert done.returncode == 0 and done.stderr.startswith(f"plait: PLAIT_WATCHDOG={setting} is neither")


def test_an_option_without_its_argument(program: str) -> None:
    done = plait("--watchdog")
    assert done.returncode == 2 and "argument expected for the --watchdog option" in done.stderr


def test_the_environment_switches_it_on_without_plait_run() -> None:
    source = "import plait, time\nasync def main(): time.sleep(0.3)\nplait.run(main())"
    command = [sys.executable, "-c", source]
    quiet = subprocess.run(command, capture_output=True, text=True, timeout=60)
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | {"PLAIT_WATCHDOG": "on"})
    assert (quiet.stderr, "clock_nanosleep" in told.stderr) == ("", True)


LOOKS_AGAIN = """
import plait, plait.watchdog, sys, time
depths = []
plait.watchdog.add_hook(lambda stall: depths.append(len(stall.stack)))
plait.watchdog.start(threshold=0.05)
async def main():
    time.sleep(0.2)
real, sys.getswitchinterval = sys.getswitchinterval, lambda: 0.123
plait.run(main())
sys.getswitchinterval = real
{again}
plait.run(main())
print(depths)
"""


@pytest.mark.skipif(not gil.exists(), reason="without a GIL it is not searched for")
@pytest.mark.parametrize("again", ["", "plait.watchdog.start(threshold=0.05)"])
def test_what_was_not_found_in_the_interpreter_is_looked_for_again(again: str) -> None:
    source = LOOKS_AGAIN.format(again=again)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", source], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[0, 1]\n", done.stderr


CHURNS = """
import _thread, plait, plait.watchdog, threading
over = False
def churns():
    while not over:
        begun = [threading.Lock() for _ in range(8)]
        for lock in begun:
            lock.acquire()
            _thread.start_new_thread(lock.release, ())
        for lock in begun:
            lock.acquire()
threads = [threading.Thread(target=churns) for _ in range(2)]
for thread in threads:
    thread.start()
async def main():
    for _ in range(500):
        plait.watchdog.start(threshold=3)
        plait.watchdog.stop()
plait.run(main())
over = True
for thread in threads:
    thread.join()
print("well")
"""


def test_it_starts_while_threads_come_and_go() -> None:
    """Without the GIL their states are freed at any moment."""
    done = subprocess.run([sys.executable, "-c", CHURNS], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr


FORKS = """
import asyncio, os, sys, threading, time, warnings
import plait.watchdog
warnings.simplefilter("error")
told = []
plait.watchdog.add_hook(lambda stall: told.append((stall.task, stall.what)))
plait.watchdog.start()
async def handler(): time.sleep(0.3)
async def main(name):
    await asyncio.create_task(handler(), name=name)
    await asyncio.sleep(0)
async def forks():
    await main("before")
    child = os.fork()
    if child == 0:
        os._exit(in_child())
    _, status = os.waitpid(child, 0)
    await asyncio.sleep(0.01)
    await main("after")
    return status
def in_child():
    asyncio._set_running_loop(None)
    told.clear()
    plait.run(main("child"))
    return 0 if [task for task, what in told] == ["child"] else 1
status = plait.run(forks())
print(status, [task for task, what in told])
"""


def test_a_fork_is_survived_by_both_and_nobody_is_warned_of_threads() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("0 ['before', 'after']\n", 0), done.stderr


STOPPED = """
import asyncio, sys, time
import plait.watchdog
told = []
plait.watchdog.add_hook(told.append)
plait.watchdog.start(threshold=0.5)
async def main():
    for _ in range(2):
        print("now", flush=True)
        {rests}
        await asyncio.sleep(0)
    print(told)
plait.run(main())
"""


@pytest.mark.parametrize("rests", ["time.sleep(0.2)", "await asyncio.sleep(0.2)"])
def test_a_process_that_was_stopped_is_no_stall(rests: str) -> None:
    command = [sys.executable, "-c", STOPPED.format(rests=rests)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(2):
            assert child.stdout.readline() == "now\n"
            child.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
            time.sleep(1.5)  # it is the time of the stop that must not count
            child.send_signal(signal.SIGCONT)
        assert child.stdout.readline() == "[]\n"


def test_a_program_may_end_while_it_is_told_on() -> None:
    """The interpreter goes, in the midst of a stall, in a daemon thread."""
    source = """
import plait, plait.watchdog, threading, time
plait.watchdog.start(threshold=0.01)
async def main():
    begun.set()
    time.sleep(30)
begun = threading.Event()
threading.Thread(target=lambda: plait.run(main()), daemon=True).start()
begun.wait()
time.sleep(0.06)
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
