"""What a module exports is there, and every function and class without an underscore is exported.

A decorated function is somebody else's, a command of the command line say: it need not be exported.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("search", "planner", "training")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_all_is_what_the_module_offers(path: Path) -> None:
    bound, offered, exported = set[str](), set[str](), list[str]()
    body = ast.parse(path.read_text()).body
    # names that are imported lazily stand there for type checkers
    lazy = [one for node in body if isinstance(node, ast.If) for one in node.body]
    for node in [*body, *(one for one in lazy if isinstance(one, ast.ImportFrom))]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            (bound if node.decorator_list and not isinstance(node, ast.ClassDef) else offered).add(node.name)
        elif isinstance(node, ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound |= {
                name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
            if "__all__" in {name.id for name in targets if isinstance(name, ast.Name)}:
                exported = ast.literal_eval(node.value or ast.List())
    assert {name for name in offered if not name.startswith("_")} <= set(exported) <= offered | bound
    assert len(exported) == len(set(exported))
