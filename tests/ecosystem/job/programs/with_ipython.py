"""IPython as a process of its own: top-level await, ``%autoawait``, background tasks, Ctrl-C in an await."""

import os
import signal
import subprocess
from pathlib import Path

import stage
from stage import check

PATIENCE = 60.0
ENVIRONMENT = os.environ | {"IPYTHONDIR": os.path.abspath("ipython"), "TERM": "dumb"}


def ipython(cells: str, *options: str) -> str:
    """What IPython prints for a script of cells, each run as if it had been typed."""
    Path("cells.ipy").write_text(cells)
    command = stage.python("-m", "IPython", "--colors=NoColor", "--simple-prompt", "--no-banner", "--no-confirm-exit", *options, "cells.ipy")
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def typed(cells: str) -> str:
    """The same from standard input, cell after cell."""
    command = stage.python("-m", "IPython", "--colors=NoColor", "--simple-prompt", "--no-banner", "--no-confirm-exit")
    done = subprocess.run(command, input=cells, capture_output=True, text=True, timeout=PATIENCE, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@check
def top_level_await_in_a_script() -> None:
    said = ipython("import asyncio\nasync def here():\n    return type(asyncio.get_running_loop()).__module__.partition('.')[0]\nprint('LOOP', await here())\n")
    assert f"LOOP {stage.LOOP}" in said, said


@check
def cells_share_one_loop() -> None:
    said = typed(
        "import asyncio\n"
        "async def here(): return asyncio.get_running_loop()\n\n"
        "first = await here()\n"
        "print('SAME', first is await here(), type(first).__module__.partition('.')[0])\n"
        "event = asyncio.Event()\n"
        "async def later():\n    await event.wait()\n    return 'woken'\n\n"
        "async def start(): return asyncio.create_task(later())\n\n"
        "task = await start()\n"
        "event.set()\n"
        "print('TASK', await task)\n"
        "print('GATHERED', await asyncio.gather(*(asyncio.sleep(0.001, n) for n in range(5))))\n"
    )
    assert f"SAME True {stage.LOOP}" in said and "TASK woken" in said and "GATHERED [0, 1, 2, 3, 4]" in said, said


@check
def autoawait_on_and_off() -> None:
    said = typed("import asyncio\n%autoawait\n%autoawait off\nawait asyncio.sleep(0)\n%autoawait asyncio\nprint('AFTER', await asyncio.sleep(0, 'slept'))\n")
    assert "IPython autoawait is `on`" in said and "SyntaxError" in said and "AFTER slept" in said, said


@check
def errors_time_outs_and_async_for() -> None:
    said = typed(
        "import asyncio\n"
        "async def numbers():\n    for n in range(3):\n        await asyncio.sleep(0)\n        yield n\n\n"
        "print('LIST', [n async for n in numbers()])\n"
        "async with asyncio.timeout(0.01): await asyncio.sleep(3600)\n\n"
        "await asyncio.create_subprocess\n"
        "print('STILL', await asyncio.sleep(0, 'here'))\n"
    )
    assert "LIST [0, 1, 2]" in said and "TimeoutError" in said and "AttributeError" in said and "STILL here" in said, said


@check
def asyncio_run_in_a_cell_and_a_server_with_its_client() -> None:
    said = typed(
        "import asyncio\n"
        "async def echo(reader, writer):\n    writer.write((await reader.readline()).upper())\n    writer.close()\n\n"
        "server = await asyncio.start_server(echo, '127.0.0.1', 0)\n"
        "reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())\n"
        "writer.write(b'hello\\n')\n"
        "print('SAID', await reader.read())\n"
        "writer.close(); server.close(); await server.wait_closed()\n"
        "print('RUN', asyncio.run(asyncio.sleep(0, 'by itself')))\n"
    )
    assert "SAID b'HELLO\\n'" in said and "RUN by itself" in said, said


@check
def an_interrupt_ends_the_await() -> None:
    Path("cells.ipy").write_text(
        "import asyncio\nasync def sleeps():\n    print('SLEEPS', flush=True)\n    await asyncio.sleep(3600)\n\nawait sleeps()\n"
    )
    command = stage.python("-m", "IPython", "--colors=NoColor", "--simple-prompt", "--no-banner", "cells.ipy")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        said = ""
        while "SLEEPS" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        said += process.communicate(timeout=PATIENCE)[0]
    assert "KeyboardInterrupt" in said, said


if __name__ == "__main__":
    stage.go()
