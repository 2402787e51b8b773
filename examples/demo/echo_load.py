"""A thousand connections to an echo server, all open at once, with every byte accounted for.

Server and clients share one process and one loop, which therefore does all the work that is measured.
Each connection sends bytes of its own, so that streams that got mixed up are noticed. Connections are
opened a few at a time, because a thousand SYNs at once overflow the backlog where somaxconn is small,
and the kernel's retransmission after a second would be all one measures. Each connection exchanges one
message at once, which proves that the server has accepted it, and the rest when all are open. Rejected:
waiting only until connect() succeeds, which the kernel reports while the server may not know yet.
"""

import argparse
import asyncio
import random
import time
from dataclasses import dataclass

from descriptors import make_room
from reporting import Progress, add_progress_option, count, finish, loop_name

HOST = "127.0.0.1"
OPENING_AT_A_TIME = 64
LONGEST_MESSAGE = 4096


@dataclass
class Tally:
    """Bytes as each side counted them, and how many connections the server had open at most."""

    sent: int = 0
    echoed: int = 0
    server_received: int = 0
    server_open: int = 0
    server_peak: int = 0
    mismatches: int = 0


def messages_for(connection: int, messages: int) -> list[bytes]:
    """The connection's own messages, the same in every run."""
    rng = random.Random(connection)
    return [rng.randbytes(rng.randint(1, LONGEST_MESSAGE)) for _ in range(messages)]


def echo_server(tally: Tally):
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tally.server_open += 1
        tally.server_peak = max(tally.server_peak, tally.server_open)
        try:
            while data := await reader.read(65536):
                tally.server_received += len(data)
                writer.write(data)
                await writer.drain()
        finally:
            tally.server_open -= 1
            writer.close()
            await writer.wait_closed()

    return echo


async def exchange(reader, writer, message: bytes, tally: Tally) -> None:
    writer.write(message)
    await writer.drain()
    tally.sent += len(message)
    reply = await reader.readexactly(len(message))
    tally.echoed += len(reply)
    tally.mismatches += reply != message


async def say_goodbye(reader, writer, tally: Tally) -> None:
    """End our side of the stream and see the other side end with nothing left over."""
    writer.write_eof()
    # Not in one line with +=, which reads the total before the wait and loses what others add during it.
    left_over = await reader.read()
    tally.echoed += len(left_over)
    writer.close()
    await writer.wait_closed()


async def load(port: int, talks: list[list[bytes]], tally: Tally, progress: Progress) -> None:
    """Open every connection, then let all of them talk."""
    opening = asyncio.Semaphore(OPENING_AT_A_TIME)
    all_open = asyncio.Barrier(len(talks))

    async def client(messages: list[bytes]) -> None:
        async with opening:
            reader, writer = await asyncio.open_connection(HOST, port)
            await exchange(reader, writer, messages[0], tally)
        await all_open.wait()
        for message in messages[1:]:
            await exchange(reader, writer, message, tally)
        await say_goodbye(reader, writer, tally)
        progress.advance()

    async with asyncio.TaskGroup() as group:
        for messages in talks:
            group.create_task(client(messages))


def judge(connections: int, expected: int, tally: Tally) -> list[str]:
    """What is wrong with the counts; nothing, if all is well."""
    problems = []
    for side in ("sent", "server_received", "echoed"):
        if (counted := getattr(tally, side)) != expected:
            problems.append(f"{side}: {counted} bytes instead of {expected}")
    if tally.mismatches:
        problems.append(f"{tally.mismatches} echoes differ from what was sent")
    if tally.server_peak != connections:
        problems.append(f"{tally.server_peak} connections open at once instead of {connections}")
    return problems


async def timed_load(options: argparse.Namespace) -> dict:
    tally = Tally()
    talks = [messages_for(number, options.messages) for number in range(options.connections)]
    server = await asyncio.start_server(echo_server(tally), HOST, 0, backlog=1024)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with Progress(options.progress, "echo load", options.connections) as progress:
            begun = time.perf_counter()
            await load(port, talks, tally, progress)
            seconds = time.perf_counter() - begun
    expected = sum(len(message) for messages in talks for message in messages)
    return {
        "seconds": seconds, "ran_on": loop_name(), "bytes": tally.echoed,
        "problems": judge(options.connections, expected, tally),
        "verified": f"{tally.echoed:,} of {expected:,} bytes back over {tally.server_peak} connections at once",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Load an echo server and check every byte.")
    parser.add_argument("--connections", type=count, default=1_000)
    parser.add_argument("--messages", type=count, default=20, help="messages on each connection")
    add_progress_option(parser)
    options = parser.parse_args()
    # Each connection has two ends, and both are here; the listener is one more.
    needed = 2 * options.connections + 1
    if make_room(needed) < needed:
        raise SystemExit("the hard limit on open files is too small for this: see ulimit -Hn")
    finish(scenario="echo load", connections=options.connections, **asyncio.run(timed_load(options)))


if __name__ == "__main__":
    main()
