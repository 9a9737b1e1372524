"""``planner search --models``: policies of a models file, several of them behind several servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.log.store import SearchLog
from search.remote.fake_server import FakeServer


def write(text: str, rng: Random) -> str:
    return f"thinking {rng.randrange(10)}\n# {rng.randrange(3)}"


@pytest.fixture
def servers() -> Iterator[list[str]]:
    engines = [ScriptedEngine(write, name=name) for name in ("one", "two")]
    with FakeServer(FakeOpenAI(engines[0])) as first, FakeServer(FakeOpenAI(engines[1])) as second:
        yield [first.url, second.url]


@pytest.fixture
def folder(tmp_path: Path, servers: list[str]) -> Path:
    lines = [
        json.dumps(
            {"problem_id": f"p{i}", "family": "f", "domain": "text", "question": f"{i}?", "answer": "1"}
        )
        for i in range(10)
    ]
    (tmp_path / "problems.jsonl").write_text("\n".join(lines))
    (tmp_path / "models.toml").write_text(
        "".join(
            f'[[policy]]\nname = "{name}"\nbase_url = "{url}"\nparameters = 1000\n'
            f"sampling = {{ temperature = {temperature}, max_tokens = 64 }}\n"
            "[policy.price]\ninput = 1.0\noutput = 1000.0\n"
            for name, url, temperature in zip(("one", "two"), servers, (0.5, 0.8), strict=True)
        )
    )
    (tmp_path / "grid.toml").write_text(
        'samples = 4\nn = [1, 4]\ngroup = 4\nstrategies = ["cot", "majority"]\n'
        '[[pair]]\npolicy = "one"\n[[pair]]\npolicy = "two"\n'
    )
    return tmp_path


def told(folder: Path, *options: str) -> dict[str, Any]:
    done = CliRunner().invoke(
        app,
        [
            *("search", str(folder / "problems.jsonl"), "--models", str(folder / "models.toml")),
            *("-o", str(folder / "log"), "--json", *options),
        ],
    )
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_policies_behind_two_servers_fill_one_log(folder: Path) -> None:
    done = told(folder, "--grid", str(folder / "grid.toml"))
    log = SearchLog.open(folder / "log")
    samples = log.read("samples")
    assert done["rows"]["samples"] == samples.height == 2 * 10 * 5
    assert log.manifest.settings["sampling of two"] == "temperature=0.8, top_p=1, top_k=0"
    assert "max_tokens=64" in log.manifest.settings["limits"]
    spent = (samples["tokens"].sum() * 1000 + samples["prompt_tokens"].sum()) / 1e6
    assert done["usd"] == pytest.approx(spent, rel=0.05)


def test_money_is_a_limit(folder: Path) -> None:
    options = ("--grid", str(folder / "grid.toml"))
    done = told(folder, *options, "--spend", "usd=0.8")
    assert done["is_stopped"]
    assert 0.0 < done["usd"] <= 0.8
    assert done["rows"]["samples"] > 0
    assert told(folder, *options)["is_stopped"] is False


def test_a_dry_run_tells_money(folder: Path) -> None:
    cost = told(folder, "--grid", str(folder / "grid.toml"), "--dry-run")
    assert cost["usd"] == pytest.approx(sum(stage["usd"] for stage in cost["stages"]))
    assert not (folder / "log").exists()
    done = told(folder, "--grid", str(folder / "grid.toml"))
    assert 0.5 < cost["usd"] / done["usd"] < 2.0


def test_all_policies_or_those_that_are_named(folder: Path) -> None:
    done = told(folder, "--policy", "two", "--dry-run")
    assert all(stage["name"].startswith("two: ") for stage in done["stages"])
    refused = CliRunner().invoke(
        app,
        [
            *("search", str(folder / "problems.jsonl"), "--models", str(folder / "models.toml")),
            *("-o", str(folder / "log"), "--policy", "three"),
        ],
    )
    assert refused.exit_code != 0
    assert "policy must be one of one, two, got 'three'" in f"{refused.exception} {refused.output}"
