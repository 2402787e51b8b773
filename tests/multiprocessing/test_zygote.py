"""The start method ``zygote``: processes as objects, what they find around them, and what the zygote does when somebody dies."""

import errno
import gc
import itertools
import multiprocessing as standard
import os
import resource
import signal
import sys
import threading
import time
import warnings
from multiprocessing.connection import wait
from pathlib import Path

import pytest
from plait.multiprocessing import _zygote, get_context, set_zygote_preload
from plait.multiprocessing._zygote.client import Client, client

LIMIT = 60
context = get_context("zygote")


@pytest.fixture(autouse=True)
def fresh():
    """Each test has its own zygote, and leaves nothing."""
    assert not standard.active_children()
    yield
    for process in standard.active_children():
        process.kill()
        process.join()
    set_zygote_preload(["__main__"])
    client.stop()
    assert client._left == []


def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def started(target, *args, **keywords):
    process = context.Process(target=target, args=args, **keywords)
    process.start()
    return process


def end_of(process):
    process.join(LIMIT)
    return process.exitcode


def told(function, *args):
    """What a function returns in a process from the zygote."""
    receiver, sender = context.Pipe(duplex=False)
    with receiver, sender:
        process = started(send, sender, function, args)
        sender.close()
        assert receiver.poll(LIMIT)
        answer = receiver.recv()
        assert end_of(process) == 0
    return answer


def send(sender, function, args):
    sender.send(function(*args))


def blocked(receiver):
    receiver.poll(None)


class Blocked:
    """A process that runs until it is let go."""

    def __init__(self, target=blocked, daemon=None):
        receiver, self._sender = context.Pipe(duplex=False)
        self.process = started(target, receiver, daemon=daemon)
        receiver.close()

    def let_go(self):
        self._sender.close()


def zygote_of(process):
    return int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1])


def runs(pid):
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition):
    give_up = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


# --- processes as objects


def fail():
    raise ValueError("on purpose")


@pytest.mark.parametrize(
    ("target", "args", "code"),
    [(int, (), 0), (sys.exit, (7,), 7), (sys.exit, (), 0), (sys.exit, ("said so",), 1), (fail, (), 1), (os._exit, (9,), 9), (os.abort, (), -signal.SIGABRT)],
)
def test_how_a_process_ends_is_known(target, args, code, capfd):
    assert end_of(started(target, *args)) == code
    stderr = capfd.readouterr().err
    assert ("said so" in stderr) == (args == ("said so",)) and ("ValueError: on purpose" in stderr) == (target is fail)


def test_a_process_through_its_life():
    process = context.Process(target=blocked, name="mine", args=(None,))
    assert (process.exitcode, process.pid, process.is_alive(), repr(process)) == (None, None, False, f"<ZygoteProcess name='mine' parent={os.getpid()} initial>")
    running = Blocked()
    process = running.process
    assert process.is_alive() and process.exitcode is None and runs(process.pid)
    assert process in standard.active_children()
    assert wait([process.sentinel], 0) == [] and process.join(0) is None and process.is_alive()
    assert repr(process) == f"<ZygoteProcess name='{process.name}' pid={process.pid} parent={os.getpid()} started>"
    with pytest.raises(ValueError, match="Cannot close a process while it is still running"):
        process.close()
    running.let_go()
    assert wait([process.sentinel], LIMIT) == [process.sentinel]
    assert end_of(process) == 0 and not process.is_alive() and not runs(process.pid)
    assert "stopped exitcode=0" in repr(process)
    process.close()
    with pytest.raises(ValueError, match="process object is closed"):
        process.join()
    with pytest.raises(AssertionError, match="cannot start a process twice"):
        again = started(int)
        end_of(again)
        again.start()


@pytest.mark.parametrize(("method", "code"), [("terminate", -signal.SIGTERM), ("kill", -signal.SIGKILL)])
def test_signals(method, code):
    process = Blocked().process
    getattr(process, method)()
    assert end_of(process) == code
    getattr(process, method)()  # of one that has ended, nothing


class Mine(context.Process):
    def __init__(self, sender):
        super().__init__()
        self.sender = sender

    def run(self):
        self.sender.send((self.name, type(self).__name__, standard.current_process() is self, standard.parent_process().pid))


