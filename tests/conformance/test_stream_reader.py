"""StreamReader, driven turn by turn: whatever is fed, read and cancelled in whatever order, plait's does as asyncio's.

Scripts are made by hypothesis from an alphabet of three bytes, so that separators overlap, begin inside each other and
are cut in two by chunks. A script looks at the private attributes only sometimes: a reader that nobody has looked into
may keep its bytes elsewhere, and both ways have to be right.
"""

import asyncio
import gc
import inspect
import itertools
import sys
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_stage import Transport, assert_same, plain, told

scripted = settings(max_examples=200, deadline=None, database=None)

FORMS = (bytes, bytearray, memoryview, list, tuple, iter, lambda data: (byte for byte in data))
REFUSALS = (None, NotImplementedError, RuntimeError("cannot pause"))
FAILURES = (ValueError("broken"), ConnectionResetError(104, "gone"), LookupError)

text = st.lists(st.sampled_from(b"ab\n"), max_size=12).map(bytes)
separator = st.sampled_from([b"\n", b"a", b"ab", b"ba", b"aa", b"aba", b"abab"])
# Tuples came with 3.13; plait takes them on every Python.
tuples = st.lists(separator, min_size=1, max_size=3).map(tuple)
separators = separator | tuples if sys.version_info >= (3, 13) else separator
sizes = st.integers(0, 12)
one_read = st.one_of(
    st.tuples(st.just("read"), sizes | st.just(-1)),
    st.tuples(st.just("readexactly"), sizes),
    st.tuples(st.just("readline")),
    st.tuples(st.just("readuntil"), separators),
    st.tuples(st.just("lines"), st.integers(1, 4)),
)
feed = st.tuples(st.just("feed"), st.integers(0, len(FORMS) - 1), text)
step = st.one_of(
    feed,
    feed,
    st.tuples(st.just("start"), one_read),
    st.tuples(st.just("start"), one_read),
    st.tuples(st.just("turn")),
    st.tuples(st.just("turn")),
    st.tuples(st.just("cancel"), st.integers(0, 3)),
    st.tuples(st.just("eof")),
    st.tuples(st.just("fail"), st.integers(0, len(FAILURES) - 1)),
)


async def lines(reader, most):
    got = []
    async for line in reader:
        got.append(line)
        if len(got) == most:
            break
    return got


class Player:
    """Plays the steps of a script on one reader."""

    def __init__(self, stage, limit, transport, peeks):
        self.stage = stage
        self.peeks = peeks
        self.reader = stage.reader(limit=limit)
        self.tasks = []
        self.fresh = False  # whether a task has not begun yet
        if transport is not None:
            self.reader.set_transport(Transport(stage, REFUSALS[transport]))

    def play(self, script):
        for name, *arguments in script:
            self.stage.attempt(getattr(self, name), *arguments)
            self.look(self.peeks)
        self.stage.turn(3)
        for number, task in enumerate(self.tasks):
            self.stage.note_end(number, task)
        self.look(True)

    def look(self, inside):
        reader = self.reader
        self.stage.note([task.done() for task in self.tasks], reader.at_eof(), told(self.failure()))
        if inside:
            self.stage.note(bytes(reader._buffer), reader._paused, reader._eof, reader._waiter is None)
            self.stage.note(plain(reader))

    def failure(self):
        failure = self.reader.exception()
        return failure() if isinstance(failure, type) else failure

    def feed(self, form, data):
        if self.fresh and sum(not task.done() for task in self.tasks) > 1:
            self.turn()  # see test_stream_differences.py
        self.reader.feed_data(FORMS[form](data))

    def eof(self):
        self.reader.feed_eof()

    def fail(self, which):
        self.turn()  # see test_stream_differences.py
        self.reader.set_exception(FAILURES[which])

    def start(self, read):
        if self.is_taken():
            return  # see test_stream_differences.py
        name, *arguments = read
        coro = lines(self.reader, *arguments) if name == "lines" else getattr(self.reader, name)(*arguments)
        self.tasks.append(self.stage.loop.create_task(coro))
        self.fresh = True

    def is_taken(self):
        """Whether a second read might take what another has looked through already."""
        alive = not all(task.done() for task in self.tasks)
        return alive and (self.fresh or " bytes" in repr(self.reader))

    def cancel(self, which):
        if which < len(self.tasks):
            self.stage.note(self.tasks[which].cancel())

    def turn(self):
        self.stage.turn()
        self.fresh = False


