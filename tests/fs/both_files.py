"""One script of operations, played on a file of ``open`` and on one of ``plait.fs.open``: every answer has to be the same."""

import io
import sys
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from plait import fs

Step = tuple[str, tuple[Any, ...]]

sizes = st.one_of(st.integers(-1, 40), st.sampled_from([4095, 4096, 5000, 9000, 70000]), st.none())
counts = st.one_of(st.integers(0, 40), st.sampled_from([4095, 4096, 5000, 9000, 70000]))
places = st.one_of(st.integers(0, 60), st.sampled_from([4090, 4096, 9000, 20000]))
pieces = st.one_of(st.binary(max_size=30), st.sampled_from([b"\n", b"x" * 4096, b"line\n" * 900, b"y" * 20000]))


def _step(name: str, *arguments: Any) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), st.tuples(*arguments))


READS = [
    _step("read", sizes),
    _step("read"),
    _step("readline"),
    # Not 0, for which a file that is not open for reading has an answer, too.
    _step("readline", st.one_of(st.integers(1, 40), st.sampled_from([-1, None, 5000]))),
    _step("readlines", counts),
    _step("readinto", counts),
]
BUFFERED_READS = [_step("read1", st.integers(-1, 9000)), _step("readinto1", counts), _step("peek")]
WRITES = [_step("write", pieces), _step("writelines", st.lists(pieces, max_size=4)), _step("truncate", places), _step("truncate")]
PLACES = [
    _step("seek", places),
    _step("seek", st.integers(-20, 20), st.just(1)),
    _step("seek", st.integers(-20, 20), st.just(2)),
    _step("tell"),
    _step("flush"),
]
# Not `seekable`, of which the standard file without a buffer changes its mind when a seek fails.
ODD = [_step("readable"), _step("writable"), _step("isatty"), _step("close")]

texts = st.one_of(
    st.text(alphabet="abä€\U0001f600\n\r\t", max_size=20),
    st.sampled_from(["\n", "\r\n", "line\n" * 900, "ü" * 5000, "a\rb\r\nc\n"]),
)
TEXT_READS = [_step("read", sizes), _step("read"), _step("readline"), _step("readline", st.integers(-1, 9000)), _step("readlines")]
TEXT_WRITES = [_step("write", texts), _step("writelines", st.lists(texts, max_size=4))]
TEXT_PLACES = [_step("tell"), _step("seek_told"), _step("seek", st.just(0)), _step("seek", st.just(0), st.just(2)), _step("flush")]

ASYNC_ONLY = {"readable"}
# These give what is there: at least one byte, unless it is the end.
SOME = {"read1", "readinto1", "peek"}


class Script:
    """Both files, and what was told of them."""

    def __init__(self, directory: Path, content: bytes, mode: str, **options: Any) -> None:
        self.paths = [directory / "plain", directory / "plait"]
        for path in self.paths:
            path.write_bytes(content)
        self.mode = mode
        self.options = options
        self.told: list[int] = []

    async def play(self, steps: list[Step]) -> None:
        plain = open(self.paths[0], self.mode, **self.options)
        ours = await fs.open(self.paths[1], self.mode, **self.options)
        try:
            for step in steps:
                if not hasattr(plain, self._prepared(step)[0]):
                    continue
                if step[0] == "read1" and sys.version_info < (3, 13) and not plain.closed:
                    plain.flush()  # or it reads what lies before that which was written just now
                try:
                    expected = self._plainly(plain, step)
                except TypeError:
                    # The standard writer takes no None for a size, though its readers do.
                    assert step[1] == (None,)
                    continue
                found = await self._asynchronously(ours, step)
                if step[0] in SOME and expected[0] == found[0] == "answer":
                    self._compare_some(step, found, expected)
                    await ours.seek(plain.tell())
                else:
                    assert found == expected, (step, found, expected)
                if step[0] == "tell" and expected[0] == "answer":
                    self.told.append(expected[1])
                assert ours.closed == plain.closed
        finally:
            plain.close()
            await ours.close()
        assert self.paths[1].read_bytes() == self.paths[0].read_bytes()

    def _compare_some(self, step: Step, found: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
        """How much there is depends on what was read ahead; what it is, and whether there is any, does not."""
        one, other = (told[2][: told[1]] if step[0] == "readinto1" else told[1] for told in (found, expected))
        assert bool(one) == bool(other), (step, found, expected)
        assert one.startswith(other) or other.startswith(one), (step, found, expected)

    def _plainly(self, file: Any, step: Step) -> tuple[Any, ...]:
        name, arguments, into = self._prepared(step)
        try:
            answer = getattr(file, name)(*arguments)
        except (ValueError, OSError) as error:
            return _failure(error)
        return "answer", answer, bytes(into)

    async def _asynchronously(self, file: Any, step: Step) -> tuple[Any, ...]:
        name, arguments, into = self._prepared(step)
        try:
            answer = getattr(file, name)(*arguments)
            if name not in ASYNC_ONLY:
                answer = await answer
        except (ValueError, OSError) as error:
            return _failure(error)
        return "answer", answer, bytes(into)

    def _prepared(self, step: Step) -> tuple[str, tuple[Any, ...], bytearray]:
        name, arguments = step
        if name == "seek_told":
            return "seek", (self.told[-1] if self.told else 0,), bytearray()
        if name.startswith("readinto"):
            into = bytearray(arguments[0])
            return name, (into,), into
        return name, arguments, bytearray()


def _failure(error: Exception) -> tuple[Any, ...]:
    unsupported = isinstance(error, io.UnsupportedOperation)
    # Some of the standard methods end the sentence about a closed file, others do not.
    return ("failure", io.UnsupportedOperation if unsupported else type(error), str(error).rstrip("."))
