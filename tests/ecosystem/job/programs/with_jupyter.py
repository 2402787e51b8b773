"""Jupyter's kernel in a process of its own, and its asynchronous client on this loop (pyzmq watches its sockets by ``add_reader``)."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import stage
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from stage import check

PATIENCE = 45.0
for variable in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
    os.environ[variable] = os.path.abspath(variable.lower())
    os.makedirs(os.environ[variable], exist_ok=True)


def specification() -> str:
    """A kernel as a user installs one: the command is all that tells plait from asyncio."""
    place = Path("kernels", "here")
    place.mkdir(parents=True, exist_ok=True)
    command = [*stage.python("-m", "ipykernel_launcher"), "-f", "{connection_file}"]
    (place / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "here", "language": "python", "interrupt_mode": "signal"}))
    return "here"


@asynccontextmanager
async def kernel() -> AsyncIterator[tuple[AsyncKernelManager, Any]]:
    manager = AsyncKernelManager(kernel_name=specification(), kernel_spec_manager=KernelSpecManager(kernel_dirs=[os.path.abspath("kernels")]))
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=PATIENCE)
        yield manager, client
    finally:
        client.stop_channels()
        await manager.shutdown_kernel()


async def cell(client: Any, code: str) -> tuple[str, str]:
    """The cell's status, and what it printed and returned."""
    said: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            said.append(content["text"])
        elif message["msg_type"] == "execute_result":
            said.append(content["data"]["text/plain"])
        elif message["msg_type"] == "error":
            said.append(content["ename"])

    reply = await client.execute_interactive(code, output_hook=hook, timeout=PATIENCE, store_history=False)
    return reply["content"]["status"], "".join(said)


@check(keeps_sockets=True)
async def cells_with_top_level_await() -> None:
    async with kernel() as (_, client):
        assert await cell(client, "import asyncio\ntype(asyncio.get_running_loop()).__module__.partition('.')[0]") == ("ok", f"'{stage.LOOP}'")
        assert await cell(client, "print(await asyncio.gather(*(asyncio.sleep(0.001, n) for n in range(5))))") == ("ok", "[0, 1, 2, 3, 4]\n")
        assert await cell(client, "async with asyncio.timeout(0.01): await asyncio.sleep(3600)") == ("error", "TimeoutError")
        assert await cell(client, "1/0") == ("error", "ZeroDivisionError")
        assert await cell(client, "sum(range(10))") == ("ok", "45")


@check(keeps_sockets=True)
async def a_task_goes_on_between_cells() -> None:
    async with kernel() as (_, client):
        await cell(client, "import asyncio\nqueue = asyncio.Queue()\nasync def ticks():\n    while True:\n        await asyncio.sleep(0.001)\n        queue.put_nowait(1)\ntask = asyncio.create_task(ticks())")
        assert await cell(client, "sum([await queue.get() for _ in range(20)])") == ("ok", "20")
        assert await cell(client, "task.cancel(); await asyncio.wait([task]); task.cancelled()") == ("ok", "True")
        assert await cell(client, "import threading\nawait asyncio.to_thread(lambda: threading.current_thread() is threading.main_thread())") == ("ok", "False")


@check(keeps_sockets=True)
async def completion_inspection_and_input() -> None:
    async with kernel() as (_, client):
        await cell(client, "import asyncio\nlonely_name = 7")
        answer = await client.complete("lonely_n", reply=True, timeout=PATIENCE)
        assert "lonely_name" in answer["content"]["matches"]
        answer = await client.inspect("lonely_name", reply=True, timeout=PATIENCE)
        assert answer["content"]["found"]
        asked: list[str] = []

        async def answer_it(message: Any) -> None:
            asked.append(message["content"]["prompt"])
            client.input("given")

        reply = await client.execute_interactive("got = input('what? ')", stdin_hook=answer_it, allow_stdin=True, timeout=PATIENCE)
        assert reply["content"]["status"] == "ok" and asked == ["what? "]
        assert await cell(client, "got") == ("ok", "'given'")


@check(keeps_sockets=True)
async def interrupts_end_a_cell_and_the_kernel_lives() -> None:
    async with kernel() as (manager, client):
        for code in (
            "import asyncio\nasyncio.get_running_loop().call_later(0.1, lambda: print('here', flush=True))\nawait asyncio.sleep(3600)",
            "import threading, time\nthreading.Timer(0.1, lambda: print('here', flush=True)).start()\ntime.sleep(3600)",
        ):
            # "here" is said by another while the cell waits: an interrupt before that may find nothing to end.
            identity = client.execute(code)
            while (await client.get_iopub_msg(timeout=PATIENCE))["msg_type"] != "stream":
                pass
            await manager.interrupt_kernel()
            while (reply := await client.get_shell_msg(timeout=20))["parent_header"]["msg_id"] != identity:
                pass
            assert reply["content"]["status"] == "error" and reply["content"]["ename"] in ("KeyboardInterrupt", "CancelledError"), reply
        assert await cell(client, "6 * 7") == ("ok", "42")


@check(keeps_sockets=True)
async def a_restart_forgets_and_a_shutdown_ends() -> None:
    async with kernel() as (manager, client):
        await cell(client, "x = 1")
        await manager.restart_kernel()
        await client.wait_for_ready(timeout=PATIENCE)
        assert await cell(client, "x") == ("error", "NameError")
        assert await manager.is_alive()
    assert not await manager.is_alive()


@check(keeps_sockets=True)
async def three_kernels_at_once() -> None:
    async def one(number: int) -> None:
        async with kernel() as (_, client):
            assert await cell(client, f"import asyncio\nawait asyncio.sleep(0.01, {number})") == ("ok", str(number))

    await asyncio.gather(*(one(number) for number in range(3)))


if __name__ == "__main__":
    stage.go()
