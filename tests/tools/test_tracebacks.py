"""Tracebacks and stacks: an exception that comes out of a task names the whole awaited chain, on plait as on stock."""

import re
import signal

from both_loops import own_frames, run_on_both


def without_the_librarys_frames(tracebacks: str) -> str:
    """Those of sleep, wait_for, executors and the like, which are other functions on plait, or none."""
    frame = re.compile(r'(?:  \| )?  File "[^"]*/(?:asyncio|concurrent/futures|plait)/\w+\.py", line \d+, in (\w+)\n(?:(?:  \| )?    .*\n)+')
    assert {"sleep", "wait_for"} <= set(frame.findall(tracebacks))
    return frame.sub("", tracebacks)


def test_exceptions_out_of_tasks() -> None:
    stock, plait = run_on_both("failures.py", "exceptions")
    assert (plait.status, plait.stderr) == (stock.status, stock.stderr) == (0, "")
    # To the letter, since no frame of a loop lies between the coroutines, but for those of asyncio's own functions, and a method
    # that is one on stock.
    *coroutines, method = without_the_librarys_frames(plait.stdout).partition("a method of the loop\n")
    *stock_coroutines, stock_method = without_the_librarys_frames(stock.stdout).partition("a method of the loop\n")
    assert coroutines == stock_coroutines
    assert own_frames(method) == own_frames(stock_method)
    assert "BrokenPipeError" in method
    for title in ("a task", "gather", "wait_for", "a thread", "the same task again"):
        assert f"\n{title}" in plait.stdout
    chain = plait.stdout.partition("a task\n")[2].partition("\n\n")[0]
    assert [line.split(", in ")[1] for line in chain.splitlines() if ", in " in line] == [
        "show",
        "outer",
        "inner",
        "raises",
    ]


def test_task_stacks() -> None:
    stock, plait = run_on_both("failures.py", "stacks")
    assert own_frames(plait.stdout) == own_frames(stock.stdout)
    assert plait.stderr == stock.stderr == ""
    assert "waiting ['fails_while_cancelled']" in plait.stdout
    assert "failing ['outer', 'inner', 'raises']" in plait.stdout


def test_an_uncaught_exception() -> None:
    stock, plait = run_on_both("crash.py", "raise")
    assert plait == stock
    assert plait.status == 1
    assert plait.stderr.endswith("LookupError: lost\n")


def test_faulthandler_when_a_task_crashes() -> None:
    stock, plait = run_on_both("crash.py", "abort", options=("-X", "faulthandler"))
    assert plait.status == stock.status == -signal.SIGABRT
    assert own_fault_frames(plait.stderr) == own_fault_frames(stock.stderr)
    assert [frame.split(" in ")[1] for frame in own_fault_frames(plait.stderr)] == ["inner", "task", "<module>"]


def test_the_loop_thread_seen_from_another_thread() -> None:
    stock, plait = run_on_both("looked_at.py")
    assert (plait.status, plait.stderr) == (stock.status, stock.stderr) == (0, "")
    assert without_addresses(own_frames(plait.stdout)) == without_addresses(own_frames(stock.stdout))
    for function in ("task", "inner", "blocks"):
        assert f", in {function}\n" in plait.stdout  # sys._current_frames
        assert f" in {function}\n" in plait.stdout.replace(f", in {function}\n", "")  # faulthandler


def without_addresses(report: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x…", report)


def own_fault_frames(report: str) -> list[str]:
    """The frames of the program in faulthandler's report, the innermost first; the rest of it holds addresses."""
    return [line.strip() for line in own_frames(report).splitlines() if line.startswith("  File ")]
