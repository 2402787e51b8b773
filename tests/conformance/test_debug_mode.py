"""Debug mode: how it is switched on, what is logged, and in which words."""

import asyncio
import logging
import re
import subprocess
import sys
import time

import plait
import pytest

STOCK, PLAIT = "asyncio.SelectorEventLoop", "plait.new_event_loop"


@pytest.fixture
def program(factory):
    """Runs a program in a Python of its own; FACTORY there is the loop's maker."""
    name = STOCK if factory is asyncio.SelectorEventLoop else PLAIT

    def start(source, *options, **environment):
        import os

        source = f"import asyncio, plait\nFACTORY = {name}\n{source}"
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | environment
        command = [sys.executable, *options, "-c", source]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, env=env)

    return start


PRINT_DEBUG = "loop = FACTORY(); print(loop.get_debug()); loop.close()"


def test_how_it_is_switched_on(program):
    assert program(PRINT_DEBUG).stdout == "False\n"
    assert program(PRINT_DEBUG, "-X", "dev").stdout == "True\n"
    assert program(PRINT_DEBUG, PYTHONASYNCIODEBUG="1").stdout == "True\n"
    assert program(PRINT_DEBUG, "-E", PYTHONASYNCIODEBUG="1").stdout == "False\n"


def test_set_debug(loop):
    assert loop.get_debug() is False
    loop.set_debug(True)
    assert loop.get_debug() is True
    loop.set_debug(False)
    assert loop.get_debug() is False


# What is not slow must not take so long on a busy machine either.
SLOW, LIMIT = 0.06, 0.05


def slow_callback(seconds):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        pass


async def slow_coroutine():
    slow_callback(SLOW)


def slow_lines(caplog):
    """The lines without numbers that vary."""
    lines = [record.getMessage() for record in caplog.records if "Executing" in record.getMessage()]
    assert all(record.levelno == logging.WARNING and record.name == "asyncio" for record in caplog.records)
    return [re.sub(r"0\.\d{3} seconds", "0.… seconds", re.sub(r"Task-\d+", "Task-N", line)) for line in lines]


def test_slow_callbacks_are_logged(loop, run, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = LIMIT
    loop.call_soon(slow_callback, SLOW)
    loop.call_soon(slow_callback, 0)
    run(slow_coroutine())
    callback, coroutine = slow_lines(caplog)
    assert callback.startswith("Executing <Handle slow_callback(0.06) at ")
    assert callback.endswith(" took 0.… seconds")
    assert coroutine.startswith("Executing <Task finished name='Task-N' coro=<slow_coroutine() done, defined at ")
    assert coroutine.endswith(" took 0.… seconds")


def test_nothing_is_logged_outside_debug_mode(loop, run, caplog):
    loop.slow_callback_duration = LIMIT
    run(slow_coroutine())
    assert caplog.records == []


def test_the_same_words_for_slow_ones():
    """Byte for byte, but for the figures."""
    logged = []
    for factory in (asyncio.SelectorEventLoop, plait.new_event_loop):
        loop = factory()
        loop.set_debug(True)
        loop.slow_callback_duration = LIMIT
        lines = []
        handler = logging.Handler()
        handler.emit = lambda record, lines=lines: lines.append(record.getMessage())
        logging.getLogger("asyncio").addHandler(handler)

        async def main(loop=loop):
            loop.call_later(0, slow_callback, SLOW)
            future = loop.create_future()
            future.add_done_callback(lambda _: slow_callback(SLOW))
            future.set_result(None)
            await loop.create_task(slow_coroutine(), name="slow")
            slow_callback(SLOW)
            await asyncio.sleep(0)

        loop.run_until_complete(main())
        loop.close()
        logging.getLogger("asyncio").removeHandler(handler)
        patterns = [
            (r"\d\.\d{3} seconds", "… seconds"), (r"0x[0-9a-f]+", "0x…"), (r"Task-\d+", "Task-N"),
            (r"when=[\d.]+", "when=…"), (r"cb=\[[^\]]*\]", "cb=[…]"),
            # shortened in the middle, where it shows what made it: asyncio's create_future or its caller
            (r"<Future finis\.\.\.[^>]*>", "<Future finished>"),
        ]
        shown = []
        for line in lines:
            for pattern, instead in patterns:
                line = re.sub(pattern, instead, line)
            # where in the test, or in asyncio's own files, a future or handle was made
            shown.append(re.sub(r" created at [^ >]+", "", line))
        logged.append([line for line in shown if line.startswith("Executing")])
    assert logged[1] == logged[0]


def test_source_tracebacks(loop, reports):
    loop.set_debug(True)

    def fails():
        raise LookupError

    handle = loop.call_soon(fails)
    assert handle._source_traceback[-1].name == "test_source_tracebacks"
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert reports[0]["source_traceback"][-1].name == "test_source_tracebacks"
    assert loop.create_future()._source_traceback is not None


def test_coroutine_origins_are_tracked_while_running(loop, run):
    before = sys.get_coroutine_origin_tracking_depth()

    async def main():
        inside = sys.get_coroutine_origin_tracking_depth()
        loop.set_debug(False)
        await asyncio.sleep(0)
        return inside, sys.get_coroutine_origin_tracking_depth()

    loop.set_debug(True)
    assert run(main()) == (10, before)
    assert sys.get_coroutine_origin_tracking_depth() == before


NEVER_AWAITED = """
async def never(): pass
async def main():
    never()
with asyncio.Runner(loop_factory=FACTORY) as runner:
    runner.run(main())
"""


def test_a_coroutine_that_was_never_awaited(program):
    done = program(NEVER_AWAITED)
    assert "RuntimeWarning: coroutine 'never' was never awaited" in done.stderr
    done = program(NEVER_AWAITED, "-X", "dev")
    assert "Coroutine created at (most recent call last)" in done.stderr


def test_closing_is_logged(loop, caplog):
    loop.set_debug(True)
    with caplog.at_level("DEBUG", "asyncio"):
        loop.close()
    assert any(record.getMessage().startswith("Close <") for record in caplog.records)


LEFTOVERS = """
import gc
async def fails():
    raise LookupError("seven")
async def main():
    task = asyncio.create_task(fails(), name="fails")
    await asyncio.sleep(0)
    del task
    gc.collect()
    pending = asyncio.create_task(asyncio.Event().wait(), name="pending")
    await asyncio.sleep(0)
    del pending
    gc.collect()
with asyncio.Runner(loop_factory=FACTORY) as runner:
    runner.run(main())
"""


def test_finalizer_messages_in_a_program(program):
    done = program(LEFTOVERS)
    assert done.returncode == 0
    assert "Task exception was never retrieved\nfuture: <Task finished name='fails' coro=<fails() done" in done.stderr
    assert "LookupError: seven" in done.stderr
    assert "Task was destroyed but it is pending!\ntask: <Task pending name='pending' coro=<Event.wait() " in done.stderr
