"""Workers that die, are stuck, grow, or are through; programs that cannot begin; supervisors that end."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from supervised import APPS, PATIENCE, free_port, get, is_alive, line, running, script, supervised, told_pid, until

PLAIN = APPS / "plain_app.py"


# ---- death


def test_a_worker_that_is_killed_is_replaced_and_the_others_go_on() -> None:
    port = free_port()
    with supervised("--workers", 2, PLAIN, port) as program:
        program.until_said("ready")
        one, other = program.pids()
        os.kill(one, signal.SIGKILL)
        program.until_said(f"(pid {one}) was ended by SIGKILL, and is replaced")
        until(lambda: len(program.pids()) == 2 and one not in program.pids())
        assert other in program.pids()
        seen: set[str] = set()
        until(lambda: seen.add(line(port)) or len(seen) == 2)


def test_what_waits_in_the_backlog_survives_the_only_worker() -> None:
    port = free_port()
    for sharing in ("inherit", "reuseport"):
        with supervised("--workers", 1, "--sharing", sharing, PLAIN, port) as program:
            program.until_said("ready")
            (pid,) = program.pids()
            os.kill(pid, signal.SIGSTOP)
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
                sock.sendall(b"x\n")
                os.kill(pid, signal.SIGKILL)
                answer = sock.recv(100).decode().strip()
            assert answer and int(answer) != pid


@pytest.mark.parametrize("workers", [1, 3])
def test_a_program_that_cannot_be_imported_is_told_of_once(tmp_path: Path, workers: int) -> None:
    with supervised("--workers", workers, script(tmp_path, "import nothing_such\n")) as program:
        assert program.exit_status() == 1
        assert program.said().count("No module named 'nothing_such'") == 1
        assert program.said().count("before it was ready") == 1
        assert "died 5 times at start" in program.said()


def test_a_program_that_dies_at_start_has_its_last_words(tmp_path: Path) -> None:
    source = "import os, sys; print('the last of it', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)"
    with supervised("--workers", 2, script(tmp_path, source)) as program:
        assert program.exit_status() == 1
        assert program.said().count("the last of it") == 1
        assert "was ended by SIGKILL before it was ready" in program.said()


def test_a_program_that_dies_young_and_never_serves_is_given_up(tmp_path: Path) -> None:
    source = "import asyncio, sys\nasync def main():\n    await asyncio.sleep(1.5)\n    sys.exit('not today')\nasyncio.run(main())\n"
    with supervised("--workers", 1, script(tmp_path, source)) as program:
        assert program.exit_status() == 1
        assert "not today" in program.said()


@pytest.mark.parametrize("sharing", ["inherit", "reuseport"])
def test_a_port_in_use_is_told_of_in_the_programs_words(sharing: str) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=sharing == "reuseport") as taken:
        with supervised("--workers", 2, "--sharing", sharing, PLAIN, taken.getsockname()[1]) as program:
            assert program.exit_status() == 1
            assert program.said().lower().count("address already in use") == 1


def test_a_worker_that_is_never_ready_is_killed(tmp_path: Path) -> None:
    with supervised("--workers", 1, "--start-timeout", 0.5, script(tmp_path, "import time; time.sleep(1000)")) as program:
        assert program.exit_status() == 1
        assert "not ready after 0.5 s, and killed" in program.said()
        # Where it was stuck stands among its last words, unless it had not come so far.
        assert "was ended by SIGABRT" in program.said()


def test_a_reload_that_cannot_be_done_leaves_the_old_workers(tmp_path: Path) -> None:
    port = free_port()
    file = script(tmp_path, PLAIN.read_text())
    with supervised("--workers", 2, file, port) as program:
        program.until_said("ready")
        before = set(program.pids())
        file.write_text("this is no Python")
        program.signal(signal.SIGHUP)
        program.until_said("the reload is given up")
        assert program.said().count("SyntaxError") <= 1
        assert set(program.pids()) == before
        assert int(line(port)) in before
        file.write_text(PLAIN.read_text())
        program.reload()
        until(lambda: not before & set(program.pids()))
        assert int(line(port)) not in before
        assert program.end() == 0


# ---- limits


def test_a_stuck_loop_is_killed_and_says_where(tmp_path: Path) -> None:
    source = PLAIN.read_text().replace('if words[:1] == [b"slow"]:', 'if words[:1] == [b"stuck"]:\n            import time; time.sleep(1000)\n        if words[:1] == [b"slow"]:')
    port = free_port()
    with supervised("--workers", 2, "--liveness", 1, script(tmp_path, source), port) as program:
        program.until_said("ready")
        before = program.pids()
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(b"stuck\n")
            program.until_said("its loop has been stuck for 1 s")
            stuck = told_pid(program.said(), "stuck")
            with pytest.raises(OSError):
                if not sock.recv(1):
                    raise ConnectionResetError
        assert stuck in before
        program.until_said("was ended by SIGABRT, and is replaced")
        assert "in handle" in program.said()
        until(lambda: len(program.pids()) == 2 and stuck not in program.pids())


def test_a_worker_is_replaced_after_so_many_requests() -> None:
    pytest.importorskip("aiohttp")
    port = free_port()
    with supervised("--workers", 1, "--max-requests", 20, "--jitter", 0, "--liveness", 1, APPS / "aiohttp_app.py", port) as program:
        program.until_said("ready")
        (before,) = program.pids()
        answers = [get(port)]
        until(lambda: answers.append(get(port)) or answers[-1] != str(before))
        assert answers.count(str(before)) >= 20
        assert "it has had" in program.said()


def test_a_worker_is_replaced_when_it_has_so_much_memory(tmp_path: Path) -> None:
    source = PLAIN.read_text().replace('if words[:1] == [b"slow"]:', 'if words[:1] == [b"grow"]:\n            globals()["kept"] = bytes(range(256)) * 2**19\n        if words[:1] == [b"slow"]:')
    port = free_port()
    with supervised("--workers", 1, "--max-memory", 100, "--liveness", 1, script(tmp_path, source), port) as program:
        program.until_said("ready")
        before = line(port)
        assert line(port, "grow") == before
        program.until_said("MiB of memory")
        until(lambda: line(port) != before)


def test_what_is_not_through_by_the_deadline_is_ended() -> None:
    port = free_port()
    with supervised("--workers", 1, "--deadline", 1, PLAIN, port) as program:
        program.until_said("ready")
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(b"slow 1000\n")
            assert line(port)
            assert program.end() == 0
            assert sock.recv(100) == b""


def test_a_program_that_ignores_its_end_is_killed(tmp_path: Path) -> None:
    source = PLAIN.read_text().replace("await server.serve_forever()", "import time; print('asleep', flush=True); time.sleep(1000)")
    with supervised("--workers", 1, "--deadline", 1, script(tmp_path, source), free_port()) as program:
        program.until_said("asleep")
        program.until_said("ready")
        assert program.end() == 0
        assert "was not through after 1 s and is killed" in program.said()


# ---- the end


def test_workers_end_with_their_supervisor() -> None:
    with supervised("--workers", 2, "--deadline", 2, PLAIN, free_port()) as program:
        program.until_said("ready")
        pids = program.pids()
        program.process.kill()
        for pid in pids:
            until(lambda pid=pid: not is_alive(pid), f"worker {pid} has outlived its supervisor")


def test_programs_that_end_by_themselves_are_not_started_again(tmp_path: Path) -> None:
    source = "import asyncio, os\nasync def main():\n    print('worker', os.environ['PLAIT_WORKER'])\nasyncio.run(main())\n"
    with supervised("--workers", 3, script(tmp_path, source)) as program:
        assert program.exit_status() == 0
        assert sorted(program.said().split()) == sorted("worker 1 worker 2 worker 3".split())


def test_a_socket_that_all_workers_have_closed_refuses(tmp_path: Path) -> None:
    source = PLAIN.read_text().replace("await server.serve_forever()", "await asyncio.sleep(1); server.close(); print('closed', flush=True); await asyncio.Event().wait()")
    port = free_port()
    with supervised("--workers", 2, script(tmp_path, source), port) as program:
        program.until_said("closed", 2)

        def refuses() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), PATIENCE).close()
            except ConnectionRefusedError:
                return True
            return False

        until(refuses)


# ---- what programs may ask


def test_a_program_may_say_when_it_is_ready_and_who_it_is(tmp_path: Path) -> None:
    source = """
