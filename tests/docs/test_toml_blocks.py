"""TOML of the documentation, read by what reads it in use."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doc_pages import ALL, Block, blocks

from planner.plugins import registries
from planner.server.access.keys import Keys
from planner.server.settings_sources import read_settings
from search.campaigns.grid import Grid
from search.models_file import ModelsFile

TOML = [block for block in ALL if block.language == "toml"]


def models_file(text: str, folder: Path) -> None:
    content = tomllib.loads(text)
    asked = {entry["policy"] for entry in content.get("judge", ()) if "policy" in entry}
    here = {entry["name"] for entry in content.get("policy", ())}
    # a page may show a judge alone; the policy that judges stands in the same file then
    content.setdefault("policy", []).extend({"name": name, "embedded": name} for name in asked - here)
    assert ModelsFile.of(content)


def grid(text: str, folder: Path) -> None:
    path = folder / "grid.toml"
    content = tomllib.loads(text)
    lacking = "" if "pair" in content else '\n[[pair]]\npolicy = "small"\nprm = "critic"\n'
    path.write_text(text + lacking, encoding="utf-8")
    assert Grid.read(path).choices()


def settings(text: str, folder: Path) -> None:
    path = folder / "serve.toml"
    path.write_text(text, encoding="utf-8")
    named = {value: "a-key" for name, value in tomllib.loads(text).items() if name.endswith("_key_env")}
    assert read_settings({}, named, path)


def keys(text: str, folder: Path) -> None:
    path = folder / "keys.toml"
    path.write_text(text.replace('"..."', f'"{"0" * 64}"'), encoding="utf-8")
    assert Keys.read(path)


def distribution(text: str, folder: Path) -> None:
    """Groups of entry points that we read; ours announces its graders in one of them."""
    groups = tomllib.loads(text)["project"]["entry-points"]
    assert groups
    assert set(groups) <= {registry.group for registry in registries()}


#: a key of the block -> what reads it
READERS: dict[str, Callable[[str, Path], None]] = {
    "base_url": settings,
    "policy": models_file,
    "judge": models_file,
    "strategies": grid,
    "words": grid,
    "keys": keys,
    "project": distribution,
}


def reader_of(text: str) -> Callable[[str, Path], None]:
    content: dict[str, Any] = tomllib.loads(text)
    return next(reader for key, reader in READERS.items() if key in content)


@pytest.mark.parametrize("block", TOML, ids=str)
def test_a_block_is_read(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "my_module" in block.code:  # a module of the reader's, with the strategy that the page shows
        shown = next(one for one in blocks(block.page) if "class Trio" in one.code)
        (tmp_path / "my_module.py").write_text(shown.code.replace("@register\n", ""), encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
    reader_of(block.code)(block.code, tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        '[[policy]]\nname = "a"\nembeded = "b"\n',
        'strategies = ["cot", "majorty"]\n',
        '[words]\n"aggregate.select" = "no place"\n',
        'base_url = "http://a"\nprot = 1\n',
        '[keys.a]\nsha = "b"\n',
        '[project.entry-points."planner.strategys"]\na = "b:C"\n',
    ],
)
def test_a_wrong_block_is_refused(wrong: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, AssertionError)):
        reader_of(wrong)(wrong, tmp_path)
