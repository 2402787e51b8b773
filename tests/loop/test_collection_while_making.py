"""The garbage collector may run within the making of any object: up to Python 3.11 every allocation can start it.

It then sees native objects that are tracked but not filled in yet. In a process of its own, for what goes wrong there is
a crash.
"""

import subprocess
import sys

MAKE_EVERYTHING = """
import asyncio, gc
import plait

THRESHOLD = 100
held = []

def collect_at_allocation(n):
    # The collector starts when more than THRESHOLD objects were made since it last ran. Dictionaries from the
    # interpreter's free list do not count, so there must be none left; sets have no such list.
    held.append([{} for _ in range(100)])
    gc.collect(0)
    held.append([set() for _ in range(THRESHOLD - n)])

class Protocol(asyncio.Protocol):
    def connection_made(self, transport):
        transport.close()

def factory():
    protocol = Protocol()
    collect_at_allocation(next_one)
    return protocol

async def main():
    global next_one
    loop = asyncio.get_running_loop()
    async with await loop.create_server(factory, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        for next_one in range(30):
            for make in (
                lambda: plait.new_event_loop().close(),
                lambda: loop.create_future(),
                lambda: loop.call_soon(int),
                lambda: loop.call_later(0, int),
                lambda: loop.create_task(asyncio.sleep(0)),
                lambda: loop.sock_recv(None, 1).close(),
            ):
                collect_at_allocation(next_one)
                make()
            await loop.create_connection(asyncio.Protocol, *address)
            await asyncio.sleep(0)

gc.set_threshold(THRESHOLD)
plait.run(main())
print("made")
"""


def test_collecting_while_native_objects_are_made():
    command = [sys.executable, "-W", "ignore", "-c", MAKE_EVERYTHING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "made\n"), done.stderr
