"""The soak: a million connections opened, used and closed by one pair of processes, and what is left of them.

    make soak                                      a million over TCP and a hundred thousand over TLS
    make soak SOAK_ARGS='--tcp 20000 --tls 2000'   a look

Both processes run on plait, as `plait run` has it, with its loop, its transports and its streams, and both say which classes
they met. Client and server use streams or a protocol, as each connection's script says; one in ten is cancelled at any moment, one
in twenty is cut by the server, the others end in every way there is. It fails (exit status 1) if a byte is wrong, if an exception comes that
should not, if anything reaches a loop's exception handler, if a descriptor, a task or a thread is left on either side, or if memory at the
end is more than 5 % above what it was after the first tenth. A stand-still ends it with stacks.

Read `script` first (what a connection does), then `server`, `client`, `census`.
"""

import argparse
import asyncio
import dataclasses
import faulthandler
import json
import ssl
import subprocess
import sys
import time
from typing import Any

import census
import client
import server
from census import Census
from script import script

TENTHS = 10
# Seconds that so many connections may take; none takes a thousandth of it. To set it again starts a thread, hence not for each.
STAND_STILL, REARMED = 120, 500


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description="Many connections, and nothing left of them.")
    add = parser.add_argument
    add("--tcp", type=int, default=1_000_000, metavar="N", help="connections over TCP (default 1,000,000; 0 for none)")
    add("--tls", type=int, default=100_000, metavar="N", help="connections over TLS (default 100,000; 0 for none)")
    add("--at-once", type=int, default=100, metavar="N", help="how many are open at once (default 100)")
    add("--cancelled", type=float, default=0.1, metavar="PART", help="part of them that is cancelled (default 0.1)")
    add("--growth", type=float, default=0.05, metavar="PART", help="part by which memory may grow (default 0.05)")
    add("--slack", type=float, default=0.0, metavar="MIB", help="and so many MiB, for short runs (default 0)")
    add("--seed", type=int, default=1, help="another one makes other connections (default 1)")
    add("--loop", choices=("plait", "asyncio"), default="plait", help="what both processes run on (default plait)")
    add("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    factory: Any = asyncio.SelectorEventLoop
    if options.loop == "plait":
        import plait

        plait.install()
        factory = plait.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(server.main(options.tls > 0) if options.serve else soak(options)) or 0


class Server:
    """The other process."""

    def __init__(self, arguments: list[str]) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, sys.argv[0], *arguments, "--serve"]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        self.about = self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended: exit status {self._process.wait()}")
        told: dict[str, Any] = json.loads(line)
        return told

    async def census(self) -> tuple[Census, dict[str, Any]]:
        """What it holds when it has nothing open any more, and what else it tells."""
        assert self._process.stdin is not None and self._process.stdout is not None
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        self._process.stdin.write(b"census\n")
        self._process.stdin.flush()
        # Not waited for in a thread, which would be one more; and this side's loop has to go on closing.
        loop.add_reader(self._process.stdout, lambda: ready.done() or ready.set_result(None))
        await ready
        loop.remove_reader(self._process.stdout)
        told = self._read()
        return Census(**{field.name: told.pop(field.name) for field in dataclasses.fields(Census)}), told

    def end(self) -> list[str]:
        """What is to be said of how it ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        status = self._process.wait(timeout=60)
        return [f"the server ended with exit status {status}"] if status else []


async def soak(options: argparse.Namespace) -> int:
    server_ = Server(sys.argv[1:])
    outcome, problems = client.Outcome(), []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, said: outcome.error(f"{said.get('message')}: {said.get('exception')!r}"))
    began = time.monotonic()
    print(f"loops: {type(loop).__module__} here, {server_.about['loop']} there", flush=True)
    before = census.take(), (await server_.census())[0]
    for kind, count in (("tcp", options.tcp), ("tls", options.tls)):
        if not count:
            continue
        if "lacks" in server_.about and kind == "tls":
            problems.append(f"TLS: {server_.about['lacks']}")
            continue
        problems += await phase(kind, count, options, server_, outcome)
    there, told = await server_.census()
    problems += census.leaks("client", before[0], census.take()) + census.leaks("server", before[1], there)
    problems += _verdict(options, outcome, told)
    problems += server_.end()
    counts = ", ".join(f"{count:,} {what}" for what, count in sorted(outcome.counts.items()))
    print(f"{outcome.done:,} connections in {time.monotonic() - began:.0f} s: {counts}; the server saw {told['seen']:,}")
    print(f"classes here: {', '.join(sorted(outcome.used))}; there: {', '.join(told['served'])}")
    for problem in problems:
        print(f"FAILED: {problem}")
    print("failed" if problems else "passed")
    return 1 if problems else 0


async def phase(
    kind: str, count: int, options: argparse.Namespace, server_: Server, outcome: client.Outcome
) -> list[str]:
    """All connections of a kind, in tenths, after each of which both sides come to rest and are counted."""
    context = ssl.create_default_context(cafile=str(server.CERTIFICATE)) if kind == "tls" else None
    ports = {way: server_.about["ports"][f"{kind} {way}"] for way in ("protocol", "streams")}
    rests: list[tuple[Census, Census]] = []
    for tenth in range(TENTHS):
        began, numbers = time.monotonic(), range(count * tenth // TENTHS, count * (tenth + 1) // TENTHS)
        left = iter(numbers)
        faulthandler.dump_traceback_later(STAND_STILL, exit=True)

        async def work() -> None:
            for number in left:
                if number % REARMED == 0:
                    faulthandler.dump_traceback_later(STAND_STILL, exit=True)
                made = script(options.seed, kind, number, options.cancelled)
                await client.run(made, ports["streams" if made.to_streams else "protocol"], context, outcome)

        await asyncio.gather(*(work() for _ in range(options.at_once)))
        there, told = await server_.census()
        # It is a thread.
        faulthandler.cancel_dump_traceback_later()
        rests.append((census.take(), there))
        rate = len(numbers) / max(time.monotonic() - began, 1e-9)
        here = rests[-1][0]
        print(
            f"{kind} {numbers.stop:>9,} of {count:,}  {rate:>7,.0f}/s  client {here.resident / 2**20:6.1f} MiB, "
            f"{here.descriptors} descriptors, {here.tasks} tasks  server {there.resident / 2**20:6.1f} MiB, "
            f"{there.descriptors} descriptors, {there.tasks} tasks, {told['open']} open",
            flush=True,
        )
    slack = int(options.slack * 2**20)
    return [
        problem
        for place, side in enumerate((f"client, {kind}", f"server, {kind}"))
        for problem in census.growth(side, rests[0][place], rests[-1][place], options.growth, slack)
    ]


def _verdict(options: argparse.Namespace, outcome: client.Outcome, told: dict[str, Any]) -> list[str]:
    """What went wrong, apart from what is left over."""
    problems = [*outcome.errors, *(f"server: {error}" for error in told["errors"])]
    if told["open"]:
        problems.append(f"server: {told['open']} connections are still open")
    # A pair that only ever failed and cancelled would have left nothing behind either.
    if outcome.counts["used to the end"] < outcome.done / 2:
        problems.append(f"only {outcome.counts['used to the end']:,} connections were used to the end")
    ours = {name.partition(".")[0] for name in (*outcome.used, *told["served"])}
    if (options.loop == "plait") != (ours == {"plait"}):
        problems.append(f"ran on classes of {', '.join(sorted(ours))}")
    return problems


if __name__ == "__main__":
    sys.exit(main())
