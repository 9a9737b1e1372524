"""Who may import whom: search nobody, planner search, training both; a command may import training."""

from __future__ import annotations

import ast
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {"search": {"planner", "training"}, "planner": {"training"}, "training": set[str]()}


def imports(tree: ast.AST) -> set[str]:
    """Top-level names of every module that the tree imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_package_imports_what_stands_above_it(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        tree = ast.parse(path.read_text(), str(path))
        if path.is_relative_to(ROOT / "planner" / "cli") or path == ROOT / "planner" / "api.py":
            # inside a function only (or for types): what needs no training must not load it
            tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.If)]
        assert not imports(tree) & FORBIDDEN[package], path


def test_only_the_contract_suites_import_test_libraries() -> None:
    """Whoever uses the product needs no pytest, and the product never imports what tests plug-ins."""
    tested = [ROOT / "search" / "testing", ROOT / "search" / "pytest_contracts.py"]
    for path in chain.from_iterable(sorted((ROOT / package).rglob("*.py")) for package in FORBIDDEN):
        if any(path.is_relative_to(one) for one in tested):
            continue
        text = path.read_text()
        assert not imports(ast.parse(text)) & {"pytest", "pytest_asyncio", "hypothesis"}, path
        assert "search.testing" not in text, path


def test_imports_are_found() -> None:
    assert imports(ast.parse("import a.b as c\nfrom d.e import f\ndef g():\n    from h import i")) == {
        "a",
        "d",
        "h",
    }
