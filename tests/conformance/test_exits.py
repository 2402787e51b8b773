"""Programs that end, or are interrupted, with work left over: tasks, timers, executor jobs, children. On stock asyncio and on plait."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
    import asyncio, os, signal, subprocess, sys, threading, time
    import plait
    FACTORY = {factory}
    PLAIT = FACTORY is plait.new_event_loop
    def say(word):  # in one piece, also where two threads say something
        sys.stdout.write(f"{{word}}\\n")
        sys.stdout.flush()
    def run(coro):
        with asyncio.Runner(loop_factory=FACTORY) as runner:
            assert isinstance(runner.get_loop(), plait.EventLoop) is PLAIT
            return runner.run(coro)
"""


def start(factory, body):
    name = "asyncio.SelectorEventLoop" if factory is asyncio.SelectorEventLoop else "plait.new_event_loop"
    program = textwrap.dedent(PRELUDE).format(factory=name) + textwrap.dedent(body)
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-W", "always::ResourceWarning", "-c", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


def outcome(process):
    """What it printed, what it complained of, and how it ended."""
    with process:
        try:
            out, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    return out.split(), errors, process.returncode


def gone(pid):
    """Wait for the end of a process that is not ours to reap."""
    try:
        descriptor = os.pidfd_open(int(pid))
    except ProcessLookupError:
        return True
    import select

    with open(descriptor, "rb", 0) as file:
        return bool(select.select([file], [], [], 10)[0])


# ---- Ctrl-C under asyncio.Runner