import asyncio, os, plait.workers

def say(*words):  # in one piece, beside another's
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

async def main():
    say("number", plait.workers.number(), plait.workers.draining())
    plait.workers.ready()
    try:
        await asyncio.Event().wait()
    finally:
        say("end", plait.workers.draining())

asyncio.run(main())
"""
    with supervised("--workers", 2, "--start-timeout", 30, script(tmp_path, source)) as program:
        program.until_said("2 workers are ready")
        assert program.end() == 0
        assert sorted(text for text in program.said().splitlines() if text.startswith(("number", "end"))) == ["end True", "end True", "number 1 False", "number 2 False"]


def test_systemd_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(PATIENCE)
        command = ["env", f"NOTIFY_SOCKET={path}", sys.executable, "-m", "plait", "run", "--workers", "1", str(PLAIN), str(free_port())]
        with running(command) as program:
            assert sock.recv(100) == b"READY=1"
            program.reload()
            assert sock.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert sock.recv(100) == b"READY=1"
            program.end()
            assert sock.recv(100) == b"STOPPING=1"


def test_a_function_is_run_by_workers(tmp_path: Path) -> None:
    port = free_port()
    source = PLAIN.read_text().replace("asyncio.run(main())", "import plait; plait.run(main, workers=2, deadline=5); print('over', flush=True)")
    file = script(tmp_path, source)
    with running([sys.executable, str(file), str(port)]) as program:
        program.until_said(f"2 workers are ready at 127.0.0.1:{port}")
        seen: set[str] = set()
        until(lambda: seen.add(line(port)) or len(seen) == 2)
        # A reload runs what the file says now.
        file.write_text(source.replace('b"%d\\n" % os.getpid()', 'b"new\\n"'))
        program.reload()
        until(lambda: line(port) == "new")
        assert program.end() == 0
        assert "over" in program.said()


def test_a_function_that_cannot_be_run_raises(tmp_path: Path) -> None:
    source = """
import plait

async def main():
    raise SystemExit("no use")

if __name__ == "__main__":
    try:
        plait.run(main, workers=2)
    except plait.WorkersFailed as error:
        print("caught", error.last_words)
"""
    with running([sys.executable, str(script(tmp_path, source))]) as program:
        assert program.exit_status() == 0
        assert "caught no use" in program.said()


def test_a_supervisor_without_descriptors_says_so() -> None:
    command = ["sh", "-c", 'ulimit -n 24; exec "$@"', "sh", sys.executable, "-m", "plait", "run", "--workers", "8", str(PLAIN), str(free_port())]
    with running(command) as program:
        assert program.exit_status() == 1
        assert "Too many open files" in program.said()
