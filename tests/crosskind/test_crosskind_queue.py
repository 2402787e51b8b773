"""Queue, LifoQueue and PriorityQueue between two strands of any kinds: each item that went in comes out, once."""

import queue

import plait
import pytest
from steps import GAVE_UP, now, raced, step, within
from strands import BRIEFLY, parked, until

ROUNDS = 8
KINDS = ["Queue", "LifoQueue", "PriorityQueue"]


@pytest.fixture(params=KINDS)
def queue_of(request):
    return getattr(plait, request.param)


def in_order(kind, items):
    """The order in which a queue of that kind gives up what was put into it at first."""
    order = {plait.Queue: list, plait.LifoQueue: lambda items: items[::-1], plait.PriorityQueue: sorted}
    return order[kind](items)


def drained(some):
    items = []
    while not some.empty():
        items.append(some.get_nowait())
    return items


def test_put_wakes_the_getter(queue_of, first, second):
    some = queue_of()
    for putter, getter in ((first, second), (second, first)):
        getting = getter.start(some.get)
        parked(some, 1)
        assert not getting.done()
        putter.do(some.put, 7)
        assert getting.value() == 7
        assert some.empty() and some.qsize() == 0 and some._waiting == 0


def test_get_wakes_the_putter(queue_of, first, second):
    some = queue_of(2)
    for putter, getter in ((first, second), (second, first)):
        for item in (1, 2):
            putter.do(some.put, item)
        assert some.full()
        putting = putter.start(some.put, 3)
        parked(some, 1)
        assert not putting.done() and some.qsize() == 2
        got = [getter.do(some.get)]
        assert putting.value() is None
        assert some.qsize() == 2 and some._waiting == 0
        got += [getter.do(some.get), getter.do(some.get)]
        assert got == {plait.Queue: [1, 2, 3], plait.LifoQueue: [2, 3, 1], plait.PriorityQueue: [1, 2, 3]}[queue_of]


def test_the_order_of_each_kind(queue_of, first, second):
    items = [3, 1, 2, 5, 4]
    some = queue_of()

    def fill():
        for item in items:
            yield step(some.put, item)

    def empty():
        got = []
        for _ in items:
            got.append((yield some.get))
        return got

    for putter, getter in ((first, second), (second, first)):
        putter.do(fill)
        assert getter.do(empty) == in_order(queue_of, items)


@pytest.mark.parametrize("maxsize", [0, 1, 3])
def test_a_stream_of_items(queue_of, maxsize, first, second):
    some = queue_of(maxsize)
    count = 100

    def produce():
        for item in range(count):
            yield step(some.put, item)

    def consume():
        got = []
        for _ in range(count):
            got.append((yield some.get))
        return got

    for producer, consumer in ((first, second), (second, first)):
        consuming, producing = consumer.start(consume), producer.start(produce)
        producing.value()
        got = consuming.value()
        assert sorted(got) == list(range(count))
        if queue_of is plait.Queue:
            assert got == list(range(count))
        assert some.empty() and some._waiting == 0


def test_back_and_forth(queue_of, first, second):
    """What comes back is what went out, and one more."""
    there, back = queue_of(), queue_of(1)

    def serve():
        for number in range(50):
            yield step(there.put, number)
            assert (yield back.get) == number + 1

    def answer():
        for _ in range(50):
            number = yield there.get
            yield step(back.put, number + 1)

    calls = [first.start(serve), second.start(answer)]
    [call.value() for call in calls]


def test_several_of_both_kinds_on_one_queue(queue_of, company, pair):
    """Three producers and three consumers, of both kinds and a third one; every item once, each producer's in its order."""
    some = queue_of(2)
    count = 30
    crowd = [*pair, company.strand("thread")]
    others = [company.strand(strand.name.split()[1]) for strand in crowd]

    def produce(who):
        for number in range(count):
            yield step(some.put, (number, who))

    def consume():
        got = []
        for _ in range(count):
            got.append((yield some.get))
        return got

    consuming = [strand.start(consume) for strand in others]
    producing = [strand.start(produce, who) for who, strand in enumerate(crowd)]
    [call.value() for call in producing]
    batches = [call.value() for call in consuming]
    assert sorted(item for batch in batches for item in batch) == [(n, who) for n in range(count) for who in range(3)]
    if queue_of is plait.Queue:
        for batch in batches:
            for who in range(3):
                numbers = [number for number, producer in batch if producer == who]
                assert numbers == sorted(numbers)
    assert some.empty() and some._waiting == 0


def test_getters_are_served_in_order(queue_of, first, second):
    some = queue_of()
    calls = []
    for count, strand in enumerate((first, second), 1):
        calls.append(strand.start(some.get))
        parked(some, count)
    some.put_nowait("one")
    assert calls[0].value() == "one"
    assert not calls[1].done() and some._waiting == 1
    some.put_nowait("two")
    assert calls[1].value() == "two"


def test_putters_are_served_in_order(queue_of, first, second):
    some = queue_of(1)
    some.put_nowait(0)
    calls = []
    for count, strand in enumerate((first, second), 1):
        calls.append(strand.start(some.put, count))
        parked(some, count)
    assert some.get_nowait() == 0
    calls[0].value()
    assert not calls[1].done() and some._waiting == 1
    assert some.get_nowait() == 1
    calls[1].value()
    assert some.get_nowait() == 2


