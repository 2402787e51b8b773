"""Long bytes are left out of the pickle, which would copy them twice more, and are bytes again on the other side."""

import pytest
from pool_tasks import LIMIT

from plait._process_pool import _pickling

LONG = 1 << 20


def described(*args, **kwargs):
    things = [*args, *kwargs.values()]
    return [(type(thing), thing[:1], len(thing)) for thing in things], len(set(map(id, things)))


def again(thing):
    return thing


def grown(thing):
    thing += b"x"
    return thing


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_they_cross_both_ways(pool, kind):
    long = kind(b"a" * LONG)
    assert pool.submit(described, long, b"short", long, key=kind(b"b" * LONG)).result(LIMIT) == (
        [(kind, b"a", LONG), (bytes, b"s", 5), (kind, b"a", LONG), (kind, b"b", LONG)],
        3,
    )
    answer = pool.submit(again, long).result(LIMIT)
    assert answer == long and type(answer) is kind


def test_what_was_changed_there_is_not_changed_here(forked):
    ours = bytearray(LONG)
    theirs = forked.submit(grown, ours).result(LIMIT)
    assert len(ours) == LONG and len(theirs) == LONG + 1
    theirs += b"y"


def test_only_long_ones_are_left_out():
    assert [len(_pickling.dump(bytes(size))) for size in (0, 1_000, LONG)] == [1, 1, 2]
    assert [len(_pickling.dump_call(again, (bytes(size),), {})) for size in (1_000, LONG)] == [1, 2]
    pickle, buffer = _pickling.dump(bytes(LONG))
    assert len(pickle) < 200 and len(buffer) == LONG
    assert _pickling.load([pickle, memoryview(buffer)]) == bytes(LONG)
