"""A models file in Python: several servers, their prices, and solutions drawn as the log was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from two_servers import DRAWN, QUESTION, RATES, SIZES, TwoServers
from typer.testing import CliRunner

import planner
from planner.cli.main import app
from search.budget import Prices
from search.drawing import Drawing
from search.errors import BudgetError, CheckpointError, EngineError, ModelsError
from search.log.manifest import Manifest
from search.models_file import ModelsFile
from search.result import Spend


@pytest.fixture
def learned(two: TwoServers) -> Path:
    return two.planner()


def money(policy: str, spend: Spend, prompt: int, requests: int) -> float:
    """Of a run on one policy, which was sent its prompt by so many requests."""
    rates = RATES[policy]
    return (requests * prompt * rates[0] + (spend.tokens - prompt) * rates[1]) / 1e6


def test_a_planner_solves_behind_two_servers_and_tells_money(two: TwoServers, learned: Path) -> None:
    loaded = planner.load(learned, models=str(two.file()))
    found = loaded.solve(QUESTION, usd=0.02, domain="arithmetic")
    assert found.usd is not None
    assert 0.0 < found.usd <= 0.02
    asked = two.apps["small"].bodies
    asked.clear()
    alone = loaded.solve(QUESTION, usd=0.02, domain="arithmetic", without=["large"])
    assert alone.usd == pytest.approx(money("small", alone.spend, len(QUESTION) + 1, len(asked)))
    cheap = loaded.solve(QUESTION, usd=0.003, domain="arithmetic")
    assert cheap.usd is not None
    assert cheap.usd <= 0.003
    assert loaded.recommend(QUESTION, usd=0.003, domain="arithmetic").tokens_p90 <= 0.003 * 1e6
    loaded.close()


def test_it_solves_as_its_log_was_drawn(two: TwoServers, learned: Path) -> None:
    def bodies(models: Path) -> list[Any]:
        loaded = planner.load(learned, models=models)
        loaded.solve(QUESTION, tokens=20_000, accuracy=1.0, domain="arithmetic")
        loaded.close()
        asked = [body for one in two.apps.values() for body in one.bodies]
        for one in two.apps.values():
            one.bodies.clear()
        drawn = [body for body in asked if body["temperature"] != 0.0]
        assert drawn
        return drawn

    def told(body: Any) -> tuple[Any, ...]:
        return tuple(body.get(name) for name in ("temperature", "top_p", "top_k", "max_tokens"))

    assert {told(body) for body in bodies(two.file())} == {(0.6, 0.9, 20, 150)}
    more = dict.fromkeys(SIZES, "sampling = { temperature = 0.4, max_tokens = 99 }\n")
    assert {told(body) for body in bodies(two.file(more=more))} == {(0.4, 0.9, 20, 99)}


def test_a_planner_keeps_how_its_log_was_drawn(two: TwoServers, learned: Path) -> None:
    assert planner.load(learned).drawings == dict.fromkeys(SIZES, DRAWN)
    older = planner.load(two.planner(drawings=False))
    assert older.drawings == {}
    manifest = Manifest(
        {"sampling": "by policy", "sampling of small": str(DRAWN.sampling), "limits": "max_tokens=150"},
        dict(older.policies),
    )
    assert manifest.drawings == {"small": DRAWN}


def test_what_a_log_says_of_its_drawing_is_read_or_left() -> None:
    assert Drawing.parse(str(DRAWN.sampling), "max_tokens=150, max_steps=32") == DRAWN
    assert Drawing.from_json(DRAWN.to_json()) == DRAWN
    for wrong in (
        "",
        "by policy",
        "temperature=-1",
        "temperature=0.7, min_p=0.1",
        "temperature=nan, top_p=0",
    ):
        assert Drawing.parse(wrong) is None


def test_a_search_tells_and_logs_by_the_file(two: TwoServers, tmp_path: Path) -> None:
    grid = {
        "pair": [{"policy": "small"}, {"policy": "large"}],
        "strategies": ["majority"],
        "n": [1, 2],
        "samples": 2,
        "block": 2,
    }
    asked = [planner.Problem(f"p{i}", "sums", "arithmetic", QUESTION + f" + {i}", "51") for i in range(3)]
    seen: list[Any] = []
    log = planner.search(asked, output=tmp_path / "log", grid=grid, models=two.file(), progress=seen.append)
    rows = log.read("samples")
    assert set(rows["policy"]) == {"small", "large"}
    assert log.rows("samples") == 12
    assert seen[-1].usd > 0.0
    with pytest.raises(ModelsError, match=r"every policy that is asked, got no 'huge' among small, large"):
        planner.search(
            asked, output=tmp_path / "other", grid=grid | {"pair": [{"policy": "huge"}]}, models=two.file()
        )


# ---- what is known of prices


def test_what_runs_here_is_free_and_what_is_served_without_a_price_is_not_known() -> None:
    served = {"name": "a", "base_url": "http://h", "price": {"input": 1.0, "output": 2.0}}
    here = {"name": "b", "embedded": "b"}
    unknown = {"name": "c", "base_url": "http://h"}
    critic = {"name": "r", "base_url": "http://h", "folder": "r"}
    assert ModelsFile.of({"policy": [here, unknown]}).price_table() is None
    assert ModelsFile.of({"policy": [served, here, unknown]}).price_table() == {
        "a": Prices(1.0, 2.0, 0.0, 1.0),
        "b": Prices(0.0, 0.0),
    }
    judged = ModelsFile.of({"policy": [served], "prm": [critic]})
    assert judged.price_table() is None
    assert judged.price_table(["a"], []) == {"a": Prices(1.0, 2.0, 0.0, 1.0)}
    priced = ModelsFile.of({"policy": [served], "prm": [critic | {"price": {"input": 3.0, "output": 0.0}}]})
    assert (priced.price_table() or {})["r"].prm == 3.0


def test_money_needs_the_price_of_every_policy(two: TwoServers, learned: Path) -> None:
    loaded = planner.load(learned, models=two.file(rates={"small": (1.0, 4.0)}))
    with pytest.raises(BudgetError, match="needs the prices of every policy, got none for large"):
        loaded.solve(QUESTION, usd=0.01, domain="arithmetic")
    with_small = loaded.solve(QUESTION, tokens=4000, domain="arithmetic", without=["large"])
    assert (with_small.choice.policy, with_small.usd is not None) == ("small", True)
    with_large = loaded.solve(QUESTION, tokens=4000, domain="arithmetic", without=["small"])
    assert (with_large.choice.policy, with_large.usd) == ("large", None)
    loaded.close()
    free = planner.load(learned, models=two.file(rates={}))
    with pytest.raises(BudgetError, match="a budget in money needs prices"):
        free.solve(QUESTION, usd=0.01, domain="arithmetic")


# ---- bad input, in Python and on the command line


def solve(*options: str) -> tuple[int, list[str], str]:
    done = CliRunner().invoke(
        app, ["solve", QUESTION, "--domain", "arithmetic", "--tokens", "4000", *options]
    )
    return done.exit_code, done.stderr.splitlines(), done.stdout


def test_the_command_solves_by_the_file(two: TwoServers, learned: Path) -> None:
    options = ["--planner", str(learned), "--models", str(two.file()), "--usd", "0.05", "--json"]
    code, errors, out = solve(*options)
    assert (code, errors) == (0, [])
    found = json.loads(out)
    assert found["policy"] in SIZES
    assert 0.0 < found["usd"] <= 0.05


def test_a_file_that_does_not_fit_is_one_line(two: TwoServers, learned: Path, tmp_path: Path) -> None:
    whole = two.file().read_text()
    only_small = "[[policy]]" + whole.split("[[policy]]")[1]
    cases = {
        "got no 'large' among small": only_small,
        "price.input must be at least 0, got -1": whole.replace("input = 1.0", "input = -1.0"),
        "unknown key 'modle'": whole.replace("parameters", 'modle = "x"\nparameters', 1),
        "must be TOML": "[[policy",
    }
    for words, text in cases.items():
        (tmp_path / "models.toml").write_text(text)
        code, errors, _ = solve("--planner", str(learned), "--models", str(tmp_path / "models.toml"))
        assert code == 2
        assert len(errors) == 1, errors
        assert words in errors[0]
        with pytest.raises(ModelsError):
            planner.load(learned, models=tmp_path / "models.toml").solve(
                QUESTION, tokens=4000, domain="arithmetic"
            )
    code, errors, _ = solve("--planner", str(learned), "--models", str(tmp_path / "none.toml"))
    assert (code, len(errors)) == (2, 1)
    assert "a models file must be readable" in errors[0]
    with pytest.raises(CheckpointError, match="models= is a file"):
        planner.load(learned, models=tmp_path / "none.toml").solve(QUESTION, tokens=4000, domain="arithmetic")
    code, errors, _ = solve("--models", str(two.file()), "--policy", "lab-policy-m")
    assert (code, len(errors)) == (2, 1)
    assert "--policy says where a model lies, as --models does" in errors[0]


def test_a_model_that_a_server_lacks_is_one_line(two: TwoServers, learned: Path) -> None:
    file = two.file(more={"large": 'model = "gpt-9"\n'})
    code, errors, _ = solve("--planner", str(learned), "--models", str(file))
    assert (code, len(errors)) == (2, 1)
    assert "gpt-9" in errors[0]


def learned_elsewhere(folder: Path) -> Path:
    """A planner of models like these, behind servers that ask for no key."""
    servers = TwoServers(folder)
    servers.start()
    try:
        return servers.planner()
    finally:
        servers.stop()


def test_a_key_that_is_wrong_or_not_set_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = TwoServers(tmp_path, api_key="right")
    locked.start()
    try:
        monkeypatch.setenv("OUR_KEY", "right")
        more = dict.fromkeys(SIZES, 'api_key_env = "OUR_KEY"\n')
        file = locked.file(more=more)
        models = ModelsFile.read(file).loader()
        assert models.policy_card("small").name == "small"
        monkeypatch.setenv("OUR_KEY", "hunter2")
        with pytest.raises(EngineError, match="401") as wrong:
            ModelsFile.read(file).loader().policy_card("small")
        assert "hunter2" not in str(wrong.value)
        code, errors, _ = solve("--planner", str(learned_elsewhere(tmp_path)), "--models", str(file))
        assert (code, len(errors)) == (2, 1)
        assert "a server must accept the API key, got 401" in errors[0]
        assert "hunter2" not in errors[0]
        monkeypatch.delenv("OUR_KEY")
        with pytest.raises(ModelsError, match="api_key_env must name a variable that is set, got 'OUR_KEY'"):
            ModelsFile.read(file).loader()
    finally:
        locked.stop()


# ---- numbers of weights for fit and evaluate


def test_numbers_of_weights_of_the_file_count(two: TwoServers, learned: Path) -> None:
    cards = planner.load(learned).policies
    told = ModelsFile.of({"policy": [{"name": "small", "base_url": "http://h", "parameters": 7}]}).known(
        cards
    )
    assert (told["small"].parameters, told["small"].flops(1)) == (7, 14.0)
    assert told["small"].fingerprint == cards["small"].fingerprint
    assert told["large"] == cards["large"]
