"""Budgets as clients say them, and whose word counts."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.refusal import Refusal
from planner.server.request.budget import PRESETS, Source, grant, parse, read, to_wire
from search.budget import UNLIMITED, Budget
from search.plan import Plan

DEFAULT = Budget(tokens=1000)

caps = st.fixed_dictionaries(
    {},
    optional={
        "samples": st.integers(1, 1000),
        "tokens": st.integers(1, 10**9),
        "flops": st.floats(1.0, 1e18),
        "seconds": st.floats(0.001, 1e6),
        "usd": st.floats(1e-9, 1e6),
        "target_accuracy": st.floats(0.01, 1.0),
    },
).filter(bool)


@given(caps)
def test_what_is_asked_is_what_is_understood(said: dict[str, Any]) -> None:
    assert to_wire(parse(said)) == said
    assert read(json.dumps(said)) == parse(said)


def test_a_whole_number_is_a_number_of_samples() -> None:
    assert parse(8) == Budget(samples=8)
    assert read(" 8 ") == Budget(samples=8)
    assert parse({"tokens": 50.0, "usd": None}) == Budget(tokens=50)


@pytest.mark.parametrize(
    "said",
    [
        {"mean_flops": 4e8},
        {"mean_tokens": 300, "tokens": 900},
        {"price": 0.0, "price_unit": "tokens"},
    ],
)
def test_aims_have_the_words_of_python(said: dict[str, Any]) -> None:
    assert parse(said) == Budget(**said)
    assert to_wire(parse(said)) == said


def test_an_accuracy_has_two_names_and_perhaps_a_confidence() -> None:
    sure = parse({"accuracy": 0.9, "confidence": 0.95})
    assert sure == Budget(accuracy=0.9, confidence=0.95)
    assert to_wire(sure) == {"target_accuracy": 0.9, "confidence": 0.95}
    assert parse({"accuracy": 0.9}) == parse({"target_accuracy": 0.9}) == Budget(accuracy=0.9)
    with pytest.raises(Refusal, match="one of accuracy and target_accuracy, got both"):
        parse({"accuracy": 0.9, "target_accuracy": 0.9})


@pytest.mark.parametrize(
    "wrong",
    [
        {"accuracy": 0.9, "price": 1e-9}, {"mean_flops": 1e9, "mean_tokens": 9}, {"price_unit": "tokens"},
        {"price": 1e-9, "price_unit": "usd"}, {"price": -1.0}, {"mean_flops": 0},
        True, 0, -3, 2.5, None, "8", [], {}, {"tokens": 0}, {"tokens": True}, {"tokens": 1.5},
        {"tokens": "1"}, {"tokens": 10**30}, {"seconds": math.nan}, {"seconds": math.inf}, {"seconds": -1},
        {"confidence": 0.9}, {"accuracy": 0.9, "confidence": 1}, {"accuracy": 0.9, "confidence": True},
        {"target_accuracy": 1.5}, {"usd": 0}, {"hours": 3}, {"tokens": None}, {"samples": 10**5000},
        {"flops": [1]}, {"flops": 10**400}, {"tokens": math.inf}, {"tokens": math.nan}, {"x" * 9999: 1},
    ],
    ids=lambda value: "huge" if isinstance(value, dict) and value.get("samples") else None,
)  # fmt: skip
def test_anything_else_is_refused_in_few_words(wrong: object) -> None:
    with pytest.raises(Refusal) as refused:
        parse(wrong)
    assert refused.value.status == 400
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("wrong", ["", "tokens=3", "[" * 100_000, "9" * 5000, "NaN", '{"tokens": 1'])
def test_a_broken_header_is_refused(wrong: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(wrong)
    assert refused.value.status == 400


@given(caps, caps)
def test_a_ceiling_binds_every_cap(said: dict[str, Any], above: dict[str, Any]) -> None:
    bound = to_wire(parse(said).within(parse(above)))
    for name, value in above.items():
        if name != "target_accuracy":
            assert bound[name] <= value
    for name, value in said.items():
        assert bound[name] <= value
    assert bound.get("target_accuracy") == said.get("target_accuracy")
    assert parse(said).within(None) == parse(said)


@given(caps, st.floats(0.01, 1.0))
def test_a_share_shrinks_all_but_time_and_target(said: dict[str, Any], share: float) -> None:
    less = to_wire(parse(said).scaled(share))
    assert less.keys() == said.keys()
    for name, value in said.items():
        if name in ("seconds", "target_accuracy"):
            assert less[name] == value
        else:
            assert 0 < less[name] <= value
            assert less[name] <= max(1, value * share)


def test_header_over_body_over_model_over_default() -> None:
    def ask(model: str, header: str | None = None, body: object = None) -> tuple[Budget, Source]:
        granted = grant(model, header=header, body=body, default=DEFAULT)
        return granted["budget"], granted["source"]

    assert ask("planner") == (DEFAULT, Source.DEFAULT)
    assert ask("planner-low") == (PRESETS["low"], Source.MODEL)
    assert ask("planner/majority(n=64)") == (UNLIMITED, Source.MODEL)  # no default cuts a forced plan
    assert ask("planner/cot", body=3) == (Budget(samples=3), Source.BODY)
    assert ask("planner-low", body=3) == (Budget(samples=3), Source.BODY)
    assert ask("planner-low", '{"usd": 0.1}', 3) == (Budget(usd=0.1), Source.HEADER)


def test_a_models_name_forces_a_plan_or_a_policy() -> None:
    def ask(model: str) -> tuple[Plan | None, str | None]:
        granted = grant(model, header=None, body=None, default=DEFAULT, policies=("small", "large"))
        return granted["plan"], granted["named"]

    assert ask("planner") == (None, None)
    assert ask("planner/majority(n=4)") == (Plan.of("majority", n=4), None)
    assert ask("large") == (Plan.of("cot"), "large")


@pytest.mark.parametrize(
    ("model", "status"),
    [("gpt-4o", 404), ("low", 404), ("planner-", 404), ("", 404), ("planner/", 400), ("planner/x(n=1)", 400),
     ("x" * 10_000, 404), ("planner/majority(n=0)", 400)],
)  # fmt: skip
def test_other_names_are_refused(model: str, status: int) -> None:
    with pytest.raises(Refusal) as refused:
        grant(model, header=None, body=None, default=DEFAULT)
    assert refused.value.status == status
    assert len(str(refused.value)) < 400
