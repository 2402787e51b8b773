"""Children: starting, talking, waiting, signalling, cancelling, closing; and in which order a protocol hears of it."""

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import plait
import pytest
from peers import until
from plait import _native

PIPE = subprocess.PIPE
CAT = ("cat",)
BLOCKED = ("sleep", "3600")


def python(code):
    return (sys.executable, "-S", "-c", code)


class Child(asyncio.SubprocessProtocol):
    """Notes what it is told."""

    def __init__(self):
        self.calls, self.data, self.transport = [], {1: bytearray(), 2: bytearray()}, None

    def connection_made(self, transport):
        self.calls.append("made")
        self.transport = transport

    def pipe_data_received(self, fd, data):
        self.data[fd] += data

    def pipe_connection_lost(self, fd, exc):
        self.calls.append(("pipe", fd, exc))

    def process_exited(self):
        self.calls.append("exited")

    def connection_lost(self, exc):
        self.calls.append(("lost", exc))

    @property
    def lost(self):
        return bool(self.calls) and self.calls[-1] == ("lost", None)


@pytest.fixture(params=["exec", "shell"])
def spawn(request, loop):
    """Starts a command either way, with asyncio's streams."""
    if request.param == "exec":
        return asyncio.create_subprocess_exec

    async def by_shell(*command, **options):
        import shlex

        return await asyncio.create_subprocess_shell("exec " + shlex.join(command), **options)

    return by_shell


def no_children():
    with contextlib.suppress(ChildProcessError):
        assert os.waitpid(-1, os.WNOHANG) == (0, 0), "a zombie was left"
        return False
    return True


@pytest.fixture
def sees_by_pidfd(factory):
    """The loop looks at its children itself. A thread of asyncio's would see their end first, whatever the test does."""
    if factory is asyncio.SelectorEventLoop and sys.version_info < (3, 12):
        pytest.skip("asyncio waits in threads up to 3.11")


def end_unnoticed(pid):
    """End a child; the loop has had no chance to see that when this returns."""
    os.kill(pid, signal.SIGUSR1)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


# ---- talking


def test_communicate(run, spawn):
    async def main():
        child = await spawn(*CAT, stdin=PIPE, stdout=PIPE)
        assert child.pid > 0 and child.returncode is None and child.stderr is None
        assert isinstance(child.stdin, asyncio.StreamWriter) and isinstance(child.stdout, asyncio.StreamReader)
        data = bytes(range(256)) * 4_000
        assert await child.communicate(data) == (data, None)
        assert (child.returncode, await child.wait()) == (0, 0)

    run(main())
    assert no_children()


def test_three_pipes_and_a_code(run, spawn):
    code = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write('trouble'); sys.exit(5)"

    async def main():
        child = await spawn(*python(code), stdin=PIPE, stdout=PIPE, stderr=PIPE)
        assert await child.communicate(b"text") == (b"TEXT", b"trouble")
        assert child.returncode == 5

    run(main())


def test_which_types_do_it(loop, run):
    async def main():
        transport, protocol = await loop.subprocess_exec(Child, *CAT)
        assert isinstance(transport, asyncio.SubprocessTransport)
        assert isinstance(transport.get_pipe_transport(0), asyncio.WriteTransport)
        assert isinstance(transport.get_pipe_transport(1), asyncio.ReadTransport)
        if isinstance(loop, plait.EventLoop):
            assert type(transport) is _native.SubprocessTransport
            assert type(transport.get_pipe_transport(0)) is _native.WritePipeTransport
            assert type(transport.get_pipe_transport(1)) is _native.ReadPipeTransport
            assert type(transport._pipes[0]) is _native.ChildPipe
        assert transport.get_pipe_transport(7) is None
        popen = transport.get_extra_info("subprocess")
        assert type(popen) is subprocess.Popen and popen is transport._proc
        assert transport.get_pid() == popen.pid == transport._pid
        assert transport.get_protocol() is protocol
        assert set(transport._pipes) == {0, 1, 2} and transport._pipes[1].fd == 1 and not transport._pipes[1].disconnected
        transport.close()
        assert transport.is_closing()
        await until(lambda: protocol.lost)
        assert transport._proc is None
        with pytest.raises(ProcessLookupError):
            transport.kill()

    run(main())


