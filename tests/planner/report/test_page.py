from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from planner.report.charts.gallery import CHARTS, drawn
from planner.report.charts.style import NARROW, WIDE
from planner.report.findings import Findings, Measure
from planner.report.page import GENERATOR, page
from planner.report.story_cards import story_cards
from planner.report.tables import measures_table

EVIL = '<script>alert("1")</script><img src=http://x onerror=alert(2)>'
SCRIPT = "window.vegaEmbed = () => '</script>';"


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._open = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.scripts.append(data)
        else:
            self.text += data


@pytest.fixture(scope="module")
def evil(findings: Findings) -> Findings:
    """Findings in which every text of a log tries to break out."""
    story = findings.stories[0]
    step = replace(story.steps[0], answers=((EVIL, 3), (None, 1)), decided=EVIL)
    bad = replace(
        story, question=EVIL, domain=EVIL, family=EVIL, reference=EVIL, rival=EVIL, steps=(step, *story.steps)
    )
    header = replace(findings.header, log=EVIL, unit=EVIL, headline=EVIL, policies=(EVIL,), domains=(EVIL,))
    share = replace(findings.shares[0], outcome=EVIL)
    return replace(
        findings,
        header=header,
        stories=(bad,),
        lines=findings.lines[:3],
        shares=(share, *findings.shares[1:]),
        panels=findings.panels[:1],
        notes=(EVIL,),
    )


def made(findings: Findings) -> str:
    wide, narrow = drawn(findings, WIDE), drawn(findings, NARROW)
    return page(findings, wide, narrow, dict.fromkeys(wide, "<svg/>"), SCRIPT)


@pytest.fixture(scope="module")
def reader(evil: Findings) -> Reader:
    return Reader(made(evil))


def test_nothing_that_a_log_says_becomes_markup(reader: Reader) -> None:
    assert [tag for tag, _ in reader.tags].count("script") == 3
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert reader.text.count(EVIL) >= 8


def test_nothing_is_fetched(reader: Reader) -> None:
    for tag, attributes in reader.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "srcset", "data", "action"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
    styles = re.findall(r"url\(|@import", reader.text)
    assert not styles


def test_the_policy_allows_the_two_scripts_and_nothing_else(reader: Reader) -> None:
    policy = next(a["content"] for _, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    hashes = re.findall(r"'sha256-([^']+)'", policy)
    code = reader.scripts[1:]
    assert hashes == [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code]
    assert "'unsafe-inline'" not in policy.split("script-src")[1]
    assert "</script" not in code[0]


def test_the_data_of_the_charts_can_be_read_back(reader: Reader) -> None:
    held = json.loads(reader.scripts[0])
    assert set(held["charts"]) == set(CHARTS) - {"best-plans"}
    assert EVIL in json.dumps(held["data"]).replace("\\", "").replace('"1"', '"1"')
    for chart in held["charts"].values():
        assert "datasets" not in chart["wide"]
        names = re.findall(r'"name": "(data-[0-9a-f]+)"', json.dumps(chart))
        assert names
        assert set(names) <= set(held["data"])


def test_every_chart_has_a_heading_and_a_still(findings: Findings) -> None:
    text = made(findings)
    reader = Reader(text)
    charts = [a["id"] for _, a in reader.tags if (a.get("class") or "") in ("wide", "narrow")]
    names = [name for name in CHARTS if name != "best-plans"]
    assert charts == [f"{name}-{layout}" for name in names for layout in ("wide", "narrow")]
    assert [tag for tag, _ in reader.tags].count("img") == len(names)
    assert "Left out, since the log or the planner has nothing to show: the best plan" in reader.text
    assert "Ten decisions, good and bad" in reader.text
    assert any(a.get("name") == "viewport" for _, a in reader.tags)
    assert GENERATOR in text[:4096]


def test_cards_tell_gain_and_loss_apart(findings: Findings) -> None:
    story = findings.stories[0]
    sides = [replace(story, gain=gain) for gain in (0.2, 0.0, -0.2)]
    cards = story_cards(replace(findings, stories=tuple(sides)))
    assert re.findall(r'class="story (\w+)"><h3>(\w+)', cards) == [
        ("good", "Gained"),
        ("level", "Level"),
        ("bad", "Lost"),
    ]
    assert "no decision to show" in story_cards(replace(findings, stories=()))


def test_measures_say_bounds_and_what_was_not_reached(findings: Findings) -> None:
    table = measures_table(
        replace(
            findings,
            measures=(
                Measure("a", 12.34, "times", 2.0, None, at_least=True),
                Measure("b", None, "times"),
                Measure("c", -0.5, "points", -1.0, 0.25),
                Measure("d", 495.0, "%", 46.0, 4013.0),
                Measure("e", 61.0, "%", 50.0, 70.0),
            ),
        )
    )
    cells = re.findall(r"<tr><td>(\w)</td><td>([^<]*)</td><td>([^<]*)</td>", table)
    assert cells == [
        ("a", "&gt; 12.3\u00d7", "[2, \u221e]"),
        ("b", "not reached", ""),
        ("c", "\u22120.5 points", "[\u22121, 0.25]"),
        ("d", "withheld: too few problems", "[46, 4,013]"),
        ("e", "61%", "[50, 70]"),
    ]
