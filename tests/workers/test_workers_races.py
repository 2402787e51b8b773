"""Things that happen to workers at the same time, or at a moment when others would not be expected."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from supervised import APPS, PATIENCE, free_port, is_alive, line, running, script, supervised, until

PLAIN = APPS / "plain_app.py"


def that_begins_when_told(path: Path) -> Path:
    """The plain program, but it waits for a file before it begins, and says that it waits."""
    wait = f"import os, time\nprint('waits', os.getpid(), flush=True)\nwhile not os.path.exists({str(path / 'go')!r}):\n    time.sleep(0.01)\n"
    return script(path, PLAIN.read_text().replace("import sys\n", "import sys\n" + wait, 1))


def test_a_worker_that_dies_while_it_is_replaced_leaves_one_in_its_place(tmp_path: Path) -> None:
    port = free_port()
    file = that_begins_when_told(tmp_path)
    (tmp_path / "go").touch()
    with supervised("--workers", 1, file, port) as program:
        program.until_said("1 worker is ready")
        (old,) = program.pids()
        (tmp_path / "go").unlink()
        program.signal(signal.SIGHUP)
        program.until_said("waits", 2)
        os.kill(old, signal.SIGKILL)
        program.until_said("was ended by SIGKILL, and is replaced")
        (tmp_path / "go").touch()
        program.until_said("1 worker is reloaded")
        (new,) = program.pids()
        # Whatever is done for the one that died comes before this.
        program.reload()
        until(lambda: not is_alive(new))
        assert program.said().count("waits") == 3
        assert len(program.pids()) == 1
        assert line(port) == str(program.pids()[0])


def test_a_reload_while_workers_end_starts_none(tmp_path: Path) -> None:
    port = free_port()
    with supervised("--workers", 2, PLAIN, port) as program:
        program.until_said("ready")
        before = set(program.pids())
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(b"slow 1.5\n")
            assert line(port)
            program.signal(signal.SIGTERM)
            until(lambda: len(program.pids()) == 1)
            program.signal(signal.SIGHUP)
            assert int(sock.recv(100)) in before
            assert program.exit_status() == 0
        assert "is replaced" not in program.said()
        until(lambda: not any(is_alive(pid) for pid in before))


def test_signals_in_a_row_while_it_reloads(tmp_path: Path) -> None:
    port = free_port()
    file = that_begins_when_told(tmp_path)
    (tmp_path / "go").touch()
    with supervised("--workers", 2, file, port) as program:
        program.until_said("2 workers are ready")
        (tmp_path / "go").unlink()
        program.signal(signal.SIGHUP)
        program.until_said("waits", 3)
        for _ in range(5):
            program.signal(signal.SIGHUP)
        (tmp_path / "go").touch()
        # Those that came meanwhile ask for one more.
        program.until_said("are reloaded", 2)
        until(lambda: len(program.pids()) == 2)
        assert program.said().count("are reloaded") == 2
        (tmp_path / "go").unlink()
        program.signal(signal.SIGHUP)
        program.until_said("waits", 7)
        assert program.end() == 0


def test_a_second_signal_ends_at_once_and_a_wait_is_told_of(tmp_path: Path) -> None:
    port = free_port()
    with supervised("--workers", 2, "--deadline", 1000, PLAIN, port) as program:
        program.until_said("ready")
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(b"slow 1000\n")
            assert line(port)
            program.signal(signal.SIGINT)
            program.until_said("1 worker is not through yet, with 1 connection; a second SIGTERM or Ctrl-C ends them at once")
            program.signal(signal.SIGINT)
            assert program.exit_status() == 0


def test_a_reload_that_cannot_be_done_says_why(tmp_path: Path) -> None:
    file = script(tmp_path, PLAIN.read_text())
    with supervised("--workers", 2, file, free_port()) as program:
        program.until_said("ready")
        file.write_text("import nothing_such")
        program.signal(signal.SIGHUP)
        program.until_said("the reload is given up")
        program.until_said("No module named 'nothing_such'")
        assert program.said().count("No module named 'nothing_such'") == 1


def test_those_that_are_through_do_not_keep_others_from_being_reloaded(tmp_path: Path) -> None:
    source = PLAIN.read_text().replace("async def main() -> None:\n", "async def main() -> None:\n    if os.environ['PLAIT_WORKER'] == '1':\n        return\n")
    with supervised("--workers", 2, script(tmp_path, source), free_port()) as program:
        program.until_said("1 worker is ready")
        (old,) = program.pids()
        program.signal(signal.SIGHUP)
        program.until_said("1 worker is reloaded")
        until(lambda: not is_alive(old))
        assert program.end() == 0


# ---- several sockets

TWO_PORTS = """
import asyncio, os, sys

