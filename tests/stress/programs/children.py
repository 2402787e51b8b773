"""Many short-lived children, in batches and by every way in and out. Afterwards there is not a descriptor, a thread or a zombie more.

    children.py NUMBER [without-pidfds]

The number is of children in all. What it prints: how many it started, and how they ended.
"""

import asyncio
import collections
import os
import random
import signal
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE

import limits
import plait
from plait import _native, _processes

AT_ONCE = 20
ended = collections.Counter()


async def ordinary():
    child = await asyncio.create_subprocess_exec("/bin/true")
    assert type(child._transport) is _native.SubprocessTransport
    assert await child.wait() == 0


async def with_a_code():
    child = await asyncio.create_subprocess_shell("exit 7", stdin=DEVNULL)
    assert await asyncio.gather(child.wait(), child.wait()) == [7, 7]


async def with_a_talk():
    child = await asyncio.create_subprocess_exec("/bin/cat", stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert await child.communicate(b"x" * 1000) == (b"x" * 1000, b"")


async def with_a_signal():
    child = await asyncio.create_subprocess_exec("/bin/sleep", "3600", stdout=PIPE)
    child.terminate()
    assert await child.wait() == -signal.SIGTERM


async def cancelled():
    task = asyncio.ensure_future(asyncio.create_subprocess_exec("/bin/sleep", "3600", stdin=PIPE, stdout=PIPE))
    for _ in range(random.randrange(6)):
        await asyncio.sleep(0)
    task.cancel()
    try:
        child = await task
    except asyncio.CancelledError:
        return
    child._transport.close()
    assert await child.wait() == -signal.SIGKILL


async def closed():
    transport, _ = await asyncio.get_running_loop().subprocess_exec(asyncio.SubprocessProtocol, "/bin/cat")
    transport.close()
    assert await transport._wait() == -signal.SIGKILL


async def that_is_not_there():
    try:
        await asyncio.create_subprocess_exec("/no/such/program", stdin=PIPE)
    except FileNotFoundError:
        return
    raise AssertionError("it was there")


# Mostly the shortest one.
WAYS = [*[ordinary] * 12, with_a_code, with_a_talk, with_a_signal, cancelled, closed, that_is_not_there]


async def start(number):
    for left in range(number, 0, -AT_ONCE):
        ways = [random.choice(WAYS) for _ in range(min(left, AT_ONCE))]
        await asyncio.gather(*(way() for way in ways))
        ended.update(way.__name__ for way in ways)
        if not left % 100:
            limits.go_on()


def left_over():
    try:
        os.waitpid(-1, os.WNOHANG)
        children = 1
    except ChildProcessError:
        children = 0
    return len(os.listdir("/proc/self/fd")), threading.active_count(), children


async def threads_to_end():
    """Those that waited for children have told the loop before they end."""
    for thread in threading.enumerate():
        if "waitpid" in thread.name:
            await asyncio.to_thread(thread.join)


async def main(number):
    await start(2 * AT_ONCE)
    await threads_to_end()
    await asyncio.get_running_loop().shutdown_default_executor()
    before = left_over()
    ended.clear()
    await start(number)
    for thread in threading.enumerate():
        if "waitpid" in thread.name:
            thread.join()
    assert left_over() == before, (before, left_over())
    assert before[2] == 0


if "without-pidfds" in sys.argv:
    _processes._can_use_pidfd = lambda: False
random.seed(5)
plait.run(main(int(sys.argv[1])))
print(sum(ended.values()), dict(sorted(ended.items())))
