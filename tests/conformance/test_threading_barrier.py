"""threading.Barrier: filling, tripping, breaking, and being put right again."""

import sys
import threading

import pytest
from thread_sides import LIMIT
from thread_stage import plain_class, side, stage, told

__all__ = ["side", "stage"]

Broken = threading.BrokenBarrierError


@pytest.fixture
def make(side):
    return side.threading.Barrier


def state(barrier):
    return barrier.n_waiting, barrier.broken


def results(strands):
    return sorted(strand.result() for strand in strands)


# --- making one


def test_its_attributes(make):
    barrier = make(3)
    assert (barrier.parties, *state(barrier)) == (3, 0, False)
    for name in ("parties", "n_waiting", "broken"):
        with pytest.raises(AttributeError):
            setattr(barrier, name, 1)
    assert make(parties=2, action=None, timeout=None).parties == 2


def test_bad_numbers_of_parties(make):
    for bad in (0, -1, -(10**30), "3", None, [], 0.5):
        expected = told(threading.Barrier, bad)
        if expected[0] == "raised":  # since 3.13
            assert told(make, bad) == expected
        else:
            assert told(make, bad)[0] == "returned" and sys.version_info < (3, 13)
    assert told(make)[:2] == told(make, 1, None, None, 1)[:2] == told(make, size=1)[:2] == ("raised", TypeError)


def test_repr(make, stage):
    barrier = make(3)
    where = f"<{plain_class(barrier)} at {id(barrier):#x}:"
    assert repr(barrier) == f"{where} waiters=0/3>"
    crowd = stage.crowd(2, barrier.wait)
    assert repr(barrier) == f"{where} waiters=2/3>"
    barrier.abort()
    assert repr(barrier) == f"{where} broken>"
    assert [strand.raised() for strand in crowd] == [Broken] * 2
    assert repr(barrier) == f"{where} broken>"
    barrier.reset()
    assert repr(barrier) == f"{where} waiters=0/3>"


# --- tripping


def test_one_party_never_waits(make):
    barrier = make(1)
    assert [barrier.wait(), barrier.wait(0), barrier.wait(-1), barrier.wait(timeout=3600)] == [0] * 4
    assert state(barrier) == (0, False)


def test_each_gets_a_number(make, stage):
    barrier = make(4)
    crowd = []
    for count in range(3):
        assert state(barrier) == (count, False)
        crowd.append(stage.block(barrier.wait))
    last = stage.start(barrier.wait)
    assert last.result() == 3
    assert [strand.result() for strand in crowd] == [0, 1, 2]
    assert state(barrier) == (0, False)


def test_again_and_again(make, stage):
    """Nobody enters the next round before all have left the last one, and each round has each number once."""
    parties, rounds = 4, 200
    barrier = make(parties)
    numbers = [[] for _ in range(rounds)]
    entered = [0] * parties

    def walk(name):
        for number in range(rounds):
            entered[name] = number
            numbers[number].append(barrier.wait())
            assert min(entered) >= number

    for strand in [stage.start(walk, name) for name in range(parties)]:
        strand.result()
    assert [sorted(one) for one in numbers] == [list(range(parties))] * rounds
    assert state(barrier) == (0, False)


def test_more_than_the_parties(make, stage):
    barrier = make(2)
    crowd = [stage.start(barrier.wait) for _ in range(5)]
    assert len(stage.over()) == 4
    assert state(barrier) == (1, False)
    barrier.wait()
    assert results(crowd).count(0) == 3


def test_the_action_runs_once_before_anybody_goes_on(make, stage):
    seen = []
    barrier = make(3, lambda: seen.append((barrier.n_waiting, barrier.broken, [strand.over for strand in crowd])))
    crowd = stage.crowd(2, barrier.wait)
    assert seen == []
    assert stage.start(barrier.wait).result() == 2
    assert seen == [(3, False, [False, False])]
    assert results(crowd) == [0, 1]


def test_the_action_runs_in_the_last_thread(make, stage):
    ran = []
    barrier = make(2, action=lambda: ran.append(threading.current_thread()))
    for _ in range(3):
        first = stage.block(barrier.wait)
        last = stage.start(barrier.wait)
        assert (first.result(), last.result()) == (0, 1)
        assert ran.pop() is last.thread and ran == []


def test_an_action_that_raises(make, stage):
    """Who ran it has the exception, the others a broken barrier."""

    def fail():
        raise LookupError("action")

    barrier = make(3, fail)
    crowd = stage.crowd(2, barrier.wait)
    assert told(barrier.wait) == ("raised", LookupError, "action")
    assert [strand.raised() for strand in crowd] == [Broken] * 2
    assert state(barrier) == (0, True)
    assert told(barrier.wait) == ("raised", Broken, "")


def test_an_action_that_exits(make, stage):
    """It need not be an Exception to break the barrier."""
    barrier = make(2, sys.exit)
    strand = stage.block(barrier.wait)
    with pytest.raises(SystemExit):
        barrier.wait()
    assert strand.raised() is Broken and barrier.broken


