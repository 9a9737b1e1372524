"""``planner serve --models`` before there is a log: rules decide, and their decisions begin the first log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx
import jsonschema
import openai
import pytest
from houses import House
from two_servers import QUESTION, SIZES, TwoServers
from typer.testing import CliRunner

from planner.cli.main import app
from planner.server.serve import service_of
from planner.server.service import Service
from planner.server.settings import ServeSettings
from search.budget import Budget
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.errors import BudgetError, EngineError, ServeError
from search.log.store import SearchLog
from search.remote.fake_server import FakeServer

Serve = Callable[[Service], House]
ASKED: list[Any] = [{"role": "user", "content": QUESTION}]
SEA: list[Any] = [{"role": "user", "content": "tell me about the sea"}]
EGGS: list[Any] = [
    {"role": "user", "content": "Ann has 12 eggs and finds 30 more. How many eggs has Ann now?"}
]
CASCADE = "no log yet: the rule cascade decides, accuracy and cost are unknown"


def served(two: TwoServers, **settings: Any) -> Service:
    given = {"models": settings.pop("models", None) or two.file(), "domain": "arithmetic", **settings}
    return service_of(ServeSettings(**given), {})


def ask(house: House, messages: Any = None, model: str = "planner", **more: Any) -> httpx.Response:
    body = {"model": model, "messages": messages or ASKED, "seed": 1, **more}
    return httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)


def receipt(house: House, *given: Any, **more: Any) -> dict[str, Any]:
    found = ask(house, *given, **more)
    assert found.status_code == 200, found.text
    told: dict[str, Any] = found.json()["planner"]
    return told


def test_a_request_is_decided_by_rules_and_promised_nothing(two: TwoServers, serving: Serve) -> None:
    house = serving(served(two))
    told = receipt(house)
    assert told["plan"].startswith("cascade(first=small: adaptive_vote(")
    assert told["reason"] is None
    assert told["expected"]["accuracy"] is None
    assert told["expected"]["tokens"] is None
    assert told["stages"][0]["accuracy"] is None
    assert told["warnings"] == [CASCADE]
    assert (told["answer"], told["outcome"]) == ("51", "answered")
    assert told["spend"]["usd"] > 0.0
    schema = httpx.get(f"{house.url}/openapi.json").json()
    jsonschema.validate(told, {"$ref": "#/components/schemas/Receipt", **schema})


def test_every_cap_is_kept(two: TwoServers, serving: Serve) -> None:
    house = serving(served(two))
    for budget, spent in (
        ({"tokens": 600}, "tokens"),
        ({"flops": 9e8}, "flops"),
        ({"usd": 0.004}, "usd"),
        ({"seconds": 20.0}, "seconds"),
    ):
        told = receipt(house, budget=budget)
        assert told["spend"][spent] <= budget[spent]
    assert len(receipt(house, budget=3, include=["candidates"])["candidates"]) <= 3
    several = receipt(house, budget={"tokens": 900}, n=3)
    assert several["spend"]["tokens"] <= 900
    assert len(several["choices"]) == 3


@pytest.mark.parametrize("budget", [{"accuracy": 0.9}, {"usd": 1e-9}, {"tokens": 1}])
def test_what_cannot_be_kept_is_refused(two: TwoServers, serving: Serve, budget: dict[str, float]) -> None:
    wrong = ask(serving(served(two)), budget=budget)
    assert wrong.status_code == 400
    assert "\n" not in wrong.json()["error"]["message"]


def test_the_plan_route_the_models_and_the_console_say_so(two: TwoServers, serving: Serve) -> None:
    house = serving(served(two))
    body = {"question": QUESTION, "include": ["alternatives", "why"]}
    found = httpx.post(f"{house.v1}/plan", json=body).json()
    assert found["advice"]["warnings"] == [CASCADE]
    assert found["advice"]["accuracy"] is None
    assert (found["alternatives"], found["why"]) == ([], [])
    listed = httpx.get(f"{house.v1}/models").json()["planner"]
    assert [one["name"] for one in listed["policies"]] == [*SIZES]
    assert "math" in listed["domains"]
    assert "cot()" in listed["plans"]
    now = httpx.get(f"{house.v1}/now").json()
    assert now["planner"] == house.service.current.served.fingerprint
    reloaded = httpx.post(f"{house.url}/admin/reload").json()
    assert (reloaded["changed"], reloaded["planner"]) == (False, now["planner"])


def test_an_open_question_goes_to_the_first_policy_as_it_came(two: TwoServers, serving: Serve) -> None:
    house = serving(served(two, domain=None))
    told = receipt(house, SEA)
    assert (told["reason"], told["policy"], told["plan"]) == ("open_ended", "small", "cot()")
    assert "name a domain" in told["detail"]
    assert two.apps["small"].bodies[-1]["messages"] == SEA
    assert receipt(house, ASKED, "large")["policy"] == "large"
    assert receipt(house, ASKED, "planner/majority(n=2)", policy="large")["plan"] == "majority(n=2)"
    assert receipt(house, EGGS)["reason"] is None


def test_a_policy_that_is_down_is_ruled_without(two: TwoServers, serving: Serve) -> None:
    house = serving(served(two))
    two.servers["small"].stop()
    house.service.models.failed("small")
    house.service.models.known["small"].retry_at += 600.0
    told = receipt(house)
    assert (told["policy"], told["without"]) == ("large", ["small"])
    assert receipt(house, policy="large")["plan"].startswith("adaptive_vote(")


def test_decisions_with_feedback_become_the_first_log(
    two: TwoServers, serving: Serve, tmp_path: Path
) -> None:
    house = serving(served(two, decisions=str(tmp_path / "decisions.db")))
    for seed in range(3):
        told = receipt(house, seed=seed, policy="small", include=["candidates"])
        right = next(one["draw"] for one in told["candidates"] if one["answer"] == "51")
        kept = {"id": told["id"], "candidate": right}
        assert httpx.post(f"{house.v1}/feedback", json=kept).json()["recorded"]
    found = httpx.get(f"{house.v1}/decisions/{told['id']}").json()
    assert found["planner"] == house.service.current.served.fingerprint
    assert found["steps"][0]["accuracy"] is None
    assert found["steps"][0]["plan"].startswith("adaptive_vote(")
    given = ["export", str(tmp_path / "decisions.db"), "-o", str(tmp_path / "log")]
    done = CliRunner().invoke(app, [*given, "--models", str(two.file())])
    assert done.exit_code == 0, done.output
    log = SearchLog.open(tmp_path / "log")
    assert log.rows("samples") >= 3
    assert set(log.manifest.promptings) == {"small"}


class Chats:
    """A server that knows chats and no more, and what it was asked."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine(self._writes, name="my-model", context=4096)
        self.server = FakeServer(FakeOpenAI(self.engine, takes=("chat",), plays="hosted", api_key="k"))

    def _writes(self, text: str, rng: Random) -> str:
        return "We add.\n\nIt is \\boxed{42}." if "\\boxed" in text else "Waves."


