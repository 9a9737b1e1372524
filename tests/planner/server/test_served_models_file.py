"""``planner serve --models``: policies behind a server each, with their prices; one of them may be down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from houses import House, records
from pydantic import ValidationError
from two_servers import DRAWN, QUESTION, RATES, SIZES, TwoServers
from typer.testing import CliRunner

from planner.cli.main import app
from planner.server.serve import service_of
from planner.server.service import Service
from planner.server.settings import ServeSettings
from search.errors import BudgetError, EngineError, ModelsError
from search.remote.fake_server import Fault

SEA: list[Any] = [{"role": "user", "content": "tell me about the sea"}]
ASKED: list[Any] = [{"role": "user", "content": QUESTION}]
TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}
CASCADE = "planner/cascade(first=small: majority(n=2), tau=1, then=large: cot())"
#: of QUESTION, in characters and the turn
PROMPT = len(QUESTION) + 1
Serve = Callable[[Service], House]


def served(two: TwoServers, file: Path | None = None, **settings: Any) -> Service:
    learned = str(two.planner())
    models = two.file() if file is None else file
    return service_of(ServeSettings(models=models, planner=learned, domain="arithmetic", **settings), {})


@pytest.fixture
def house(two: TwoServers, serving: Serve, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr("planner.server.backends.PATIENCE", 2.0)
    return serving(served(two))


def ask(house: House, model: str = "planner", messages: Any = None, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": ASKED if messages is None else messages, "seed": 1, **more}
    return httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)


def receipt(house: House, *given: Any, **more: Any) -> dict[str, Any]:
    found = ask(house, *given, **more)
    assert found.status_code == 200, found.text
    told: dict[str, Any] = found.json()["planner"]
    return told


def usd(policy: str, tokens: int) -> float:
    """Of tokens of one policy, one prompt among them."""
    price = RATES[policy]
    return (PROMPT * price[0] + (tokens - PROMPT) * price[1]) / 1e6


def test_both_policies_are_listed(house: House) -> None:
    listed = httpx.get(f"{house.v1}/models").json()
    assert {one["id"] for one in listed["data"] if one["kind"] == "policy"} == set(SIZES)
    known = {one["name"]: one for one in listed["planner"]["policies"]}
    assert {name: (one["parameters"], one["up"]) for name, one in known.items()} == {
        name: (size, True) for name, size in SIZES.items()
    }


@pytest.mark.parametrize("policy", [*SIZES])
def test_a_plan_runs_on_either_and_its_money_is_told(house: House, two: TwoServers, policy: str) -> None:
    told = receipt(house, "planner/majority(n=4)", policy=policy)
    assert (told["policy"], told["plan"]) == (policy, "majority(n=4)")
    assert told["spend"]["usd"] == pytest.approx(usd(policy, told["spend"]["tokens"]))
    [other] = SIZES.keys() - {policy}
    assert two.apps[policy].bodies
    assert not two.apps[other].bodies
    drawn = two.apps[policy].bodies[0]
    assert (drawn["temperature"], drawn["top_p"], drawn["max_tokens"]) == (0.6, 0.9, 150)
    assert DRAWN.limits.max_tokens == 150
    [kept] = records(house)
    assert kept.decision.spent_usd == pytest.approx(told["spend"]["usd"])


def test_a_cap_on_money_is_kept(house: House) -> None:
    told = receipt(house, budget={"usd": 0.004})
    assert 0.0 < told["spend"]["usd"] <= 0.004
    assert ask(house, budget={"usd": 1e-7}).status_code == 400


def test_a_cascade_goes_from_one_to_the_other(house: House, two: TwoServers) -> None:
    found = [receipt(house, CASCADE, seed=seed) for seed in range(12)]
    assert all(one["plan"].startswith("cascade(first=small: ") for one in found)
    assert all(one["policy"] == "small" for one in found)
    assert len(two.apps["small"].bodies) == 12
    assert 0 < len(two.apps["large"].bodies) < 12
    least = [usd("small", one["spend"]["tokens"]) for one in found]
    dearer = [one["spend"]["usd"] > low + 1e-12 for one, low in zip(found, least, strict=True)]
    assert sum(dearer) == len(two.apps["large"].bodies)


@pytest.mark.parametrize("names", [("huge", "small"), ("small", "huge")])
def test_a_cascade_names_policies_that_are_there(
    house: House, two: TwoServers, names: tuple[str, str]
) -> None:
    wrong = ask(house, "planner/cascade(first={}: majority(n=2), then={}: cot())".format(*names))
    assert wrong.status_code == 400
    assert "a plan runs on models that are there (" in wrong.json()["error"]["message"]
    assert "huge" in wrong.json()["error"]["message"]
    assert not any(one.bodies for one in two.apps.values())


def test_a_policy_that_is_down_is_planned_without(house: House, two: TwoServers) -> None:
    models = house.service.models
    two.servers["small"].stop()
    models.failed("small")
    models.known["small"].retry_at += 600.0
    told = receipt(house, budget={"tokens": 4000})
    assert (told["policy"], told["without"], told["outcome"]) == ("large", ["small"], "answered")
    assert receipt(house, messages=SEA, domain="text")["policy"] == "large"  # passed on
    assert httpx.get(f"{house.url}/readyz").json()["policies_up"] is True
    two.servers["small"].start()
    models.known["small"].retry_at = 0.0
    told = receipt(house, "planner/majority(n=2)", policy="small")
    assert (told["policy"], told["without"]) == ("small", [])
    assert models.is_up("small")


def test_a_policy_that_goes_down_is_left_out_from_then_on(two: TwoServers, serving: Serve) -> None:
    more = dict.fromkeys(SIZES, "options = { patience = 0.05 }\n")
    house = serving(served(two, two.file(more=more)))
    models = house.service.models
    models.clock = lambda: 0.0
    gone = receipt(house, budget={"tokens": 4000})["policy"]
    [other] = SIZES.keys() - {gone}
    two.servers[gone].stop()
    failed = ask(house, budget={"tokens": 4000})
    assert (failed.status_code, failed.json()["error"]["code"]) == (502, "policy_failed")
    assert (models.resting, models.is_up(other)) == ((gone,), True)
    told = receipt(house, budget={"tokens": 4000})
    assert (told["policy"], told["without"]) == (other, [gone])
    two.servers[other].stop()
    assert ask(house, budget={"tokens": 4000}).status_code == 502
    assert models.resting == ()  # nobody is left: both are tried again
    assert httpx.get(f"{house.url}/readyz").status_code == 503


def test_a_cascade_whose_second_policy_is_down_keeps_its_first_answer(house: House, two: TwoServers) -> None:
    two.servers["large"].stop()
    found = [ask(house, CASCADE, seed=seed, budget={"seconds": 5}) for seed in range(2)]
    assert {one.status_code for one in found} == {200}


def test_streams_and_deadlines(house: House, two: TwoServers) -> None:
    with openai.OpenAI(base_url=house.v1, api_key="none", max_retries=0) as client:
        for policy in SIZES:
            chunks = list(
                client.chat.completions.create(
                    model="planner/cot()",
                    messages=ASKED,
                    stream=True,
                    extra_body={"policy": policy, "budget": {"seconds": 60}},
                )
            )
            assert "# " in "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
            told: Any = [c.model_extra["planner"] for c in chunks if (c.model_extra or {}).get("planner")]
            assert {one["policy"] for one in told} == {policy}
            assert told[-1]["spend"]["usd"] == pytest.approx(usd(policy, told[-1]["spend"]["tokens"]))
        two.servers["large"].fail("/v1/completions", Fault.slow(30.0))
        with pytest.raises(openai.InternalServerError) as late:
            client.chat.completions.create(
                model="planner/cot()",
                messages=ASKED,
                extra_body={"policy": "large", "budget": {"seconds": 0.5}},
            )
        assert (late.value.status_code, late.value.code) == (504, "deadline")


@pytest.mark.parametrize("fault", [Fault.busy(), Fault.busy(0.2), Fault.busy(status=503)])
def test_a_deadline_before_a_server_that_fails_names_what_it_said(
    house: House, two: TwoServers, fault: Fault
) -> None:
    two.servers["large"].fail("/v1/completions", *[fault] * 64)
    late = ask(house, "planner/cot()", policy="large", budget={"seconds": 0.5})
    assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline")
    said = late.json()["error"]["message"]
    assert "got none, the policy's backend failed: " in said
    assert f"{fault.status} from " in said
    assert said.endswith("too many requests")


def test_what_is_passed_on_goes_to_the_policys_own_server(house: House, two: TwoServers) -> None:
    for policy in SIZES:
        for name, more in ((policy, {}), ("planner", {"policy": policy, "tools": [TOOL]})):
            told = receipt(house, name, messages=SEA, max_tokens=9, **more)
            body = two.apps[policy].bodies.pop()
            assert (told["policy"], body["model"], body["messages"]) == (policy, policy, SEA)
            assert "policy" not in body
            prompt = len(SEA[0]["content"]) + 1
            price = RATES[policy]
            spent = prompt * price[0] + (told["spend"]["tokens"] - prompt) * price[1]
            assert told["spend"]["usd"] == pytest.approx(spent / 1e6)
    assert not any(one.bodies for one in two.apps.values())
    wrong = ask(house, messages=SEA, policy="huge", tools=[TOOL])
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "policy")


def test_conversations_are_rendered_by_the_policys_server(house: House) -> None:
    talk = [{"role": "system", "content": "Be brief."}, *ASKED]
    assert receipt(house, "planner/majority(n=2)", talk)["outcome"] == "answered"


def test_conversations_reach_a_server_that_knows_chats_only(tmp_path: Path, serving: Serve) -> None:
    chats = TwoServers(tmp_path, takes=("chat",), plays="hosted")
    chats.start()
    try:
        house = serving(served(chats))
        talk = [{"role": "system", "content": "Be brief."}, *ASKED]
        assert receipt(house, "planner/majority(n=2)", talk, policy="large")["outcome"] == "answered"
        assert chats.apps["large"].bodies[-1]["messages"] == talk
    finally:
        chats.stop()


def test_sampling_of_the_file_and_the_setting_go_first(two: TwoServers, serving: Serve) -> None:
    more = dict.fromkeys(SIZES, "sampling = { temperature = 0.4, max_tokens = 99 }\n")
    house = serving(served(two, two.file(more=more)))
    receipt(house, "planner/majority(n=2)", policy="small")
    body = two.apps["small"].bodies[-1]
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.4, 0.9, 99)
    house = serving(served(two, two.file(more=more), max_tokens=33))
    receipt(house, "planner/majority(n=2)", policy="small")
    assert two.apps["small"].bodies[-1]["max_tokens"] == 33


def test_prices_that_are_not_known(two: TwoServers, serving: Serve) -> None:
    partly = two.file(rates={"small": RATES["small"]})
    with pytest.raises(BudgetError, match="needs the prices of every policy, got none for large"):
        served(two, partly, ceiling={"usd": 1.0})
    house = serving(served(two, two.file(rates={"small": RATES["small"]})))
    assert receipt(house, "planner/cot()", policy="small")["spend"]["usd"] > 0.0
    assert receipt(house, "planner/cot()", policy="large")["spend"]["usd"] is None
    refused = ask(house, budget={"usd": 1.0})
    assert refused.status_code == 400
    assert "got none for large" in refused.json()["error"]["message"]


# ---- bad input


def faults(*options: str) -> list[str]:
    done = CliRunner().invoke(app, ["serve", *options])
    assert done.exit_code == 2
    return done.stderr.splitlines()


def test_contradictions_are_one_line_each(tmp_path: Path) -> None:
    file = str(tmp_path / "models.toml")
    [line] = faults("--models", file, "--lab")
    assert "a server has one of --lab, --base-url, --engine, --models, got --lab and --models" in line
    [line] = faults("--models", file, "--base-url", "http://h")
    assert "got --base-url and --models" in line
    [line] = faults("--models", file, "--prm-url", "a=http://h")
    assert "--prm-url is for the other places of models, got --models" in line
    with pytest.raises(ValidationError, match="got none"):
        ServeSettings()


def test_what_does_not_fit_is_one_line_each(two: TwoServers, tmp_path: Path) -> None:
    learned = str(two.planner())
    whole = two.file().read_text()
    file = tmp_path / "models.toml"

    def told(text: str | None) -> str:
        if text is not None:
            file.write_text(text)
        where = str(file if text is not None else tmp_path / "none.toml")
        [line] = faults("--models", where, "--planner", learned)
        return line

    assert "a models file must be readable" in told(None)
    assert "got no 'large' among small" in told("[[policy]]" + whole.split("[[policy]]")[1])
    assert "price.output must be at least 0, got -4" in told(whole.replace("output = 4.0", "output = -4.0"))
    assert "gpt-9" in told(whole.replace("parameters", 'model = "gpt-9"\nparameters', 1))
    assert "'NO_SUCH_KEY', which is not" in told(
        whole.replace("parameters", 'api_key_env = "NO_SUCH_KEY"\nparameters', 1)
    )


def test_a_wrong_key_is_told_and_not_shown(tmp_path: Path) -> None:
    locked = TwoServers(tmp_path, api_key="right")
    locked.start()
    try:
        more = dict.fromkeys(SIZES, 'api_key_env = "OUR_KEY"\n')
        learned = TwoServers(tmp_path)
        learned.start()
        folder = str(learned.planner())
        learned.stop()
        settings = ServeSettings(models=locked.file(more=more), planner=folder)
        with pytest.raises(EngineError, match="401") as wrong:
            service_of(settings, {"OUR_KEY": "hunter2"})
        assert "hunter2" not in str(wrong.value)
        with pytest.raises(ModelsError, match="OUR_KEY"):
            service_of(settings, {})
        assert service_of(settings, {"OUR_KEY": "right"}).upstreams.keys() == SIZES.keys()
    finally:
        locked.stop()


def test_settings_come_from_a_file_too(two: TwoServers, tmp_path: Path) -> None:
    from planner.server.settings_sources import read_settings

    config = tmp_path / "serve.toml"
    config.write_text(f"models = {json.dumps(str(two.file()))}\n")
    assert read_settings({}, {}, config).models == two.folder / "models.toml"
    assert read_settings({}, {"PLANNER_SERVE_MODELS": "m.toml"}).models == Path("m.toml")
