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

    def version(self) -> str:
        return "-" if self.program.missing() else self.program.versions()

    def ran(self) -> bool:
        """Not so when the row was left out, or each of its checks."""
        return any(outcome.outcome != "left out" for run in self.runs.values() for outcome in run.outcomes)

    def checks(self) -> list[str]:
        return list(dict.fromkeys(outcome.check for run in self.runs.values() for outcome in run.outcomes))

    def failures(self) -> list[tuple[str, list[str], Outcome]]:
        """Each check that failed somewhere, the sides on which it did, and what it said on the first of them."""
        found: dict[str, tuple[list[str], Outcome]] = {}
        for side, run in self.runs.items():
            for outcome in run.failed:
                found.setdefault(outcome.check, ([], outcome))[0].append(side)
        return [(check, sides, outcome) for check, (sides, outcome) in found.items()]

    def own_failures(self) -> int:
        """What fails on plait and passes on asyncio."""
        return sum("asyncio" not in sides for _, sides, _ in self.failures())

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
    return [
        f"- **{row.program.name}, {check or 'the start'}** ({_where(sides)}): {_text(outcome.reason)}"
        for row in rows
        for check, sides, outcome in row.failures()
    ]


def _where(sides: list[str]) -> str:
    if sides == ["asyncio"]:
        return "on stock asyncio only"
    return " and ".join(SIDES[side] for side in sides) + (": stock asyncio as well" if "asyncio" in sides else "")


def _left_out(rows: list[Row]) -> list[str]:
    lines = [f"- **{row.program.name}**: {row.left_out}" for row in rows if row.left_out]
    for row in rows:
        checks: dict[str, dict[str, None]] = {}
        for outcome in (outcome for run in row.runs.values() for outcome in run.outcomes if outcome.outcome == "left out"):
            checks.setdefault(outcome.reason, {})[outcome.check] = None
        # One line for each reason: without a server there would be a dozen that say the same.
        named = {reason: next(iter(names)) if len(names) == 1 else f"{len(names)} checks" for reason, names in checks.items()}
        lines += [f"- **{row.program.name}, {what}**: {reason}" for reason, what in named.items()]
    return lines


def _list(title: str, lines: list[str]) -> list[str]:
    return ["", title, "", *lines] if lines else []


def programs_section(rows: list[Row], versions: str) -> str:
    own = sum(row.own_failures() for row in rows)
    stock = sum("asyncio" in sides for row in rows for _, sides, _ in row.failures())
    lines = [
        versions,
        "",
        f"| package | version | what was run | {' | '.join(SIDES.values())} |",
        "| --- | --- | --- |" + " --- |" * len(SIDES),
        *(
            f"| {row.program.title} | {row.version()} | {'; '.join(row.checks())} | "
            f"{' | '.join(row.cell(side) for side in SIDES)} |"
            for row in rows
        ),
        "",
        f"{own} checks fail on plait and pass on stock asyncio; {stock} fail on stock asyncio.",
        *_list("What does not pass:", _failures(rows)),
        *_list("Left out, which is not passed:", _left_out(rows)),
    ]
    return "\n".join(lines)


def on_terminal(rows: list[Row]) -> str:
    """The table without the column that does not fit, and the reasons below."""
    cells = [["package", "version", *SIDES.values()]]
    for row in rows:
        cells.append([row.program.title, row.version(), *(row.cell(side).strip("*") for side in SIDES)])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    # A line that says so itself, for who looks for such lines in the log of many checks.
    left_out = [f"left out: {line.removeprefix('- ')}" for line in _left_out(rows)]
    lines = [*table, *_list("What does not pass:", _failures(rows)), *_list("Which is not passed:", left_out)]
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