async def handle(reader, writer):
    while await reader.readline():
        writer.write(b"%d\\n" % os.getpid())
        await writer.drain()
    writer.close()

async def main():
    one = await asyncio.start_server(handle, "127.0.0.1", int(sys.argv[1]))
    print("one", flush=True)
    while not os.path.exists(sys.argv[3]):
        await asyncio.sleep(0.01)
    other = await asyncio.start_server(handle, "127.0.0.1", int(sys.argv[2]))
    print("other", flush=True)
    await asyncio.gather(one.serve_forever(), other.serve_forever())

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["death", "reload"])
@pytest.mark.parametrize("sharing", ["inherit", "reuseport"])
def test_no_socket_is_let_go_before_the_next_worker_has_it(tmp_path: Path, sharing: str, how: str) -> None:
    ports, go = [free_port(), free_port()], tmp_path / "go"
    go.touch()
    with supervised("--workers", 1, "--sharing", sharing, script(tmp_path, TWO_PORTS), *ports, go) as program:
        program.until_said("other", 1)
        program.until_said("ready")
        (pid,) = program.pids()
        go.unlink()
        if how == "death":
            os.kill(pid, signal.SIGKILL)
        else:
            program.signal(signal.SIGHUP)
        program.until_said("one", 2)
        # The next one listens at the first port, and not yet at the other.
        assert line(ports[0])
        with socket.create_connection(("127.0.0.1", ports[1]), PATIENCE) as sock:
            sock.sendall(b"x\n")
            go.touch()
            answer = sock.recv(100)
        assert answer
        program.until_said("other", 2)
        assert program.end() == 0


# ---- programs of other kinds


def test_a_loop_that_runs_for_ever_is_ended_as_by_ctrl_c(tmp_path: Path) -> None:
    source = PLAIN.read_text().replace(
        "asyncio.run(main())",
        """loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(handle, "127.0.0.1", int(sys.argv[1])))
    try:
        loop.run_forever()
    finally:
        print("cleaned up", flush=True)""",
    )
    port = free_port()
    with supervised("--workers", 2, "--deadline", 1000, script(tmp_path, source), port) as program:
        program.until_said("2 workers are ready")
        assert line(port)
        program.reload()
        program.until_said("cleaned up", 2)
        assert program.end() == 0
        program.until_said("cleaned up", 4)
        assert "Traceback" not in program.said()


def test_a_server_on_a_loop_in_another_thread_stops_accepting(tmp_path: Path) -> None:
    source = PLAIN.read_text().replace(
        "asyncio.run(main())", "import threading\n    thread = threading.Thread(target=asyncio.run, args=(main(),))\n    thread.start()\n    thread.join()"
    )
    port = free_port()
    with supervised("--workers", 1, script(tmp_path, source), port) as program:
        program.until_said("1 worker is ready")
        (old,) = program.pids()
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(b"slow 4\n")
            assert line(port) == str(old)
            program.reload()
            # The old one has a connection, so it is still there; but, once it was told, it takes no other.
            until(lambda: str(old) not in {line(port) for _ in range(20)})
            assert is_alive(old)
            assert sock.recv(100).decode().strip() == str(old)
        until(lambda: not is_alive(old))
        assert program.end() == 0


