"""Rooms are small, and data flows one way through those of the planner (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("search", "planner", "training")
#: files in one folder
MOST = 27

PURE = ("features", "predicting", "evidence", "deciding")
#: room of the planner -> what else of the planner it may import; "." is the planner's root
ALLOWED = {
    "features": set[str](),
    "predicting": set[str](),
    "evidence": {"features"},
    "deciding": {"features", "predicting", "evidence"},
    "solving": {*PURE, "."},
    "evaluation": {*PURE, ".", "solving"},
    "report": {*PURE, ".", "solving", "evaluation"},
    # the server reads what its decisions say, and what they say is read from its decision log
    "server": {*PURE, ".", "solving", "traffic"},
    "traffic": {*PURE, ".", "solving", "server"},
}


def rooms_of(tree: ast.AST) -> set[str]:
    """The rooms of the planner that a module imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names if name.split(".")[0] == "planner"]
    return {part[1] if len(part) > 1 and (ROOT / "planner" / part[1]).is_dir() else "." for part in parts}


def test_rooms_are_small() -> None:
    sizes = {
        str(folder.relative_to(ROOT)): len([*folder.glob("*.py")])
        for package in PACKAGES
        for folder in (ROOT / package, *(path for path in (ROOT / package).rglob("*") if path.is_dir()))
    }
    assert max(sizes.values()) > 10
    assert {room: size for room, size in sizes.items() if size > MOST} == {}


@pytest.mark.parametrize("room", ALLOWED)
def test_data_flows_one_way(room: str) -> None:
    files = sorted((ROOT / "planner" / room).rglob("*.py"))
    assert files
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in files
        if (found := rooms_of(ast.parse(path.read_text(encoding="utf-8"))) - ALLOWED[room] - {room})
    }
    assert wrong == {}


def test_imports_of_rooms_are_found() -> None:
    text = "import search.plan\nfrom planner import artefact\nfrom planner.deciding.stages import Stage"
    assert rooms_of(ast.parse(text)) == {".", "deciding"}
