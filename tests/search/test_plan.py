"""The plan grammar: one canonical form, parsed and printed round-trip."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.choice import Choice
from search.errors import PlanError
from search.plan import Plan
from search.strategies.adaptive.terms import SignalTerms, Term
from search.strategies.fields import Nested, OneOf, Parameter, Real, Whole, grammar_of
from search.strategies.registry import STRATEGIES

NAMES = list(STRATEGIES)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    strategy = draw(st.sampled_from(NAMES))
    grammar = grammar_of(STRATEGIES.get(strategy))
    values = {name: draw(value_of(parameter)) for name, parameter in grammar.items()}
    if "width" in values:
        values["width"] = 1 + values["width"] % 16
        values["n"] = values["width"] * (1 + values["n"] % 64)
    if "weight" in values:  # what would not count is refused
        counts = {"likelihood": {"signal", "scale", "level"}, "odds": {"terms"}, "log_odds": {"terms"}}
        used = counts.get(values["weight"], set())
        if not used or (used == {"terms"} and not values["terms"]):
            values["weight"], used = "none", set()
        if "scale" in used:
            values |= {"scale": 0.5 + values["scale"], "level": round(values["level"], 3)}
        for name in {"signal", "scale", "level", "terms", "bias", "score"} - used:
            values.pop(name, None)
    if values.get("stop") != "price":
        values.pop("cost", None)
    return Plan.of(strategy, **values)


def value_of(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Any value that a parameter can have; choices inside a plan are small ones."""
    if isinstance(parameter, Whole):
        return st.integers(parameter.least, min(parameter.most, 1024))
    if isinstance(parameter, Real):
        least = max(parameter.least, -1e6)
        numbers = st.floats(least, min(parameter.most, 1e6), allow_subnormal=False)
        return st.one_of(numbers, st.sampled_from(parameter.words)) if parameter.words else numbers
    if isinstance(parameter, SignalTerms):
        number = st.floats(-1e6, 1e6, allow_subnormal=False)
        term = st.builds(
            Term, st.sampled_from([name for name in parameter.signals if name != "prm"]), number, number
        )
        return st.lists(term, max_size=3, unique_by=lambda one: one.signal).map(tuple)
    if isinstance(parameter, OneOf):
        return st.sampled_from(parameter.options)
    assert isinstance(parameter, Nested)
    return st.builds(
        lambda policy, n: Choice(policy, None, Plan.of("majority", n=n)),
        st.sampled_from(["m", "meta-llama/Llama-3.2-1B", "qwen2.5:0.5b"]),
        st.integers(2, 64),
    )


@given(plans())
def test_a_plan_prints_and_parses_round_trip(plan: Plan) -> None:
    assert Plan.parse(str(plan)) == plan
    assert str(Plan.parse(str(plan))) == str(plan)


