"""Semaphore and BoundedSemaphore between two strands of any kinds: permits in, permits out."""

import plait
import pytest
from steps import GAVE_UP, now, raced, step, within
from strands import BRIEFLY, parked, until

ROUNDS = 8


@pytest.fixture(params=["Semaphore", "BoundedSemaphore"])
def semaphore_of(request):
    return getattr(plait, request.param)


def test_the_waiter_gets_the_permit_that_is_released(semaphore_of, first, second):
    semaphore = semaphore_of(1)
    for holder, waiter in ((first, second), (second, first)):
        assert holder.do(semaphore.acquire) is True
        waiting = waiter.start(semaphore.acquire)
        parked(semaphore, 1)
        assert not waiting.done() and semaphore.value == 0
        holder.do(semaphore.release)
        assert waiting.value() is True
        assert semaphore.value == 0 and semaphore._waiting == 0
        waiter.do(semaphore.release)
        assert semaphore.value == 1


def test_permits_back_and_forth(semaphore_of, first, second):
    """Each gives the other leave for the next turn."""
    leave = {first: plait.Semaphore(1), second: semaphore_of(1)}
    leave[second].acquire()
    turns = []

    def take_turns(mine, others, name):
        for _ in range(50):
            yield leave[mine].acquire
            turns.append(name)
            yield leave[others].release

    calls = [first.start(take_turns, first, second, 1), second.start(take_turns, second, first, 2)]
    [call.value() for call in calls]
    assert turns == [1, 2] * 50
    assert (leave[first].value, leave[second].value) == (1, 0)


def test_never_more_inside_than_permits(semaphore_of, company, pair):
    """Two permits, five strands of the two kinds."""
    semaphore = semaphore_of(2)
    inside, most = set(), []

    def visit(who):
        for _ in range(20):
            yield semaphore.acquire
            inside.add(who)
            most.append(len(inside))
            inside.discard(who)
            yield semaphore.release

    crowd = [*pair, *(company.strand(strand.name.split()[1]) for strand in pair), company.strand("thread")]
    calls = [strand.start(visit, number) for number, strand in enumerate(crowd)]
    [call.value() for call in calls]
    assert len(most) == 100 and max(most) <= 2 and not inside
    assert semaphore.value == 2 and semaphore._waiting == 0


def test_two_permits_at_once_wake_two(first, second):
    semaphore = plait.Semaphore(0)
    calls = [first.start(semaphore.acquire), second.start(semaphore.acquire)]
    parked(semaphore, 2)
    semaphore.release(3)
    assert [call.value() for call in calls] == [True, True]
    assert semaphore.value == 1


def test_who_waited_first_is_served_first(first, second):
    semaphore = plait.Semaphore(0)
    calls = []
    for count, strand in enumerate((first, second), 1):
        calls.append(strand.start(semaphore.acquire))
        parked(semaphore, count)
    semaphore.release()
    assert calls[0].value() is True
    assert not calls[1].done() and semaphore._waiting == 1 and semaphore.value == 0
    semaphore.release()
    assert calls[1].value() is True


def test_one_that_gave_up_takes_no_permit(semaphore_of, first, second):
    semaphore = semaphore_of(1)
    for patient, hasty in ((first, second), (second, first)):
        patient.do(semaphore.acquire)
        assert hasty.do(within(BRIEFLY, semaphore.acquire)) is GAVE_UP
        assert hasty.do(within(0, semaphore.acquire)) is GAVE_UP
        assert hasty.do(now(semaphore.acquire, False)) is False
        assert semaphore._waiting == 0
        waiting = patient.start(semaphore.acquire)
        parked(semaphore, 1)
        hasty.do(semaphore.release)
        assert waiting.value() is True and semaphore.value == 0
        patient.do(semaphore.release)
        assert semaphore.value == 1


def test_one_that_gives_up_as_it_is_served_passes_the_permit_on(semaphore_of, first, second):
    semaphore = semaphore_of(1)

    def attempt():
        outcome = yield raced(semaphore.acquire)
        if outcome is not GAVE_UP:
            yield semaphore.release
        return outcome

    for _ in range(ROUNDS):
        assert semaphore.acquire(False)
        giving_up = first.start(attempt)
        parked(semaphore, 1, unless=giving_up.done)
        waiting = second.start(semaphore.acquire)
        until(lambda: semaphore._waiting == 2 or giving_up.done() and semaphore._waiting == 1)
        first.race(semaphore.release)
        assert giving_up.value() in (True, GAVE_UP)
        assert waiting.value() is True
        assert semaphore.value == 0 and semaphore._waiting == 0
        second.do(semaphore.release)
        assert semaphore.value == 1


def test_one_of_several_that_are_served_at_once_gives_up(first, second):
    """Two permits for two that wait: what the one does not take is there for anyone."""
    semaphore = plait.Semaphore(0)
    for _ in range(ROUNDS):
        giving_up = first.start(raced(semaphore.acquire))
        waiting = second.start(semaphore.acquire)
        until(lambda: semaphore._waiting == 2 or giving_up.done() and semaphore._waiting == 1)
        first.race(lambda: semaphore.release(2))
        assert waiting.value() is True
        left = giving_up.value() is GAVE_UP
        assert semaphore.value == left
        assert semaphore.acquire(False) is left


def test_with_statements(semaphore_of, first, second):
    semaphore = semaphore_of(1)

    def block():
        yield semaphore.__enter__
        assert semaphore.value == 0
        yield step(semaphore.__exit__, None, None, None)

    for inside, outside in ((first, second), (second, first)):
        inside.do(semaphore.__enter__)
        waiting = outside.start(block)
        parked(semaphore, 1)
        assert not inside.do(semaphore.__exit__, LookupError, LookupError(), None)
        waiting.value()
        assert semaphore.value == 1


def test_a_bounded_one_is_not_released_too_often(first, second):
    semaphore = plait.BoundedSemaphore(1)
    first.do(semaphore.acquire)
    waiting = second.start(semaphore.acquire)
    parked(semaphore, 1)
    first.do(semaphore.release)
    waiting.value()
    first.do(semaphore.release)  # it has no owner
    for strand in (first, second):
        with pytest.raises(ValueError):
            strand.do(semaphore.release)
    assert semaphore.value == 1