def test_once_cancels_and_twice_raises(factory):
    """The main task may clean up; a second Ctrl-C does not wait for that."""
    with start(factory, """
        async def main():
            try:
                print("ready", flush=True)
                await asyncio.Event().wait()
            finally:
                print("cleaning", flush=True)
                await asyncio.Event().wait()
        try:
            run(main())
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGINT)
        # Leaving the Runner cancels what is left, which ends the clean-up.
        assert outcome(process) == (["interrupted"], "", 0)


def test_a_main_task_that_ends_by_itself_is_not_an_interrupt(factory):
    with start(factory, """
        async def main():
            try:
                print("ready", flush=True)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "handled"
        print(run(main()))
    """) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert outcome(process) == (["handled"], "", 0)


DOING = {
    "a child's end": "child = await asyncio.create_subprocess_exec('sleep', '3600', stdout=-3, stderr=-3); print(child.pid, flush=True); await child.wait()",
    "a child's output": (
        "child = await asyncio.create_subprocess_exec('sleep', '3600', stdout=-1, stdin=-1, stderr=-3)\n"
        "            print(child.pid, flush=True); await child.communicate(b'x' * 1_000_000)"
    ),
    "a thread": "print('ready', flush=True); await asyncio.to_thread(EVENT.wait)",
    "a pipe": (
        "read, write = os.pipe()\n"
        "            stream = asyncio.StreamReader()\n"
        "            await asyncio.get_running_loop().connect_read_pipe(\n"
        "                lambda: asyncio.StreamReaderProtocol(stream), open(read, 'rb', 0))\n"
        "            print('ready', flush=True); await stream.read()"
    ),
}


@pytest.mark.parametrize("waits_for", DOING)
def test_interrupted_while_it_waits_for(factory, waits_for):
    with start(factory, f"""
        EVENT = threading.Event()
        async def main():
            try:
                await waits()
            finally:
                EVENT.set()
        async def waits():
            {DOING[waits_for]}
        try:
            run(main())
        except KeyboardInterrupt:
            print("interrupted")
    """) as process:
        first = process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        out, errors, code = outcome(process)
        assert (out, code) == (["interrupted"], 0), errors
        # asyncio's transport comes to its end after the loop's, and complains.
        assert factory is asyncio.SelectorEventLoop or "Traceback" not in errors, errors
        if first.isdigit():
            # The child was not in the program's hands any more; plait ends it when its transport goes, as asyncio does.
            try:
                os.kill(int(first), signal.SIGKILL)
            except ProcessLookupError:
                pass
            assert gone(first)


def test_a_handler_of_signal_signal_runs_while_the_loop_sleeps(factory):
    """At once: nothing else wakes this loop."""
    with start(factory, """
        async def main():
            loop = asyncio.get_running_loop()
            done = loop.create_future()
            signal.signal(signal.SIGUSR1, lambda *_: (print("handled", flush=True), loop.call_soon_threadsafe(done.set_result, None)))
            print("ready", flush=True)
            await done
        run(main())
        print("ended")
    """) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        assert outcome(process) == (["handled", "ended"], "", 0)


def test_a_handler_that_raises_leaves_the_loop(factory):
    with start(factory, """
        class Stop(BaseException): pass
        def stop(*_):
            raise Stop
        signal.signal(signal.SIGTERM, stop)
        async def main():
            print("ready", flush=True)
            await asyncio.Event().wait()
        try:
            run(main())
        except Stop:
            print("stopped")
    """) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert outcome(process) == (["stopped"], "", 0)


# ---- ends with work left


def test_run_ends_with_everything_pending(factory):
    """Tasks are cancelled, generators closed, executor jobs waited for, timers forgotten, the child killed."""
    with start(factory, """
        GO = threading.Event()
        async def forever(name):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                say(name)
                raise
        async def generator():
            try:
                yield 1
                yield 2
            finally:
                say("generator")
        async def main():
            loop = asyncio.get_running_loop()
            for number in range(3):
                TASKS.append(asyncio.ensure_future(forever(f"task{number}")))
            loop.call_later(3600, print, "timer")
            job = loop.run_in_executor(None, lambda: (GO.wait(), say("job")))
            TASKS.append(asyncio.ensure_future(starting()))
            async for _ in (made := generator()):
                break
            GENERATORS.append(made)
            await STARTED.wait()  # cancelled any earlier, asyncio's would wait for a child that cannot end
            GO.set()
        async def starting():
            transport, protocol = await asyncio.get_running_loop().subprocess_exec(asyncio.SubprocessProtocol, "sleep", "3600")
            CHILDREN.append(transport)
            say(transport.get_pid())
            STARTED.set()
            try:
                await asyncio.Event().wait()
            finally:
                transport.close()
                await transport._wait()
                say("child")
        TASKS, GENERATORS, CHILDREN, STARTED = [], [], [], asyncio.Event()
        run(main())
        say("end")
    """) as process:
        out, errors, code = outcome(process)
        assert code == 0 and "Traceback" not in errors, errors
        pids = [word for word in out if word.isdigit()]
        assert sorted(word for word in out if not word.isdigit()) == sorted(
            ["task0", "task1", "task2", "generator", "job", "end", *["child"] * len(pids)]
        )
        assert all(gone(pid) for pid in pids)


def test_a_bare_loop_left_with_everything_pending(factory):
    """Nobody closes it: the interpreter ends all the same, by itself, and says what was left."""
    with start(factory, """
        loop = FACTORY()
        async def forever():
            await asyncio.Event().wait()
        async def main():
            global child, task
            task = asyncio.ensure_future(forever())
            loop.call_later(3600, print, "timer")
            loop.run_in_executor(None, time.time)
            child = await asyncio.create_subprocess_exec("sleep", "3600", stdin=-1, stdout=-1, stderr=-3)
            print(child.pid, flush=True)
        loop.run_until_complete(main())
        print("end", flush=True)
    """) as process:
        out, errors, code = outcome(process)
        assert (out[1:], code) == (["end"], 0), errors
        assert "Fatal" not in errors and "panicked" not in errors, errors
        try:
            os.kill(int(out[0]), signal.SIGKILL)  # asyncio leaves it running where its finalizers came too late
        except ProcessLookupError:
            pass
        assert gone(out[0])


def test_os_exit_and_system_exit_from_a_callback(factory):
    with start(factory, """
        async def main():
            asyncio.get_running_loop().call_soon(sys.exit, 7)
            await asyncio.Event().wait()
        run(main())
    """) as process:
        assert outcome(process) == ([], "", 7)


def test_a_fork_in_a_callback_starts_children_of_its_own(factory):
    """The forked process has a loop of its own, with a child, a pipe and a signal handler; the parent goes on."""
    with start(factory, """
        async def talk(data):
            child = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
            out, _ = await child.communicate(data)
            return out.decode()
        def forked():
            asyncio.events._set_running_loop(None)
            loop = FACTORY()
            seen = []
            loop.add_signal_handler(signal.SIGUSR1, seen.append, "signal")
            os.kill(os.getpid(), signal.SIGUSR1)
            print(loop.run_until_complete(talk(b"fork")), *seen, flush=True)
            loop.close()
            os._exit(3)
        async def main():
            loop = asyncio.get_running_loop()
            pids = loop.create_future()
            def callback():
                pid = os.fork()
                if not pid:
                    forked()
                pids.set_result(pid)
            before = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
            loop.call_soon(callback)
            pid = await pids
            assert os.waitstatus_to_exitcode(await asyncio.to_thread(lambda: os.waitpid(pid, 0)[1])) == 3
            print(*(await before.communicate(b"before"))[:1], await talk(b"after"), flush=True)
        run(main())
    """) as process:
        assert outcome(process) == (["fork", "signal", "b'before'", "after"], "", 0)
