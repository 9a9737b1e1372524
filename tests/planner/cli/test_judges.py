"""Judges by the command line, Python and the server: named in full, found by their names, charged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import polars as pl
import pytest
from typer.testing import CliRunner, Result

import planner
from planner.cli.main import app
from planner.models import find_model
from planner.solving.models_given import check_names, loader_for
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import CheckpointError, ModelsError
from search.log.store import SearchLog
from search.models_file import ModelsFile
from search.remote.fake_server import FakeServer
from search.rewards.judge import Judge
from search.rewards.judge_spec import JudgeSpec

GRID = """
strategies = ["majority", "best_of_n", "weighted_vote", "beam_search"]
samples = 4
block = 4
n = [1, 4]
width = [2]
score = ["last"]
group = 2
runs = 1
max_tokens = 40
"""
MODELS = """
[[policy]]
name = "m"
base_url = "{url}"
parameters = 1000
context = 8192
price = {{ input = 1.0, output = 2.0 }}

[[judge]]
name = "critic"
policy = "m"
scope = "steps"
read = "samples"
k = 2
"""


def write(text: str, rng: Random) -> str:
    """Solves, two ways, and as a judge likes the right one."""
    asked, _, written = text.partition(TURN)
    if "solution:" in asked:
        return "No" if "no idea" in asked else "Yes"
    right = (re.findall(r"\d", asked) or ["0"])[-1]
    known = [one for one in (f"so\n{right}", "so\nno idea") if one.startswith(written)]
    return rng.choice(known or [written]).removeprefix(written)


@pytest.fixture
def url() -> Iterator[str]:
    """A chat server that tells no logprobs, and has no tokenizer."""
    served = FakeOpenAI(
        ScriptedEngine(write, name="m"),
        plays="hosted",
        takes=("chat",),
        refuses=("logprobs", "top_logprobs"),
    )
    with FakeServer(served) as server:
        yield server.url


@pytest.fixture
def folder(tmp_path: Path, url: str) -> Path:
    """Four problems, a grid and a models file."""
    rows = [
        {
            "problem_id": f"p{i}",
            "family": "f",
            "domain": "text",
            "question": f"which is {i}?",
            "answer": str(i),
        }
        for i in range(4)
    ]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "grid.toml").write_text(GRID)
    (tmp_path / "models.toml").write_text(MODELS.format(url=url))
    return tmp_path


def search(folder: Path, log: str, *options: str) -> Result:
    return CliRunner().invoke(
        app,
        [
            *("search", str(folder / "problems.jsonl"), "-o", str(folder / log), "--json"),
            *("--grid", str(folder / "grid.toml"), *options),
        ],
    )


def test_a_campaign_under_a_judge_of_a_models_file(folder: Path) -> None:
    models = ("--models", str(folder / "models.toml"), "--policy", "m", "--prm", "critic")
    first = search(folder, "log", *models)
    assert first.exit_code == 0, first.output
    name = JudgeSpec("m", "steps", "samples", k=2).name
    log = SearchLog.open(folder / "log")
    assert set(log.manifest.prms) == {name}
    scores = log.scan("scores").collect()
    assert set(scores["prm"]) == {name}
    assert (scores["prompt_tokens"] == 0).all()
    assert (scores["prm_tokens"] > 100).all()
    assert set(log.scan("runs").collect()["prm"]) == {name}
    best = log.scan("outcomes").filter(pl.col("plan") == "beam_search(n=4, width=2)")
    assert best.collect().height <= 4
    found = {
        strategy: log.scan("outcomes")
        .filter(pl.col("plan").str.starts_with(strategy))
        .select(pl.col("accuracy").mean())
        .collect()
        .item()
        for strategy in ("majority(n=1", "best_of_n", "weighted_vote", "beam_search")
    }
    assert found["best_of_n"] > found["majority(n=1"]
    assert found["beam_search"] > found["majority(n=1"]
    again = search(folder, "log", *models)
    assert json.loads(again.stdout)["tokens"] == 0
    assert json.loads(again.stdout)["rows"] == json.loads(first.stdout)["rows"]


def test_another_template_is_another_prm(folder: Path) -> None:
    models = ("--models", str(folder / "models.toml"), "--policy", "m", "--prm", "critic")
    assert search(folder, "log", *models).exit_code == 0
    file = folder / "models.toml"
    own = "{question} Its solution:\\n\\n{solution}\\n\\nRight, Yes or No?"
    file.write_text(file.read_text() + f'template = "{own}"\n')
    assert search(folder, "log", *models).exit_code == 0
    log = SearchLog.open(folder / "log")
    assert len(log.manifest.prms) == 2
    assert len({card.fingerprint for card in log.manifest.prms.values()}) == 2


def test_a_policy_judges_itself_without_a_models_file(folder: Path, url: str) -> None:
    found = search(
        folder,
        "log",
        *("--engine", "openai", "--base-url", url, "--engine-option", "parameters=1000"),
        *("--policy", "m", "--prm", "judge:m:solution:samples2"),
    )
    assert found.exit_code == 0, found.output
    log = SearchLog.open(folder / "log")
    assert set(log.manifest.prms) == {JudgeSpec("m", read="samples", k=2).name}


def test_a_dry_run_prices_verdicts_and_a_limit_stops_before_it(folder: Path) -> None:
    models = ("--models", str(folder / "models.toml"), "--policy", "m", "--prm", "critic")
    told = json.loads(search(folder, "log", *models, "--dry-run").stdout)
    assert sum(stage["prm_tokens"] for stage in told["stages"]) > 1000
    assert told["usd"] > 0
    limited = search(folder, "log", *models, "--spend", "tokens=1500")
    assert json.loads(limited.stdout)["is_stopped"]
    assert json.loads(limited.stdout)["tokens"] <= 1500


def test_python_takes_the_same_names(folder: Path) -> None:
    grid = {
        "pair": [{"policy": "m", "prm": "critic"}],
        "strategies": ["best_of_n"],
        "plan": ["cascade(first=m: majority(n=2), then=m | critic: best_of_n(n=2))"],
        "samples": 4,
        "block": 4,
        "n": [2],
        "max_tokens": 40,
    }
    log = planner.search(
        folder / "problems.jsonl", output=folder / "log", models=folder / "models.toml", grid=grid
    )
    assert set(log.manifest.prms) == {JudgeSpec("m", "steps", "samples", k=2).name}


def test_a_planners_judges_are_found_by_their_names(folder: Path) -> None:
    models = ModelsFile.read(folder / "models.toml")
    own = JudgeSpec("m", "steps", "samples", k=2).name
    assert models.prm_name("critic") == models.prm_name("judge:critic") == models.prm_name(own) == own
    assert models.prm_name("judge:critic:solution") == JudgeSpec("m", "solution", "samples", k=2).name
    assert models.prm_name("judge:m") == JudgeSpec("m").name
    assert models.prm_name("other") == "other"
    check_names(models, ["m"], [own, "judge:m"])
    with pytest.raises(ModelsError, match="every prm that is asked, got no 'judge:other' among none"):
        check_names(models, ["m"], ["judge:other"])
    loader = models.loader(["m"], [own])
    reward = loader.reward(own)
    assert isinstance(reward, Judge)
    assert reward.card == loader.prm_card(own)
    table = models.price_table(["m"], [own])
    assert table is not None
    assert (table[own].prm, table[own].prm_written) == (1.0, 2.0)


def test_rules_know_the_judges_of_a_models_file(folder: Path) -> None:
    own = JudgeSpec("m", "steps", "samples", k=2).name
    rules = planner.load(models=folder / "models.toml")
    try:
        assert list(rules.prms) == [own]
        answered = rules.solve("which is 3?", tokens=4000, domain="text")
        assert answered.spend.policy_tokens > 0
    finally:
        rules.close()


def test_a_shipped_policy_judges_where_nothing_says_where_it_is() -> None:
    name = JudgeSpec("lab-policy-s").name
    for given in (None, {"lab-policy-s": find_model("lab-policy-s")}):
        loader = loader_for(["lab-policy-m"], [name], given)
        assert (
            loader.prm_card(name).parameters
            == loader_for(["lab-policy-s"], [], None).policy_card("lab-policy-s").parameters
        )
    with pytest.raises(CheckpointError):
        loader_for(["lab-policy-m"], ["judge:nobody"], None)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('name = "m"\npolicy = "m"', r"a \[\[judge\]\] and a \[\[policy\]\] called 'm'"),
        ('name = "j"\npolicy = "x"', "the policy of a judge must be one of m, got 'x'"),
        ('name = "j"\npolicy = "m"\nscope = "all"', "scope must be one of solution, steps, first_error"),
        ('name = "j"\npolicy = "m"\nk = 0', "k must be a whole number from 1 to 1024, got 0"),
        ('name = "j"\npolicy = "m"\ntemplate = "x"', r"template must hold \{question\} once"),
        (
            'name = "j"\npolicy = "m"\nparameters = 5',
            "parameters of a judge that is a policy",
        ),
        ('name = "j"\npolicy = "m"\ntokenizer = "y"', "tokenizer is for a model behind a base_url"),
        ('name = "j"\npolicy = "m"\nembedded = "y"', "one of embedded, vllm, base_url, policy says where"),
        (
            'name = "j"\npolicy = "m"\nprice = { input = 1.0, output = 1.0 }',
            "price of a judge that is a policy is",
        ),
    ],
)
def test_faults_of_a_models_file_are_told(folder: Path, entry: str, said: str) -> None:
    file = folder / "models.toml"
    file.write_text(file.read_text() + f"\n[[judge]]\n{entry}\n")
    with pytest.raises(ModelsError, match=said):
        ModelsFile.read(file)


def test_a_check_tells_whether_verdicts_can_be_read(folder: Path) -> None:
    found = CliRunner().invoke(app, ["models", "check", str(folder / "models.toml"), "--json"])
    assert found.exit_code == 0, found.output
    told = {one["name"]: one for one in json.loads(found.stdout)["models"]}
    assert told["critic"]["kind"] == "judge"
    assert told["critic"]["can"]["verdict"] == "1.00 for a right step"
    assert told["m"]["strategies"]["beam_search"] == "yes"