def test_a_conversation(run, spawn):
    async def main():
        child = await spawn(*CAT, stdin=PIPE, stdout=PIPE)
        for number in range(50):
            line = b"%d\n" % number
            child.stdin.write(line)
            await child.stdin.drain()
            assert await child.stdout.readline() == line
        child.stdin.close()
        await child.stdin.wait_closed()
        assert await child.stdout.read() == b""
        assert await child.wait() == 0

    run(main())


def test_much_output_with_a_small_limit(run):
    async def main():
        code = "import sys; sys.stdout.buffer.write(b'x' * 3_000_000)"
        child = await asyncio.create_subprocess_exec(*python(code), stdout=PIPE, limit=100)
        await asyncio.sleep(0)
        assert len(await child.stdout.read()) == 3_000_000
        assert await child.wait() == 0

    run(main())


@pytest.mark.parametrize("way", ["devnull", "stdout", "file", "socket", "number"])
def test_where_the_output_goes(run, tmp_path, way):
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr)"

    async def main():
        if way == "devnull":
            child = await asyncio.create_subprocess_exec(*python(code), stdout=subprocess.DEVNULL, stderr=PIPE)
            assert await child.communicate() == (None, b"err\n")
        elif way == "stdout":
            child = await asyncio.create_subprocess_exec(*python(code), stdout=PIPE, stderr=subprocess.STDOUT)
            assert await child.communicate() == (b"out\nerr\n", None)
        elif way == "socket":
            near, far = socket.socketpair()
            with near:
                with far:
                    child = await asyncio.create_subprocess_exec(*python(code), stdout=far, stdin=far, stderr=PIPE)
                assert await child.communicate() == (None, b"err\n")
                assert near.recv(100) == b"out\n"
        else:
            with open(tmp_path / "out", "wb") as file:
                target = file if way == "file" else file.fileno()
                child = await asyncio.create_subprocess_exec(*python(code), stdout=target, stderr=subprocess.DEVNULL)
                assert await child.wait() == 0
            assert (tmp_path / "out").read_bytes() == b"out\n"

    run(main())


def test_options_of_popen(run, tmp_path):
    async def main():
        read, write = os.pipe()
        code = (
            f"import os; os.write({write}, repr((os.getcwd(), os.environ['A'], os.getsid(0) == os.getpid(), "
            "os.umask(0))).encode())"
        )
        child = await asyncio.create_subprocess_exec(
            *python(code), cwd=tmp_path, env={"A": "ä"}, start_new_session=True, pass_fds=(write,), umask=0o27,
            preexec_fn=lambda: os.write(write, b"first "),
        )
        os.close(write)
        assert await child.wait() == 0
        with open(read, "rb") as file:
            assert file.read() == f"first {(str(tmp_path), 'ä', True, 0o27)!r}".encode()

    run(main())


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_another_user(run):
    async def main():
        child = await asyncio.create_subprocess_exec("id", "-u", "-g", stdout=PIPE, stderr=PIPE, user=65534, group=65534)
        out, err = await child.communicate()
        assert out or b"cannot" in err
        child = await asyncio.create_subprocess_exec("id", "-u", stdout=PIPE, user=65534, group=65534, extra_groups=[])
        assert await child.communicate() == (b"65534\n", None)

    run(main())


REFUSED = [
    ({"universal_newlines": True}, "universal_newlines must be False"),
    ({"text": True}, "text must be False"),
    ({"encoding": "utf-8"}, "encoding must be None"),
    ({"errors": "strict"}, "errors must be None"),
    ({"bufsize": 1}, "bufsize must be 0"),
]


