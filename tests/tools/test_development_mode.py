"""Development mode complains about the same careless deeds in the same words, and says where things were made."""

import re

from both_loops import PROGRAMS, own_frames, run_on_both


def comparable(report: str) -> str:
    for pattern, replacement in (
        (r"\bat 0x[0-9a-f]+", "at 0x…"),
        (r"took \d+\.\d+ seconds", "took … seconds"),
        (r"<_UnixSelectorEventLoop |<EventLoop ", "<loop "),
        # On stock, what the loop made was made by a line of asyncio; on plait by the line that asked for it.
        (r" created at [^ >]+", " created at …"),
        # A step of a task is not a Handle on plait, so there is none whose making could be told.
        (r"(?m)^handle_traceback: .*\n(?: .*\n)*", ""),
        # Where in the loop a warning was issued.
        (rf"(?m)^(?!{re.escape(str(PROGRAMS))})/\S+:\d+: (\w+Warning: .*\n)(?:  \S.*\n)?", r"\1"),
    ):
        report = re.sub(pattern, replacement, report)
    return own_frames(report)


def test_same_complaints() -> None:
    stock, plait = run_on_both("carelessness.py", options=("-X", "dev"))
    assert comparable(plait.stdout).splitlines() == comparable(stock.stdout).splitlines()
    assert comparable(plait.stderr).splitlines() == comparable(stock.stderr).splitlines()
    for words in (
        "RuntimeWarning: coroutine 'forgotten' was never awaited",
        "Coroutine created at (most recent call last)",
        "Task exception was never retrieved",
        "Future exception was never retrieved",
        "Task was destroyed but it is pending!",
        "Exception in callback raises()",
        "ResourceWarning: unclosed event loop",
    ):
        assert words in plait.stderr, words
    assert re.search(r"Executing <Task .*is_slow.* took \d+\.\d+ seconds", plait.stderr)
    assert "RuntimeError: Non-thread-safe operation" in plait.stdout


def test_without_development_mode() -> None:
    stock, plait = run_on_both("carelessness.py")
    assert comparable(plait.stdout).splitlines() == comparable(stock.stdout).splitlines()
    assert comparable(plait.stderr).splitlines() == comparable(stock.stderr).splitlines()
    assert "RuntimeWarning: coroutine 'forgotten' was never awaited" in plait.stderr
    assert "Coroutine created at" not in plait.stderr


def test_origin_tracking_ends_with_the_run() -> None:
    stock, plait = run_on_both("origins.py")
    assert plait == stock
    assert plait.stdout.split() == ["before", "3", "inside", "10", "after", "3"]


def test_tracemalloc_names_the_lines_of_the_program() -> None:
    stock, plait = run_on_both("allocations.py", options=("-X", "tracemalloc=50"))
    assert (plait.status, plait.stderr) == (stock.status, stock.stderr) == (0, "")
    assert own_frames(plait.stdout) == own_frames(stock.stdout)
    assert "nowhere" not in plait.stdout
    assert "return Thing()" in plait.stdout


def test_a_loop_that_is_left_open_at_exit() -> None:
    """Only the policy holds it, so it dies late, when modules are gone: nothing may be raised that nobody can catch."""
    stock, plait = run_on_both("left_open.py")
    assert plait == stock
    _, in_development_mode = run_on_both("left_open.py", options=("-X", "dev"))
    assert "Exception ignored" not in in_development_mode.stderr
