"""Plug-ins of every kind are registered by their base class, listed, and taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from planner.cli.main import app
from planner.evaluation.baseline import BASELINES, Baseline
from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.frontier import Track
from planner.plugins import all_plugins, load_plugins, register, registries, unregister
from search.cards import ModelCard
from search.checkpoint import Checkpoint
from search.engines.scripted import ScriptedEngine
from search.errors import PluginError
from search.importing.protocol import Importer, Record
from search.importing.report import Report
from search.rewards.family import Opening, PrmFamily
from search.rewards.protocol import Reward
from search.sources import AskedPolicy, EmbeddedPolicy, PolicySource
from search.strategies.sampling import SamplingStrategy


@dataclass(frozen=True)
class Pair(SamplingStrategy):
    name = "pair_of_a_test"
    n: int = 2


class Parrot(ScriptedEngine):
    name = "parrot_of_a_test"

    @classmethod
    def load(cls, model: str) -> Parrot:
        return cls(lambda text, rng: "# 1", name=model)


class Elsewhere(PolicySource):
    name = "elsewhere_of_a_test"

    @classmethod
    def of(cls, asked: AskedPolicy) -> PolicySource:
        return EmbeddedPolicy(asked.checkpoint)

    def card(self) -> ModelCard:
        raise NotImplementedError

    def open(self) -> ScriptedEngine:
        raise NotImplementedError


class Judge(PrmFamily):
    name = "judge_of_a_test"
    architectures = ("JudgeForTests",)

    @classmethod
    def open(cls, checkpoint: Checkpoint, opening: Opening) -> Reward:
        raise NotImplementedError


@dataclass(frozen=True)
class Nothing(Importer):
    name = "nothing-of-a-test"

    def policies(self) -> Sequence[ModelCard]:
        return ()

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        return iter(())


class Idle(Baseline):
    name = "idle_of_a_test"

    def track(self, context: BaselineContext) -> Track | None:
        return None


MEMBERS = {
    "strategy": Pair,
    "engine": Parrot,
    "PRM family": Judge,
    "importer": Nothing,
    "baseline": Idle,
}


@pytest.mark.parametrize("kind", MEMBERS)
def test_the_base_class_says_what_a_member_is(kind: str) -> None:
    member = MEMBERS[kind]
    assert register(member) is member
    try:
        (found,) = [one for one in all_plugins() if one.name == member.name]
        assert (found.kind, found.origin, found.error) == (kind, "registered", "")
    finally:
        unregister(member.name)
    assert member.name not in {one.name for one in all_plugins()}
    with pytest.raises(PluginError, match="only what was registered can be taken back"):
        unregister(member.name)


def test_a_policy_source_is_an_engine_too() -> None:
    register(Elsewhere)
    try:
        assert {one.kind for one in all_plugins() if one.name == Elsewhere.name} == {"engine"}
    finally:
        unregister(Elsewhere.name)


def test_a_decorator_may_give_a_name() -> None:
    @register(name="renamed_of_a_test")
    class Other(Idle):
        pass

    try:
        assert BASELINES.get("renamed_of_a_test") is Other
    finally:
        unregister("renamed_of_a_test")


@pytest.mark.parametrize("member", [int, 3, print])
def test_what_is_no_plug_in_is_told(member: object) -> None:
    with pytest.raises(PluginError, match="a plug-in is derived from the base class of a strategy"):
        register(member)  # type: ignore[call-overload]


def test_every_kind_has_its_group() -> None:
    groups = {registry.group for registry in registries()}
    assert groups >= {
        "planner.strategies",
        "planner.engines",
        "planner.prm_families",
        "planner.importers",
        "planner.baselines",
    }


def test_everything_that_ships_loads_and_has_a_caption() -> None:
    ours = [one for one in all_plugins() if one.origin == "built in"]
    assert len(ours) > 30
    assert [one for one in ours if one.error or not one.caption] == []


def test_the_command_lists_them_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["plugins"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "Strategy - how compute is spent" in printed
    assert "the most frequent answer of n samples" in printed
    assert "0 that cannot be used" in printed


def test_the_command_lists_them_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["plugins", "--json"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert {
        "kind": "strategy",
        "name": "majority",
        "origin": "built in",
        "location": "search.strategies.majority:Majority",
        "error": "",
        "caption": "the most frequent answer of n samples",
    } in found


def test_a_broken_plug_in_has_its_line_and_the_command_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from search.strategies import registry
    from search.strategies.registry import STRATEGIES

    folder = tmp_path / "acme-1.2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.2\n")
    (folder / "entry_points.txt").write_text("[planner.strategies]\nlost = acme_missing:Lost\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "STRATEGIES", STRATEGIES.fresh())
    with pytest.raises(SystemExit) as ended:
        app(["plugins"])
    assert ended.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "cannot be used: strategy 'lost' (acme 1.2, acme_missing:Lost): strategy 'lost' of acme 1.2 cannot "
        "be loaded: ModuleNotFoundError: No module named 'acme_missing'" in printed
    )
    assert "of them from outside, 1 that cannot be used" in printed


def test_classes_by_their_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "own_baseline.py").write_text(
        "from planner.evaluation.baseline import Baseline\n"
        "class Own(Baseline):\n    name = 'own_of_a_file'\n"
        "    def track(self, context):\n        return None\n"
        "own = Own()\n"
    )
    monkeypatch.chdir(tmp_path)
    load_plugins(["own_baseline:Own"])
    try:
        assert "own_of_a_file" in BASELINES
    finally:
        unregister("own_of_a_file")
    with pytest.raises(PluginError, match="a plug-in is a class, got"):
        load_plugins(["own_baseline:own"])
    with pytest.raises(PluginError, match="a plug-in is a dotted path"):
        load_plugins(["own"])