def test_a_subclass_of_process():
    receiver, sender = context.Pipe(duplex=False)
    process = Mine(sender)
    process.start()
    assert receiver.recv() == (process.name, "Mine", True, os.getpid()) and end_of(process) == 0


def test_what_processes_share_by_inheritance():
    lock, event, queue, value = context.Lock(), context.Event(), context.Queue(), context.Value("i", 0)
    process = started(use, lock, event, queue, value)
    assert queue.get(timeout=LIMIT) == "hello"
    with lock:
        value.value += 1
    event.set()
    assert end_of(process) == 0 and value.value == 11


def use(lock, event, queue, value):
    queue.put("hello")
    assert event.wait(LIMIT)
    with lock:
        value.value += 10


def test_pools_executors_and_managers_on_it():
    from concurrent.futures import ProcessPoolExecutor

    with context.Pool(2) as pool:
        assert pool.map(abs, range(-9, 0)) == list(range(9, 0, -1))
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        assert list(executor.map(abs, [-1, -2])) == [1, 2]
    with context.Manager() as manager:
        shared = manager.list()
        end_of(started(shared.append, 3))
        assert list(shared) == [3]


def test_many_threads_start_processes_at_once():
    codes = []
    threads = [threading.Thread(target=lambda i=i: codes.append(end_of(started(sys.exit, i)))) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert sorted(codes) == list(range(12))


def test_threads_that_ask_for_the_same_end_all_get_it():
    running = Blocked()
    codes = []
    threads = [threading.Thread(target=lambda: codes.append(end_of(running.process))) for _ in range(8)]
    for thread in threads:
        thread.start()
    running.process.terminate()
    for thread in threads:
        thread.join(LIMIT)
    assert codes == [-signal.SIGTERM] * 8


def test_nothing_is_left_of_processes_that_ended():
    end_of(started(int))
    before = descriptors()
    for _ in range(20):
        assert end_of(started(int)) == 0
    assert descriptors() == before
    zygote = client._zygote.pid
    until(lambda: Path(f"/proc/{zygote}/task/{zygote}/children").read_text() == "")
    assert len(os.listdir(f"/proc/{zygote}/fd")) < 12


def test_what_cannot_be_pickled_is_said_and_leaves_nothing():
    end_of(started(int))
    before = descriptors()
    with pytest.raises(Exception, match="pickle"):
        started(lambda: None)
    assert descriptors() == before and end_of(started(int)) == 0


class Unreadable:
    def __reduce__(self):
        return fail, ()


def test_what_cannot_be_unpickled_ends_that_process(capfd):
    assert end_of(started(int, Unreadable())) == 1
    assert "ValueError: on purpose" in capfd.readouterr().err
    assert end_of(started(int)) == 0


def test_more_descriptors_than_a_message_takes():
    connections = [end for _ in range(130) for end in context.Pipe()]
    with pytest.raises(ValueError, match="too many fds"):
        started(int, connections)
    assert end_of(started(len, connections[:200])) == 0


def limit_that_leaves(count, pid):
    """Below it so many numbers of descriptors are free."""
    taken = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    free = (number for number in range(1000) if number not in taken)
    return list(itertools.islice(free, count + 1))[-1]


def test_a_zygote_without_descriptors_says_so_and_goes_on(capfd):
    running = Blocked()
    zygote = client._zygote.pid
    soft, hard = resource.prlimit(zygote, resource.RLIMIT_NOFILE)
    end_of(started(int))
    known = len(os.listdir(f"/proc/{zygote}/fd"))
    refusals = 0
    for free in range(10):
        resource.prlimit(zygote, resource.RLIMIT_NOFILE, (limit_that_leaves(free, zygote), hard))
        try:
            # It may get so far that it is the process, which has the same limit, that lacks descriptors.
            assert end_of(started(int)) in (0, 1)
        except OSError as error:
            assert error.errno == errno.EMFILE
            refusals += 1
        assert client._zygote.pid == zygote and runs(zygote)
        resource.prlimit(zygote, resource.RLIMIT_NOFILE, (soft, hard))
    assert 2 <= refusals < 10
    assert end_of(started(sys.exit, 3)) == 3
    until(lambda: len(os.listdir(f"/proc/{zygote}/fd")) <= known)
    until(lambda: Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split() == [str(running.process.pid)])
    running.let_go()
    assert end_of(running.process) == 0


def test_a_process_of_a_process():
    assert told(below) == ("zygote", 5)


def below():
    return standard.get_start_method(), end_of(started(sys.exit, 5))


# --- what a process finds around it


def around():
    mask = os.umask(0o77)
    os.umask(mask)
    blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    return dict(os.environ), os.environ.get("PATH"), os.getcwd(), list(sys.path), mask, blocked, sys.argv


def test_each_process_finds_what_its_parent_has_when_it_starts(tmp_path, monkeypatch):
    here = around()
    assert told(around) == here
    monkeypatch.setenv("PLAIT_TEST", "new")
    monkeypatch.delenv("PATH")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setattr(sys, "argv", ["another", "program"])
    mask = os.umask(0o27)
    signals = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGHUP])
    try:
        now = around()
        assert now != here and now[1] is None and now[4] == 0o27 and now[5] == [signal.SIGHUP, signal.SIGUSR1]
        assert told(around) == now
    finally:
        os.umask(mask)
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
    monkeypatch.undo()
    assert told(around) == here


