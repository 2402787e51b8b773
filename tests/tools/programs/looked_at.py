"""A thread looks at the thread of the loop while a task blocks it: what samplers (py-spy and the like) see."""

import asyncio
import faulthandler
import sys
import tempfile
import threading
import traceback

import which_loop

LOOP_THREAD = threading.get_ident()


def look(results: list[str]) -> None:
    while sys._current_frames()[LOOP_THREAD].f_code.co_name not in ("join", "_wait_for_tstate_lock"):
        pass  # it is still in start()
    frame = sys._current_frames()[LOOP_THREAD]
    results.append("".join(traceback.format_stack(frame)))
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        results.append(file.read())


def blocks() -> list[str]:
    results: list[str] = []
    thread = threading.Thread(target=look, args=(results,))
    thread.start()
    thread.join()
    return results


async def inner() -> list[str]:
    await asyncio.sleep(0)
    return blocks()


async def task() -> list[str]:
    return await inner()


async def main() -> None:
    for text in await asyncio.create_task(task()):
        print(text)


asyncio.run(main())
which_loop.say()
