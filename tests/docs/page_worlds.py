"""What stands in the reader's folder before the Python of a page runs: the files that its examples name."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from doc_pages import ROOT, blocks
from fake_model import KEY, MODEL, hosted, questions

import planner
from search.problem import Problem
from search.problem_sets.problem_set import write_problems


@dataclass(frozen=True)
class World:
    """Variables of the environment, and what makes the walk short: text of the page -> text that runs."""

    environment: dict[str, str] = field(default_factory=dict)
    short: dict[str, str] = field(default_factory=dict)


@contextmanager
def plain(folder: Path) -> Iterator[World]:
    """Nothing."""
    yield World()


@contextmanager
def served(folder: Path) -> Iterator[World]:
    """Problems, a grid, and the models file of the page, whose servers are one fake."""
    page = next(block for block in blocks(ROOT / "docs" / "models.md") if block.language == "toml")
    with hosted() as server:
        text = page.code
        for entry in tomllib.loads(text)["policy"]:
            if "base_url" in entry:
                text = text.replace(entry["base_url"], server.url).replace(entry["model"], MODEL)
        (folder / "models.toml").write_text(text, encoding="utf-8")
        (folder / "grid.toml").write_text(
            'samples = 2\nn = [1, 2]\nstrategies = ["cot", "majority"]\n'
            'prompt = "generic"\nmax_tokens = 256\n[[pair]]\npolicy = "hosted"\n',
            encoding="utf-8",
        )
        write_problems(
            folder / "problems.jsonl",
            (
                Problem(f"q{place}", f"f{place % 20}", "math", question, str(answer))
                for place, (question, answer) in enumerate(questions(80))
            ),
        )
        yield World({"EXAMPLE_KEY": KEY}, {"planner.fit(log)": "planner.fit(log, trials=0)"})


@contextmanager
def logged(folder: Path) -> Iterator[World]:
    """A search log, drawn there."""
    with served(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXAMPLE_KEY", KEY)
        planner.search(
            folder / "problems.jsonl",
            output=folder / "LOG",
            grid=folder / "grid.toml",
            models=folder / "models.toml",
        )
    yield World()


WORLDS: dict[str, Callable[[Path], AbstractContextManager[World]]] = {"evaluation": logged, "models": served}
