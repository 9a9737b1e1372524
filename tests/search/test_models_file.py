"""The models file: what it takes, and one clear line for each fault."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from search.budget import Prices
from search.engines.openai.fake import FakeOpenAI
from search.engines.protocol import ChildFinished, Request, Sampling
from search.engines.scripted import ScriptedEngine
from search.errors import BrokenError, CheckpointError, ModelsError, RefusedError
from search.models_file import ModelsFile, PolicyEntry, PrmEntry
from search.remote.fake_server import FakeServer, Fault
from search.sync import run_sync

SERVED = {"name": "small", "base_url": "http://127.0.0.1:8000"}
PRICE = {"input": 0.1, "output": 0.4}

WHOLE = """
[[policy]]
name = "small"
base_url = "http://127.0.0.1:8000/v1"
model = "Qwen/Qwen2.5-0.5B-Instruct"
api_key_env = "SMALL_KEY"
parameters = 5e8
context = 4096
thinking = "off"
max_concurrency = 8
requests_per_minute = 600
timeout = 60
sampling = { temperature = 0.7, top_p = 0.95, top_k = 20, max_tokens = 512 }

[policy.price]
input = 0.10
cached_input = 0.05
output = 0.40
date = 2026-11-01

[[policy]]
name = "local"
embedded = "folder"

[[prm]]
name = "critic"
base_url = "http://127.0.0.1:8001"
folder = "critic-folder"
price = { input = 0.02, output = 0.0 }

