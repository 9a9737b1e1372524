"""Every block of the documentation says what it is, so that the tests of this folder find it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_pages import ALL, ROOT, Block, blocks_of, spans_of

#: what is checked, and by which file; text is output and drawings
LANGUAGES = {
    "python": "test_python_blocks.py",
    "sh": "test_shell_blocks.py",
    "console": "test_shell_blocks.py",
    "toml": "test_toml_blocks.py",
    "text": None,
}
#: block of text that is a command all the same
_COMMAND = re.compile(r"^(\$ |planner [a-z-]+ (?!\[OPTIONS\])\S|python |pip |import )", re.MULTILINE)


@pytest.mark.parametrize("block", ALL, ids=str)
def test_a_block_names_its_language(block: Block) -> None:
    assert block.language in LANGUAGES


@pytest.mark.parametrize("name", sorted({name for name in LANGUAGES.values() if name}))
def test_each_language_has_its_test(name: str) -> None:
    assert (Path(__file__).parent / name).is_file()


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "text"], ids=str)
def test_text_holds_no_code(block: Block) -> None:
    generated = block.page.name == "commands.md"
    assert generated or _COMMAND.search(block.code) is None


@pytest.mark.parametrize("block", [block for block in ALL if block.not_run], ids=str)
def test_what_is_not_run_says_why_and_by_what_it_is_tested(block: Block) -> None:
    assert block.not_run is not None
    named = re.findall(r"tests/\S+\.py", block.not_run)
    assert all((ROOT / path).is_file() for path in named), named
    # Python that runs nowhere would rot
    assert block.language != "python" or named


def test_blocks_are_found_with_their_marks() -> None:
    page = Path("page.md")
    text = (
        "# A page\n\n```python\nx = 1\n```\n\n<!-- one -->\n<!-- not run: needs a GPU -->\n```sh\nls\n```\n"
    )
    first, second = blocks_of(text, page)
    assert (first.line, first.language, first.marks, first.code) == (4, "python", (), "x = 1\n")
    assert (second.line, second.marks, second.not_run) == (10, ("one", "not run: needs a GPU"), "needs a GPU")


def test_spans_are_those_of_the_prose() -> None:
    assert spans_of("a `b\nc` d\n```sh\n`e`\n```\n``f``") == ["b c", "f"]
