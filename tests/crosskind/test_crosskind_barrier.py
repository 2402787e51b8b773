"""Barrier between two strands of any kinds."""

from threading import BrokenBarrierError

import plait
import pytest
from steps import GAVE_UP, raced, within
from strands import BRIEFLY, until


def waiting_at(barrier, count):
    until(lambda: barrier.n_waiting == count)
    assert barrier._waiting == count


def test_the_last_one_opens_it(first, second):
    barrier = plait.Barrier(2)
    for early, late in ((first, second), (second, first)):
        waiting = early.start(barrier.wait)
        waiting_at(barrier, 1)
        assert not waiting.done()
        assert {late.do(barrier.wait), waiting.value()} == {0, 1}
        assert barrier.n_waiting == 0 and not barrier.broken and barrier.parties == 2


def test_again_and_again(first, second):
    """Each generation has every number once, and its action ran before anybody went on."""
    passed, acted = [], []
    barrier = plait.Barrier(2, action=lambda: acted.append(len(acted)))

    def pass_often(who):
        for generation in range(50):
            index = yield barrier.wait
            assert len(acted) > generation
            passed.append((generation, index, who))

    calls = [first.start(pass_often, 1), second.start(pass_often, 2)]
    [call.value() for call in calls]
    assert sorted((generation, index) for generation, index, _ in passed) == [(g, i) for g in range(50) for i in (0, 1)]
    assert acted == list(range(50))


def test_three_and_four(company, pair):
    crowd = [*pair, company.strand("thread"), company.strand("stock_task")]
    barrier = plait.Barrier(4)
    for last in range(4):
        order = crowd[last:] + crowd[:last]
        calls = []
        for count, strand in enumerate(order[:3], 1):
            calls.append(strand.start(barrier.wait))
            waiting_at(barrier, count)
        calls.append(order[3].start(barrier.wait))
        assert sorted(call.value() for call in calls) == [0, 1, 2, 3]


def test_an_action_that_fails_breaks_it(first, second):
    barrier = plait.Barrier(2, action=lambda: 1 / 0)
    for early, late in ((first, second), (second, first)):
        waiting = early.start(barrier.wait)
        waiting_at(barrier, 1)
        with pytest.raises(ZeroDivisionError):
            late.do(barrier.wait)
        with pytest.raises(BrokenBarrierError):
            waiting.value()
        assert barrier.broken
        barrier.reset()
        assert not barrier.broken


@pytest.mark.parametrize("breaks", ["abort", "reset"])
def test_abort_and_reset_send_who_waits_away(breaks, first, second):
    barrier = plait.Barrier(3)
    for early, late in ((first, second), (second, first)):
        waiting = early.start(barrier.wait)
        waiting_at(barrier, 1)
        late.do(getattr(barrier, breaks))
        with pytest.raises(BrokenBarrierError):
            waiting.value()
        assert barrier.broken is (breaks == "abort") and barrier.n_waiting == 0
        if barrier.broken:
            with pytest.raises(BrokenBarrierError):
                late.do(barrier.wait)
        barrier.reset()
        assert not barrier.broken


def attempt(barrier, how):
    """A time-out that breaks the barrier is a BrokenBarrierError."""
    try:
        return (yield how(barrier.wait))
    except BrokenBarrierError:
        return GAVE_UP


def test_a_time_out_breaks_it_for_all(company, first, second):
    """A task that is cancelled leaves as if it had not come, or breaks it: the standard library's two barriers differ there. But nobody
    may be left behind."""
    for patient, hasty in ((first, second), (second, first)):
        barrier = plait.Barrier(3)
        waiting = patient.start(attempt, barrier, lambda wait: wait)
        waiting_at(barrier, 1)
        assert hasty.do(attempt, barrier, lambda wait: within(BRIEFLY, wait)) is GAVE_UP
        if barrier.broken:
            assert waiting.value() is GAVE_UP
        else:
            assert hasattr(hasty, "task")
            assert barrier.n_waiting == 1 and not waiting.done()
            calls = [hasty.start(barrier.wait), company.strand("thread").start(barrier.wait), waiting]
            assert sorted(call.value() for call in calls) == [0, 1, 2]


def test_one_that_gives_up_as_the_last_one_comes(company, first, second):
    """All of a generation go through, or none does; but one that was cancelled may not have seen that it could."""
    last, substitute = company.strand("thread"), company.strand("thread")
    for _ in range(8):
        barrier = plait.Barrier(3)
        giving_up = first.start(attempt, barrier, raced)
        waiting = second.start(attempt, barrier, lambda wait: wait)
        until(lambda: barrier.n_waiting == 2 or giving_up.done())
        came = []
        first.race(lambda: came.append(last.start(attempt, barrier, lambda wait: wait)))
        others = [waiting, *came]
        outcome = giving_up.value()
        until(lambda: all(call.done() for call in others) or outcome is GAVE_UP and barrier._waiting == 2)
        if not waiting.done():
            # it left as though it had not come, and its place is free
            assert hasattr(first, "task")
            others.append(substitute.start(barrier.wait))
        outcomes = [call.value() for call in others]
        if GAVE_UP in outcomes:
            assert outcomes == [GAVE_UP] * 2 and outcome is GAVE_UP and barrier.broken
        else:
            assert not barrier.broken
            if outcome is GAVE_UP:
                assert hasattr(first, "task") and set(outcomes) <= {0, 1, 2}  # who came later may have its number
            else:
                assert sorted([outcome, *outcomes]) == [0, 1, 2]