@pytest.mark.parametrize(("option", "text"), [*REFUSED, ({"shell": True}, "shell must be False")])
def test_refused_options(loop, run, option, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        run(loop.subprocess_exec(Child, "true", **option))
    if "shell" not in option:
        with pytest.raises(ValueError, match=f"^{text}$"):
            run(loop.subprocess_shell(Child, "true", **option))
    with pytest.raises(ValueError, match="^cmd must be a string$"):
        run(loop.subprocess_shell(Child, ["true"]))


def test_a_program_that_is_not_there(loop, run):
    for options in ({}, {"stdin": PIPE, "stdout": PIPE}):
        with pytest.raises(FileNotFoundError):
            run(asyncio.create_subprocess_exec("/no/such/program", **options))
    with pytest.raises(TypeError):
        run(loop.subprocess_exec(Child, "true", no_such_option=1))
    with pytest.raises(ZeroDivisionError):
        run(loop.subprocess_exec(lambda: 1 / 0, "true"))
    assert no_children()


# ---- what the protocol is told


def test_the_protocol_hears_of_the_end_last(loop, run):
    async def main():
        transport, protocol = await loop.subprocess_exec(Child, *python("print('x' * 100_000)"), stdin=None)
        await until(lambda: protocol.lost)
        assert protocol.data[1] == b"x" * 100_000 + b"\n"
        assert protocol.calls[0] == "made" and protocol.calls[-1] == ("lost", None)
        assert sorted(map(str, protocol.calls[1:-1])) == ["('pipe', 1, None)", "('pipe', 2, None)", "exited"]
        assert transport.get_returncode() == 0
        transport.close()

    run(main())


def test_a_grandchild_keeps_the_pipe_open(loop, run):
    async def main():
        code = "import subprocess, sys; subprocess.Popen(['cat'], stdout=1); sys.exit(3)"
        transport, protocol = await loop.subprocess_exec(Child, *python(code), stderr=None)
        transport.get_pipe_transport(0).write(b"late")
        await until(lambda: "exited" in protocol.calls)
        assert (transport.get_returncode(), protocol.lost) == (3, False)
        assert await transport._wait() == 3
        transport.get_pipe_transport(0).close()
        await until(lambda: protocol.lost)
        assert protocol.data[1] == b"late"
        transport.close()

    run(main())


def test_a_protocol_that_raises_everywhere(loop, run, reports):
    class Careless(Child):
        pass

    for name in ("connection_made", "pipe_data_received", "pipe_connection_lost", "process_exited", "connection_lost"):

        def method(self, *args, name=name):
            getattr(Child, name)(self, *args)
            raise ZeroDivisionError(name)

        setattr(Careless, name, method)

    async def main():
        transport, protocol = await loop.subprocess_exec(Careless, "echo", "x", stdin=None, stderr=None)
        assert await transport._wait() == 0
        await until(lambda: protocol.lost)
        transport.close()

    run(main())
    told = [report["exception"].args[0] for report in reports]
    assert (told[0], told[-1]) == ("connection_made", "connection_lost")
    assert sorted(told[1:-1]) == ["pipe_connection_lost", "pipe_data_received", "process_exited"]


def test_flow_control_reaches_the_protocol(loop, run):
    class Writer(Child):
        def pause_writing(self):
            self.calls.append("pause")

        def resume_writing(self):
            self.calls.append("resume")

    async def main():
        transport, protocol = await loop.subprocess_exec(Writer, *CAT, stderr=None)
        transport.get_pipe_transport(0).write(b"x" * 1_000_000)
        await until(lambda: "resume" in protocol.calls)
        transport.get_pipe_transport(0).close()
        await until(lambda: protocol.lost)
        assert len(protocol.data[1]) == 1_000_000
        assert [call for call in protocol.calls if call in ("pause", "resume")] == ["pause", "resume"]
        transport.close()

    run(main())


# ---- waiting and signals


def test_many_wait_and_one_gives_up(run):
    async def main():
        child = await asyncio.create_subprocess_exec(*CAT, stdin=PIPE)
        waiting = [asyncio.ensure_future(child.wait()) for _ in range(10)]
        await asyncio.sleep(0)
        waiting[3].cancel()
        child.stdin.close()
        assert await asyncio.gather(*waiting[:3], *waiting[4:], child.wait()) == [0] * 10
        assert waiting[3].cancelled()
        assert await child.wait() == 0

    run(main())


@pytest.mark.parametrize("way", ["terminate", "kill", "send_signal", "by somebody else"])
def test_signals(run, way):
    async def main():
        child = await asyncio.create_subprocess_exec(*BLOCKED)
        number = {"terminate": signal.SIGTERM, "kill": signal.SIGKILL}.get(way, signal.SIGUSR1)
        if way == "send_signal":
            child.send_signal(0)
            child.send_signal(number)
        elif way == "by somebody else":
            os.kill(child.pid, number)
        else:
            getattr(child, way)()
        assert await child.wait() == child.returncode == -number
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)

    run(main())


