"""Makes up scripts of what may happen to a TLS connection and plays them, looking for one that goes wrong.

    python tests/stress/fuzz_tls [--seconds 600] [--seed N] [--keep DIRECTORY] [--play HEX …]

libFuzzer cannot drive what lives over Python's ssl module, so this is a fuzzer of its own: it changes scripts that did something new,
where new is a step in a state of the connection, or one thing told after another, that no script had before. A script that goes
wrong is cut down and shown, as hex for --play and in words.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import plait
from judge import Judge
from protocols import Record
from script import STEPS, words

CORPUS = Path(__file__).parent / "corpus"
LONGEST = 160
# A script takes milliseconds. One that never ends is the worst finding.
HUNG_AFTER = 10


class Hung(SystemExit):
    """Raised in a script that does not end. A SystemExit, because that is what leaves a loop."""


def hung(*_: object) -> None:
    raise Hung("hangs")


def known_scripts() -> list[bytes]:
    return [bytes.fromhex(path.read_text()) for path in sorted(CORPUS.glob("*.hex"))]


class Fuzzer:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.loops: list[Any] = []
        self.renew()
        self.corpus: list[bytes] = []
        self.seen: set[Any] = set()
        self.played = 0

    def renew(self) -> None:
        """Other loops, since the old ones may be in any state."""
        self.loops = [plait.new_event_loop(), asyncio.SelectorEventLoop()]
        self.judge = Judge(*self.loops)

    def made_up(self) -> bytes:
        rng = self.random
        if not self.corpus or rng.random() < 0.1:
            return rng.randbytes(4 + 2 * rng.randrange(1, 30))
        script = bytearray(rng.choice(self.corpus))
        for _ in range(rng.choice((1, 1, 2, 4))):
            self.change(script)
        return bytes(script[:LONGEST])

    def change(self, script: bytearray) -> None:
        rng = self.random
        place = min(4 + 2 * rng.randrange(0, max(1, (len(script) - 2) // 2)), len(script))
        match rng.randrange(7):
            case 0:
                script[place:place] = bytes((rng.randrange(len(STEPS)), rng.randrange(256)))
            case 1:
                del script[place : place + 2]
            case 2:
                script[place : place + 2] = bytes((rng.randrange(len(STEPS)), rng.randrange(256)))
            case 3 if len(script) > place + 1:
                script[place + 1] = rng.randrange(256)
            case 4:
                other = rng.choice(self.corpus)
                begin = 4 + 2 * rng.randrange(0, max(1, len(other) // 2 - 2))
                script[place:place] = other[begin : begin + 2 * rng.randrange(1, 9)]
            case 5:
                script[place:place] = script[place : place + 2] * rng.randrange(1, 4)
            case _:
                script[rng.randrange(4)] = rng.randrange(256)

    def look(self, script: bytes) -> tuple[list[str], Record | None]:
        self.played += 1
        signal.alarm(HUNG_AFTER)
        try:
            return self.judge.judge(script)
        except Hung:
            self.renew()
            return ["hangs"], None
        except Exception as error:
            self.renew()
            place = traceback.extract_tb(error.__traceback__)[-1]
            return [f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"], None
        finally:
            signal.alarm(0)

    def is_new(self, script: bytes, record: Record, kinds: int = 15) -> bool:
        """Whether it did something that no script did before; `kinds` are the flags that make it another connection."""
        told = [event if isinstance(event, str) else event[0] for event in record.events]
        features = {(script[0] & kinds, *feature) for feature in record.features}
        features |= set(zip(told, told[1:], told[2:], strict=False))
        new = features - self.seen
        self.seen |= features
        return bool(new)

    def try_one(self, script: bytes) -> list[str]:
        troubles, record = self.look(script)
        if record is not None and self.is_new(script, record):
            self.corpus.append(script)
        return troubles

    def cut_down(self, script: bytes) -> bytes:
        """Without the steps that it takes nothing of, twice over."""
        for _ in range(2):
            place = len(script) - len(script) % 2 - 2
            while place >= 4:
                shorter = script[:place] + script[place + 2 :]
                if self.look(shorter)[0]:
                    script = shorter
                place -= 2
        for place, plain in ((3, 255), (2, 255), (1, 0), (0, 96)):
            simpler = script[:place] + bytes((plain,)) + script[place + 1 :]
            if self.look(simpler)[0]:
                script = simpler
        return script

    def close(self) -> None:
        for loop in self.loops:
            with contextlib.suppress(Exception):
                loop.close()


def tell(script: bytes, troubles: list[str]) -> None:
    print(f"{script.hex()}\n    {words(script)}", *(f"    * {trouble}" for trouble in troubles), sep="\n", flush=True)


def fuzz(fuzzer: Fuzzer, seconds: float, most: int) -> int:
    found = 0
    end = time.monotonic() + seconds
    waiting = [bytes((flags, 0, 255, 255)) for flags in range(256)] + known_scripts()
    while time.monotonic() < end and found < most:
        script = waiting.pop() if waiting else fuzzer.made_up()
        if fuzzer.try_one(script):
            found += 1
            script = fuzzer.cut_down(script)
            tell(script, fuzzer.look(script)[0])
    print(f"{fuzzer.played} plays, {len(fuzzer.corpus)} scripts did something new, {found} went wrong", flush=True)
    return found


def keep(fuzzer: Fuzzer, directory: Path) -> None:
    """The shortest scripts that together still do all that was new, of whatever kind the connection is."""
    directory.mkdir(parents=True, exist_ok=True)
    fuzzer.seen = set()
    for number, script in enumerate(sorted(fuzzer.corpus, key=len)):
        troubles, record = fuzzer.look(script)
        if not troubles and record is not None and fuzzer.is_new(script, record, kinds=0):
            (directory / f"{number:04}.hex").write_text(script.hex() + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz_tls", description="Scripts of what may happen to a TLS connection.")
    parser.add_argument("--seconds", type=float, default=600, help="how long (600)")
    parser.add_argument("--seed", type=int, default=time.time_ns(), help="the same seed tries the same scripts")
    parser.add_argument("--most", type=int, default=5, help="stop after so many findings (5)")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="write scripts that did something new there")
    parser.add_argument("--play", nargs="+", metavar="HEX", help="play these and stop")
    arguments = parser.parse_args()
    logging.disable()  # "SSL connection is closed", thousands of times
    signal.signal(signal.SIGALRM, hung)
    fuzzer = Fuzzer(arguments.seed)
    gc.freeze()  # else each look for what is left behind looks through all of Python
    try:
        if arguments.play:
            troubles = {script: fuzzer.look(bytes.fromhex(script))[0] for script in arguments.play}
            for script, trouble in troubles.items():
                tell(bytes.fromhex(script), trouble)
            return int(any(troubles.values()))
        print(f"seed {arguments.seed}", flush=True)
        found = fuzz(fuzzer, arguments.seconds, arguments.most)
        if arguments.keep:
            keep(fuzzer, arguments.keep)
        return int(found > 0)
    finally:
        fuzzer.close()


if __name__ == "__main__":
    sys.exit(main())
