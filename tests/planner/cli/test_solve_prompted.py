"""``planner solve`` on a planner that was learned under a prompting: asked so, or refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from planner.models import shipped
from planner.planner import Planner
from search.engines.prompted import PromptedEngine
from search.prompts import Prompting

QUESTION = "What is (13+64)+80?"
ASKED = Prompting("Find {question}")


@pytest.fixture
def prompted() -> Planner:
    """The shipped planner as if it had been learned from the shipped policies, asked so."""
    planner = Planner.load(shipped("planner"))
    return replace(
        planner,
        policies={name: ASKED.card(card) for name, card in planner.policies.items()},
        promptings=dict.fromkeys(planner.policies, ASKED),
    )


def test_policies_are_asked_as_the_planner_was_learned(
    prompted: Planner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    prompt = PromptedEngine.prompt

    def heard(self: PromptedEngine, question: str) -> tuple[int, ...]:
        asked.append(self.prompting.ask(question))
        return prompt(self, question)

    monkeypatch.setattr(PromptedEngine, "prompt", heard)
    prompted.save(tmp_path / "planner")
    command = ["solve", QUESTION, "--planner", str(tmp_path / "planner"), "--tokens", "400", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["candidates"]
    assert set(asked) == {f"Find {QUESTION}"}


def test_another_prompting_is_another_policy(prompted: Planner, tmp_path: Path) -> None:
    other = dict.fromkeys(prompted.policies, Prompting("Compute {question}"))
    replace(prompted, promptings=other).save(tmp_path / "planner")
    done = CliRunner().invoke(
        app, ["solve", QUESTION, "--planner", str(tmp_path / "planner"), "--tokens", "400"]
    )
    assert done.exit_code == 2
    assert "asked under" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.output