def test_a_module_of_a_directory_that_was_made_later(tmp_path, monkeypatch):
    directory = tmp_path / "later"
    monkeypatch.syspath_prepend(str(directory))
    assert told(can_import, "made_later_on") is False
    directory.mkdir()
    (directory / "made_later_on.py").write_text("")
    assert told(can_import, "made_later_on") is True


def can_import(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def test_output_goes_where_the_parents_goes_when_it_starts(tmp_path):
    end_of(started(int))
    with open(tmp_path / "out", "wb") as file:
        before = os.dup(1)
        sys.stdout.flush()
        os.dup2(file.fileno(), 1)
        try:
            assert end_of(started(os.system, "echo hello")) == 0
            assert end_of(started(os.write, 1, b"again\n")) == 0
        finally:
            os.dup2(before, 1)
            os.close(before)
    assert (tmp_path / "out").read_text() == "hello\nagain\n"


def test_interrupts_reach_processes_and_not_the_zygote():
    ours, theirs = context.Pipe()
    process = started(interruptible, theirs)
    assert ours.recv() == "ready"
    zygote = zygote_of(process)
    assert zygote == client._zygote.pid
    os.kill(zygote, signal.SIGINT)
    os.kill(process.pid, signal.SIGINT)
    assert end_of(process) == 3
    assert end_of(started(int)) == 0 and client._zygote.pid == zygote


def interruptible(connection):
    try:
        connection.send("ready")
        connection.poll(None)
    except KeyboardInterrupt:
        sys.exit(3)


def test_an_interrupt_before_the_process_runs_is_not_lost():
    for _ in range(10):
        process = Blocked().process
        os.kill(process.pid, signal.SIGINT)
        assert end_of(process) == 1


# --- what it imports


def loaded(name):
    return name in sys.modules


def test_modules_are_imported_once_for_all(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "costly_to_import.py").write_text("import os\nloaded_by = os.getpid()\n")
    assert told(loaded, "costly_to_import") is False
    set_zygote_preload(["costly_to_import", "colorsys"])
    assert told(loader) == client._zygote.pid
    assert told(loaded, "colorsys") is True


def loader():
    return sys.modules["costly_to_import"].loaded_by


def test_another_choice_is_another_zygote_and_the_old_one_ends_with_its_last_process():
    running = Blocked()
    first = zygote_of(running.process)
    set_zygote_preload(["colorsys"])
    assert told(loaded, "colorsys") is True and client._zygote.pid != first
    second = client._zygote.pid
    set_zygote_preload(("colorsys",))
    assert told(loaded, "colorsys") is True and client._zygote.pid == second, "the same choice again changes nothing"
    assert runs(first) and running.process.is_alive()
    running.let_go()
    assert end_of(running.process) == 0
    until(lambda: not runs(first))
    end_of(started(int))
    assert first not in client._left, "it was reaped"


@pytest.mark.parametrize("names", ["a string", ["one", 2], [b"bytes"], [None]])
def test_names_that_are_none(names):
    with pytest.raises(TypeError, match="module_names must be a list of strings"):
        set_zygote_preload(names)


def test_a_module_that_cannot_be_imported_is_warned_of(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_to_import.py").write_text("1 / 0\n")
    set_zygote_preload(["there_is_none_such", "broken_to_import", "colorsys"])
    with pytest.warns(RuntimeWarning) as caught:
        assert told(loaded, "colorsys") is True
    assert [str(each.message) for each in caught] == [
        "the zygote goes without a module: there_is_none_such: ModuleNotFoundError: No module named 'there_is_none_such'",
        "the zygote goes without a module: broken_to_import: ZeroDivisionError: division by zero",
    ]
    assert {each.filename for each in caught} == {__file__}


def parent():
    return os.getppid()


def method():
    return standard.get_start_method()


def test_a_module_that_starts_a_thread_makes_processes_spawn(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "starts_a_thread.py").write_text("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n")
    set_zygote_preload(["colorsys", "starts_a_thread"])
    with pytest.warns(RuntimeWarning) as caught:
        assert told(parent) == os.getpid()
    reason = "after it had imported starts_a_thread it had 2 threads, and what has threads cannot be forked safely"
    assert [(str(each.message), each.filename) for each in caught] == [(f"processes start by spawn, not by zygote: {reason}", __file__)]
    assert client._zygote is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert told(parent) == os.getpid(), "it is said once"
        assert told(method) == "zygote"
        set_zygote_preload(["colorsys"])
        assert told(parent) == client._zygote.pid


def test_a_module_that_ends_the_zygote(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "ends_it.py").write_text("import os\nos._exit(3)\n")
    set_zygote_preload(["ends_it"])
    with pytest.warns(RuntimeWarning, match=r"by spawn, not by zygote: it ended while it imported its modules \(exit code 3\)"):
        assert told(parent) == os.getpid()


def test_a_system_without_pidfds(monkeypatch):
    def forbidden(pid, flags=0):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", forbidden)
    with pytest.warns(RuntimeWarning, match=r"by spawn, not by zygote: this system lacks pidfd_open, or forbids it \(Operation not permitted\)"):
        assert told(parent) == os.getpid()


# --- who dies


def test_a_zygote_that_was_killed_is_replaced_and_its_processes_go_on():
    running = Blocked()
    zygote = zygote_of(running.process)
    os.kill(zygote, signal.SIGKILL)
    until(lambda: not runs(zygote))
    assert running.process.is_alive() and wait([running.process.sentinel], 0) == []
    assert end_of(started(sys.exit, 4)) == 4 and client._zygote.pid != zygote
    running.let_go()
    assert end_of(running.process) == 255, "nobody could tell how it ended"


def test_a_zygote_ends_when_it_is_left():
    end_of(started(int))
    zygote = client._zygote.pid
    client.stop()
    assert not runs(zygote) and client._left == []
    assert end_of(started(int)) == 0


def test_a_fork_of_the_program_has_a_zygote_of_its_own():
    end_of(started(int))
    zygote, control = client._zygote.pid, os.fstat(client._zygote.control.fileno()).st_ino
    receiver, sender = standard.get_context("fork").Pipe(duplex=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks in a program with threads
        child = standard.get_context("fork").Process(target=fork_of_the_program, args=(sender, zygote, control))
        child.start()
    assert receiver.poll(LIMIT) and receiver.recv() == (True, True, 6)
    child.join(LIMIT)
    assert child.exitcode == 0
    assert end_of(started(int)) == 0 and client._zygote.pid == zygote


def fork_of_the_program(sender, zygote, control):
    sockets = [os.stat(f"/proc/self/fd/{fd}").st_ino for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
    forgotten = client._zygote is None and control not in sockets
    code = end_of(started(sys.exit, 6))
    sender.send((forgotten, client._zygote.pid != zygote, code))


def test_a_client_by_itself():
    other = Client()
    assert other._zygote is None and other._preload == ["__main__"]
    other.stop()
    assert _zygote.METHOD == "zygote"