def play(stage, limit, transport, peeks, script):
    Player(stage, limit, transport, peeks).play(script)


@scripted
@given(
    limit=st.integers(1, 4) | st.integers(1, 64),
    transport=st.none() | st.integers(0, len(REFUSALS) - 1),
    peeks=st.booleans(),
    script=st.lists(step, max_size=25),
)
def test_scripts(limit, transport, peeks, script):
    assert_same(play, limit, transport, peeks, script)


@scripted
@given(
    limit=st.integers(1, 8),
    peeks=st.booleans(),
    reads=st.lists(one_read, min_size=1, max_size=6),
    chunks=st.lists(text, max_size=8),
)
def test_reads_one_after_another(limit, peeks, reads, chunks):
    """One reading task that goes on after every error, as servers do, while the bytes come in pieces."""

    def body(stage):
        reader = stage.reader(limit=limit)
        reader.set_transport(Transport(stage))

        async def read_all():
            for name, *arguments in reads:
                try:
                    coro = lines(reader, *arguments) if name == "lines" else getattr(reader, name)(*arguments)
                    stage.note(await coro)
                except Exception as error:
                    stage.note(told(error))

        task = stage.loop.create_task(read_all())
        for chunk in chunks:
            reader.feed_data(chunk)
            stage.turn()
            if peeks:
                stage.note(bytes(reader._buffer), reader._paused)
        reader.feed_eof()
        stage.turn(2)
        stage.note_end("task", task)
        stage.note(bytes(reader._buffer), reader.at_eof(), plain(reader))

    assert_same(body)


