"""Engines and strategies of one's own on the command line: by name, by path, and what is told of faults."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from planner.cli.main import app
from search.engines.registry import ENGINES
from search.strategies.registry import STRATEGIES

MODULE = """
from dataclasses import dataclass
from search.engines.scripted import ScriptedEngine
from search.strategies.sampling import SamplingStrategy

@dataclass(frozen=True)
class Trio(SamplingStrategy):
    name = "trio_on_a_command_line"
    n: int = 3

class Parrot(ScriptedEngine):
    name = "parrot_on_a_command_line"

    @classmethod
    def load(cls, model, *, says="1"):
        return cls(lambda text, rng: f"# {says}", name=model)

class Renamer(ScriptedEngine):
    name = "renamer_on_a_command_line"

    @classmethod
    def load(cls, model):
        return cls(lambda text, rng: "# 1", name="another")
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "own_command_line.py").write_text(MODULE)
    lines = [
        {"problem_id": f"p{i}", "family": f"f{i}", "domain": "text", "question": f"{i}?", "answer": "1"}
        for i in range(3)
    ]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("own_command_line", None)
    for registry in (STRATEGIES, ENGINES):
        for name in [name for name in registry if name.endswith("_on_a_command_line")]:
            registry.unregister(name)


def run(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        app([*command])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def search(engine: str, *more: str, policy: str = "me") -> tuple[str, ...]:
    return ("search", "problems.jsonl", "-o", "log", "--policy", policy, "--engine", engine, *more, "--json")


def test_an_engine_by_its_path_runs_a_search(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        'samples = 4\nblock = 4\nn = [1, 3]\nstrategies = ["own_command_line:Trio"]\n'
        '[[pair]]\npolicy = "me"\n'
    )
    command = search("own_command_line:Parrot", "--engine-option", "says=1", "--grid", "grid.toml")
    code, out, err = run(capsys, *command)
    assert code == 0, err
    assert json.loads(out)["rows"] | {"outcomes": 6, "samples": 12, "problems": 3} == json.loads(out)["rows"]


@pytest.mark.parametrize(
    ("engine", "more", "said"),
    [
        (
            "own_command_line:Missing",
            (),
            "a dotted path must lead to an object, got 'own_command_line:Missing'",
        ),
        (
            "own_command_line:Trio",
            (),
            "an engine must be a class derived from search.engines.protocol",
        ),
        ("own_command_line:Renamer", (), "has the name that it is asked by, got 'another' for 'me'"),
        (
            "own_command_line:Parrot",
            ("--engine-option", "colour=red"),
            "an option of the parrot_on_a_command_line engine must be one of says, got 'colour'",
        ),
        ("own_command_line:Parrot", ("--base-url", "http://x"), "--base-url is for --engine openai"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], engine: str, more: tuple[str, ...], said: str
) -> None:
    code, _, err = run(capsys, *search(engine, *more))
    assert (code, err.count("\n")) == (2, 1)
    assert said in err


def test_plug_ins_that_are_not_installed_are_given_by_their_paths(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--plugin", "own_command_line:Parrot", "plugins", "--json")
    assert code == 0, err
    (found,) = [one for one in json.loads(out) if one["name"] == "parrot_on_a_command_line"]
    assert (found["kind"], found["origin"]) == ("engine", "registered")
    code, _, err = run(capsys, "--plugin", "nowhere:Parrot", "plugins")
    assert (code, err.count("\n")) == (2, 1)
    assert "a dotted path must lead to an object, got 'nowhere:Parrot'" in err
