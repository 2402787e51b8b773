"""Random operations: each answers as the standard file's does, on either engine, and leaves the same file."""

from pathlib import Path
from typing import Any

import pytest
from both_files import BUFFERED_READS, ODD, PLACES, READS, TEXT_PLACES, TEXT_READS, TEXT_WRITES, WRITES, Script
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# The file, the engine and the loop are made once for a test: each script begins by writing the file anew.
many = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

contents = st.one_of(
    st.binary(max_size=50),
    st.sampled_from([b"", b"line\n" * 3000, b"x" * 9000, b"0123456789\n" * 40, b"\n" * 10]),
)
buffers = st.sampled_from([-1, 1024, 7, 100_000])
modes = st.sampled_from(["rb", "r+b", "w+b", "a+b", "wb", "ab"])
text_contents = st.one_of(
    st.text(alphabet="abä€\U0001f600\n\r", max_size=50).map(str.encode),
    st.sampled_from([b"", b"line\n" * 3000, "ä\r\n".encode() * 5000, b"no end", b"a\rb\r\nc\n" * 2000, b"\xff\xfe bad\n"]),
)


@many
@given(content=contents, mode=modes, buffering=buffers, steps=st.lists(st.one_of(READS + BUFFERED_READS + WRITES + PLACES + ODD), max_size=12))
def test_buffered(engine: Any, run: Any, tmp_path: Path, content: bytes, mode: str, buffering: int, steps: Any) -> None:
    run(Script(tmp_path, content, mode, buffering=buffering).play(steps))


@many
@given(content=contents, mode=modes, steps=st.lists(st.one_of(READS + WRITES + PLACES + ODD), max_size=12))
def test_unbuffered(engine: Any, run: Any, tmp_path: Path, content: bytes, mode: str, steps: Any) -> None:
    run(Script(tmp_path, content, mode, buffering=0).play(steps))


@many
@given(
    content=text_contents,
    newline=st.sampled_from([None, "", "\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "latin-1", "utf-8-sig", "utf-16", "ascii"]),
    errors=st.sampled_from(["strict", "replace", "surrogateescape", "ignore"]),
    steps=st.lists(st.one_of(TEXT_READS + TEXT_PLACES), max_size=12),
)
def test_text_that_is_read(
    engine: Any, run: Any, tmp_path: Path, content: bytes, newline: Any, encoding: str, errors: str, steps: Any
) -> None:
    script = Script(tmp_path, content, "r", newline=newline, encoding=encoding, errors=errors)
    run(script.play(steps))


@pytest.mark.parametrize("content", [b"\r", b"a\r", b"\r\n\r", b"\xc3", b"ab\xc3"])
@pytest.mark.parametrize("read", [("read", (2,)), ("read", (3,)), ("readline", ()), ("readlines", ()), ("read", ())], ids=str)
def test_what_a_decoder_holds_back_until_the_end(engine: Any, run: Any, tmp_path: Path, content: bytes, read: Any) -> None:
    for newline in (None, ""):
        run(Script(tmp_path, content, "r", newline=newline, encoding="utf-8", errors="replace").play([read] * 3))


@many
@given(
    newline=st.sampled_from([None, "", "\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7", "latin-1"]),
    mode=st.sampled_from(["w", "a", "x+", "w+", "r+", "a+"]),
    buffering=st.sampled_from([-1, 1, 100]),
    # Who goes from reading to writing says where.
    steps=st.lists(
        st.one_of(
            st.lists(st.one_of(TEXT_WRITES), min_size=1, max_size=4),
            # What was written is before what is read.
            st.tuples(st.lists(st.one_of(TEXT_WRITES), min_size=1, max_size=2), st.one_of(TEXT_READS)).map(
                lambda part: [("seek", (0,)), *part[0], ("tell", ()), part[1], ("seek", (0, 2))]
            ),
            st.lists(st.one_of(TEXT_READS + TEXT_PLACES), min_size=1, max_size=4).map(lambda part: [("seek", (0,)), *part, ("seek", (0, 2))]),
        ),
        max_size=5,
    ),
)
def test_text_that_is_written(
    engine: Any, run: Any, tmp_path: Path, newline: Any, encoding: str, mode: str, buffering: int, steps: Any
) -> None:
    script = Script(tmp_path, b"old\n", mode, newline=newline, encoding=encoding, buffering=buffering)
    if "x" in mode:
        for path in script.paths:
            path.unlink()
    run(script.play([step for part in steps for step in part]))


def test_the_engine_that_is_asked_for_is_the_one_that_ran(engine: Any, run: Any, tmp_path: Path) -> None:
    at_once = engine.served[0]
    (tmp_path / "plain").write_bytes(b"x" * 100)

    async def read_twice() -> None:
        from plait import fs

        assert await fs.read_bytes(tmp_path / "plain") == b"x" * 100
        assert await fs.read_bytes(tmp_path / "plain") == b"x" * 100

    run(read_twice())
    assert engine.served[1] > 0
    if not engine.at_once:
        assert engine.served[0] == at_once == 0
    elif engine.served[0] == at_once:
        pytest.skip("this file system reads nothing at once")
