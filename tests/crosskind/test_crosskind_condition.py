"""Condition between two strands of any kinds: a notification is either used, or passed on by one that gave up."""

import plait
import pytest
from steps import GAVE_UP, now, raced, step, within
from strands import BRIEFLY, parked, until

LOCKS = {"its own": lambda: None, "Lock": plait.Lock, "RLock": plait.RLock}


@pytest.fixture(params=LOCKS)
def condition(request):
    return plait.Condition(LOCKS[request.param]())


def wait(condition, how=lambda condition: step(condition.wait)):
    yield condition.acquire
    outcome = yield how(condition)
    # it holds the lock again, whatever came of the wait
    yield condition.release
    return outcome


def wait_raced(condition):
    return raced(condition.wait)


def wait_briefly(condition):
    return within(BRIEFLY, condition.wait)


def notify(condition, count=1):
    yield condition.acquire
    yield step(condition.notify, count)
    yield condition.release


def notify_all(condition):
    yield condition.acquire
    yield condition.notify_all
    yield condition.release


def tell(condition):
    """Notifies one, from outside of all strands. Those that wait have let go of the lock, or do so at once."""
    until(lambda: condition.acquire(False))
    condition.notify()
    condition.release()


def test_notify_wakes_the_waiter(condition, first, second):
    for notifier, waiter in ((first, second), (second, first)):
        waiting = waiter.start(wait, condition)
        parked(condition, 1)
        assert not waiting.done()
        notifier.do(notify, condition)
        assert waiting.value() is True
        assert condition._waiting == 0


def test_the_waiter_goes_on_only_when_the_notifier_lets_go_of_the_lock(condition, first, second):
    for notifier, waiter in ((first, second), (second, first)):
        waiting = waiter.start(wait, condition)
        parked(condition, 1)
        notifier.do(condition.acquire)
        notifier.do(condition.notify)
        until(lambda: condition._waiting == 0)
        assert not waiting.done()
        notifier.do(condition.release)
        assert waiting.value() is True


def test_notify_wakes_as_many_as_it_says(condition, company, first, second):
    """First in, first out."""
    strands = [first, second, company.strand("thread"), company.strand("task")]
    calls = []
    for count, strand in enumerate(strands, 1):
        calls.append(strand.start(wait, condition))
        parked(condition, count)
    first_two, rest = calls[:2], calls[2:]
    company.strand("thread").do(notify, condition, 2)
    assert [call.value() for call in first_two] == [True, True]
    assert condition._waiting == 2 and not any(call.done() for call in rest)
    first.do(notify, condition)
    assert rest[0].value() is True
    assert condition._waiting == 1 and not rest[1].done()
    second.do(notify, condition, 7)
    assert rest[1].value() is True
    first.do(notify, condition)  # nobody is there; it is not kept
    waiting = second.start(wait, condition)
    parked(condition, 1)
    first.do(notify_all, condition)
    assert waiting.value() is True


def test_notify_all(condition, company, first, second):
    calls = [strand.start(wait, condition) for strand in (first, second, company.strand("thread"))]
    parked(condition, 3)
    company.strand("task").do(notify_all, condition)
    assert [call.value() for call in calls] == [True] * 3


def test_back_and_forth(condition, first, second):
    """Whose turn it is lies in a variable under the lock."""
    turn, played = [1], []

    def play(mine):
        for _ in range(40):
            yield condition.acquire
            yield step(condition.wait_for, lambda: turn[0] == mine)
            played.append(mine)
            turn[0] = 3 - mine
            yield condition.notify
            yield condition.release

    calls = [first.start(play, 1), second.start(play, 2)]
    [call.value() for call in calls]
    assert played == [1, 2] * 40 and condition._waiting == 0


def test_wait_for_looks_again_after_each_notification(condition, first, second):
    for notifier, waiter in ((first, second), (second, first)):
        state = []
        waiting = waiter.start(wait, condition, lambda condition: step(condition.wait_for, lambda: state and "there"))
        parked(condition, 1)
        notifier.do(notify, condition)
        # it looked, and waits again
        notifier.do(notify, condition)
        parked(condition, 1)
        state.append(1)
        notifier.do(notify, condition)
        assert waiting.value() == "there"


