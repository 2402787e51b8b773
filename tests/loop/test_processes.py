"""Children, where plait goes its own way: pidfds, watchers, threads where there are none, and transports that nobody closed."""

import _posixsubprocess
import asyncio
import gc
import os
import re
import signal
import subprocess
import threading
import warnings

import plait
import pytest
from plait import _native, _processes, _spawn

PIPE = subprocess.PIPE
BLOCKED = ("sleep", "3600")


def has_pidfd():
    links = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
    return any("pidfd" in os.readlink(link) for link in links if os.path.lexists(link))


def test_a_child_is_watched_by_its_pidfd_and_no_thread(run):
    async def main():
        threads = threading.active_count()
        child = await asyncio.create_subprocess_exec(*BLOCKED)
        assert type(child._transport) is _native.SubprocessTransport
        assert has_pidfd() and threading.active_count() == threads
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
        child.kill()
        assert await child.wait() == -9
        assert not has_pidfd()

    run(main())


def test_without_pidfds_a_thread_waits(run, monkeypatch):
    monkeypatch.setattr(_processes, "_can_use_pidfd", lambda: False)

    async def main():
        child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        assert not has_pidfd()
        assert any("waitpid" in thread.name for thread in threading.enumerate())
        assert await child.communicate(b"text") == (b"text", None)
        assert child.returncode == 0
        child = await asyncio.create_subprocess_exec(*BLOCKED)
        child.terminate()
        assert await child.wait() == -signal.SIGTERM
        with pytest.raises(ProcessLookupError):
            child.terminate()
        children = [await asyncio.create_subprocess_exec("sh", "-c", f"exit {n}") for n in range(20)]
        assert await asyncio.gather(*(child.wait() for child in children)) == list(range(20))

    run(main())


def test_without_a_descriptor_left_for_the_pidfd_a_thread_waits(run):
    import resource

    async def main():
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = []
        child = subprocess.Popen(BLOCKED)
        _popen, subprocess.Popen = subprocess.Popen, lambda *_args, **_options: exhaust(taken) or child
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
            started = await asyncio.create_subprocess_exec("whatever")
        finally:
            subprocess.Popen = _popen
            for fd in taken:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert not has_pidfd()
        started.kill()
        assert await started.wait() == -9

    def exhaust(taken):
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            return None

    run(main())


@pytest.mark.skipif(not hasattr(asyncio, "SafeChildWatcher"), reason="3.14 has no child watchers")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["SafeChildWatcher", "FastChildWatcher", "ThreadedChildWatcher", "PidfdChildWatcher"])
def test_a_watcher_that_the_program_has_set_is_asked(loop, run, kind):
    watcher = getattr(asyncio, kind)()
    watcher.attach_loop(loop)
    asked = []
    add = watcher.add_child_handler
    watcher.add_child_handler = lambda pid, *args: asked.append(pid) or add(pid, *args)
    asyncio.set_child_watcher(watcher)
    try:
        child = run(asyncio.create_subprocess_exec("sh", "-c", "exit 5"))
        assert run(child.wait()) == 5
        # The two that do what plait does by itself need not be asked.
        assert bool(asked) is (kind in ("SafeChildWatcher", "FastChildWatcher"))
    finally:
        asyncio.set_child_watcher(None)
        watcher.close()


@pytest.mark.skipif(not hasattr(asyncio, "SafeChildWatcher"), reason="3.14 has no child watchers")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_watcher_that_is_not_active_is_refused(run):
    asyncio.set_child_watcher(asyncio.SafeChildWatcher())
    try:
        with pytest.raises(RuntimeError, match=r"^asyncio\.get_child_watcher\(\) is not activated"):
            run(asyncio.create_subprocess_exec("true"))
    finally:
        asyncio.set_child_watcher(None)


@pytest.mark.skipif(not hasattr(asyncio, "ThreadedChildWatcher"), reason="3.14 has no child watchers")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_watcher_of_the_programs_own_use(run):
    """Its interface works beside plait's children."""

    async def main():
        ended = asyncio.get_running_loop().create_future()
        own = subprocess.Popen(["sh", "-c", "exit 7"])
        with asyncio.get_child_watcher() as watcher:
            watcher.add_child_handler(
                own.pid, lambda pid, code: ended.get_loop().call_soon_threadsafe(ended.set_result, (pid, code))
            )
        child = await asyncio.create_subprocess_exec("sh", "-c", "exit 5")
        assert await child.wait() == 5
        assert await ended == (own.pid, 7)
        own.returncode = 7

    run(main())


