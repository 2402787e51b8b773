"""Numbers, strings and short bytes, which cross without pickle: they arrive as what they were, and what is not quite one of them still goes by pickle."""

import pickle

import pytest

from plait._process_pool import _pickling

PLAIN = [None, True, False, 0, -1, 1 << 200, -(1 << 63), 1.5, float("inf"), -0.0, 2j, "", "a\u00e9\U0001f600", "\ud800", "x" * 70_000, b"", b"\x80\x05", b"y" * 1000]


class Number(int):
    """Not an int for pickle, nor for marshal."""


def keep(*args):
    return args


@pytest.mark.parametrize("thing", PLAIN, ids=lambda thing: repr(thing)[:20])
def test_each_arrives_as_it_was(thing):
    parts = _pickling.dump(thing)
    for there in (parts, [memoryview(parts[0])]):
        loaded = _pickling.load(there)
        assert type(loaded) is type(thing) and repr(loaded) == repr(thing)
    assert parts[0][0] != pickle.PROTO[0]


def test_they_are_arguments():
    args = tuple(PLAIN)
    function, loaded, kwargs = _pickling.load_call(_pickling.dump_call(keep, args, {}), {})
    assert function is keep and kwargs == {} and repr(loaded) == repr(args)


@pytest.mark.parametrize("thing", [Number(3), [1], (1,), {"a": 1}, bytearray(b"z"), frozenset({1})], ids=repr)
def test_everything_else_is_pickled(thing):
    parts = _pickling.dump(thing)
    assert parts[0][0] == pickle.PROTO[0]
    loaded = _pickling.load(parts)
    assert type(loaded) is type(thing) and loaded == thing
    assert _pickling.dump_call(keep, (1, thing), {})[0][0] == pickle.PROTO[0]


def test_what_marshal_refuses_is_pickled(monkeypatch):
    def refuse(thing, version):
        raise ValueError("unmarshallable object")

    monkeypatch.setattr(_pickling.marshal, "dumps", refuse)
    parts = _pickling.dump("a long string")
    assert parts[0][0] == pickle.PROTO[0] and _pickling.load(parts) == "a long string"
