"""threading's primitives, alone and between two threads.

Two threads that wake each other are pinned to a core each, and each waits in every round. What a round trip costs is
mostly the kernel and, with the GIL, who asks for it when; so the CPU time stands beside the latency: a quick
answer that was bought by spinning shows there.
"""

import threading

from .measuring import Measurement, OnThreads, Pins, measure
from .pairs import together


def threading_semaphore(_: Pins, n: int) -> Measurement:
    semaphore = threading.Semaphore()
    held = True

    def run() -> None:
        nonlocal held
        for _ in range(n):
            held = semaphore.acquire()
            semaphore.release()

    measured = measure(n, run)
    if not (held and semaphore.acquire(blocking=False)) or semaphore.acquire(blocking=False):
        raise RuntimeError("a permit was lost or made")
    return measured


def threading_event(pins: Pins, n: int) -> Measurement:
    there, back = threading.Event(), threading.Event()

    def ask() -> None:
        for _ in range(n):
            there.set()
            back.wait()
            back.clear()

    def answer() -> None:
        for _ in range(n):
            there.wait()
            there.clear()
            back.set()

    measured = measure(n, lambda: together(pins, ask, answer))
    if there.is_set() or back.is_set():
        raise RuntimeError("an event was set once too often")
    return measured


def threading_condition(pins: Pins, n: int) -> Measurement:
    condition = threading.Condition()
    turn = False

    def take_turns(mine: bool) -> None:
        nonlocal turn
        with condition:
            for _ in range(n):
                while turn is not mine:
                    condition.wait()
                turn = not mine
                condition.notify()

    return measure(n, lambda: together(pins, lambda: take_turns(False), lambda: take_turns(True)))


WORKLOADS = (
    OnThreads(
        name="threading_semaphore",
        group="threads",
        run=threading_semaphore,
        n=200_000,
        per="acquisition",
        about="acquire and release a threading.Semaphore that is free",
        uses=("threading.Semaphore",),
    ),
    OnThreads(
        name="threading_event",
        group="threads",
        run=threading_event,
        n=20_000,
        per="round trip",
        about="two threads wake each other in turn through two threading.Events",
        beside=("cpu_ns",),
        uses=("threading.Event",),
    ),
    OnThreads(
        name="threading_condition",
        group="threads",
        run=threading_condition,
        n=20_000,
        per="round trip",
        about="two threads take turns under one threading.Condition",
        beside=("cpu_ns",),
        uses=("threading.Condition",),
    ),
)