@settings(scripted, max_examples=50)
@given(size=st.integers(0, 200_000), cuts=st.lists(st.integers(0, 200_000), max_size=6), read=st.integers(999, 100_000))
def test_large_reads(size, cuts, read):
    """More than the default limit: pieces of the buffer's front go while more is put at its end."""
    data = bytes(range(256)) * (size // 256 + 1)
    edges = sorted({0, size, *(cut for cut in cuts if cut < size)})

    def body(stage):
        reader = stage.reader()
        reader.set_transport(Transport(stage))

        async def read_all():
            got = bytearray()
            while block := await reader.read(read):
                got += block
            return bytes(got) == data[:size]

        task = stage.loop.create_task(read_all())
        for start, end in itertools.pairwise(edges):
            reader.feed_data(data[start:end])
            stage.turn()
        reader.feed_eof()
        stage.turn()
        stage.note_end("read", task)

    assert ("read", "bool", True) in assert_same(body)


@pytest.mark.parametrize("then", ["feed_data", "feed_eof", "set_exception"])
def test_between_the_cancellation_and_the_step_of_a_read(then):
    """The waiter is cancelled already, and the reader does not know it yet."""

    def body(stage):
        reader = stage.reader()
        task = stage.loop.create_task(reader.read(5))
        stage.turn()
        task.cancel()
        stage.attempt(getattr(reader, then), *{"feed_data": [b"abc"], "set_exception": [LookupError("no")]}.get(then, ()))
        again = stage.loop.create_task(reader.read(5))
        stage.turn(2)
        stage.note_end("first", task)
        stage.note_end("again", again)
        stage.note(bytes(reader._buffer))

    assert_same(body)


def test_a_transport_that_cannot_be_paused_is_asked_once():
    def body(stage):
        reader = stage.reader(limit=1)
        reader.set_transport(Transport(stage, NotImplementedError))
        for _ in range(3):
            reader.feed_data(b"abc")
            stage.note(plain(reader))
        stage.attempt(reader.set_transport, Transport(stage))
        reader.feed_data(b"abc")
        stage.note(stage.run(reader.read(12)), plain(reader))

    assert_same(body)


# --- coroutines

READS = [("read",), ("read", 2), ("readline",), ("readuntil", b"x"), ("readexactly", 2), ("__anext__",)]


@pytest.mark.parametrize("read", READS, ids=repr)
def test_reads_are_coroutines(read):
    def body(stage):
        reader = stage.reader()
        name, *arguments = read
        method = getattr(reader, name)
        stage.note(inspect.iscoroutinefunction(method), asyncio.iscoroutinefunction(method))
        coro = method(*arguments)
        stage.note(inspect.iscoroutine(coro), asyncio.iscoroutine(coro), coro.__name__)
        waiter = coro.send(None)
        stage.note(asyncio.isfuture(waiter), reader._waiter is waiter, waiter._asyncio_future_blocking)
        stage.attempt(coro.throw, KeyError("thrown"))
        stage.note(reader._waiter)
        coro = method(*arguments)
        coro.send(None)
        stage.note(coro.close(), reader._waiter)
        stage.attempt(lambda: method(*arguments).throw(KeyError("before it began")))
        reader.feed_data(b"axbxb\n")
        reader.feed_eof()
        try:
            method(*arguments).send(None)
        except StopIteration as stop:
            stage.note(stop.value)

    assert_same(body)


def test_a_read_that_is_never_awaited_says_so():
    def body(stage):
        with stage.warned():
            coro = stage.reader().readline()
            del coro

    ((_, category, words),) = assert_same(body)
    assert category == "RuntimeWarning" and words.endswith("readline' was never awaited")


def test_a_read_begins_when_it_is_awaited():
    def body(stage):
        reader = stage.reader()
        reader.feed_data(b"abc")
        first, second = reader.read(2), reader.read(2)
        stage.note(stage.run(second), stage.run(first))
        late = reader.readexactly(1)
        reader.set_exception(LookupError("too late"))
        stage.attempt(stage.run, late)

    assert_same(body)


def test_the_loop_is_found():
    """Without `loop=` it is the running loop, and where none runs, what the host Python takes."""

    def body(stage):
        async def main():
            stage.note(stage.StreamReader()._loop is stage.loop, stage.StreamReader(loop=None)._loop is stage.loop)

        stage.run(main())
        asyncio.set_event_loop(stage.loop)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            reader = stage.attempt(stage.StreamReader)
        stage.trace[-1:] = [reader is not None and reader._loop is stage.loop]
        asyncio.set_event_loop(None)
        stage.attempt(stage.StreamReader)

    assert_same(body)


def test_debug_mode_keeps_where_a_reader_was_made():
    def body(stage):
        stage.note(stage.reader()._source_traceback)
        stage.loop.set_debug(True)
        frame = stage.StreamReader(loop=stage.loop)._source_traceback[-1]
        stage.note(frame.filename == __file__, frame.name)

    assert_same(body)


def test_nothing_is_kept_of_what_was_read():
    def body(stage):
        reader = stage.reader()
        data = bytes(1000)
        error = LookupError()
        before = sys.getrefcount(data)
        reader.feed_data(data)
        stage.note(len(stage.run(reader.read(1000))))
        gc.collect()
        stage.note(sys.getrefcount(data) - before)
        before = sys.getrefcount(error)
        reader.set_exception(error)
        del reader
        gc.collect()
        stage.note(sys.getrefcount(error) - before)

    assert_same(body)


def test_the_cause_of_a_line_too_long():
    """readline's ValueError is raised while another is handled, and tracebacks show both."""

    def body(stage):
        for data in (b"abcdef\nrest", b"abcdef"):
            reader = stage.reader(limit=2)
            reader.feed_data(data)
            try:
                stage.run(reader.readline())
            except ValueError as error:
                stage.note(told(error), told(error.__context__), error.__cause__, error.__suppress_context__)
            stage.note(plain(reader))

    assert_same(body)