def test_bad_signals(run):
    async def main():
        child = await asyncio.create_subprocess_exec(*BLOCKED)
        with pytest.raises(TypeError):
            child.send_signal("9")
        with pytest.raises(OSError, match="Invalid argument"):
            child.send_signal(12345)
        child.kill()
        await child.wait()

    run(main())


def test_a_signal_that_races_with_the_end(run, sees_by_pidfd):
    async def main():
        for _ in range(20):
            child = await asyncio.create_subprocess_exec(*BLOCKED)
            end_unnoticed(child.pid)
            child.terminate()
            child.kill()
            # Up to 3.12 asyncio's own send_signal takes the status, and it is told 255.
            lost = sys.version_info < (3, 13) and type(child._transport) is not _native.SubprocessTransport
            assert await child.wait() == (255 if lost else -signal.SIGUSR1)

    run(main())
    assert no_children()


def test_the_children_of_others_and_sigchld_are_left_alone(loop, run):
    async def main():
        seen = []
        loop.add_signal_handler(signal.SIGCHLD, seen.append, 1)
        own = subprocess.Popen(["sh", "-c", "exit 7"])
        pid = os.fork()
        if not pid:
            os._exit(9)
        child = await asyncio.create_subprocess_exec("sh", "-c", "exit 5")
        assert await child.wait() == 5
        assert own.wait() == 7
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
        await until(lambda: seen)
        loop.remove_signal_handler(signal.SIGCHLD)

    run(main())
    assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL


def test_a_child_that_somebody_else_has_reaped(run, caplog, sees_by_pidfd):
    async def main():
        child = await asyncio.create_subprocess_exec(*BLOCKED)
        child.kill()
        assert os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]) == -signal.SIGKILL
        assert await child.wait() == 255

    run(main())
    (record,) = caplog.records
    assert record.levelname == "WARNING" and record.name == "asyncio"
    assert re.search(r"pid \d+.* will report returncode 255$", record.getMessage())


def test_in_a_thread_other_than_the_main_one(make_loop):
    got = []

    async def main():
        child = await asyncio.create_subprocess_exec(*CAT, stdin=PIPE, stdout=PIPE)
        got.append(await child.communicate(b"from a thread"))

    loop = make_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    thread.join()
    assert got == [(b"from a thread", None)]


# ---- cancelling and closing


@pytest.mark.parametrize("turns", range(8))
def test_cancelled_after_so_many_turns(loop, run, turns):
    """In every state: the child is gone afterwards, and so are its pipes."""

    async def main():
        protocol = Child()
        task = loop.create_task(loop.subprocess_exec(lambda: protocol, *BLOCKED))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            transport, _ = await task
        except asyncio.CancelledError:
            assert turns == 0 or no_children()
        else:
            transport.close()
            await until(lambda: protocol.lost)
            assert transport.get_returncode() == -signal.SIGKILL

    run(main())
    assert no_children()


