"""Workers that do not come on, wherever that is, are ended, and say where."""

import os
import signal
import socket
from pathlib import Path

import pytest
from supervised import APPS, PATIENCE, free_port, line, script, supervised, told_pid, until

PLAIN = APPS / "plain_app.py"


def test_c_code_that_holds_the_gil_is_stuck_too(tmp_path: Path) -> None:
    """No thread of the worker's can say anything then."""
    source = PLAIN.read_text().replace('if words[:1] == [b"slow"]:', 'if words[:1] == [b"stuck"]:\n            sum(range(10**13))\n        if words[:1] == [b"slow"]:')
    port = free_port()
    with supervised("--workers", 2, "--liveness", 1, script(tmp_path, source), port) as program:
        program.until_said("ready")
        before = program.pids()
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(b"stuck\n")
            program.until_said("its loop has been stuck for 1 s")
            stuck = told_pid(program.said(), "stuck")
            program.until_said("was ended by SIGABRT, and is replaced")
        assert stuck in before
        assert "in handle" in program.said()
        until(lambda: len(program.pids()) == 2 and stuck not in program.pids())
        assert line(port)


def test_a_process_that_was_stopped_is_killed() -> None:
    with supervised("--workers", 2, "--liveness", 1, PLAIN, free_port()) as program:
        program.until_said("ready")
        stopped = program.pids()[0]
        os.kill(stopped, signal.SIGSTOP)
        program.until_said(f"(pid {stopped}) was ended by SIGKILL, and is replaced")
        until(lambda: len(program.pids()) == 2)


def test_a_module_that_is_stuck_when_it_is_imported_says_where(tmp_path: Path) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time\n\ndef never():\n    time.sleep(1000)\n\nnever()\n")
    with supervised("--workers", 1, "--start-timeout", 3, script(tmp_path, "import slow_to_import")) as program:
        assert program.exit_status() == 1
        assert "not ready after 3 s, and killed" in program.said()
        assert program.said().count("in never") == 1
        assert "slow_to_import.py" in program.said()


def test_who_writes_much_before_it_is_ready_is_heard(tmp_path: Path) -> None:
    """A worker that writes without end before it is ready is heard to the end of its time, and its last words are kept."""
    source = "import sys\nfor number in range(100_000):\n    print('x' * 100, file=sys.stderr)\nprint('the very last', file=sys.stderr)\nsys.exit(3)\n"
    with supervised("--workers", 1, script(tmp_path, source)) as program:
        assert program.exit_status() == 1
        assert "exited with status 3" in program.said()
        assert program.said().count("the very last") == 1


@pytest.mark.parametrize("sharing", ["inherit", "reuseport"])
def test_ipv6_and_an_abstract_socket(tmp_path: Path, sharing: str) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6 here")
    port = free_port()
    name = f"plait-test-{os.getpid()}-{port}"
    source = PLAIN.read_text().replace(
        'await asyncio.start_server(handle, "127.0.0.1", int(sys.argv[1]))',
        f'await asyncio.start_server(handle, "::1", int(sys.argv[1])); other = await asyncio.start_unix_server(handle, "\\0{name}"); print("both", flush=True)',
    )

    def ask(family: int, address: object) -> str:
        with socket.socket(family) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(address)  # type: ignore[arg-type]
            sock.sendall(b"x\n")
            return sock.recv(100).decode().strip()

    with supervised("--workers", 2, "--sharing", sharing, script(tmp_path, source), port) as program:
        program.until_said(f"2 workers are ready at [::1]:{port}")
        program.until_said("both", 2)
        before = set(program.pids())
        for address in ((socket.AF_INET6, ("::1", port)), (socket.AF_UNIX, "\0" + name)):
            seen: set[str] = set()
            until(lambda address=address, seen=seen: seen.add(ask(*address)) or len(seen) == 2)
        program.reload()
        until(lambda: not before & set(program.pids()))
        assert int(ask(socket.AF_INET6, ("::1", port))) in program.pids()
        assert int(ask(socket.AF_UNIX, "\0" + name)) in program.pids()
        assert program.end() == 0


def test_programs_that_remove_the_file_of_their_socket(tmp_path: Path) -> None:
    """Before they bind, and when they end, as uvicorn does. It is all workers' file."""
    path = tmp_path / "socket"
    source = PLAIN.read_text().replace('start_server(handle, "127.0.0.1", int(sys.argv[1]))', "start_unix_server(handle, sys.argv[1])")
    source = source.replace("async def main() -> None:\n", "async def main() -> None:\n    if os.path.exists(sys.argv[1]):\n        os.unlink(sys.argv[1])\n")
    source = source.replace("asyncio.run(main())", "try:\n        asyncio.run(main())\n    finally:\n        import pathlib; pathlib.Path(sys.argv[1]).unlink(missing_ok=True)\n        print('removed', flush=True)")

    def ask() -> str:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(path))
            sock.sendall(b"x\n")
            return sock.recv(100).decode().strip()

    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    with supervised("--workers", 2, script(tmp_path, source), path) as program:
        program.until_said("2 workers are ready")
        inode = path.stat().st_ino
        assert ask()
        program.reload()
        program.until_said("removed", 2)
        until(lambda: len(program.pids()) == 2)
        assert int(ask()) in program.pids()
        os.kill(program.pids()[0], signal.SIGKILL)
        program.until_said("was ended by SIGKILL, and is replaced")
        assert ask()
        assert path.stat().st_ino == inode
        assert program.end() == 0
        assert not path.exists()
