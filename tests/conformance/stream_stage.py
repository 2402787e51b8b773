"""A stage on which one program of streams runs again and again: with the standard classes and with plait's, on stock
loops and on plait's. Each run writes a trace, and the traces are compared.

The expectation is never written down: it is what the standard classes of the very Python do that runs the tests. So one
body serves all versions, and what differs between them (tuples of separators, the end of a cancelled handler) is
compared like everything else. Rejected: a list of expected values per version, which would test the list.

Streams and loops are chosen apart from each other. plait's streams must work on a loop that is not plait's, and where
the loops themselves differ (docs/differences.md), the streams are still compared on the same loop.
"""

import asyncio
import gc
import inspect
import re
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from itertools import zip_longest
from types import SimpleNamespace
from typing import Any

import plait
from loop_fixtures import settle, start_the_clock

NAMES = ("StreamReader", "StreamWriter", "StreamReaderProtocol", "open_connection", "start_server")
LOOPS = {"stock": asyncio.SelectorEventLoop, "plait": plait.new_event_loop}
STREAMS = {
    "stock": SimpleNamespace(**{name: getattr(asyncio, name) for name in NAMES}),
    "plait": SimpleNamespace(**{name: getattr(plait.asyncio, name) for name in NAMES}),
}

# Raised by the interpreter itself, in words that depend on whether the caller is written in C: "slice indices must be
# integers" there, "'float' object cannot be interpreted as an integer" here. The type alone is the contract.
WORDED_BY_THE_INTERPRETER = (TypeError, OverflowError, BufferError, AttributeError)


def told(error: BaseException | None) -> Any:
    """An exception in a form that two runs can be compared by."""
    if error is None:
        return None
    words = () if isinstance(error, WORDED_BY_THE_INTERPRETER) else tuple(map(str, error.args))
    extra = {name: getattr(error, name) for name in ("partial", "expected", "consumed") if hasattr(error, name)}
    return type(error).__name__, words, extra


def plain(shown: object) -> str:
    """A repr without what differs by chance: addresses, ports, descriptors, and the name of the transport's type."""
    text = re.sub(r"0x[0-9a-f]+|\bfd=\d+|\b\d{4,5}\b", "*", str(shown))
    return re.sub(r"<(_SelectorSocketTransport|SocketTransport)[^<>]*(<[^<>]*>[^<>]*)*>", "<transport>", text)


def parameters(function: Any) -> list[tuple[str, Any]]:
    """How a function may be called."""
    return [(name, one.default) for name, one in inspect.signature(function).parameters.items()]


class Transport(asyncio.Transport):
    """A transport with no socket. It writes into the stage's trace what it is told."""

    def __init__(self, stage: "Stage", refusal: BaseException | type[BaseException] | None = None) -> None:
        super().__init__({"peername": "nobody"})
        self.stage = stage
        self.refusal = refusal
        self.closing = False

    def __repr__(self) -> str:
        return "<Transport>"

    def _told(self, *what: Any) -> None:
        self.stage.note("transport", *what)

    def pause_reading(self) -> None:
        self._told("pause_reading")
        if self.refusal:
            raise self.refusal

    def resume_reading(self) -> None:
        self._told("resume_reading")
        if self.refusal:
            raise self.refusal

    def write(self, data: Any) -> None:
        self._told("write", bytes(data))

    def writelines(self, data: Any) -> None:
        self._told("writelines", [bytes(part) for part in data])

    def write_eof(self) -> None:
        self._told("write_eof")

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self._told("close")
        self.closing = True

    def abort(self) -> None:
        self._told("abort")
        self.closing = True


class Stage:
    """One choice of stream classes, on one loop, and the trace of what happened there."""

    def __init__(self, streams: Any, loop: Any) -> None:
        self.StreamReader: Any = streams.StreamReader
        self.StreamWriter: Any = streams.StreamWriter
        self.StreamReaderProtocol: Any = streams.StreamReaderProtocol
        self.open_connection: Any = streams.open_connection
        self.start_server: Any = streams.start_server
        self.loop = loop
        self.trace: list[Any] = []
        loop.set_exception_handler(self._reported)

    def _reported(self, _: Any, context: dict[str, Any]) -> None:
        # what follows "(" shows a function, a handle or a transport by its repr
        message = context["message"].partition("(")[0]
        self.note("reported", plain(message), told(context.get("exception")), sorted({"transport"} & context.keys()))

    def note(self, *what: Any) -> None:
        self.trace.append(what)

    def attempt(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call, note what came of it, and go on."""
        try:
            result = call(*arguments)
        except Exception as error:
            self.note("raised", told(error))
            return None
        self.note("returned", plain(result))
        return result

    def turn(self, times: int = 1) -> None:
        """Let the loop go round so often."""
        for _ in range(times):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def note_end(self, name: object, task: Any) -> None:
        """What became of a task; one that is pending is cancelled first."""
        if not task.done():
            self.note(name, "pending")
            task.cancel()
            self.turn(2)
        if task.cancelled():
            self.note(name, "cancelled")
        elif error := task.exception():
            self.note(name, told(error))
        else:
            self.note(name, type(task.result()).__name__, task.result())

    def reader(self, **options: Any) -> Any:
        return self.StreamReader(loop=self.loop, **options)

    def connection(self, callback: Any = None, reader: Any = None) -> tuple[Any, Any, Any, Transport]:
        """A reader, a protocol and a writer over a transport without a socket."""
        reader = reader or self.reader()
        protocol = self.StreamReaderProtocol(reader, callback, loop=self.loop)
        transport = Transport(self)
        protocol.connection_made(transport)
        return reader, protocol, self.StreamWriter(transport, protocol, reader, self.loop), transport

    @contextmanager
    def warned(self) -> Any:
        """Note the warnings that come meanwhile, those of a collection too."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
            gc.collect()
        for one in caught:
            self.note("warned", one.category.__name__, plain(one.message))


def observe(streams: str, loop: str, body: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Run the body on a fresh stage; its trace."""
    # Each run may take as long as a test: hypothesis makes many, and more while it looks for the shortest that fails.
    start_the_clock()
    made = LOOPS[loop]()
    stage = Stage(STREAMS[streams], made)
    try:
        body(stage, *arguments)
        if not made.is_closed():
            settle(made)
    finally:
        made.close()
    return stage.trace


def assert_same(body: Callable[..., Any], *arguments: Any) -> list[Any]:
    """The body's trace, which must be the same with either streams on either loop."""
    expected = observe("stock", "stock", body, *arguments)
    for streams, loop in (("plait", "plait"), ("plait", "stock"), ("stock", "plait")):
        _compare(streams, loop, expected, observe(streams, loop, body, *arguments))
    return expected


def assert_same_streams(body: Callable[..., Any], *arguments: Any) -> None:
    """The same, for programs in which the loops' own differences show: each loop is compared with itself."""
    for loop in LOOPS:
        _compare("plait", loop, observe("stock", loop, body, *arguments), observe("plait", loop, body, *arguments))


def _compare(streams: str, loop: str, expected: list[Any], seen: list[Any]) -> None:
    assert expected, "nothing was compared"
    for place, (wanted, got) in enumerate(zip_longest(expected, seen, fillvalue="(nothing)")):
        before = expected[max(0, place - 5) : place]
        assert got == wanted, f"{streams} streams, {loop} loop: {got!r} instead of {wanted!r}, after {before!r}"
