"""Signal handlers of the loop, and Ctrl-C in programs of their own."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from peers import until


def test_handler_is_called_with_its_arguments(loop, run):
    async def main():
        got = []
        loop.add_signal_handler(signal.SIGUSR1, lambda *args: got.append(args), 1, "two")
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(lambda: got)
        assert got == [(1, "two")]
        assert loop.remove_signal_handler(signal.SIGUSR1) is True
        assert loop.remove_signal_handler(signal.SIGUSR1) is False

    run(main())
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_a_signal_wakes_a_sleeping_loop(loop):
    import threading

    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    thread = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1))
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_replaced_handler(loop, run):
    async def main():
        got = []
        loop.add_signal_handler(signal.SIGUSR1, got.append, "old")
        loop.add_signal_handler(signal.SIGUSR1, got.append, "new")
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(lambda: got)
        assert got == ["new"]
        loop.remove_signal_handler(signal.SIGUSR1)

    run(main())


def test_several_signals_at_once(loop, run):
    async def main():
        got = []
        for sig in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            loop.add_signal_handler(sig, got.append, sig)
        for sig in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            os.kill(os.getpid(), sig)
        await until(lambda: len(got) == 3)
        assert set(got) == {signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP}

    run(main())


def test_a_signal_before_the_loop_runs_is_not_lost(loop, run):
    got = []
    loop.add_signal_handler(signal.SIGUSR1, got.append, 1)
    os.kill(os.getpid(), signal.SIGUSR1)
    run(until(lambda: got))


def test_python_handlers_run_too(loop, run):
    """signal.signal goes on working beside the loop's own handlers."""
    got = []
    before = signal.signal(signal.SIGUSR2, lambda *_: got.append("python"))
    loop.add_signal_handler(signal.SIGUSR1, got.append, "loop")

    async def main():
        os.kill(os.getpid(), signal.SIGUSR2)
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(lambda: len(got) == 2)

    run(main())
    signal.signal(signal.SIGUSR2, before)
    assert sorted(got) == ["loop", "python"]


def test_close_takes_the_handlers_away(loop):
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.set_wakeup_fd(-1) == -1


def test_the_wake_up_descriptor_is_given_back(loop, run):
    loop.add_signal_handler(signal.SIGUSR1, print)
    run(asyncio.sleep(0))
    loop.remove_signal_handler(signal.SIGUSR1)
    run(asyncio.sleep(0))
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_during_a_system_call_of_the_loop(loop, run):
    """EINTR ends nothing: a signal without Python handler effects only wakes."""
    import threading

    before = signal.signal(signal.SIGUSR1, lambda *_: None)

    async def main():
        main_thread = threading.main_thread().ident
        stop = threading.Event()

        def pester():
            while not stop.is_set():
                signal.pthread_kill(main_thread, signal.SIGUSR1)

        thread = threading.Thread(target=pester)
        thread.start()
        assert await asyncio.sleep(0.02, "slept") == "slept"
        stop.set()
        thread.join()

    try:
        run(main())
    finally:
        signal.signal(signal.SIGUSR1, before)


# ---- Ctrl-C

PRELUDE = """
    import asyncio, os, signal, socket, sys, threading
    import plait
    FACTORY = {factory}
    def ready():
        print("ready", flush=True)
    async def idle():
        ready()
        await asyncio.Event().wait()
    async def busy():
        loop = asyncio.get_running_loop()
        def again():
            loop.call_soon(again)
        again()
        ready()
        await asyncio.Event().wait()
    async def computing():
        ready()
        while True:
            pass
    async def receiving():
        a, b = socket.socketpair()
        a.setblocking(False)
        ready()
        await asyncio.get_running_loop().sock_recv(a, 1)
    async def sleeping_tasks():
        tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(100)]
        ready()
        await asyncio.wait(tasks)
    async def serving():
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        ready()
        await server.serve_forever()
    def bare(coro):
        loop = FACTORY()
        loop.run_until_complete(coro)
    def forever(coro):
        loop = FACTORY()
        task = loop.create_task(coro)
        loop.run_forever()
    def runner(coro):
        with asyncio.Runner(loop_factory=FACTORY) as runner:
            runner.run(coro)
"""


@pytest.mark.parametrize("how", ["bare", "forever", "runner"])
@pytest.mark.parametrize("doing", ["idle", "busy", "computing", "receiving", "sleeping_tasks", "serving"])
def test_control_c(factory, how, doing):
    """The program ends promptly, with KeyboardInterrupt and by the signal, whatever the loop was doing."""
    if (how, doing) == ("runner", "computing"):
        pytest.skip("a Runner's first Ctrl-C only cancels, and this coroutine never awaits")
    name = "asyncio.SelectorEventLoop" if factory is asyncio.SelectorEventLoop else "plait.new_event_loop"
    program = textwrap.dedent(PRELUDE).format(factory=name) + f"{how}({doing}())\n"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout.readline() == b"ready\n", process.stderr.read()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    assert b"\nKeyboardInterrupt\n" in errors, errors


def test_control_c_within_run_until_complete_leaves_a_usable_loop(loop):
    async def interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(3600)

    task = loop.create_task(interrupt())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    if not task.done():  # the interrupt came between two callbacks
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    assert loop.run_until_complete(asyncio.sleep(0, "usable")) == "usable"
