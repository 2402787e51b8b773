"""``plait gil``: a program under the monitor, from the shell."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import plait.gil
import pytest

COMMAND = [sys.executable, "-m", "plait", "gil"]
has_gil = pytest.mark.skipif(not plait.gil.exists(), reason="this Python has no GIL")

BUSY = """
import sys, threading, time
def spins():
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        for _ in range(1000):
            pass
thread = threading.Thread(target=spins, name="spinner")
thread.start()
print("arguments", sys.argv[1:], "input", sys.stdin.readline().strip())
thread.join()
sys.exit(3)
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "busy.py"
    path.write_text(BUSY)
    return str(path)


def gil(*arguments: str, source: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], input=source, capture_output=True, text=True, timeout=60)


@has_gil
def test_the_program_runs_as_ever_and_then_the_report_comes(program: str) -> None:
    done = gil(program, "-v", "--json", source="line\n")
    assert done.stdout == "arguments ['-v', '--json'] input line\n"
    assert done.returncode == 3
    assert re.search(r"^GIL: held +\d+\.\d% of \d\.\d s", done.stderr)
    row = next(line for line in done.stderr.splitlines() if line.startswith("spinner"))
    assert float(row.split()[2 if "+" in row else 1].rstrip("%")) > 50
    assert "busy.py:" in done.stderr and "in spins" in done.stderr
    assert "why:" not in done.stderr


@has_gil
def test_advice_quotes_the_numbers(program: str) -> None:
    done = gil("--why", program)
    held = re.search(r"held (\d+\.\d%) of", done.stderr)
    assert held is not None
    why = done.stderr.partition("why: ")[2]
    assert why.startswith(f"CPU-bound under the GIL: it was held {held[1]} of the time, by spinner")
    assert "free-threaded build" in why


@has_gil
def test_json_into_a_file(program: str, tmp_path: Path) -> None:
    output = tmp_path / "report.json"
    done = gil("--json", "--why", "-o", str(output), "--interval=0.005", program)
    assert (done.returncode, done.stderr) == (3, "")
    report = json.loads(output.read_text())
    assert report["interval"] == 0.005
    spinner = next(row for row in report["threads"] if row["name"] == "spinner")
    assert spinner["held"] > 0.5 * report["seconds"] * 0.8
    assert report["holders"][0]["place"]["function"] == "spins"
    assert report["why"].startswith("why: CPU-bound")


@has_gil
def test_a_module_and_a_string() -> None:
    assert gil("-m", "this").stdout.startswith("The Zen of Python")
    done = gil("-c", "import asyncio; print(type(asyncio.new_event_loop()).__module__)")
    assert done.stdout == "plait\n"


