"""The page: well-formed, complete, safe, and all in one file."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from benching import everything, results

from plait.bench.page import STYLE, page
from plait.bench.processes.workloads import WORKLOADS
from plait.bench.results import Failure
from plait.bench.units import rate, unit_for

VOID = {"meta", "br", "wbr"}


class Reader(HTMLParser):
    """Checks that every element is closed where it should be, and keeps what the tests ask about."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute twice: {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def classes(self) -> list[set[str]]:
        return [set((attributes.get("class") or "").split()) for _, attributes in self.elements]


@pytest.fixture(scope="module")
def whole() -> Reader:
    return Reader(page(everything()))


def test_every_workload_is_there_with_a_chart_of_its_own(whole):
    assert len(whole.all("figure")) == len(WORKLOADS)
    identifiers = {attributes.get("id") for attributes in whole.all("h3")}
    assert identifiers == {f"workload-{name}" for name in WORKLOADS}
    for name in WORKLOADS:
        assert name in whole.text


def test_every_value_is_written_beside_its_bar(whole):
    made = everything()
    for name, columns in made.runs.items():
        unit = unit_for(WORKLOADS[name], (made.value(name, column) for column in columns))
        for column in columns:
            spread = made.spread(name, column)
            assert unit.figure(spread.median) in whole.text
            assert f"{unit.number(spread.min)} to {unit.number(spread.max)}" in whole.text
            if name.startswith("echo_"):
                assert rate(made.value(name, column, "requests_per_s")) in whole.text


def test_bars_and_whiskers_are_drawn_to_one_scale():
    drawn = page(results("gather", plait=[100.0, 200.0, 300.0], asyncio=[1000.0, 800.0, 900.0]))
    assert re.findall(r'class="bar" style="width:([0-9.]+)%"', drawn) == ["20.00", "90.00"]
    assert re.findall(r'class="whisker" style="left:([0-9.]+)%;width:([0-9.]+)%"', drawn) == [
        ("10.00", "20.00"),
        ("80.00", "20.00"),
    ]
    # The target of gather, 0.6 of the best peer's 900.
    assert re.findall(r'class="mark" style="left:([0-9.]+)%"', drawn)[-1] == "54.00"


def test_kinds_are_told_apart(whole):
    rows = [classes for classes in whole.classes() if "row" in classes]
    for kind in ("plait", "loop-only", "peer", "reference", "best"):
        assert any(kind in classes for classes in rows)
    assert whole.text.count("★ best peer") == len(WORKLOADS)
    style = STYLE.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in style and "@media print" in style and "break-inside: avoid" in style


def test_shares_targets_and_aims_are_in_words():
    text = Reader(page(results("gather", plait=[5.0], loop_only=[8.0], asyncio=[10.0]))).text
    assert "plait takes 0.50 of what asyncio takes. Its loop alone: 0.80." in text
    assert "Target, at most 0.60: ✓ met. Aim 0.35: not reached." in text
    assert "1 of 1 targets met" in text


def test_nothing_is_fetched_from_anywhere():
    source = page(everything())
    read = Reader(source)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & {tag for tag, _ in read.elements}
    assert not re.search(r"https?:|//[a-z]|url\(|@import|\bsrc=", source)
    targets = [attributes["href"] for attributes in read.all("a")]
    identifiers = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert targets and all(target.startswith("#") and target[1:] in identifiers for target in targets)


def test_headings_go_down_one_by_one(whole):
    levels = [int(tag[1]) for tag, _ in whole.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))


def test_a_reader_without_eyes_is_told_all_of_it(whole):
    for attributes in whole.all("section"):
        assert attributes["aria-labelledby"]
    charts = [attributes for attributes in whole.all("ul") if attributes.get("class") == "chart"]
    assert len(charts) == len(WORKLOADS) and all(attributes["aria-label"] for attributes in charts)
    tracks = [attributes for attributes in whole.all("span") if attributes.get("class") == "track"]
    assert all(attributes["aria-hidden"] == "true" for attributes in tracks)


def test_names_and_reasons_are_escaped():
    nasty = "<script>alert('&')</script>"
    made = results(plait=[1.0], asyncio=[2.0])
    made.environment |= {"command": nasty, "processor": nasty, "packages": {"plait": nasty}}
    made.missing["rloop"] = nasty
    made.remarks.append(nasty)
    made.failures.append(Failure("call_soon", "asyncio", 0, nasty))
    source = page(made)
    assert nasty not in source and "<script" not in source
    assert Reader(source).text.count(nasty) >= 5


def test_what_is_missing_and_what_failed_is_said():
    made = results(plait=[1.0], asyncio=[])
    made.missing["rloop"] = "not installed"
    made.failures.append(Failure("call_soon", "asyncio", 2, "exit status 1"))
    text = Reader(page(made)).text
    assert "rloop was not measured: not installed" in text
    assert "Failed: call_soon on asyncio, round 3: exit status 1" in text
    assert "could not be judged" in text and "asynciofailed" in text


def test_how_it_was_measured(whole):
    for said in ("plait bench --html page.html", "CPython", "CPUs usable", "3, at scale 1"):
        assert said in whole.text


def test_one_round_has_no_spread():
    made = results(plait=[1.0], asyncio=[2.0])
    assert 'class="whisker"' not in page(made)
    made.runs["call_soon"]["plait"].append(replace(made.runs["call_soon"]["plait"][0], wall_ns=3.0))
    assert 'class="whisker"' in page(made)
