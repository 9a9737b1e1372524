"""``planner serve --models`` with a judge, over one chat server: plans that need a PRM work without any."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from houses import House

from planner.server.serve import service_of
from planner.server.service import Service
from planner.server.settings import ServeSettings
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import EngineError
from search.remote.fake_server import FakeServer
from search.rewards.judge_spec import JudgeSpec

Serve = Callable[[Service], House]
NAME = JudgeSpec("m", "steps", "samples", k=2).name


def write(text: str, rng: Random) -> str:
    asked, _, written = text.partition(TURN)
    if "solution:" in asked:
        return "No" if "no idea" in asked else "Yes"
    right = (re.findall(r"\d", asked) or ["0"])[-1]
    known = [one for one in (f"so\n\n# {right}", "so\n\n# no idea") if one.startswith(written)]
    return rng.choice(known or [written]).removeprefix(written)


@pytest.fixture
def broken() -> list[str]:
    """Whatever is asked with these words fails."""
    return []


@pytest.fixture
def chat(broken: list[str]) -> Iterator[FakeServer]:
    def answers(text: str, rng: Random) -> str:
        if any(words in text for words in broken):
            raise EngineError("out of memory")
        return write(text, rng)

    behind = ScriptedEngine(answers, name="m")
    served = FakeOpenAI(behind, plays="hosted", takes=("chat",), refuses=("logprobs", "top_logprobs"))
    with FakeServer(served) as server:
        yield server


@pytest.fixture
def house(chat: FakeServer, tmp_path: Path, serving: Serve) -> House:
    (tmp_path / "models.toml").write_text(
        f'[[policy]]\nname = "m"\nbase_url = "{chat.url}"\nparameters = 1000\ncontext = 8192\n'
        "price = { input = 1.0, output = 2.0 }\n"
        '[[judge]]\nname = "critic"\npolicy = "m"\nscope = "steps"\nread = "samples"\nk = 2\n'
    )
    return serving(service_of(ServeSettings(models=tmp_path / "models.toml", domain="text"), {}))


def ask(house: House, plan: str, **more: Any) -> httpx.Response:
    messages = [{"role": "user", "content": "which is 7?"}]
    body = {"model": f"planner/{plan}", "messages": messages, "seed": 1, **more}
    return httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)


@pytest.mark.parametrize("plan", ["best_of_n(n=4)", "weighted_vote(n=4)", "beam_search(n=4, width=2)"])
def test_a_chat_server_is_all_that_is_needed(house: House, plan: str) -> None:
    found = ask(house, plan)
    assert found.status_code == 200, found.text
    told = found.json()["planner"]
    assert told["prm"] == NAME
    assert "7" in found.json()["choices"][0]["message"]["content"]
    assert told["spend"]["prm_tokens"] > 100
    # a judge's prompt is paid for once for both of its verdicts, though each counts as tokens
    assert told["spend"]["policy_tokens"] / 1e6 < told["spend"]["usd"] < 2 * told["spend"]["tokens"] / 1e6


@pytest.mark.parametrize("tokens", [300, 700, 1500])
def test_verdicts_count_against_a_hard_budget(house: House, tokens: int) -> None:
    found = ask(house, "best_of_n(n=4)", budget={"tokens": tokens})
    assert found.status_code == 200, found.text
    assert found.json()["planner"]["spend"]["tokens"] <= tokens


def test_a_judge_that_fails_is_a_prm_that_fails(house: House, broken: list[str]) -> None:
    assert ask(house, "best_of_n(n=2)").status_code == 200
    broken.append("solution:")
    failed = ask(house, "best_of_n(n=2)")
    assert failed.status_code == 502, failed.text
    assert failed.json()["error"]["code"] == "prm_failed"
    assert ask(house, "majority(n=2)").status_code == 200  # the policy itself answers
