"""A planner that was learned under a prompting is served under it; what nothing is planned for is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, writes

from planner.planner import Planner
from planner.server.current import Current
from planner.server.service import Service
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import ArtefactError
from search.prompts import Prompting

ASKED = Prompting("Think, then answer: {question}", "\n\n")


@pytest.fixture
def asked() -> set[str]:
    """What policies were asked, up to their own turn."""
    return set()


@pytest.fixture
def engines(planner: Planner, asked: set[str]) -> dict[str, ScriptedEngine]:
    def write(text: str, rng: Random) -> str:
        prompt, _, written = text.partition(TURN)
        asked.add(prompt)
        return writes(QUESTION + TURN + written, rng)

    return {
        name: ScriptedEngine(write, name=name, parameters=card.parameters, context=4096)
        for name, card in planner.policies.items()
    }


@pytest.fixture
def prompted(planner: Planner, engines: dict[str, ScriptedEngine], tmp_path: Path) -> Path:
    """The synthetic planner as if it had been learned from these policies, asked so."""
    folder = tmp_path / "planner"
    replace(
        planner,
        policies={name: ASKED.card(engine.card) for name, engine in engines.items()},
        promptings=dict.fromkeys(engines, ASKED),
    ).save(folder)
    return folder


@pytest.fixture
def house(
    service_of: Callable[..., Service],
    serving: Callable[[Service], House],
    engines: dict[str, ScriptedEngine],
    prompted: Path,
) -> House:
    return serving(service_of(dict(engines), folder=prompted))


def post(house: House, *turns: dict[str, str], **fields: Any) -> dict[str, Any]:
    body = {"messages": list(turns), "seed": 1, **fields}
    answered = httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)
    assert answered.status_code == 200, answered.text
    told: dict[str, Any] = answered.json()
    return told


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("model", ["planner", "planner/majority(n=3)"])
def test_a_question_is_asked_as_the_planner_was_learned(house: House, asked: set[str], model: str) -> None:
    answered = post(house, user(QUESTION), model=model)
    assert answered["planner"]["answer"] is not None
    assert asked == {ASKED.ask(QUESTION)}


def test_in_a_conversation_the_last_question_is(house: House, asked: set[str]) -> None:
    talk = [user("What is 1 + 1?"), {"role": "assistant", "content": "# 2"}, user(QUESTION)]
    post(house, *talk, model="planner")
    assert asked == {f"user: What is 1 + 1?\nassistant: # 2\nuser: {ASKED.ask(QUESTION)}\n"}


@pytest.mark.parametrize(
    ("question", "model", "reason"),
    [("Write a poem about the year 1984", "planner", "open_ended"), (QUESTION, "small", "policy")],
)
def test_what_a_policy_answers_once_is_asked_as_it_came(
    house: House, asked: set[str], question: str, model: str, reason: str
) -> None:
    assert post(house, user(question), model=model)["planner"]["reason"] == reason
    assert asked == {question}


def test_policies_are_known_under_the_promptings_of_each_planner(
    planner: Planner, engines: dict[str, ScriptedEngine], prompted: Path
) -> None:
    cards = [engine.card for engine in engines.values()]
    missing = frozenset(planner.prms)
    current = Current(prompted, cards)
    assert current.served.missing == missing
    folder = prompted.with_name("another")
    replace(Planner.load(prompted), promptings={}).save(folder)
    with pytest.raises(ArtefactError, match="models it was learned from"):
        Current(folder, cards)
    other = Prompting("Another: {question}")
    replace(Planner.load(prompted), promptings=dict.fromkeys(engines, other)).save(folder)
    with pytest.raises(ArtefactError, match=r"asked under .*Another"):
        Current(folder, cards)