[[judge]]
name = "judge"
base_url = "https://api.example.com"
model = "large"
api_key_env = "JUDGE_KEY"
"""


def test_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    file = tmp_path / "models.toml"
    file.write_text(WHOLE)
    models = ModelsFile.read(file)
    assert [entry.name for entry in models.policy] == ["small", "local"]
    assert models.policy[0].parameters == 500_000_000
    assert models.policy[1].embedded == str(tmp_path / "folder")  # beside the file
    assert models.prices("small") == Prices(0.10, 0.40, 0.0, 0.05)
    assert models.prices("small", "critic") == Prices(0.10, 0.40, 0.02, 0.05)
    assert models.prices("local") is None
    assert models.rates()["critic"] == {"input": 0.02, "cached_input": 0.02, "output": 0.0}
    assert models.missing_keys({"SMALL_KEY": "s"}) == [
        "judge 'judge': api_key_env must name a variable that is set, got 'JUDGE_KEY', which is not"
    ]
    loader = models.loader(["small"], [], environment={"SMALL_KEY": "s"})
    expected = {"temperature": 0.7, "top_p": 0.95, "top_k": 20, "max_tokens": 512}
    assert loader.generation_defaults("small") == expected


def test_the_file_in_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    models = ModelsFile.of(tomllib.loads(page.partition("```toml")[2].partition("```")[0]))
    assert [entry.name for entry in models.policy] == ["small", "hosted", "here"]
    assert models.prices("hosted") == Prices(0.15, 0.60, 0.0, 0.075)
    described = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    known = {*PolicyEntry.model_fields, *PrmEntry.model_fields}
    assert known - {"vllm", "base_url", "family"} <= described


def test_other_currencies_are_turned_into_dollars() -> None:
    price = {**PRICE, "currency": "EUR", "in_usd": 2.0}
    models = ModelsFile.of({"policy": [{**SERVED, "price": price}]})
    assert models.prices("small") == Prices(0.2, 0.8, 0.0, 0.2)


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"temprature": 1}, "policy 'small': unknown key 'temprature'"),
    ({"tokeniser": "x"}, "policy 'small': unknown key 'tokeniser', did you mean 'tokenizer'?"),
    (
        {"sampling": {"temprature": 1.0}},
        "policy 'small': unknown key 'sampling.temprature', did you mean 'temperature'?",
    ),
    ({"price": {**PRICE, "input": -1.0}}, "policy 'small': price.input must be at least 0, got -1.0"),
    ({"price": {"input": 1.0}}, "policy 'small': price.output must be given, got none"),
    (
        {"price": {**PRICE, "input": float("nan")}},
        "policy 'small': price.input must be a finite number, got nan",
    ),
    (
        {"price": {**PRICE, "date": "yesterday"}},
        "policy 'small': price.date must be a date, such as 2026-11-01",
    ),
    (
        {"price": {**PRICE, "currency": "EUR"}},
        "policy 'small': prices in EUR need in_usd, the US dollars that one EUR is, got none",
    ),
    (
        {"price": {**PRICE, "currency": "euro"}},
        "policy 'small': price.currency must be three capital letters such as USD, got 'euro'",
    ),
    (
        {"thinking": "much"},
        "policy 'small': thinking must be one of on, off, none, minimal, low, medium, high, xhigh, max, got"
        " 'much",
    ),
    (
        {"embedded": "folder"},
        "policy 'small': one of embedded, vllm, base_url says where a model is, got embedded and base_url",
    ),
    (
        {"base_url": None},
        "policy 'small': one of embedded, vllm, base_url says where a model is, got none",
    ),
    ({"base_url": "ftp://x"}, "policy 'small': base_url must begin with http:// or https://, got 'ftp://x'"),
    ({"max_concurrency": 0}, "policy 'small': max_concurrency must be at least 1, got 0"),
    ({"parameters": "8B"}, "policy 'small': parameters must be a whole number, got '8B'"),
    ({"sampling": {"top_p": 1.5}}, "policy 'small': sampling.top_p must be at most 1, got 1.5"),
    ({"name": ""}, "policy number 1: name cannot be empty, got ''"),
    ({"name": 3}, "policy number 1: name must be a text, got 3"),
]


@pytest.mark.parametrize(("change", "line"), FAULTS, ids=[str(change) for change, _ in FAULTS])
def test_each_fault_is_one_line(change: dict[str, Any], line: str) -> None:
    entry = {key: value for key, value in {**SERVED, **change}.items() if value is not None}
    with pytest.raises(ModelsError) as caught:
        ModelsFile.of({"policy": [entry]}, "models.toml")
    [fault] = caught.value.faults
    assert fault.startswith(line)
    assert "\n" not in fault
    assert str(caught.value) == f"models.toml: {fault}"


def test_every_fault_is_told() -> None:
    content = {"policy": [{**SERVED, "thinking": "x"}, {"name": "b", "vllm": "f", "model": "m"}], "prms": []}
    with pytest.raises(ModelsError, match=r"and 2 more: planner models check") as caught:
        ModelsFile.of(content)
    assert len(caught.value.faults) == 3
    assert "policy 'b': model is for a model behind a base_url, got it beside vllm" in caught.value.faults
    assert "unknown key 'prms', did you mean 'prm'?" in caught.value.faults


@pytest.mark.parametrize(
    "change",
    [
        {"api_key": "sk-1234"},
        {"api_key_env": "sk-1234"},
        {"key": "sk-1234"},
        {"options": {"api_key": "sk-1234"}},
    ],
)
def test_a_key_in_the_file_is_refused_and_not_repeated(change: dict[str, str]) -> None:
    with pytest.raises(ModelsError) as caught:
        ModelsFile.of({"policy": [{**SERVED, **change}]})
    assert "sk-1234" not in str(caught.value)
    assert "api_key_env" in str(caught.value)


def test_a_key_in_the_address_is_refused_and_not_repeated() -> None:
    for url in ("http://me:sk-1234@host", "http://host?key=sk-1234"):
        with pytest.raises(ModelsError, match="base_url must hold no user, password or query") as caught:
            ModelsFile.of({"policy": [{**SERVED, "base_url": url}]})
        assert "sk-1234" not in str(caught.value)


def test_what_is_no_models_file(tmp_path: Path) -> None:
    with pytest.raises(ModelsError, match=r"a models file must be readable, got .*nowhere"):
        ModelsFile.read(tmp_path / "nowhere.toml")
    (tmp_path / "bad.toml").write_text("policy = [")
    with pytest.raises(ModelsError, match="a models file must be TOML, got"):
        ModelsFile.read(tmp_path / "bad.toml")
    with pytest.raises(ModelsError, match=r"a models file needs a \[\[policy\]\], got none"):
        ModelsFile.of({})
    with pytest.raises(ModelsError, match="policy must be a list of tables"):
        ModelsFile.of({"policy": {"name": "x"}})
    with pytest.raises(ModelsError, match=r"a name is given once, got two \[\[policy\]\] called 'small'"):
        ModelsFile.of({"policy": [SERVED, SERVED]})
    critic = {"name": "r", "vllm": "f", "family": "orm"}
    with pytest.raises(ModelsError, match="prm 'r': family is for a PRM that vLLM does not run here"):
        ModelsFile.of({"policy": [SERVED], "prm": [critic]})
    with pytest.raises(ModelsError, match="prm 'r': a PRM behind a base_url needs folder"):
        ModelsFile.of({"policy": [SERVED], "prm": [{"name": "r", "base_url": "http://h"}]})


def test_names_and_keys_are_looked_up_when_they_are_needed() -> None:
    models = ModelsFile.of({"policy": [SERVED, {**SERVED, "name": "b", "api_key_env": "NO_SUCH"}]})
    models.loader(["small"], environment={})
    with pytest.raises(ModelsError, match="policy 'b': api_key_env must name a variable that is set"):
        models.loader(environment={})
    with pytest.raises(ModelsError, match="policy must be one of small, b, got 'c'"):
        models.loader(["c"])
    with pytest.raises(ModelsError, match="PRM must be one of none, got 'r'"):
        models.prices("small") or models.loader(["small"], ["r"])
    with pytest.raises(CheckpointError, match="judge must be one of none, got 'j'"):
        models.loader(["small"]).judge("j")


async def answers(entry: dict[str, Any], environment: dict[str, str]) -> list[ChildFinished]:
    loader = ModelsFile.of({"policy": [entry]}).loader(environment=environment)
    try:
        engine = loader.engine(entry["name"])
        request = Request(engine.prompt("1+1?"), 2, 20, Sampling(), 1)
        return [event async for event in engine.submit(request) if isinstance(event, ChildFinished)]
    finally:
        await loader.close()


def test_a_served_model_is_asked_under_its_own_name_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FakeOpenAI(ScriptedEngine(lambda text, rng: "2"), plays="hosted", takes=("chat",), api_key="secret")
    with FakeServer(app) as server:
        entry = {"name": "mine", "base_url": server.url, "api_key_env": "K", "context": 512, "parameters": 10}
        found = run_sync(answers(entry, {"K": "secret"}))
        assert [child.text for child in found] == ["2", "2"]
        with pytest.raises(RefusedError, match="a server must accept the API key, got 401") as caught:
            run_sync(answers(entry, {"K": "wrong-secret"}))
        assert "wrong-secret" not in repr(caught.value)
        with pytest.raises(RefusedError, match=r"a model must be one that .* serves, scripted, got 'gpt'"):
            run_sync(answers({**entry, "model": "gpt"}, {"K": "secret"}))
        loader = ModelsFile.of({"policy": [entry]}).loader(environment={"K": "secret"})
        card = loader.policy_card("mine")
        assert (card.name, card.parameters, card.context) == ("mine", 10, 512)
        run_sync(loader.engine("mine").close())


def test_a_server_that_thinks_for_ever_is_given_up() -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(lambda text, rng: "2"))) as server:
        entry = {"name": "mine", "base_url": server.url, "timeout": 0.3, "parameters": 10}
        server.fail("/v1/completions", Fault.silent())
        with pytest.raises(
            BrokenError, match=r"a (request must end within 0\.3 s|server must not fall silent)"
        ):
            run_sync(answers(entry, {}))


def test_a_folder_runs_here_under_another_name(policy: Path) -> None:
    models = ModelsFile.of({"policy": [{"name": "mine", "embedded": str(policy), "parameters": 7}]})
    loader = models.loader()
    assert loader.policy_card("mine").parameters == 7
    engine = loader.engine("mine")
    assert engine.card == loader.policy_card("mine")
    assert engine.prompt("what is 1")
    run_sync(loader.close())