def test_what_is_no_action(make):
    for action in (5, "act", [1]):
        barrier = make(1, action)
        assert told(barrier.wait) == ("raised", TypeError, f"{type(action).__name__!r} object is not callable")
        assert barrier.broken
    for action in (0, "", [], None, False):
        assert make(1, action).wait() == 0


# --- time-outs


@pytest.mark.parametrize("timeout", [0, 0.0, -1, -(10**30), 0.001, False, float("-inf")], ids=repr)
def test_a_time_out_breaks_it(make, timeout):
    for barrier, arguments in (
        (make(2), (timeout,)),
        (make(2, timeout=timeout), ()),
        (make(2, None, 3600), (timeout,)),
    ):
        assert told(barrier.wait, *arguments) == ("raised", Broken, "")
        assert state(barrier) == (0, True)


def test_a_time_out_breaks_it_for_the_others(make, stage):
    barrier = make(4)
    crowd = [stage.block(barrier.wait), stage.block(barrier.wait, LIMIT * 100)]
    assert told(barrier.wait, 0.001)[1] is Broken
    assert [strand.raised() for strand in crowd] == [Broken] * 2
    assert state(barrier) == (0, True)


def test_the_default_time_out_may_be_replaced(make, stage):
    barrier = make(2, timeout=0.0001)
    strand = stage.block(barrier.wait, LIMIT * 100)
    assert barrier.wait() == 1
    assert strand.result() == 0
    assert told(barrier.wait)[1] is Broken


@pytest.mark.parametrize("timeout", ["1", b"1", [], 1j, 1e10, 1e20, 10**30, float("inf")], ids=repr)
def test_a_time_out_that_is_refused(make, timeout):
    """It does not break the barrier, and who comes last needs none."""
    expected = told(threading.Barrier(2).wait, timeout)
    assert expected[0] == "raised"
    barrier = make(2)
    assert told(barrier.wait, timeout) == expected
    assert state(barrier) == (0, False)
    assert make(1).wait(timeout) == 0
    assert told(make(2, timeout=timeout).wait) == expected


# --- breaking and mending


def test_abort(make, stage):
    barrier = make(3)
    crowd = stage.crowd(2, barrier.wait)
    assert barrier.abort() is None
    assert [strand.raised() for strand in crowd] == [Broken] * 2
    assert state(barrier) == (0, True)
    for timeout in (None, 0, 3600, "x"):
        assert told(barrier.wait, timeout) == ("raised", Broken, "")
    barrier.abort()
    assert state(barrier) == (0, True)


def test_reset_sends_away_who_waits(make, stage):
    barrier = make(3)
    for _ in range(2):
        crowd = stage.crowd(2, barrier.wait)
        assert barrier.reset() is None
        assert [strand.raised() for strand in crowd] == [Broken] * 2
        assert state(barrier) == (0, False)
    crowd = stage.crowd(2, barrier.wait)
    assert barrier.wait() == 2
    assert results(crowd) == [0, 1]


def test_reset_mends(make, stage):
    barrier = make(2)
    barrier.reset()
    assert state(barrier) == (0, False)
    barrier.abort()
    barrier.reset()
    assert state(barrier) == (0, False)
    strand = stage.block(barrier.wait)
    assert barrier.wait() == 1
    assert strand.result() == 0


def test_reset_and_abort_in_an_order(make, stage):
    """Aborted with threads inside, then reset: those inside are sent away, those who come next meet as ever."""
    barrier = make(2)
    for first, second in (("abort", "reset"), ("reset", "abort"), ("reset", "reset"), ("abort", "abort")):
        strand = stage.block(barrier.wait)
        getattr(barrier, first)()
        getattr(barrier, second)()
        assert strand.raised() is Broken
        assert state(barrier) == (0, second == "abort")
        barrier.reset()
        partner = stage.block(barrier.wait)
        assert barrier.wait() == 1
        assert partner.result() == 0


def test_resets_amid_the_rush(make, stage):
    """Whatever happens, the threads are through at the end, and the barrier is whole."""
    barrier = make(2)
    met = []

    def walk():
        for _ in range(150):
            try:
                met.append(barrier.wait())
            except Broken:
                pass

    strands = [stage.start(walk) for _ in range(4)]
    while not all(strand.over for strand in strands):
        barrier.reset()
        if any(strand.look() is None for strand in strands):
            continue
        barrier.abort()  # one may be left over, without a partner
    for strand in strands:
        strand.result()
    barrier.reset()
    assert state(barrier) == (0, False) and set(met) <= {0, 1}
    partner = stage.block(barrier.wait)
    assert barrier.wait() == 1 and partner.result() == 0


# --- subclasses


def test_hidden_properties(make, stage):
    """A class may hide the properties; what they showed goes on inside, and the repr shows what is shown."""

    class Named(make):
        parties = "many"
        n_waiting = "some"

    barrier = Named(2)
    strand = stage.block(barrier.wait)
    assert repr(barrier).endswith(": waiters=some/many>")
    assert barrier.wait() == 1 and strand.result() == 0


def test_the_error_is_the_standard_one(side):
    assert side.threading.BrokenBarrierError is threading.BrokenBarrierError
    assert issubclass(threading.BrokenBarrierError, RuntimeError)