@has_gil
def test_one_that_dies_is_reported_up_to_then() -> None:
    done = gil("-c", "import os, signal, time\ntime.sleep(1.3)\nos.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode == 128 + signal.SIGKILL
    assert done.stderr.startswith("GIL: held")


@has_gil
def test_a_signal_is_the_programs(tmp_path: Path) -> None:
    source = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\nprint('ready', flush=True)\nsignal.pause()"
    with subprocess.Popen([*COMMAND, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(30) == 7


@has_gil
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGINT"])
def test_a_signal_that_is_ignored_stays_ignored(name: str) -> None:
    """As under `nohup`."""
    number = signal.Signals[name]
    source = f"import signal; print(signal.getsignal(signal.{name}) is signal.SIG_IGN)"
    command = [*COMMAND, "-c", source]
    before = signal.signal(number, signal.SIG_IGN)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    finally:
        signal.signal(number, before)
    assert done.stdout == "True\n", done.stderr


@has_gil
@pytest.mark.parametrize("status", [0, 3])
def test_one_that_ends_before_anything_was_written_has_its_own_status(status: int) -> None:
    done = gil("-c", f"import os; os._exit({status})")
    assert (done.returncode, done.stderr) == (status, "plait gil: the program ended before there was anything to report.\n")


@has_gil
def test_one_that_cannot_be_watched() -> None:
    """There is nothing but the reason."""
    source = "import sys; sys.getswitchinterval = lambda: 0.123"
    command = ["-c", f"{source}; from plait import _gil_command as c; sys.exit(c.main(['--child', '1', '0.002', '-c', 'print(1)']))"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "\n")
    assert done.stderr == "plait gil: plait cannot look into this interpreter: the GIL was not found\n"


FORKS = """
import ctypes, os, signal, sys
null = os.open(os.devnull, os.O_RDWR)
child = {fork}()
if child == 0:
    pipes = [f for f in os.listdir("/proc/self/fd") if int(f) > 2 and os.path.exists(f"/proc/self/fd/{{f}}")
             and os.readlink(f"/proc/self/fd/{{f}}").startswith("pipe:")]
    os.write(1, b"%d\\n" % len(pipes))  # in one piece: both write
    for number in range(3):
        os.dup2(null, number)
    signal.pause()
os.write(1, b"%d\\n" % child)
os.read(0, 1)
"""


@has_gil
@pytest.mark.parametrize(("fork", "pipes"), [("os.fork", "0"), ("ctypes.PyDLL(None).fork", "1")])
def test_the_children_of_the_program_are_not_waited_for(fork: str, pipes: str) -> None:
    command = [*COMMAND, "-c", FORKS.format(fork=fork)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = sorted([process.stdout.readline(), process.stdout.readline()], key=int)
        try:
            assert lines[0] == f"{pipes}\n"
            _, told = process.communicate("\n", timeout=30)
        finally:
            os.kill(int(lines[1]), signal.SIGKILL)
        assert process.returncode == 0 and "GIL: held" in told


CLOSES_ALL = """
import os, sys, time
os.closerange(3, 1000)
files = [os.open(sys.argv[1], os.O_RDWR | os.O_CREAT) for _ in range(20)]  # one of them has the pipe's number
time.sleep(1.2)
"""


@has_gil
def test_nothing_is_written_to_the_files_of_a_program_that_closed_all_others(tmp_path: Path) -> None:
    done = gil("-c", CLOSES_ALL, str(tmp_path / "its own"))
    assert (tmp_path / "its own").read_bytes() == b""
    assert done.returncode == 0


MANY_LINES = """
import threading, time
ready = threading.Barrier(301)
def waits():
    ready.wait()
    ready.wait()
for _ in range(300):
    threading.Thread(target=waits).start()
ready.wait()
time.sleep(2.5)  # four reports of more than a pipe has room for
print("done", flush=True)
ready.wait()
"""


@has_gil
@pytest.mark.parametrize("reads", [True, False])
def test_a_reader_that_is_slow_holds_nothing_up(reads: bool) -> None:
    reader, writer = os.pipe()
    command = [*COMMAND, "--child", str(writer), "0.002", "-c", MANY_LINES]
    with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=(writer,), text=True) as process:
        os.close(writer)
        with open(reader, "rb") as pipe:
            assert process.stdout is not None and process.stdout.readline() == "done\n"
            lines = pipe.read().splitlines() if reads else []
            # Else the last is waited for no longer than five seconds.
            assert process.wait(30) == 0
    if reads:
        reports = [json.loads(line) for line in lines]
        assert len(reports) >= 2
        assert len(reports[-1]["threads"]) == 301 and not any(row["alive"] for row in reports[-1]["threads"][1:])


@has_gil
@pytest.mark.parametrize("without_rich", [False, True])
def test_a_live_table_on_a_terminal(program: str, tmp_path: Path, without_rich: bool) -> None:
    environment = dict(os.environ, TERM="xterm", COLUMNS="120")
    if without_rich:
        (tmp_path / "rich").mkdir()
        (tmp_path / "rich" / "__init__.py").write_text("raise ImportError('not here')\n")
        environment["PYTHONPATH"] = str(tmp_path)
    else:
        pytest.importorskip("rich")
    here, there = pty.openpty()
    with subprocess.Popen([*COMMAND, program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=there, env=environment) as process:
        os.close(there)
        shown = b""
        while True:
            try:
                part = os.read(here, 65536)
            except OSError:  # the other end is closed
                break
            shown += part
        os.close(here)
        assert process.wait(30) == 3
    # More than once, and the last for good.
    assert shown.count(b"GIL: held") >= 3
    assert b"spinner" in shown and b"\x1b[" in shown
    assert b"looks, one in" in shown


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "a script, -m module or -c code is needed"),
        (["--"], "a script, -m module or -c code is needed"),
        (["--frob", "x.py"], "unknown option --frob"),
        (["--interval", "soon", "x.py"], "'soon' is no interval"),
        (["--interval"], "argument expected for the --interval option"),
    ],
)
def test_a_command_line_that_is_none(arguments: list[str], problem: str) -> None:
    done = gil(*arguments)
    assert done.returncode == 2 and problem in done.stderr


def test_help() -> None:
    done = gil("--help")
    assert done.returncode == 0 and "--why" in done.stdout


@has_gil
def test_a_script_that_is_not_there() -> None:
    done = gil("/no/such/script.py")
    assert done.returncode == 2 and "can't open file" in done.stderr


@pytest.mark.skipif(plait.gil.exists(), reason="this Python has a GIL")
def test_without_a_gil_it_says_so() -> None:
    done = gil("-c", "pass")
    assert (done.returncode, done.stderr) == (1, "plait gil: this Python runs without a GIL: there is none to watch.\n")
    with pytest.raises(RuntimeError, match="there is no GIL in this interpreter"):
        plait.gil.start()
