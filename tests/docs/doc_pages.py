"""The pages of the documentation and their blocks of code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
#: the page that a script writes, which has a test of its own
COMMANDS = ROOT / "docs" / "commands.md"

_FENCE = re.compile(
    r"(?P<marks>(?:^[ ]*<!--[^\n]*-->\n)*)"
    r"^(?P<indent>[ ]*)```(?P<language>[^\n`]*)\n(?P<code>.*?)^[ ]*```$",
    re.MULTILINE | re.DOTALL,
)
_SPAN = re.compile(r"`+([^`]+)`+")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line of its first line of code, and the comments right above it."""

    page: Path
    line: int
    language: str
    marks: tuple[str, ...]
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def not_run(self) -> str | None:
        """Why it is not run, where the page says so (``<!-- not run: reason -->``)."""
        found = [mark.removeprefix("not run: ") for mark in self.marks if mark.startswith("not run: ")]
        return found[0] if found else None

    def marked(self, mark: str) -> bool:
        return mark in self.marks


def blocks_of(text: str, page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    return [
        Block(
            page,
            text.count("\n", 0, found.start("code")) + 1,
            found["language"],
            tuple(re.findall(r"<!-- (.*?) -->", found["marks"])),
            found["code"],
        )
        for found in _FENCE.finditer(text)
    ]


def blocks(page: Path) -> list[Block]:
    return blocks_of(page.read_text(encoding="utf-8"), page)


def spans_of(text: str) -> list[str]:
    """What stands in backticks in the prose of a page; line ends within become blanks."""
    prose = re.sub(r"^[ ]*```.*?^[ ]*```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in _SPAN.findall(prose)]


ALL = [block for page in PAGES for block in blocks(page)]