@given(plans(), st.randoms(use_true_random=False), st.sampled_from(["", " ", "  ", "\n", "\t"]))
def test_two_spellings_of_one_plan_are_one_plan(plan: Plan, rng: random.Random, space: str) -> None:
    grammar = grammar_of(STRATEGIES.get(plan.strategy))
    parts = [
        f"{space}{name}{space}={space}{text}{space}"
        for name, value in plan.parameters
        if (text := grammar[name].write(value))  # no terms are not spelled
    ]
    rng.shuffle(parts)
    spelled = Plan.parse(f"{space}{plan.strategy}{space}({','.join(parts)}){space}")
    assert spelled == plan
    assert hash(spelled) == hash(plan)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("cot", "cot()"),
        ("cot()", "cot()"),
        ("majority", "majority(n=16)"),
        ("adaptive_vote(n=8)", "adaptive_vote(n=8, stop=0.95, ahead=4)"),
        (
            "adaptive_vote(n=8, weight=likelihood, scale=10, level=-2)",
            "adaptive_vote(n=8, stop=0.95, ahead=4, weight=likelihood, scale=10, level=-2)",
        ),
        ("majority(n=+4)", "majority(n=4)"),
        ("best_of_n(score=min,n=16)", "best_of_n(n=16, score=min)"),
        ("weighted_vote(n=8)", "weighted_vote(n=8, score=last)"),
        ("dvts(n=8, vote=weighted)", "dvts(n=8, width=4, prune=last, score=last, vote=weighted)"),
        ("beam_search()", "beam_search(n=16, width=4, prune=last, score=last, vote=max)"),
    ],
)
def test_what_is_left_out_is_filled_in(text: str, canonical: str) -> None:
    assert str(Plan.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a plan is written strategy"),
        ("best_of_n(n=16", "a plan is written strategy"),
        ("best_of_n(16)", "a plan is written strategy"),
        ("best_of_n(n=)", "a plan is written strategy"),
        ("best_of_n(n=16,)", "a plan is written strategy"),
        ("oracle(n=4)", "strategy must be one of .*, got 'oracle'"),
        ("cot(n=4)", "cot takes no parameters, got 'n'"),
        ("majority(width=4)", "majority takes n, got 'width'"),
        ("majority(n=4, n=5)", "a parameter is given once, got 'n' twice"),
        ("majority(n=0)", "n must be a whole number from 1 to 65536, got n=0"),
        ("majority(n=-4)", "n must be a whole number from 1 to 65536, got n=-4"),
        ("majority(n=4.0)", r"n must be a whole number from 1 to 65536, got n=4\.0"),
        ("majority(n=99999999999)", "n must be a whole number from 1 to 65536"),
        ("best_of_n(score=best)", "score must be one of min, last, mean, prod, got 'best'"),
        ("dvts(prune=max)", "prune must be one of min, last, mean, prod, got 'max'"),
        ("dvts(vote=last)", "vote must be one of max, majority, weighted, got 'last'"),
        ("beam_search(n=10, width=4)", "n must be divisible by width, got n=10, width=4"),
        ("dvts(n=2)", "n must be divisible by width, got n=2, width=4"),
        ("adaptive_vote(stop=0.3)", "stop must be a number from 0.5 to 1 or price, got stop=0.3"),
        ("adaptive_vote(stop=nan)", "stop must be a number from 0.5 to 1 or price, got stop=nan"),
        ("cascade(tau=0.5)", "cascade needs first, then, got none"),
        ("cascade(first=majority(n=4), then=l: cot())", "a choice is written policy: plan"),
        ("cascade(first=m: cot(), then=l: cot())", "a cascade begins with at least two samples"),
        ("cascade(first=m: best_of_n(), then=l: cot())", "best_of_n needs a PRM, got none"),
        ("majority(n=4))", "parentheses of a plan must match"),
    ],
)
def test_a_bad_plan_says_the_rule_and_the_value(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Plan.parse(text)


@given(st.text(max_size=40))
def test_any_text_is_a_plan_or_a_plan_error(text: str) -> None:
    try:
        plan = Plan.parse(text)
    except PlanError:
        return
    assert plan.strategy in STRATEGIES


def test_properties_tell_what_a_plan_needs() -> None:
    tree, vote, cot = Plan.parse("dvts(n=8, prune=min)"), Plan.parse("majority(n=8)"), Plan.parse("cot")
    assert (tree.n, tree.width, tree.prune, tree.score, tree.vote) == (8, 4, "min", "last", "max")
    assert (tree.must_run, tree.needs_prm) == (True, True)
    assert (vote.n, vote.width, vote.prune, vote.score, vote.vote) == (8, 1, None, None, "majority")
    assert (vote.must_run, vote.needs_prm) == (False, False)
    assert cot.n == 1


def test_a_plan_built_by_hand_is_checked_too() -> None:
    with pytest.raises(PlanError, match=r"majority takes \(n\) in this order, got \(\)"):
        Plan("majority")
    with pytest.raises(PlanError, match="n must be a whole number from 1 to 65536, got n=True"):
        Plan.of("majority", n=True)
    with pytest.raises(PlanError, match="strategy must be one of"):
        Plan.of("oracle")


def test_every_strategy_bears_its_own_name_and_says_what_it_does() -> None:
    assert {name: strategy.name for name, strategy in STRATEGIES.items()} == {name: name for name in NAMES}
    assert all(strategy.caption for _, strategy in STRATEGIES.items())


def test_a_plan_of_several_policies_names_its_parts() -> None:
    plan = Plan.parse("cascade(first=m: majority(n=4), then=l: cot())")
    assert str(plan) == "cascade(first=m: majority(n=4), tau=0.75, then=l: cot())"
    assert [part.short for part in plan.parts] == ["m: majority(n=4)", "l: cot()"]
    assert (plan.n, plan.needs_prm, plan.must_run, plan.is_ordered) == (5, False, False, True)
    deep = Plan.parse(
        "cascade(first=m | r: best_of_n(n=2), "
        "then=l: cascade(first=l: majority(n=2), tau=0.5, then=xl: cot()))"
    )
    assert [part.policy for part in deep.walk()] == ["m", "l", "l", "xl"]
    assert Plan.parse(str(deep)) == deep
    assert deep.needs_prm


def test_a_cascade_that_must_be_run_cannot_be_replayed() -> None:
    plan = Plan.parse("cascade(first=m | r: beam_search(n=4), then=l: cot())")
    assert (plan.must_run, plan.is_ordered) == (True, False)


def test_a_plan_is_not_written_at_length() -> None:
    assert Plan.parse(f"majority(n={' ' * 400}4)") == Plan.of("majority", n=4)
    with pytest.raises(PlanError, match="at most 500 characters, got 1012"):
        Plan.parse(f"majority(n={' ' * 999}4)")