def test_a_child_that_popen_has_reaped_keeps_its_code(run, caplog):
    async def main():
        child = await asyncio.create_subprocess_exec("sh", "-c", "read x; exit 6", stdin=PIPE)
        child._transport.get_extra_info("subprocess").stdin.close()
        assert child._transport.get_extra_info("subprocess").wait() == 6
        assert await child.wait() == 6

    run(main())
    assert not caplog.records


def test_a_child_that_was_reaped_before_it_could_be_watched(run, caplog):
    async def main():
        class Reaped(subprocess.Popen):
            def __init__(self, *args, **options):
                super().__init__(*args, **options)
                os.waitpid(self.pid, 0)

        popen, subprocess.Popen = subprocess.Popen, Reaped
        try:
            child = await asyncio.create_subprocess_exec("true")
        finally:
            subprocess.Popen = popen
        assert await child.wait() == 255

    run(main())
    assert "will report returncode 255" in caplog.text


def test_a_pipe_that_cannot_be_connected(loop, run):
    started = []

    async def main():
        class Strange(subprocess.Popen):
            def __init__(self, *args, **options):
                super().__init__(*args, **options)
                started.append(self.pid)
                self.stderr.close()

        popen, subprocess.Popen = subprocess.Popen, Strange
        try:
            with pytest.raises(ValueError, match="closed file"):
                await loop.subprocess_exec(asyncio.SubprocessProtocol, *BLOCKED)
        finally:
            subprocess.Popen = popen

    run(main())
    with pytest.raises(ChildProcessError):
        os.waitpid(*started, os.WNOHANG)


def test_a_loop_that_connects_pipes_in_a_way_of_its_own(make_loop):
    class Loop(plait.EventLoop):
        connected = 0

        async def connect_read_pipe(self, factory, pipe):
            self.connected += 1
            return await super().connect_read_pipe(factory, pipe)

    async def main():
        child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        assert await child.communicate(b"x") == (b"x", None)

    loop = Loop()
    try:
        loop.run_until_complete(main())
        assert loop.connected == 1
    finally:
        loop.close()


def test_native_streams(run):
    async def main():
        child = await plait.asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        assert type(child) is asyncio.subprocess.Process
        assert (type(child.stdin), type(child.stdout)) == (_native.StreamWriter, _native.StreamReader)
        assert await child.communicate(b"x" * 500_000) == (b"x" * 500_000, None)
        child = await plait.asyncio.create_subprocess_shell("echo a; echo b >&2", stdout=PIPE, stderr=PIPE)
        assert type(child.stderr) is _native.StreamReader
        assert await child.communicate() == (b"a\n", b"b\n")

    run(main())


@pytest.mark.parametrize("closed_loop", [False, True])
def test_an_unclosed_transport_warns_and_kills(make_loop, closed_loop):
    loop = make_loop()

    async def main():
        transport, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, *BLOCKED, stderr=None)
        return transport

    transport = loop.run_until_complete(main())
    popen = transport.get_extra_info("subprocess")
    shown = re.sub(" fd=.*", "", repr(transport))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if closed_loop:
            loop.close()
            del transport
            gc.collect()
        else:
            transport.close()
            del transport
            gc.collect()
    assert popen.wait() == -signal.SIGKILL
    texts = [str(w.message) for w in seen]
    if closed_loop:  # the other way, asyncio.run's, has nothing to complain of
        assert all(w.category is ResourceWarning for w in seen)
        assert any(text.startswith(f"unclosed transport {shown}") for text in texts)
        assert sum("PipeTransport" in text.partition("fd=")[0] for text in texts) == 3
        assert popen.stdin.closed and popen.stdout.closed
    else:
        assert texts == []
        loop.run_until_complete(asyncio.sleep(0))


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_start_that_is_interrupted_forgets_no_child(loop, run, monkeypatch):
    """As when a signal's handler raises just then: the next that is started waits for it."""
    children = []

    def fork_exec(*args, fork=_posixsubprocess.fork_exec):
        children.append(fork(*args))
        return children[-1]

    def interrupted(*_):
        monkeypatch.undo()
        raise LookupError("interrupted")

    async def main():
        monkeypatch.setattr(_spawn, "_fork_exec", fork_exec)
        monkeypatch.setattr(os, "read", interrupted)
        with pytest.raises(LookupError):
            await asyncio.create_subprocess_exec("sleep", "1000")

    run(main())
    gc.collect()
    (child,) = children
    assert [popen.pid for popen in subprocess._active] == [child]
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    subprocess.run(["true"], check=True)
    with pytest.raises(ChildProcessError):
        os.waitpid(child, os.WNOHANG)