def test_one_loop_after_another_is_not_taken_for_stuck(tmp_path: Path) -> None:
    """A sign of life that the first loop did not come to is not waited for."""
    source = """
import asyncio, sys, time, plait.workers
from plait._workers.inside.control import Control

control = Control.current

async def first():
    # The beat is asked for, and the loop ends before it comes to it.
    while not control._beat_is_due:
        time.sleep(0.001)

asyncio.run(first())

async def main():
    control.adopt(asyncio.get_running_loop())
    plait.workers.ready()
    print("runs", flush=True)
    await asyncio.sleep(4)
    print("lived", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
    with supervised("--workers", 1, "--liveness", 1, script(tmp_path, source)) as program:
        program.until_said("runs")
        program.until_said("lived")
        assert "stuck" not in program.said()
        assert program.end() == 0


def test_a_port_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    source = """
import asyncio, socket
sock = socket.socket()
try:
    sock.bind(("127.0.0.1", 99999))
except OverflowError as error:
    print("said", error, flush=True)
try:
    sock.bind(("no.such.host.invalid", 80))
except socket.gaierror:
    print("unknown host", flush=True)
path = "x" * 200
try:
    socket.socket(socket.AF_UNIX).bind(path)
except OSError as error:
    print("path", error, flush=True)
"""
    with supervised("--workers", 1, script(tmp_path, source)) as program:
        assert program.exit_status() == 0
        assert "said bind(): port must be 0-65535." in program.said()
        assert "unknown host" in program.said()
        assert "path AF_UNIX path too long" in program.said()


def test_a_server_is_closed_and_opened_again(tmp_path: Path) -> None:
    source = PLAIN.read_text().replace(
        "await server.serve_forever()",
        """while True:
        await asyncio.sleep(0.05)
        server.close()
        await server.wait_closed()
        server = await asyncio.start_server(handle, "127.0.0.1", int(sys.argv[1]))
        print("again", flush=True)""",
    )
    with supervised("--workers", 2, "--deadline", 5, script(tmp_path, source), free_port()) as program:
        program.until_said("ready")
        before = program.pids()
        program.until_said("again", 20)
        assert program.pids() == before
        supervisor = len(os.listdir(f"/proc/{program.process.pid}/fd"))
        workers = [len(os.listdir(f"/proc/{pid}/fd")) for pid in before]
        program.until_said("again", 60)
        assert len(os.listdir(f"/proc/{program.process.pid}/fd")) <= supervisor + 2
        assert all(len(os.listdir(f"/proc/{pid}/fd")) <= workers[at] + 2 for at, pid in enumerate(before))
        assert program.end() == 0


def test_reloads_leave_no_descriptors() -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{program.process.pid}/fd"))

    with supervised("--workers", 2, PLAIN, free_port()) as program:
        program.until_said("ready")
        before = descriptors()
        for _ in range(3):
            program.reload()
            until(lambda: len(program.pids()) == 2)
        for pid in program.pids():
            os.kill(pid, signal.SIGKILL)
        program.until_said("was ended by SIGKILL, and is replaced", 2)
        until(lambda: len(program.pids()) == 2)
        until(lambda: descriptors() <= before)


def test_a_program_may_have_redirected_stderr(tmp_path: Path) -> None:
    log = tmp_path / "log"
    source = PLAIN.read_text().replace(
        "    server = await", f"    os.dup2(os.open({str(log)!r}, os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)\n    print('to the file', file=sys.stderr, flush=True)\n    server = await"
    )
    source = source.replace("await server.serve_forever()", "print('still there', file=sys.stderr, flush=True); await server.serve_forever()")
    with supervised("--workers", 1, script(tmp_path, source), free_port()) as program:
        program.until_said("ready")
        until(lambda: "still there" in log.read_text())
        assert "to the file" in log.read_text()
        assert "still there" not in program.said()


def test_without_standard_descriptors(tmp_path: Path) -> None:
    """What is told then goes nowhere; above all it does not go where another descriptor has taken the number."""
    port = free_port()
    command = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", sys.executable, "-m", "plait", "run", "--workers", "2", str(PLAIN), str(port)]
    process = subprocess.Popen(command)

    def answers() -> str:
        try:
            return line(port)
        except OSError:
            return ""

    try:
        before = until(answers)
        os.kill(int(before), signal.SIGKILL)
        until(lambda: answers() not in ("", before))
        assert [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)] == [os.devnull] * 3
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


# ---- plait.run


def test_a_module_that_is_not_guarded_is_told_so(tmp_path: Path) -> None:
    source = "import plait, asyncio\nasync def main():\n    await asyncio.sleep(1000)\nplait.run(main, workers=2)\n"
    with running([sys.executable, str(script(tmp_path, source))]) as program:
        assert program.exit_status() == 1
        assert program.said().count("An attempt has been made to start a new process before the") == 1
        assert "if __name__ == '__main__':" in program.said()


def test_workers_have_no_workers(tmp_path: Path) -> None:
    source = "import plait\nasync def main(): pass\nif __name__ == '__main__':\n    plait.run(main, workers=2)\n"
    with supervised("--workers", 2, script(tmp_path, source)) as program:
        assert program.exit_status() == 1
        assert program.said().count("RuntimeError: this is a worker already") == 1


def test_a_large_function_of_a_worker_that_dies_leaves_no_descriptor(tmp_path: Path) -> None:
    source = """