def test_a_chat_only_server_is_enough(tmp_path: Path, serving: Serve) -> None:
    with Chats().server as server:
        file = tmp_path / "models.toml"
        entry = f'[[policy]]\nname = "mine"\nmodel = "my-model"\nbase_url = "{server.url}/v1"\n'
        file.write_text(entry + 'api_key_env = "KEY"\n')
        house = serving(service_of(ServeSettings(models=file), {"KEY": "k"}))
        client = openai.OpenAI(base_url=house.v1, api_key="none")
        answer: Any = client.chat.completions.create(model="planner", messages=EGGS)
        assert "42" in answer.choices[0].message.content
        assert answer.planner["plan"].startswith("adaptive_vote(n=16,")
        assert answer.planner["answer"] == "42"
        talk: list[Any] = [{"role": "system", "content": "Be brief."}, *EGGS]
        assert client.chat.completions.create(model="planner", messages=talk).choices
        story: Any = client.chat.completions.create(model="planner", messages=SEA)
        assert story.choices[0].message.content == "Waves."
        assert story.planner["reason"] == "open_ended"
        pieces = list(client.chat.completions.create(model="planner", messages=EGGS, stream=True))
        assert "42" in "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        client.close()


def test_an_embedded_policy_is_enough(tmp_path: Path, serving: Serve) -> None:
    file = tmp_path / "models.toml"
    file.write_text('[[policy]]\nname = "own"\nembedded = "lab-policy-s"\n')
    settings = ServeSettings(models=file, domain="arithmetic", max_tokens=60)
    house = serving(service_of(settings, {}))
    told = receipt(house, [{"role": "user", "content": "What is (13+64)+80?"}], include=["candidates"])
    assert told["policy"] == "own"
    assert all(one["tokens"] <= 60 for one in told["candidates"])


def test_faults_are_told_before_it_serves(two: TwoServers, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="a budget in money needs the prices of every policy"):
        served(two, models=two.file(rates={"small": (1.0, 2.0)}), default_budget=Budget(usd=0.01))
    with pytest.raises(BudgetError, match="an accuracy can be asked of a planner that was fitted"):
        served(two, default_budget=Budget(accuracy=0.9))
    with pytest.raises(ServeError, match="--hash-questions needs a secret"):
        served(two, decisions=str(tmp_path / "d.db"), hash_questions=True)
    two.stop()
    slow = two.file(more=dict.fromkeys(SIZES, "options = { patience = 0.05 }\n"))
    with pytest.raises(EngineError) as caught:
        served(two, models=slow)
    assert "\n" not in str(caught.value)
