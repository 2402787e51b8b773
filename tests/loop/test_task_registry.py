"""Which tasks there are and which one runs: all_tasks, current_task, _enter_task and _leave_task see native tasks."""

import asyncio
import sys

import plait
import pytest
from test_native_tasks import forever, nothing


def test_current_task(loop, run):
    seen = []

    async def child():
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    async def main():
        assert asyncio.current_task() is asyncio.current_task(loop)
        loop.call_soon(lambda: seen.append(asyncio.current_task()))
        tasks = [loop.create_task(child(), name=str(i)) for i in range(2)]
        await asyncio.gather(*tasks)
        assert seen == [None, *tasks, *tasks]

    run(main())
    with pytest.raises(RuntimeError):
        asyncio.current_task()
    assert asyncio.current_task(loop) is None


def test_enter_and_leave_task(loop, run):
    """What some packages do by hand."""

    async def main():
        me = asyncio.current_task()
        other = loop.create_task(nothing())
        with pytest.raises(RuntimeError, match="Cannot enter into task"):
            asyncio.tasks._enter_task(loop, other)
        asyncio.tasks._leave_task(loop, me)
        assert asyncio.current_task() is None
        asyncio.tasks._enter_task(loop, other)
        assert asyncio.current_task() is other
        asyncio.tasks._leave_task(loop, other)
        asyncio.tasks._enter_task(loop, me)
        await other
        assert asyncio.current_task() is me

    run(main())


EARLY = """
from asyncio import all_tasks, current_task
import asyncio, plait
async def main():
    task = asyncio.create_task(asyncio.sleep(3600))
    assert all_tasks() == {task, current_task()}, all_tasks()
    assert type(task) is plait.Task
    task.cancel()
plait.run(main())
"""


def test_all_tasks_imported_before_plait():
    import subprocess

    done = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_all_tasks_of_each_loop(loop, run, make_loop):
    other = make_loop()
    theirs = other.create_task(nothing())

    async def main():
        mine = [loop.create_task(forever()) for _ in range(100)]
        assert asyncio.all_tasks() == {*mine, asyncio.current_task()}
        assert asyncio.all_tasks(other) == {theirs}
        for task in mine[:50]:
            task.cancel()
        await asyncio.gather(*mine[:50], return_exceptions=True)
        assert asyncio.all_tasks() == {*mine[50:], asyncio.current_task()}

    run(main())
    other.run_until_complete(theirs)
    assert asyncio.all_tasks(other) == set()


def test_all_tasks_while_other_threads_make_tasks():
    """A snapshot must neither crash nor miss one's own, whatever other threads do."""
    import threading

    failed = []

    async def churn():
        mine = {asyncio.current_task()}
        for _ in range(200):
            task = asyncio.create_task(asyncio.sleep(0))
            mine.add(task)
            if not mine <= asyncio.all_tasks():
                failed.append(1)
            await task
            mine.discard(task)

    threads = [threading.Thread(target=lambda: plait.run(churn())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
