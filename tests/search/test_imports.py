"""Strategies import no engine library, and importing search touches no network."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# replays of a log work on arrays
ALLOWED = {"search", "numpy", "scipy"} | set(sys.stdlib_module_names)

NO_NETWORK = """
import socket, sys
def refuse(*arguments, **keywords):
    raise RuntimeError("importing must not touch the network")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import search.run, search.sync, search.voting.votes, search.grading.registry as registry, search.log.tables
for name in registry.DOMAINS:
    registry.domain(name)
assert not {"torch", "transformers", "vllm", "openai"} & set(sys.modules), sys.modules.keys()
"""


def test_what_runs_a_plan_imports_no_engine_library() -> None:
    rooms = [ROOT / "search" / "strategies", ROOT / "search" / "voting"]
    files = [*(path for room in rooms for path in room.rglob("*.py")), *(ROOT / "search").glob("*.py")]
    light = [
        path for path in files if path.stem in {"run", "sync", "votes", "budget", "plan", "scores", "result"}
    ]
    light += [path for path in files if path.is_relative_to(rooms[0])]
    assert len(light) > 20
    for path in light:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= ALLOWED, path


def test_importing_search_touches_neither_network_nor_engine_libraries() -> None:
    subprocess.run([sys.executable, "-c", NO_NETWORK], check=True, cwd=ROOT, timeout=60)
