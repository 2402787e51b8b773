"""Event between two strands of any kinds."""

import plait
from steps import GAVE_UP, raced, within
from strands import BRIEFLY, parked, until


def test_set_wakes_the_waiter(first, second):
    event = plait.Event()
    for setter, waiter in ((first, second), (second, first)):
        waiting = waiter.start(event.wait)
        parked(event, 1)
        assert not waiting.done() and not event.is_set()
        setter.do(event.set)
        assert waiting.value() is True
        assert event.is_set() and event._waiting == 0
        assert setter.do(event.wait) is True
        setter.do(event.clear)
        assert not event.is_set()


def test_set_wakes_all(company, first, second):
    event = plait.Event()
    calls = [strand.start(event.wait) for strand in (first, second, company.strand("thread"), company.strand("task"))]
    parked(event, 4)
    second_wait = first.start(event.wait)  # its next step, when it has been woken
    event.set()
    assert [call.value() for call in calls] == [True] * 4
    assert second_wait.value() is True and event._waiting == 0


def test_back_and_forth(first, second):
    """Nothing but the two events keeps them in step."""
    ball = {first: plait.Event(), second: plait.Event()}
    played = []

    def play(mine, others, name):
        for _ in range(50):
            yield ball[mine].wait
            yield ball[mine].clear
            played.append(name)
            yield ball[others].set

    calls = [first.start(play, first, second, 1), second.start(play, second, first, 2)]
    parked(ball[first], 1)
    parked(ball[second], 1)
    ball[first].set()
    [call.value() for call in calls]
    assert played == [1, 2] * 50
    assert ball[first].is_set() and not ball[second].is_set()


def test_one_that_gave_up_leaves_the_others_waiting(first, second):
    event = plait.Event()
    for patient, hasty in ((first, second), (second, first)):
        waiting = patient.start(event.wait)
        parked(event, 1)
        assert hasty.do(within(BRIEFLY, event.wait)) is GAVE_UP
        assert hasty.do(within(0, event.wait)) is GAVE_UP
        assert event._waiting == 1 and not waiting.done()
        hasty.do(event.set)
        assert waiting.value() is True
        assert hasty.do(within(BRIEFLY, event.wait)) is True
        event.clear()


def test_one_that_gives_up_as_it_is_woken(first, second):
    event = plait.Event()
    for _ in range(8):
        giving_up = first.start(raced(event.wait))
        waiting = second.start(event.wait)
        until(lambda: event._waiting == 2 or giving_up.done() and event._waiting == 1)
        first.race(event.set)
        assert giving_up.value() in (True, GAVE_UP)
        assert waiting.value() is True
        assert event._waiting == 0
        event.clear()


def test_a_set_that_is_cleared_at_once_still_wakes_who_waited(first, second):
    """As the standard library has it: the waiter was woken by the set, whatever comes after."""
    event = plait.Event()
    calls = [first.start(event.wait), second.start(event.wait)]
    parked(event, 2)
    event.set()
    event.clear()
    assert [call.value() for call in calls] == [True, True]
    assert event._waiting == 0 and not event.is_set()
