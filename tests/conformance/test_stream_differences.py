"""Where plait's StreamReader does otherwise than asyncio's on purpose (docs/differences.md): reads that asyncio leaves waiting
for ever, or that miss their separator.

Here the expectation is written down for both, so that a change of either is noticed: when asyncio's is mended, the difference goes.
"""

import pytest
from stream_stage import LOOPS, assert_same, observe, told


@pytest.mark.parametrize("read", [("read", 1), ("readline",), ("readexactly", 2)], ids=str)
def test_an_exception_between_an_arrival_and_the_step_it_wakes(read):
    """asyncio looks for an exception as a read begins, not as it goes on, and so one that has to wait once
    more waits for ever. plait's raises.
    """

    def body(stage):
        reader = stage.reader()
        task = stage.loop.create_task(getattr(reader, read[0])(*read[1:]))
        stage.turn()
        reader.feed_data(b"a")
        reader.set_exception(LookupError("between"))
        stage.turn(2)
        stage.note_end("read", task)

    fails = [("read", told(LookupError("between")))]
    waits = [("read", "pending"), ("read", "cancelled")]
    has_enough = [("read", "bytes", b"a")]
    for loop in LOOPS:
        assert observe("stock", loop, body) == (has_enough if read == ("read", 1) else waits)
        assert observe("plait", loop, body) == (has_enough if read == ("read", 1) else fails)


def test_a_second_read_between_an_arrival_and_the_step_it_wakes():
    """asyncio's first read takes the second's place, which then waits for ever. On plait the first, when it has
    to wait once more, is told that there is another.
    """

    def body(stage):
        reader = stage.reader()
        first = stage.loop.create_task(reader.readline())
        stage.turn()
        second = stage.loop.create_task(reader.readline())
        reader.feed_data(b"a")
        stage.turn(2)
        reader.feed_data(b"\n")
        stage.turn(2)
        stage.note_end("first", first)
        stage.note_end("second", second)

    told_so = RuntimeError("readuntil() called while another coroutine is already waiting for incoming data")
    for loop in LOOPS:
        trace = [("first", "bytes", b"a\n"), ("second", "pending"), ("second", "cancelled")]
        assert observe("stock", loop, body) == trace
        assert observe("plait", loop, body) == [("first", told(told_so)), ("second", "bytes", b"a\n")]


@pytest.mark.parametrize("waits", [("readexactly", 3), ("readuntil", b"\n")], ids=str)
def test_a_second_read_that_takes_what_the_first_waits_with(waits):
    """asyncio's readuntil remembers how much it has looked through, and passes over as much of what comes
    later, though another read has taken it. plait's looks again.
    """

    def body(stage):
        reader = stage.reader()
        name, argument = waits
        first = stage.loop.create_task(getattr(reader, name)(argument))
        reader.feed_data(b"ab")
        stage.turn()
        stage.note(stage.run(reader.read(2)))
        reader.feed_data(b"c\n")
        stage.turn(2)
        reader.feed_data(b"d\n")
        stage.turn(2)
        stage.note_end("first", first)
        stage.note(bytes(reader._buffer))

    if waits == ("readexactly", 3):
        assert_same(body)
        return
    for loop in LOOPS:
        assert observe("stock", loop, body) == [(b"ab",), ("first", "bytes", b"c\nd\n"), (b"",)]
        assert observe("plait", loop, body) == [(b"ab",), ("first", "bytes", b"c\n"), (b"d\n",)]
