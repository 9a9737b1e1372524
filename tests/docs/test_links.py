"""Links of the documentation lead to files and headings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_pages import ROOT, spans_of

DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "models" / "README.md",
    *sorted((ROOT / "benchmarks").glob("*.md")),
    *DOCS,
]

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(\s*([^)\s]+)\s*\)")


def named_after(page: Path) -> str:
    return str(page.relative_to(ROOT))


def links(text: str) -> list[str]:
    """Targets of the links of a page, without those of its blocks of code.

    A link to another host is not followed.
    """
    found = _LINK.findall(_FENCE.sub("", text))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in links."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def broken(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    wrong = []
    for target in links(page.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=named_after)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def files_named(text: str) -> set[str]:
    """Files of the project that stand in the sentences of a page, without those that a pattern names."""
    named = re.compile(r"(?:planner|search|training|tests|benchmarks|scripts|models|docs)/[\w./-]+\.\w+")
    return {span.partition("::")[0] for span in spans_of(text) if named.fullmatch(span.partition("::")[0])}


@pytest.mark.parametrize(
    "page",
    [*DOCS, *sorted(ROOT.glob("[CR]*.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    named = files_named(page.read_text(encoding="utf-8"))
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_named_files_are_found() -> None:
    assert files_named("see `search/plan.py` and `planner/*.py`, `tests/a.py::b`") == {
        "search/plan.py",
        "tests/a.py",
    }


def test_every_page_is_linked_from_the_readme() -> None:
    readme = ROOT / "README.md"
    linked = {
        (ROOT / target.partition("#")[0]).resolve() for target in links(readme.read_text(encoding="utf-8"))
    }
    assert set(DOCS) <= linked


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n[a](#a-page) [b](#none) [c](gone.md) ![d](https://x.y/z)\n```\n[e](e.md)\n```\n"
    )
    assert broken(page) == ["#none", "gone.md"]
