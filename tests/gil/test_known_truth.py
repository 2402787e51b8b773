"""The monitor against programs whose truth is known: within five percentage points of a thread's time."""

import gc
import sys
import threading
import time

import plait.gil
import pytest
from known_truth import Truth, Work, compresses, computes, hashes, sleeps, watch
from plait._gil_report import short_path

pytestmark = pytest.mark.skipif(not plait.gil.exists(), reason="this Python has no GIL")

SECONDS = 2.0


def test_one_busy_thread_holds_it_all_the_time() -> None:
    watched = watch(SECONDS, busy=computes)
    assert watched.share("busy", "held") == pytest.approx(1.0, abs=watched.points)
    assert watched.share("busy", "waited") == pytest.approx(0.0, abs=watched.points)
    assert watched.report.thread("MainThread").idle == pytest.approx(watched.report.seconds, abs=watched.points * SECONDS)
    assert watched.report.free == pytest.approx(0.0, abs=watched.points * SECONDS)


def test_two_busy_threads_share_it_and_wait_for_each_other() -> None:
    watched = watch(SECONDS, one=computes, two=computes)
    truth = watched.truths
    held = {name: watched.share(name, "held") for name in truth}
    # Of two that compute in Python, one holds it and the other waits, at every moment but those in which it changes hands: who was asked to let go has done so,
    # and who asked has not got a processor yet.
    assert sum(held.values()) + watched.report.free / watched.report.seconds == pytest.approx(1.0, abs=watched.points)
    for name in truth:
        assert held[name] + watched.share(name, "waited") == pytest.approx(1.0, abs=watched.points)
    assert sum(held.values()) > 0.75
    assert watched.report.switches > 2 * SECONDS


@pytest.mark.parametrize("work", [hashes, compresses])
def test_c_code_that_releases_it_runs_outside(work: Work) -> None:
    watched = watch(SECONDS, outside=work)
    inside = watched.truths["outside"].inside / watched.truths["outside"].seconds
    assert watched.share("outside", "outside") == pytest.approx(inside, abs=watched.points)
    assert watched.share("outside", "waited") == pytest.approx(0.0, abs=watched.points)


def test_a_busy_thread_beside_c_code_is_told_apart() -> None:
    watched = watch(SECONDS, python=computes, c=hashes)
    held = watched.share("python", "held")
    assert held + watched.share("python", "waited") == pytest.approx(1.0, abs=watched.points)
    c = watched.share("c", "outside") + watched.share("c", "waited")
    assert c == pytest.approx(1.0, abs=watched.points)


def test_sleepers_want_nothing() -> None:
    watched = watch(SECONDS, one=sleeps, two=sleeps, three=sleeps)
    for name, truth in watched.truths.items():
        assert watched.share(name, "idle") == pytest.approx(1 - truth.cpu / truth.seconds, abs=watched.points)
        assert watched.share(name, "held") == pytest.approx(0.0, abs=watched.points)
    assert watched.report.free == pytest.approx(watched.report.seconds, abs=watched.points * SECONDS)


def test_the_processor_time_is_the_threads_own() -> None:
    watched = watch(SECONDS, busy=computes)
    seen = watched.report.thread("busy").cpu
    assert seen is not None
    assert seen == pytest.approx(watched.truths["busy"].cpu, abs=watched.points * SECONDS)


def holds_in_this_line(truth: Truth, until: float) -> None:
    while time.perf_counter() < until:
        sum(range(20_000))  # the line that is found


def test_the_line_that_holds_it_is_found() -> None:
    watched = watch(SECONDS, busy=holds_in_this_line)
    first = watched.report.holders[0]
    assert first.place is not None
    assert (first.place.file, first.place.function) == (__file__, "holds_in_this_line")
    assert first.place.line == holds_in_this_line.__code__.co_firstlineno + 2
    assert first.threads == ("busy",)
    assert first.share == pytest.approx(1.0, abs=2 * watched.points)


def sorts(truth: Truth, until: float) -> None:
    items = [float(number % 977) for number in range(400_000)]
    while time.perf_counter() < until:
        start = time.perf_counter()
        sorted(items)  # C code that does not release it
        truth.inside = max(truth.inside, time.perf_counter() - start)


def test_c_code_that_keeps_it_is_found_by_the_longest_stretch() -> None:
    watched = watch(SECONDS, sorter=sorts, other=computes)
    longest = watched.report.thread("sorter")
    assert longest.longest_wanted_at is not None
    assert longest.longest_wanted_at.function == "sorts"
    # It is seen by looks, so it may be a little longer or shorter; two in a row may look like one.
    assert longest.longest_wanted > (0.5 - watched.points) * watched.truths["sorter"].inside
    if "last seen in" in watched.report.advice():
        assert f"last seen in {short_path(__file__)}:" in watched.report.advice()
    assert "sorter kept the GIL for" in watched.report.advice() or watched.truths["sorter"].inside < 0.1


def test_counting_switches_is_the_interpreters() -> None:
    """Two threads that hand a token to each other: each hand-over is a switch."""
    rounds = 300
    forth, back = threading.Semaphore(0), threading.Semaphore(0)

    def answers() -> None:
        for _ in range(rounds):
            forth.acquire()
            back.release()

    with plait.gil.monitor() as report:
        thread = threading.Thread(target=answers)
        thread.start()
        for _ in range(rounds):
            forth.release()
            back.acquire()
        thread.join()
    assert report.switches >= 2 * rounds * 0.9


def test_the_garbage_collector_does_not_mind() -> None:
    """Objects come and go under its eyes."""
    def churns(truth: Truth, until: float) -> None:
        while time.perf_counter() < until:
            exec(compile("def made(): return [object() for _ in range(100)]\nmade()", "<made>", "exec"), {})

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        watched = watch(SECONDS, one=churns, two=churns)
    finally:
        sys.setswitchinterval(interval)
    gc.collect()
    assert watched.report.samples > 100
    assert any(holder.place and holder.place.file == "<made>" for holder in watched.report.holders)
