"""Lock and RLock between two strands of any kinds."""

import plait
import pytest
from steps import GAVE_UP, now, raced, step, within
from strands import BRIEFLY, parked, until

ROUNDS = 8


@pytest.fixture(params=["Lock", "RLock"])
def lock(request):
    return getattr(plait, request.param)()


def free(lock, strand):
    """Whether the strand can have the lock at once; it is given back."""
    got = strand.do(now(lock.acquire, False))
    if got:
        strand.do(lock.release)
    return got


def critical(lock, seen):
    """In and out; notes that it was alone."""
    yield lock.acquire
    seen.append("in")
    seen.append("out")
    yield lock.release


def test_the_waiter_gets_it_when_the_holder_releases(lock, first, second):
    for holder, waiter in ((first, second), (second, first)):
        assert holder.do(lock.acquire) is True
        waiting = waiter.start(lock.acquire)
        parked(lock, 1)
        assert not waiting.done() and lock.locked()
        holder.do(lock.release)
        assert waiting.value() is True
        assert lock._waiting == 0 and lock.locked()
        assert not free(lock, holder)
        waiter.do(lock.release)
        assert not lock.locked() and free(lock, holder)


def test_hand_over_back_and_forth(lock, first, second):
    """Each takes it as often as it can; the count that they share is not atomic by itself."""
    shared = [0]

    def count():
        for _ in range(100):
            yield lock.acquire
            seen = shared[0]
            assert lock.locked()
            shared[0] = seen + 1
            yield lock.release

    calls = [first.start(count), second.start(count)]
    [call.value() for call in calls]
    assert shared == [200] and not lock.locked() and lock._waiting == 0


def test_strict_turns(lock, first, second):
    """The holder releases when it sees the other parked: so it changes hands every time."""
    holder, waiter = first, second
    holder.do(lock.acquire)
    for _ in range(20):
        waiting = waiter.start(lock.acquire)
        parked(lock, 1)
        holder.do(lock.release)
        assert waiting.value() is True
        holder, waiter = waiter, holder
    holder.do(lock.release)
    assert not lock.locked()


def test_who_waited_first_is_served_first(lock, company, first, second):
    holder = company.strand("thread")
    holder.do(lock.acquire)
    calls = []
    for count, waiter in enumerate((first, second), 1):
        calls.append(waiter.start(lock.acquire))
        parked(lock, count)
    holder.do(lock.release)
    assert calls[0].value() is True
    assert not calls[1].done() and lock._waiting == 1
    first.do(lock.release)
    assert calls[1].value() is True
    second.do(lock.release)


def test_one_that_gave_up_is_not_served(lock, company, first, second):
    holder = company.strand("thread")
    holder.do(lock.acquire)
    giving_up = first.start(within(BRIEFLY, lock.acquire))
    assert giving_up.value() is GAVE_UP and lock._waiting == 0 and lock.locked()
    waiting = second.start(lock.acquire)
    parked(lock, 1)
    assert first.do(within(0, lock.acquire)) is GAVE_UP
    assert lock._waiting == 1
    holder.do(lock.release)
    assert waiting.value() is True
    second.do(lock.release)
    assert not lock.locked() and free(lock, first)


def test_one_that_gives_up_as_it_is_served_passes_it_on(lock, first, second):
    """Whether it got the lock or not, the other one gets it in the end."""

    def attempt():
        outcome = yield raced(lock.acquire)
        if outcome is not GAVE_UP:
            yield lock.release
        return outcome

    for _ in range(ROUNDS):
        assert first.beside(lambda: lock.acquire(False)) is True
        giving_up = first.start(attempt)
        parked(lock, 1, unless=giving_up.done)
        waiting = second.start(critical, lock, seen := [])
        until(lambda: lock._waiting == 2 or giving_up.done() and lock._waiting == 1)
        first.race(lock.release)
        assert giving_up.value() in (True, GAVE_UP)
        waiting.value()
        assert seen == ["in", "out"]
        assert not lock.locked() and lock._waiting == 0


def test_with_statements(lock, first, second):
    """An exception that leaves the block is not swallowed, and the other one gets in."""

    def block():
        yield lock.__enter__
        assert lock.locked()
        assert not (yield step(lock.__exit__, None, None, None))

    for inside, outside in ((first, second), (second, first)):
        inside.do(lock.__enter__)
        waiting = outside.start(block)
        parked(lock, 1)
        assert not inside.do(lock.__exit__, LookupError, LookupError(), None)
        waiting.value()
        assert not lock.locked() and lock._waiting == 0


def test_it_is_not_taken_twice(lock, first, second):
    first.do(lock.acquire)
    assert second.do(now(lock.acquire, False)) is False
    assert second.do(within(0, lock.acquire)) is GAVE_UP
    assert lock._waiting == 0
    first.do(lock.release)
    with pytest.raises(RuntimeError):
        first.do(lock.release)
    with pytest.raises(RuntimeError):
        second.do(lock.release)


def test_a_lock_has_no_owner(first, second):
    lock = plait.Lock()
    first.do(lock.acquire)
    waiting = first.start(lock.acquire)
    parked(lock, 1)
    second.do(lock.release)
    assert waiting.value() is True
    second.do(lock.release)
    assert not lock.locked()


def test_an_rlock_is_its_owners(first, second):
    """The owner is the strand: two tasks of one loop, or two greenlets of one thread, are two owners."""
    lock = plait.RLock()
    for owner, other in ((first, second), (second, first)):
        for _ in range(3):
            assert owner.do(lock.acquire) is True
        with pytest.raises(RuntimeError):
            other.do(lock.release)
        assert other.do(now(lock.acquire, False)) is False
        waiting = other.start(lock.acquire)
        parked(lock, 1)
        for _ in range(2):
            owner.do(lock.release)
            assert lock._waiting == 1 and not waiting.done()
        owner.do(lock.release)
        assert waiting.value() is True
        with pytest.raises(RuntimeError):
            owner.do(lock.release)
        other.do(lock.release)
    assert not lock.locked()
