"""The settings of a server: what the model takes, and which settings contradict each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from planner.server.settings import Flag, ServeSettings
from planner.server.settings_sources import read_settings
from search.budget import Budget, Prices

PAGE = (Path(__file__).parents[3] / "docs" / "server.md").read_text()


def test_settings_cannot_be_changed() -> None:
    settings = ServeSettings(lab=True)
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"default_budget": 8}, "default_budget", Budget(samples=8)),
        ({"default_budget": "8"}, "default_budget", Budget(samples=8)),
        ({"ceiling": {"tokens": 800, "seconds": 2.5}}, "ceiling", Budget(tokens=800, seconds=2.5)),
        ({"ceiling": '{"flops": 1e9}'}, "ceiling", Budget(flops=1e9)),
        ({"prices": "1,2.5,3"}, "prices", Prices(1.0, 2.5, 3.0)),
        ({"prices": [1, 2.5, 3]}, "prices", Prices(1.0, 2.5, 3.0)),
        ({"policy": ["a", "b"]}, "policy", ("a", "b")),
        ({"keys": "keys.toml"}, "keys", Path("keys.toml")),
        ({"price": 1}, "price", 1.0),
        ({"plan_structured": "majority( n = 8 )"}, "plan_structured", "majority(n=8)"),
        ({}, "plan_structured", None),
    ],
)
def test_values_can_be_spelled_as_suits_their_source(given: dict[str, Any], name: str, value: object) -> None:
    assert getattr(ServeSettings(lab=True, **given), name) == value


@pytest.mark.parametrize("plan", ["beam_search(n=4, width=2)", "best_of_n(n=4, score=min)", "aggregate(n=4)"])
def test_structured_answers_come_from_a_vote(plan: str) -> None:
    with pytest.raises(ValidationError, match="structured answers come from"):
        ServeSettings(lab=True, plan_structured=plan)


@pytest.mark.parametrize("given", [{"good": "http://a?x=1"}, ["good=http://a?x=1"]])
def test_addresses_of_prms(given: Any) -> None:
    settings = ServeSettings(base_url="http://p", prm_url=given)
    assert settings.prm_urls == {"good": "http://a?x=1"}


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({}, "one of --lab, --base-url, --engine, --models, got none"),
        ({"lab": True, "base_url": "http://x"}, "--engine, --models, got --lab and --base-url"),
        ({"lab": True, "model": "m"}, "--model needs --base-url, got --lab"),
        ({"lab": True, "prm_url": ["a=http://x"]}, "--prm-url needs --base-url, got --lab"),
        ({"lab": True, "hash_questions": True}, "need --decisions, got none"),
        ({"lab": True, "keep_days": 2.0}, "need --decisions, got none"),
        ({"lab": True, "keep_bytes": 10}, "need --decisions, got none"),
    ],
)
def test_contradictions(given: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(rule)):
        ServeSettings(**given)


def test_the_page_lists_every_setting_with_its_default() -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
    told = {row[0].strip("| `"): (row[2].strip(), row[3].rstrip(" |")) for row in rows}
    assert told.keys() == ServeSettings.model_fields.keys()
    for name, field in ServeSettings.model_fields.items():
        shown = next(one for one in field.metadata if isinstance(one, Flag))
        default = "no" if field.default is False else shown.default(field.default)
        assert told[name] == (default, field.description), name


def test_the_pages_file_is_read(tmp_path: Path) -> None:
    found = re.search(r"<!-- settings file.*?```toml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    (tmp_path / "serve.toml").write_text(found.group(1))
    settings = read_settings({}, {"POLICY_KEY": "secret"}, tmp_path / "serve.toml")
    assert settings.default_budget == Budget(tokens=800)
    assert settings.ceiling == Budget(samples=64)
    assert settings.prm_urls == {"lab-prm-good": "http://127.0.0.1:8001"}
    # each key of the file has arrived
    for name, value in tomllib.loads(found.group(1)).items():
        assert getattr(settings, name) != ServeSettings.model_fields[name].default, (name, value)
