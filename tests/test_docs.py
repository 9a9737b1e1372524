"""The Python of the pages under docs/ runs, block after block, as a reader would run it.

A page joins by the line ``<!-- python: run -->``. A block of it that cannot run here stands under the line
``<!-- not run: reason -->``.
Classes named ``Test...`` in the blocks of a page are run by pytest.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MARK = "<!-- python: run -->"
PAGES = sorted(
    page for page in (ROOT / "docs").rglob("*.md") if MARK in page.read_text(encoding="utf-8").splitlines()
)

_BLOCK = re.compile(
    r"^(?P<mark><!-- not run: [^\n]+ -->\n)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A block of Python and the line of the page that its first line stands on."""

    line: int
    code: str


def blocks(text: str) -> list[Block]:
    """The blocks of a page that are run, in order."""
    return [
        Block(text.count("\n", 0, found.start("code")) + 1, found["code"])
        for found in _BLOCK.finditer(text)
        if found["mark"] is None
    ]


def joined(text: str) -> str:
    """All blocks as one module, every line where it stands in the page: faults name the page's lines."""
    lines: list[str] = []
    for block in blocks(text):
        lines += [""] * (block.line - 1 - len(lines)) + block.code.splitlines()
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    code = joined(page.read_text(encoding="utf-8"))
    module = tmp_path / f"test_{re.sub('[^a-z0-9]', '_', page.stem.lower())}_page.py"
    module.write_text(code, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    has_tests = re.search(r"^class Test|^(async )?def test_", code, re.MULTILINE) is not None
    command = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"] if has_tests else []
    done = subprocess.run(
        [sys.executable, *command, module.name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pages_are_found() -> None:
    assert "extending" in {page.stem for page in PAGES}


def test_blocks_are_found_where_they_stand() -> None:
    page = "# A page\n\n```python\nx = 1\n```\n\n<!-- not run: needs a GPU -->\n```python\nx = 2\n```\n"
    page += "\n```toml\nx = 3\n```\n\n```python\nassert x == 1\n```\n"
    assert [(block.line, block.code) for block in blocks(page)] == [(4, "x = 1\n"), (17, "assert x == 1\n")]
    assert joined(page).splitlines()[16] == "assert x == 1"
    assert "x = 2" not in joined(page)
