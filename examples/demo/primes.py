"""Count the primes below a limit over all cores: a map of many short computations through a pool of processes.

Each piece is a call of some tens of microseconds, so what shows beside the computing is what the pool costs to hand a call over and to be told; and every piece's
count is checked against a sieve. Rejected: a few long pieces, which would show the processor alone, on any pool.
"""

import argparse
import concurrent.futures
import os
import time
from collections.abc import Iterator

from reporting import Progress, add_progress_option, class_name, count, finish

LIMIT = 300_000
# Numbers in a piece.
PIECE = 10


def primes_between(first: int, end: int) -> int:
    """How many there are from `first` up to `end`."""
    return sum(map(is_prime, range(first, end)))


def is_prime(number: int) -> bool:
    """By the test of Miller and Rabin, which is never wrong with these bases below 3,215,031,751."""
    if number < 2 or any(number % prime == 0 for prime in SMALL_PRIMES):
        return number in SMALL_PRIMES
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(passes(number, base, odd, twos) for base in (2, 3, 5, 7))


def passes(number: int, base: int, odd: int, twos: int) -> bool:
    """One round of that test."""
    power = pow(base, odd, number)
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False


SMALL_PRIMES = frozenset((2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37))


def sieve(limit: int) -> bytearray:
    """One byte a number, 1 for a prime."""
    primes = bytearray([1]) * limit
    primes[:2] = bytes(min(2, limit))
    for number in range(2, int(limit**0.5) + 1):
        if primes[number]:
            primes[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return primes


def pieces(limit: int) -> Iterator[tuple[int, int]]:
    for first in range(0, limit, PIECE):
        yield first, min(first + PIECE, limit)


def problems_of(counts: list[int], limit: int) -> list[str]:
    primes = sieve(limit)
    expected = [sum(primes[first:end]) for first, end in pieces(limit)]
    if len(counts) != len(expected):
        return [f"{len(counts)} answers to {len(expected)} questions"]
    wrong = [pair for pair, said, true in zip(pieces(limit), counts, expected) if said != true]
    return [f"{len(wrong)} wrong counts, the first for {wrong[0]}"] if wrong else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=count, default=LIMIT, help="primes below this are counted")
    parser.add_argument("--workers", type=count, default=os.cpu_count())
    add_progress_option(parser)
    options = parser.parse_args()

    firsts, ends = zip(*pieces(options.limit))
    counts = []
    with concurrent.futures.ProcessPoolExecutor(options.workers) as pool:
        pool.submit(primes_between, 0, 1).result()  # the workers are up
        begun = time.perf_counter()
        with Progress(options.progress, "primes", len(firsts)) as progress:
            for found in pool.map(primes_between, firsts, ends):
                counts.append(found)
                progress.advance()
        seconds = time.perf_counter() - begun
        ran_on = class_name(pool)
    finish(
        scenario="primes", ran_on=ran_on, seconds=seconds, problems=problems_of(counts, options.limit),
        verified=f"{sum(counts):,} primes below {options.limit:,}, in {len(counts):,} calls on {options.workers} processes",
        primes=sum(counts), calls=len(counts),
    )


if __name__ == "__main__":
    main()