def test_those_that_gave_up_neither_take_nor_leave_anything(queue_of, first, second):
    some = queue_of(1)
    for patient, hasty in ((first, second), (second, first)):
        assert hasty.do(within(BRIEFLY, some.get)) is GAVE_UP
        assert hasty.do(within(0, some.get)) is GAVE_UP
        getting = patient.start(some.get)
        parked(some, 1)
        hasty.do(some.put, "for the patient one")
        assert getting.value() == "for the patient one"
        patient.do(some.put, 1)
        assert hasty.do(within(BRIEFLY, some.put, 2)) is GAVE_UP
        assert hasty.do(within(0, some.put, 3)) is GAVE_UP
        putting = patient.start(some.put, 4)
        parked(some, 1)
        assert hasty.do(some.get) == 1
        putting.value()
        assert drained(some) == [4] and some._waiting == 0


def test_a_getter_that_gives_up_as_it_is_served_passes_the_item_on(queue_of, first, second):
    some = queue_of()
    for number in range(ROUNDS):
        giving_up = first.start(raced(some.get))
        parked(some, 1, unless=giving_up.done)
        getting = second.start(some.get)
        until(lambda: some._waiting == 2 or giving_up.done() and some._waiting == 1)
        first.race(lambda: some.put_nowait(number))
        if giving_up.value() is GAVE_UP:
            assert getting.value() == number
        else:
            assert giving_up.value() == number
            assert not getting.done() and some._waiting == 1
            some.put_nowait("another")
            assert getting.value() == "another"
        assert some.empty() and some._waiting == 0


def test_a_getter_that_gives_up_alone_leaves_the_item(queue_of, first, second):
    """Nobody else waits: then the items lie in the queue as if it had never come."""
    items = [2, 1, 3]
    for _ in range(ROUNDS):
        some = queue_of()
        giving_up = first.start(raced(some.get))
        parked(some, 1, unless=giving_up.done)
        first.race(lambda: [some.put_nowait(item) for item in items])
        outcome = giving_up.value()
        left = [second.do(some.get) for _ in range(some.qsize())]
        if outcome is GAVE_UP:
            assert left == in_order(queue_of, items)
        else:
            # it takes what comes first when it runs, and some of the items may have come later
            assert sorted([outcome, *left]) == [1, 2, 3]
            assert left == in_order(queue_of, [item for item in items if item != outcome])
            assert queue_of is not plait.Queue or outcome == items[0]


def test_a_putter_that_gives_up_as_room_is_made(queue_of, first, second):
    """Its item went in or it did not, and what the putter was told is true; the room is not lost."""
    some = queue_of(1)
    for number in range(ROUNDS):
        some.put_nowait((number, "there"))
        giving_up = first.start(raced(some.put, (number, "raced")))
        parked(some, 1, unless=giving_up.done)
        putting = second.start(some.put, (number, "second"))
        until(lambda: some._waiting == 2 or giving_up.done() and some._waiting == 1)
        got = []
        first.race(lambda: got.append(some.get_nowait()))
        assert got == [(number, "there")]
        if giving_up.value() is not GAVE_UP:
            assert some.get_nowait() == (number, "raced")
        putting.value()
        assert drained(some) == [(number, "second")] and some._waiting == 0


def test_join_waits_for_the_others_task_done(queue_of, first, second):
    some = queue_of()
    for producer, worker in ((first, second), (second, first)):
        assert producer.do(some.join) is None
        for item in (1, 2):
            producer.do(some.put, item)
        joining = producer.start(some.join)
        parked(some, 1)
        for _ in range(2):
            assert not joining.done()
            worker.do(some.get)
            assert not joining.done() and some._waiting == 1
            worker.do(some.task_done)
        joining.value()
        with pytest.raises(ValueError):
            worker.do(some.task_done)


def test_both_join(queue_of, company, first, second):
    some = queue_of()
    some.put_nowait(1)
    calls = [first.start(some.join), second.start(some.join)]
    parked(some, 2)
    worker = company.strand("thread")
    worker.do(some.get)
    worker.do(some.task_done)
    [call.value() for call in calls]
    assert some._waiting == 0


def test_what_does_not_wait(queue_of, first, second):
    some = queue_of(1)
    for strand in (first, second):
        with pytest.raises(queue.Empty):
            strand.do(some.get_nowait)
        with pytest.raises(queue.Empty):
            strand.do(now(some.get, False))
    first.do(some.put_nowait, 1)
    with pytest.raises(queue.Full):
        second.do(some.put_nowait, 2)
    with pytest.raises(queue.Full):
        second.do(now(some.put, 2, False))
    assert second.do(now(some.get, False)) == 1


@pytest.mark.parametrize("immediate", [False, True])
def test_shutdown_sends_the_getters_away(queue_of, immediate, first, second):
    for closer, getter in ((first, second), (second, first)):
        some = queue_of()
        getting = getter.start(some.get)
        parked(some, 1)
        closer.do(some.shutdown, immediate)
        for attempt in (getting.value, lambda: closer.do(some.get), lambda: getter.do(some.put, 1)):
            with pytest.raises(plait.ShutDown):
                attempt()
        assert some._waiting == 0


@pytest.mark.parametrize("immediate", [False, True])
def test_shutdown_sends_the_putters_away(queue_of, immediate, first, second):
    for closer, putter in ((first, second), (second, first)):
        some = queue_of(1)
        putter.do(some.put, 1)
        putting = putter.start(some.put, 2)
        parked(some, 1)
        closer.do(some.shutdown, immediate)
        with pytest.raises(plait.ShutDown):
            putting.value()
        if not immediate:
            assert closer.do(some.get) == 1
        with pytest.raises(plait.ShutDown):
            putter.do(some.get)
        assert some.empty() and some._waiting == 0


def test_an_immediate_shutdown_ends_a_join(queue_of, first, second):
    """What lies in the queue counts as done."""
    for closer, joiner in ((first, second), (second, first)):
        some = queue_of()
        some.put_nowait(1)
        joining = joiner.start(some.join)
        parked(some, 1)
        closer.do(some.shutdown, True)
        joining.value()