def test_one_that_gave_up_is_not_notified(condition, first, second):
    for patient, hasty in ((first, second), (second, first)):
        assert hasty.do(wait, condition, wait_briefly) is GAVE_UP
        assert condition._waiting == 0
        waiting = patient.start(wait, condition)
        parked(condition, 1)
        assert hasty.do(wait, condition, wait_briefly) is GAVE_UP
        hasty.do(notify, condition)
        assert waiting.value() is True and condition._waiting == 0


def test_one_that_gives_up_while_another_holds_the_lock(condition, first, second):
    """It has to wait for the lock all the same, and has it then."""
    for holder, waiter in ((first, second), (second, first)):
        waiting = waiter.start(wait, condition, wait_briefly)
        until(lambda: condition._waiting == 1 or waiting.done())
        holder.do(condition.acquire)
        until(lambda: condition._waiting == 0)
        holder.do(condition.release)
        assert waiting.value() is GAVE_UP


def test_one_that_gives_up_as_it_is_notified_passes_it_on(condition, first, second):
    """One notification for two that wait: if the first did not use it, the second was woken."""

    for _ in range(8):
        giving_up = first.start(wait, condition, wait_raced)
        until(lambda: condition._waiting == 1 or giving_up.done())
        waiting = second.start(wait, condition)
        until(lambda: condition._waiting == 2 or giving_up.done() and condition._waiting == 1)
        first.race(lambda: tell(condition))
        if giving_up.value() is True:
            assert condition._waiting == 1 and not waiting.done()
            first.do(notify, condition)
        assert waiting.value() is True
        assert condition._waiting == 0


def test_the_depth_of_an_rlock_is_restored(first, second):
    condition = plait.Condition(plait.RLock())

    def wait_deep_inside(how):
        for _ in range(3):
            yield condition.acquire
        outcome = yield how(condition)
        for _ in range(3):
            yield condition.release
        with pytest.raises(RuntimeError):
            yield condition.release
        return outcome

    for notifier, waiter in ((first, second), (second, first)):
        waiting = waiter.start(wait_deep_inside, wait_raced)
        until(lambda: condition._waiting == 1 or waiting.done())
        waiter.race(lambda: None)
        assert waiting.value() is GAVE_UP
        waiting = waiter.start(wait_deep_inside, lambda condition: step(condition.wait))
        parked(condition, 1)
        notifier.do(notify, condition)
        assert waiting.value() is True


def test_two_conditions_over_one_lock(first, second):
    lock = plait.Lock()
    ours, others = plait.Condition(lock), plait.Condition(lock)
    calls = [first.start(wait, ours), second.start(wait, others)]
    parked(ours, 1)
    parked(others, 1)
    tell(others)
    assert calls[1].value() is True
    assert ours._waiting == 1 and not calls[0].done()
    second.do(notify, ours)
    assert calls[0].value() is True


def test_with_statements(condition, first, second):
    def block():
        yield condition.__enter__
        outcome = yield condition.wait
        yield step(condition.__exit__, None, None, None)
        return outcome

    for notifier, waiter in ((first, second), (second, first)):
        waiting = waiter.start(block)
        parked(condition, 1)
        notifier.do(notify, condition)
        assert waiting.value() is True


def test_the_lock_must_be_held(condition, first, second):
    for strand in (first, second):
        for method in (condition.wait, condition.notify, condition.notify_all):
            with pytest.raises(RuntimeError):
                strand.do(method)
    assert first.do(now(condition.acquire, False)) is True
    assert second.do(now(condition.acquire, False)) is False
    first.do(condition.release)


def test_an_rlock_must_be_held_by_the_strand_itself(first, second):
    condition = plait.Condition(plait.RLock())
    first.do(condition.acquire)
    for method in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(RuntimeError):
            second.do(method)
    first.do(condition.release)
