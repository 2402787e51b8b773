"""What ``plait run`` changes, and how: loops, children of multiprocessing, Ctrl-C, the kill switch."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from same_as_python import WHICH_LOOP, assert_same, environment, outcome, plait, python

PRINT_LOOP = WHICH_LOOP + "print(asyncio.run(which_loop()))\n"


def write(tmp_path: Path, source: str, name: str = "script.py") -> str:
    (tmp_path / name).write_text(source, encoding="utf-8")
    return name


def test_loops_are_plaits(tmp_path: Path) -> None:
    script = write(tmp_path, PRINT_LOOP)
    assert python(script, cwd=tmp_path).stdout == b"asyncio\n"
    assert plait(script, cwd=tmp_path).stdout == b"plait\n"
    assert plait("-m", "script", cwd=tmp_path).stdout == b"plait\n"
    assert plait("-c", PRINT_LOOP, cwd=tmp_path).stdout == b"plait\n"
    assert plait("-", cwd=tmp_path, stdin=PRINT_LOOP.encode()).stdout == b"plait\n"


def test_a_loop_that_the_program_names_is_respected(tmp_path: Path) -> None:
    chosen = "with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:\n    print(runner.run(which_loop()))\n"
    assert plait(write(tmp_path, WHICH_LOOP + chosen), cwd=tmp_path).stdout == b"asyncio\n"


def test_the_console_script(tmp_path: Path) -> None:
    """The installed command, whose directory python put at the front of sys.path."""
    script = write(tmp_path, "import sys\nprint(sys.argv, sys.path[0])\n1 / 0\n")
    command = Path(sys.executable).with_name("plait")
    assert outcome([str(command), "run", script, "a"], tmp_path) == python(script, "a", cwd=tmp_path)


def test_kill_switch(tmp_path: Path) -> None:
    script = write(tmp_path, "import plait\nplait.install()\n" + PRINT_LOOP)
    off = plait(script, cwd=tmp_path, PLAIT_DISABLE="1")
    assert (off.status, off.stdout) == (0, b"asyncio\n")
    assert off.stderr == b"plait: disabled by PLAIT_DISABLE=1; the standard modules are used.\n"
    assert plait(script, cwd=tmp_path, PLAIT_DISABLE="0").stdout == b"plait\n"


def test_kill_switch_of_run_and_mirror(tmp_path: Path) -> None:
    source = WHICH_LOOP + "import plait\nprint(plait.run(which_loop()), plait.asyncio.run(which_loop()))\n"
    off = python(write(tmp_path, source), cwd=tmp_path, PLAIT_DISABLE="1")
    assert off.stdout == b"asyncio asyncio\n"
    assert off.stderr.count(b"PLAIT_DISABLE") == 1


CHILDREN = (
    WHICH_LOOP
    + """
import multiprocessing, sys
from dataclasses import dataclass

@dataclass
class Job:
    number: int

def work(job):
    module = sys.modules["__main__"]
    return type(job) is Job, job.number * 2, asyncio.run(which_loop()), module.__name__

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(1) as pool:
        print(pool.apply(work, (Job(21),)), flush=True)
else:
    print("imported as", __name__, flush=True)
"""
)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("start", [["script.py"], ["-m", "script"]])
def test_fresh_children_find_main_and_run_on_plait(method: str, start: list[str], tmp_path: Path) -> None:
    write(tmp_path, CHILDREN)
    stock, ours = python(*start, method, cwd=tmp_path), plait(*start, method, cwd=tmp_path)
    assert (stock.status, stock.stderr) == (ours.status, ours.stderr) == (0, b"")
    assert stock.stdout == b"imported as __mp_main__\n(True, 42, 'asyncio', '__mp_main__')\n"
    assert ours.stdout == stock.stdout.replace(b"'asyncio'", b"'plait'")


def test_forked_children_run_on_plait(tmp_path: Path) -> None:
    write(tmp_path, CHILDREN)
    assert plait("script.py", "fork", cwd=tmp_path).stdout == b"(True, 42, 'plait', '__main__')\n"


def test_children_of_a_disabled_run_are_stock(tmp_path: Path) -> None:
    write(tmp_path, CHILDREN)
    assert b"'asyncio'" in plait("script.py", "spawn", cwd=tmp_path, PLAIT_DISABLE="1").stdout


def interrupt(command: list[str], cwd: Path) -> tuple[int, bytes]:
    """Start, wait for the program's line "ready", press Ctrl-C, and return how it ended and what stderr got."""
    child = subprocess.Popen(command, cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGINT)
        stderr = child.communicate(timeout=60)[1]
    finally:
        child.kill()
        child.wait()
    return child.returncode, stderr


# Takes the signal at one line and no other, whenever it comes, so that two tracebacks can be compared.
TAKES_CTRL_C_AT_ONE_LINE = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("ready", flush=True)
while signal.SIGINT not in signal.sigpending():
    pass
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
"""


def test_ctrl_c_outside_of_a_loop_is_told_as_python_tells_it(tmp_path: Path) -> None:
    script = write(tmp_path, TAKES_CTRL_C_AT_ONE_LINE)
    status, stderr = interrupt([sys.executable, "-m", "plait", "run", script], tmp_path)
    assert (status, stderr) == interrupt([sys.executable, script], tmp_path)
    assert status == -signal.SIGINT


ENDLESS = """
import asyncio

async def consumer(queue):
    while True:
        await queue.get()
        queue.task_done()

async def main():
    queue = asyncio.Queue()
    asyncio.get_running_loop().call_soon(lambda: print("ready", flush=True))
    try:
        await asyncio.gather(*(consumer(queue) for _ in range(3)))
    finally:
        print("cancelled", flush=True)

asyncio.run(main())
"""


def test_ctrl_c_ends_an_endless_asyncio_program(tmp_path: Path) -> None:
    script = write(tmp_path, ENDLESS)
    status, stderr = interrupt([sys.executable, "-m", "plait", "run", script], tmp_path)
    assert status == -signal.SIGINT
    assert stderr.endswith(b"\nKeyboardInterrupt\n")
    assert b"_run.py" not in stderr and b"_loop.py" not in stderr


def test_asyncio_programs_print_what_they_print_on_stock(tmp_path: Path) -> None:
    source = """
import asyncio, sys
async def child(n):
    await asyncio.sleep(0)
    if n == 2:
        raise ValueError("两")
    return n
async def main():
    print(await asyncio.gather(*(child(n) for n in range(4)), return_exceptions=True))
    print(await asyncio.wait_for(child(1), 10))
    try:
        asyncio.run(child(0))
    except RuntimeError as error:
        print(error)
coro = main()
asyncio.run(coro)
print(input())
"""
    assert assert_same(write(tmp_path, source), cwd=tmp_path, stdin=b"line\n").status == 0


def test_misuse_is_told_with_status_2(tmp_path: Path) -> None:
    for arguments, word in (([], b"needed"), (["-m"], b"-m option"), (["-z"], b"-z"), (["--"], b"needed")):
        told = plait(*arguments, cwd=tmp_path)
        assert (told.status, told.stdout) == (2, b"")
        assert word in told.stderr and b"usage: plait run" in told.stderr