import functools, os, sys, plait

async def main(data):
    pass

if __name__ == "__main__":
    before = len(os.listdir("/proc/self/fd"))
    executable, sys.executable = sys.executable, "/bin/false"  # it ends without having read
    try:
        plait.run(functools.partial(main, bytes(1 << 20)), workers=1)
    except plait.WorkersFailed:
        print("left", len(os.listdir("/proc/self/fd")) - before)
"""
    with running([sys.executable, str(script(tmp_path, source))]) as program:
        assert program.exit_status() == 0
        assert "left 0" in program.said()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_module_of_a_package_and_arguments(tmp_path: Path, workers: int) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    source = PLAIN.read_text().replace("await server.serve_forever()", "print('who', __name__, __package__, sys.argv[1:], flush=True); await server.serve_forever()")
    (package / "module.py").write_text(source)
    port = free_port()
    with running(["env", "-C", str(tmp_path), sys.executable, "-m", "plait", "run", "--workers", str(workers), "-m", "package.module", str(port), "--more"]) as program:
        program.until_said("ready")
        program.until_said(f"who __main__ package ['{port}', '--more']", workers)
        assert line(port)
        assert program.end() == 0


def test_what_lies_in_the_working_directory_is_not_taken_for_a_module(tmp_path: Path) -> None:
    """As python has it: the script's directory is on its path, and not the one in which it was started."""
    (tmp_path / "select.py").write_text("raise SystemExit('the wrong module')")
    (tmp_path / "elsewhere").mkdir()
    file = script(tmp_path / "elsewhere", PLAIN.read_text().replace("await server.serve_forever()", "print(sys.path[0], flush=True); await server.serve_forever()"))
    command = [sys.executable, "-c", "import sys; del sys.path[0]; from plait.__main__ import main; sys.path.insert(0, ''); sys.exit(main())"]
    with running(["env", "-C", str(tmp_path), *command, "run", "--workers", "1", str(file), str(free_port())]) as program:
        program.until_said("1 worker is ready")
        program.until_said(str(tmp_path / "elsewhere"))
        assert program.end() == 0


def test_connections_one_after_the_other_from_threads(tmp_path: Path) -> None:
    """While workers are reloaded again and again nobody is refused, and nobody is reset."""
    port = free_port()
    wrong: list[BaseException] = []
    over = threading.Event()

    def ask() -> None:
        try:
            while not over.is_set():
                assert line(port)
        except BaseException as error:
            wrong.append(error)

    with supervised("--workers", 2, "--sharing", "reuseport", PLAIN, port) as program:
        program.until_said("ready")
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            program.reload()
        over.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert not wrong