def test_communicate_that_is_cancelled_can_be_killed(run):
    async def main():
        child = await asyncio.create_subprocess_exec(*BLOCKED, stdin=PIPE, stdout=PIPE)
        task = asyncio.ensure_future(child.communicate(b"x" * 1_000_000))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        child.kill()
        assert await child.wait() == -signal.SIGKILL

    run(main())


def test_closing_kills(loop, run):
    async def main():
        transport, protocol = await loop.subprocess_exec(Child, *BLOCKED)
        transport.close()
        transport.close()
        assert await transport._wait() == -signal.SIGKILL
        assert protocol.lost and protocol.calls[0] == "made"

    run(main())
    assert no_children()


def test_closing_does_not_kill_what_has_exited(loop, run, sees_by_pidfd):
    async def main():
        transport, protocol = await loop.subprocess_exec(Child, *BLOCKED)
        end_unnoticed(transport.get_pid())
        transport.get_extra_info("subprocess").kill = None  # nobody may call it
        transport.close()
        await until(lambda: protocol.lost)
        if isinstance(loop, plait.EventLoop):  # asyncio: 255, since its own close() has taken the status
            assert transport.get_returncode() == -signal.SIGUSR1

    run(main())


def test_a_broken_pipe_is_no_error_of_communicate(run):
    async def main():
        child = await asyncio.create_subprocess_exec("true", stdin=PIPE)
        await child.communicate(b"x" * 1_000_000)
        assert child.returncode == 0
        child = await asyncio.create_subprocess_exec("true", stdin=PIPE)
        child.stdin.write(b"x" * 1_000_000)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                await child.stdin.drain()
                child.stdin.write(b"x" * 100_000)
        assert await child.wait() == 0

    run(main())


def test_reprs(loop, run):
    def shown(transport):
        return re.sub(r"_Unix|\d+", "", repr(transport))

    async def main():
        transport, protocol = await loop.subprocess_exec(Child, *CAT, stderr=None)
        pipes = "stdin=<WritePipeTransport fd= idle bufsize=> stdout=<ReadPipeTransport fd= polling>"
        assert shown(transport) == f"<SubprocessTransport pid= running {pipes}>"
        assert re.fullmatch(r"<WriteSubprocessPipeProto fd=0 pipe=<.*>>", repr(transport._pipes[0]))
        assert re.fullmatch(r"<ReadSubprocessPipeProto fd=1 pipe=<.*>>", repr(transport._pipes[1]))
        transport.get_pipe_transport(0).close()
        await until(lambda: protocol.lost)
        assert repr(transport).startswith(repr(transport).partition(" ")[0] + f" pid={transport.get_pid()} returncode=0 stdin=")
        transport.close()
        assert " closed pid=" in repr(transport)

    run(main())


def test_debug_mode_logs(loop, run, caplog):
    caplog.set_level(logging.DEBUG, logger="asyncio")
    loop.set_debug(True)

    async def main():
        child = await asyncio.create_subprocess_exec(*CAT, stdin=PIPE, stdout=PIPE)
        await child.communicate(b"x")
        child = await asyncio.create_subprocess_shell("exec sleep 3600", stderr=subprocess.DEVNULL)
        child._transport.close()
        await child.wait()

    run(main())
    texts = [re.sub(r"_Unix|<(?:[^<>]|<[^<>]*>)*>|\d+", "", record.getMessage()) for record in caplog.records]
    for text in (
        "execute program 'cat' stdin= stdout=",
        "process 'cat' created: pid ",
        "execute program 'cat': ",
        " exited with return code ",
        "run shell command 'exec sleep ' stderr=",
        "process 'exec sleep ' created: pid ",
        "Close running child process: kill ",
        " exited with return code -",
    ):
        assert any(text.replace("<", "") in shown for shown in texts), (text, texts)
