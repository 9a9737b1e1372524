"""The Python of the documentation runs, block after block, as a reader would run it.

A block that cannot run here stands under the line ``<!-- not run: reason -->``, which names the test that
runs it. Classes named ``Test...`` in the blocks of a page are run by pytest. Where a page says "This prints",
it prints that.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import ALL, PAGES, ROOT, Block, blocks, blocks_of
from page_worlds import WORLDS, plain

RUN = [page for page in PAGES if any(one.language == "python" and not one.not_run for one in blocks(page))]


def joined(found: list[Block]) -> str:
    """All blocks that run as one module, every line where it stands in the page: faults name its lines."""
    lines: list[str] = []
    for block in found:
        if block.language == "python" and block.not_run is None:
            lines += [""] * (block.line - 1 - len(lines)) + block.code.splitlines()
    return "\n".join(lines) + "\n"


def printed(text: str) -> str:
    """What a page says that its blocks print."""
    return "".join(re.findall(r"^This prints\n\n```text\n(.+?)^```$", text, re.MULTILINE | re.DOTALL))


def has_tests(page: Path) -> bool:
    return re.search(r"^class Test|^(async )?def test_", joined(blocks(page)), re.MULTILINE) is not None


@pytest.mark.parametrize("page", [page for page in RUN if not has_tests(page)], ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with WORLDS.get(page.stem, plain)(tmp_path) as world:
        code = joined(blocks(page))
        for long, short in world.short.items():
            assert long in code
            code = code.replace(long, short)
        for name, value in world.environment.items():
            monkeypatch.setenv(name, value)
        # as the page's own lines, so that a traceback shows them
        exec(compile(code, str(page), "exec"), {"__name__": "__main__"})
    said = printed(page.read_text(encoding="utf-8"))
    assert not said or capsys.readouterr().out == said


@pytest.mark.parametrize("page", [page for page in RUN if has_tests(page)], ids=lambda page: page.stem)
def test_the_tests_of_a_page_pass(page: Path, tmp_path: Path) -> None:
    """In a process of their own: what such a page registers stays there."""
    module = tmp_path / f"test_{re.sub('[^a-z0-9]', '_', page.stem.lower())}_page.py"
    module.write_text(joined(blocks(page)), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", module.name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_block_of_python_is_run_or_says_by_what() -> None:
    python = [block for block in ALL if block.language == "python"]
    assert len(python) >= 30
    assert {block.page for block in python if block.not_run is None} == set(RUN)


def test_the_pages_that_print_are_compared() -> None:
    said = [page.stem for page in PAGES if printed(page.read_text(encoding="utf-8"))]
    assert said == ["README", "python"]


def test_blocks_are_found_where_they_stand() -> None:
    page = "# A page\n\n```python\nx = 1\n```\n\n<!-- not run: needs a GPU -->\n```python\nx = 2\n```\n"
    page += "\n```toml\nx = 3\n```\n\n```python\nassert x == 1\n```\n"
    code = joined(blocks_of(page, Path("page.md")))
    assert code.splitlines()[3] == "x = 1"
    assert code.splitlines()[16] == "assert x == 1"
    assert "x = 2" not in code
