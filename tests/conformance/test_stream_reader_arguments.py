"""Arguments that a StreamReader cannot use: plait's refuses what asyncio's refuses, and bears the rest.

asyncio checks little and late: a separator that is no bytes is found out when there is enough to look through, a size
of 2.5 when the bytes are taken. What is of no usable type plait may refuse at once, so such arguments are only tried
where there is something to read. Numbers and bytes of unusable values are tried on empty readers too.

On 3.11 and 3.12 plait's `readuntil` takes tuples all the same, so there is nothing to compare them with.
"""

import inspect
import sys

import pytest
from stream_stage import Transport, assert_same, parameters, plain, told

VALUES = [
    *[("read", n) for n in (-1, -2, -(10**30), 10**30, True, False)],
    *[("readexactly", n) for n in (-1, -2, -(10**30), 10**30, True, False)],
    *[("readuntil", separator) for separator in (b"", bytearray(b""), bytearray(b"a"), memoryview(b"b"))],
]
TYPES = [
    *[("read", n) for n in (2.5, float("nan"), None, "2", b"2")],
    *[("readexactly", n) for n in (2.5, float("nan"), None, "2", b"2")],
    *[("readuntil", separator) for separator in ("a", 1, None, [b"a"])],
]
if sys.version_info >= (3, 13):
    VALUES += [("readuntil", separators) for separators in ((), (b"",), (b"a", b""), (bytearray(b"a"), memoryview(b"b")))]
    TYPES += [("readuntil", separators) for separators in (("a",), (b"a", "b"), (1,), ([b"a"],))]
SOMETHING = [b"aab", b"ab\n" * 5]


@pytest.mark.parametrize("limit", [3, 2**16])
@pytest.mark.parametrize("data", [b"", *SOMETHING])
@pytest.mark.parametrize("wrong", VALUES, ids=repr)
def test_values(wrong, data, limit):
    assert_same(read_wrongly, wrong, data, limit)


@pytest.mark.parametrize("limit", [3, 2**16])
@pytest.mark.parametrize("data", SOMETHING)
@pytest.mark.parametrize("wrong", TYPES, ids=repr)
def test_types(wrong, data, limit):
    assert_same(read_wrongly, wrong, data, limit)


def read_wrongly(stage, wrong, data, limit):
    name, argument = wrong
    reader = stage.reader(limit=limit)
    reader.feed_data(data)
    coro = getattr(reader, name)(argument)
    assert inspect.iscoroutine(coro), "wrong arguments show when it is awaited"
    task = stage.loop.create_task(coro)
    stage.turn()
    stage.note(task.done(), bytes(reader._buffer))
    reader.feed_eof()
    stage.turn(2)
    stage.note_end("read", task)
    stage.note(bytes(reader._buffer))


@pytest.mark.parametrize("limit", [0, -1, 0.0, 1.5, float("inf"), True, False, 10**30, None, "5", b"5"])
def test_limits(limit):
    def body(stage):
        reader = stage.attempt(lambda: stage.reader(limit=limit))
        if reader is None:
            return
        stage.note(reader._limit, type(reader._limit))
        reader.feed_data(b"ab\nab\n")
        reader.feed_eof()
        for coro in (reader.readline(), reader.readuntil(b"b"), reader.read()):
            task = stage.loop.create_task(coro)
            stage.turn(2)
            stage.note_end("read", task)

    assert_same(body)


class TrueBytes(bytes):
    """Bytes that say of themselves that there are some."""

    def __bool__(self):
        return True


FEEDS = [
    b"",
    bytearray(),
    memoryview(b""),
    [],
    lambda: iter(()),
    None,
    0,
    TrueBytes(),
    TrueBytes(b"ab"),
    memoryview(b"abcdef")[::2],
    memoryview(b"abcdefgh").cast("H"),
    "",
    "ab",
    [1, 2, 256],
    [1, "2"],
    5,
    object(),
    range(97, 100),
    {97: 1},
]


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize("number", range(len(FEEDS)))
def test_what_is_fed(number, waiting):
    def body(stage):
        reader = stage.reader()
        reader.feed_data(b"" if waiting else b"<")
        task = stage.loop.create_task(reader.read(100))
        if waiting:
            stage.turn()
        data = FEEDS[number]
        stage.attempt(reader.feed_data, data() if callable(data) else data)
        stage.turn()
        stage.note(task.done(), plain(reader))
        reader.feed_eof()
        stage.turn(2)
        stage.note_end("read", task)

    assert_same(body)


def test_wrong_calls():
    def body(stage):
        reader = stage.reader()
        for call in (reader.feed_data, reader.set_exception, reader.set_transport, reader.feed_eof, reader.at_eof):
            stage.attempt(call, *[1] * 3)
        stage.attempt(reader.set_transport, Transport(stage))
        stage.attempt(reader.set_transport, Transport(stage))
        for name, arguments in (("read", (1, 2)), ("readline", (1,)), ("readuntil", (b"a", b"b")), ("readexactly", ())):
            stage.attempt(getattr(reader, name), *arguments)
        reader.feed_eof()
        stage.attempt(reader.feed_eof)
        stage.attempt(reader.feed_data, b"late")
        stage.attempt(reader.feed_data, b"")
        stage.attempt(lambda: reader.read(size=1))
        stage.attempt(lambda: stage.StreamReader(1, stage.loop, 2))

    assert_same(body)


def test_names_of_the_arguments():
    def body(stage):
        reader = stage.StreamReader(limit=5, loop=stage.loop)
        reader.feed_data(data=b"abcdefgh")
        for coro in (reader.read(n=1), reader.readuntil(separator=b"c"), reader.readexactly(n=2)):
            stage.note(stage.run(coro))
        reader.set_exception(exc=KeyError("k"))
        stage.note(told(reader.exception()))
        reader.set_transport(transport=Transport(stage))
        stage.note(plain(reader), plain(stage.StreamReader(7, stage.loop)))
        for name in ("read", "readline", "readuntil", "readexactly", "feed_data", "set_exception"):
            stage.note(name, parameters(getattr(reader, name)))

    assert_same(body)
