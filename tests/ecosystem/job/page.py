"""The results as tables: docs/ecosystem.md, and the same on the terminal."""

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from catalogue import SIDES, Program
from runs import Outcome, Run


@dataclass
class Row:
    program: Program
    runs: dict[str, Run]
    left_out: str = ""

    def checks(self) -> list[str]:
        return list(dict.fromkeys(outcome.check for run in self.runs.values() for outcome in run.outcomes))

    def failures(self) -> list[tuple[str, str, Outcome, bool]]:
        """(side, check, outcome, fails on stock asyncio as well), but for the side asyncio only what fails nowhere else."""
        stock = {outcome.check for outcome in self.runs["asyncio"].failed} if "asyncio" in self.runs else set()
        found = [(side, o.check, o, o.check in stock) for side, run in self.runs.items() if side != "asyncio" for o in run.failed]
        there = {check for _, check, _, _ in found}
        return found + [("asyncio", o.check, o, True) for o in (self.runs["asyncio"].failed if stock else []) if o.check not in there]

    def own_failures(self) -> int:
        """What fails on plait and passes on asyncio."""
        return sum(not on_both for _, _, _, on_both in self.failures())

    def cell(self, side: str) -> str:
        if self.left_out:
            return "left out"
        if side not in self.runs:
            return "-"
        outcomes = [outcome for outcome in self.runs[side].outcomes if outcome.outcome != "left out"]
        passed = sum(outcome.outcome == "passed" for outcome in outcomes)
        if not outcomes:
            return "left out"
        return f"passed ({passed})" if passed == len(outcomes) else f"**{passed} of {len(outcomes)}**"


def _text(words: str, longest: int = 300) -> str:
    """One line that Markdown takes as it is, without what differs from run to run."""
    line = " ".join(words.split())
    line = re.sub(r"0x[0-9a-f]+", "0x…", line)
    line = re.sub(r"/tmp/[\w./-]+", "…", line)
    line = re.sub(r"(127\.0\.0\.1'?, |127\.0\.0\.1:)\d+", r"\1…", line)
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    return line.replace("|", "\\|").replace("<", "&lt;")


def _failures(rows: list[Row]) -> list[str]:
    """A line for each check that failed, with the sides on which it did."""
    lines = []
    for row in rows:
        by_check: dict[tuple[str, bool], list[tuple[str, Outcome]]] = {}
        for side, check, outcome, on_both in row.failures():
            by_check.setdefault((check, on_both), []).append((side, outcome))
        for (check, on_both), found in by_check.items():
            sides = "stock asyncio as well" if on_both else " and ".join(SIDES[side] for side, _ in found)
            lines.append(f"- **{row.program.name}, {check or 'the start'}** ({sides}): {_text(found[0][1].reason)}")
    return lines


def _left_out(rows: list[Row]) -> list[str]:
    lines = [f"- **{row.program.name}**: {row.left_out}" for row in rows if row.left_out]
    for row in rows:
        reasons = {o.check: o.reason for run in row.runs.values() for o in run.outcomes if o.outcome == "left out"}
        lines += [f"- **{row.program.name}, {check}**: {reason}" for check, reason in reasons.items()]
    return lines


def _list(title: str, lines: list[str]) -> list[str]:
    return ["", title, "", *lines] if lines else []


def programs_section(rows: list[Row], versions: str) -> str:
    own = sum(row.own_failures() for row in rows)
    both = sum(on_both for row in rows for *_, on_both in row.failures())
    lines = [
        versions,
        "",
        f"| package | version | what was run | {' | '.join(SIDES.values())} |",
        "| --- | --- | --- |" + " --- |" * len(SIDES),
        *(
            f"| {row.program.title} | {row.program.versions() if not row.program.missing() else '-'} | {'; '.join(row.checks())} | "
            f"{' | '.join(row.cell(side) for side in SIDES)} |"
            for row in rows
        ),
        "",
        f"{own} failures on plait that stock asyncio does not have; {both} on stock asyncio as well.",
        *_list("What does not pass:", _failures(rows)),
        *_list("Left out, which is not passed:", _left_out(rows)),
    ]
    return "\n".join(lines)


def on_terminal(rows: list[Row]) -> str:
    """The table without the column that does not fit, and the reasons below."""
    cells = [["package", "version", *SIDES.values()]]
    for row in rows:
        version = "-" if row.program.missing() else row.program.versions()
        cells.append([row.program.title, version, *(row.cell(side).strip("*") for side in SIDES)])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines = [*table, *_list("What does not pass:", _failures(rows)), *_list("Left out, which is not passed:", _left_out(rows))]
    return "\n".join(lines).replace("**", "").replace("&lt;", "<").replace("\\|", "|")


def versions() -> str:
    from plait import __version__

    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"plait {__version__}, {platform.python_implementation()} {platform.python_version()}, {system}."


def replace_section(page: Path, name: str, text: str) -> None:
    """Put `text` between the page's two marks called `name`: each part of the job writes its own, and the other's stays."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, found, rest = page.read_text("utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"{page} has no section {name!r}")
    page.write_text(f"{before}{begin}{text}\n{end}{after}", "utf-8")
