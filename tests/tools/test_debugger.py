"""A breakpoint inside a task: the debugger sees the coroutines that await it, and steps over an await as over a call."""

import re

from both_loops import PROGRAMS, run_on_both

_PLACE = re.compile(r"(?:\(Pdb\) )*[> ] (?P<file>\S+|<frozen \S+>)\(\d+\)\S+\(\)")


def own_places(session: str) -> list[str]:
    """What the debugger said, without the places (and their source lines) in files outside programs/."""
    kept, keep = [], True
    for line in session.splitlines():
        place = _PLACE.match(line)
        if place is not None:
            keep = place["file"].startswith(str(PROGRAMS))
        elif not line.startswith("-> "):
            keep = True
        if keep:
            kept.append(line.replace("(Pdb) ", "").strip())
    return kept


def session(*commands: str) -> list[str]:
    """The same on stock and on plait."""
    stdin = "".join(f"{command}\n" for command in commands)
    stock, plait = run_on_both("debugged.py", stdin=stdin)
    assert own_places(plait.stdout) == own_places(stock.stdout)
    assert plait.status == stock.status == 0
    assert plait.stderr == stock.stderr
    return own_places(plait.stdout)


def at(line: str, said: list[str]) -> bool:
    """Whether the debugger stood on that line of source."""
    return f"-> {line}" in said


def test_where_shows_the_coroutines() -> None:
    said = session("where", "up", "print(sorted(locals()))", "down", "p word", "continue")
    assert at('answer = await innermost("stop")', said)
    assert at("asyncio.run(main())", said)
    assert "'stop'" in said
    assert "answer stop!stop!" in said


def test_next_steps_over_an_await() -> None:
    said = session("next", "next", "next", "next", "p after", "continue")
    assert at("await asyncio.sleep(0)", said)
    assert at("return after", said)
    assert "'stop!'" in said


def test_return_leaves_a_coroutine_for_the_one_that_awaits_it() -> None:
    said = session("return", "next", "p answer", "continue")
    assert at('answer = await innermost("stop")', said)
    assert at("return answer * 2", said)
    assert "'stop!'" in said


def test_a_breakpoint_after_the_await() -> None:
    said = session("break middle", "break 18", "continue", "p answer", "clear 2", "continue")
    assert at("return answer * 2", said)


def test_the_task_is_the_current_one() -> None:
    said = session("p asyncio.current_task().get_name()", "p len(asyncio.all_tasks())", "continue")
    assert "'the task'" in said
    assert "3" in said
