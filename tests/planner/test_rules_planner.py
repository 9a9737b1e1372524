"""A planner before there is a log, in Python: any engine, hard caps, and nothing promised."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from two_servers import QUESTION, RATES, SIZES, TwoServers

import planner
from planner.rules_planner import RulesPlanner
from planner.solving.availability_filter import AvailabilityFilter
from planner.solving.events import Decided
from search.budget import Budget, Prices
from search.cards import ModelCard
from search.choice import Choice
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.errors import (
    ArtefactError,
    BudgetError,
    CheckpointError,
    EngineError,
    GradingError,
    ModelsError,
    PlanError,
)
from search.plan import Plan
from search.remote.fake_server import FakeServer

CARDS = {name: ModelCard(name, size, name, 4096) for name, size in SIZES.items()}
PRICES = {name: Prices(*rates) for name, rates in RATES.items()}
TOLD = "no log yet: the rule {} decides, accuracy and cost are unknown"
EGGS = "Ann has 12 eggs and finds 30 more. How many eggs has Ann now?"


def rules(**more: Any) -> RulesPlanner:
    return RulesPlanner(CARDS, **more)


# ---- what is advised


def test_nothing_is_promised() -> None:
    found = RulesPlanner({"small": CARDS["small"]}).recommend(EGGS, samples=8)
    assert (found.choice.policy, str(found.choice.plan)) == (
        "small",
        "adaptive_vote(n=8, stop=0.95, ahead=4)",
    )
    numbers = (found.accuracy, found.tokens, found.flops, found.tokens_p90, found.flops_p90)
    assert all(map(math.isnan, numbers))
    assert (found.interval, found.runner_up, found.probe, found.abstain) == ((0.0, 1.0), None, None, False)
    assert found.warnings == (TOLD.format("adaptive_vote"),)
    assert "accuracy unknown, unknown tokens" in str(found)


def test_several_policies_make_a_cascade_by_price() -> None:
    found = rules().recommend(EGGS, samples=16)
    assert [found.choice.policy, *(part.policy for part in found.choice.plan.parts)] == [
        *("small", "small", "large")
    ]
    assert found.warnings == (TOLD.format("cascade"),)
    turned = {"small": Prices(1.0, 9.0), "large": Prices(1.0, 3.0)}
    assert rules(prices=turned).recommend(EGGS, samples=16).choice.policy == "large"
    assert rules(prices=turned).first == "large"


def test_an_open_question_gets_one_plain_answer() -> None:
    found = rules().recommend("Tell me a story", samples=16)
    assert found.choice == Choice("small", None, Plan.of("cot"))
    assert math.isnan(found.accuracy)
    assert "name a domain" in found.warnings[0]
    assert found.warnings[1] == TOLD.format("cot")
    assert rules().recommend("Who wrote it?", samples=4, domain="text").choice.plan.n == 4
    with pytest.raises(GradingError, match="domain must be one of"):
        rules().recommend(EGGS, samples=16, domain="poetry")


caps = st.fixed_dictionaries(
    {},
    optional={
        "tokens": st.integers(2, 10**6),
        "flops": st.floats(1e8, 1e15),
        "usd": st.floats(1e-4, 10.0),
        "samples": st.integers(1, 200),
        "seconds": st.floats(0.1, 1e3),
    },
).filter(bool)


def most(found: planner.Recommendation) -> dict[str, int]:
    """Samples of each policy at most."""
    if found.choice.plan.parts:
        leaves = [part for part in found.choice.plan.walk() if not part.plan.parts]
    else:
        leaves = [found.choice]
    return {leaf.policy: leaf.plan.n for leaf in leaves}


@given(caps, caps)
def test_a_wider_budget_never_means_fewer_samples(first: dict[str, Any], second: dict[str, Any]) -> None:
    both = first.keys() & second.keys()
    wide = {name: max(first[name], second[name]) for name in both} or {"seconds": math.inf}
    some = rules()
    less = most(some.recommend(EGGS, prices=PRICES, **first))
    more = most(some.recommend(EGGS, prices=PRICES, **wide))
    assert less.keys() <= more.keys()
    assert all(more[name] >= count for name, count in less.items())
    if "samples" in first:
        ratio = SIZES["large"] / SIZES["small"]
        assert less.get("small", 0) + ratio * less.get("large", 0) <= first["samples"]


@given(st.floats(0.0, 1e-8), st.floats(0.0, 1e-8))
def test_a_price_ends_votes_earlier(first: float, second: float) -> None:
    low, high = sorted((first, second))
    cheap, dear = (rules().recommend(EGGS, price=price) for price in (low, high))
    assert sum(most(cheap).values()) >= sum(most(dear).values())
    assert rules().recommend(EGGS, price=0.0).choice == rules().recommend(EGGS, seconds=99).choice
    assert rules().recommend(EGGS, price=1e-3).choice.plan.is_greedy


def test_a_mean_is_kept_by_every_request() -> None:
    some = rules()
    assert some.resolve(Budget(mean_tokens=500.0, tokens=800), EGGS) == Budget(tokens=500)
    assert some.resolve(Budget(mean_flops=1e9), EGGS) == Budget(flops=1e9)


@given(caps, st.integers(1, 8))
def test_what_was_resolved_stays(cap: dict[str, Any], shares: int) -> None:
    once = rules().resolve(Budget(**cap), EGGS, shares=shares)
    assert rules().resolve(once, EGGS) == once
    assert once.samples is None or once.flops is not None


def test_what_cannot_be_kept_is_refused() -> None:
    some = rules()
    for wrong, said in (
        ({"accuracy": 0.9}, "an accuracy can be asked of a planner that was fitted from a log, got"),
        ({"tokens": 1}, "a cap must hold a question and its answer, got 1 tokens"),
        ({"samples": 0}, "a cap must hold a question and its answer, got 0 FLOPs"),
        ({"usd": 0.1}, "a budget in money needs prices, got usd=0.1 without"),
    ):
        with pytest.raises(BudgetError, match=said):
            some.recommend(EGGS, **wrong)  # type: ignore[arg-type]
    with pytest.raises(BudgetError, match="the prices of every policy, got none for large"):
        some.recommend(EGGS, usd=1.0, prices={"small": Prices(1, 1)})
    with pytest.raises(ArtefactError, match="rules need a policy to ask, got none"):
        RulesPlanner({})


def test_what_is_left_out_is_not_chosen() -> None:
    some, budget = rules(), Budget(samples=32)
    found = some.decide(EGGS, budget=budget, decision_filter=AvailabilityFilter(["small"]))
    assert most(found) == {"large": 32}
    found = some.decide(EGGS, budget=budget, decision_filter=AvailabilityFilter(["large"]))
    assert most(found) == {"small": 32}
    with pytest.raises(ArtefactError, match="rules need a policy that is there, got none of small, large"):
        some.decide(EGGS, budget=budget, decision_filter=AvailabilityFilter(["small", "large"]))


def test_a_part_of_a_cascade_counts_as_needed() -> None:
    cascade = Choice.parse("small: cascade(first=small: majority(n=2), then=large: cot())")
    assert AvailabilityFilter(["large"]).excludes(cascade)
    assert not AvailabilityFilter(["other"]).excludes(cascade)


# ---- what is solved


def test_it_solves_behind_two_servers_within_every_cap(two: TwoServers) -> None:
    loaded = planner.load(models=two.file())
    assert isinstance(loaded, RulesPlanner)
    for budget in ({"usd": 0.004}, {"tokens": 700}, {"flops": 9e8}, {"samples": 3}, {"seconds": 30.0}):
        found = loaded.solve(QUESTION, domain="arithmetic", **budget)  # type: ignore[arg-type]
        assert found.answer is not None
        assert found.usd is not None
        assert found.usd <= budget.get("usd", math.inf)
        assert found.spend.tokens <= budget.get("tokens", math.inf)
        assert found.spend.flops <= budget.get("flops", math.inf)
        assert len(found.candidates) <= budget.get("samples", math.inf)
        assert math.isnan(found.accuracy)
        assert math.isnan(found.tokens)
        assert "no log yet" in found.stages[0].advice.warnings[0]
    loaded.close()


def test_a_cascade_asks_the_dearer_one_where_the_cheap_one_is_unsure(two: TwoServers) -> None:
    loaded = planner.load(models=str(two.file()), domain="arithmetic")
    found = [loaded.solve(QUESTION, samples=16, seed=seed) for seed in range(12)]
    loaded.close()
    assert all(one.choice.plan.strategy == "cascade" for one in found)
    assert 0 < len(two.apps["large"].bodies) < 12
    drawn = {(body["temperature"], body["max_tokens"]) for body in two.apps["small"].bodies}
    assert drawn == {(0.7, 1024)}


def test_the_file_says_how_solutions_are_drawn(two: TwoServers) -> None:
    more = dict.fromkeys(SIZES, "sampling = { temperature = 0.4, max_tokens = 99 }\n")
    loaded = planner.load(models=two.file(more=more), domain="arithmetic")
    loaded.solve(QUESTION, samples=4)
    loaded.close()
    assert {body["temperature"] for body in two.apps["small"].bodies} == {0.4}
    assert {body["max_tokens"] for body in two.apps["small"].bodies} == {99}


def test_policies_can_be_left_out(two: TwoServers) -> None:
    loaded = planner.load(models=two.file(), domain="arithmetic")
    found = loaded.solve(QUESTION, samples=8, without=["small"])
    assert found.choice.policy == "large"
    with pytest.raises(ArtefactError, match="what is left out is one of small, large, got 'huge'"):
        loaded.solve(QUESTION, samples=8, without=["huge"])
    with pytest.raises(ArtefactError, match="a planner needs a choice, got none without"):
        loaded.solve(QUESTION, samples=8, without=["small", "large"])
    loaded.close()


def boxed(text: str, rng: Random) -> str:
    """Right, in a box, where a box is asked for."""
    return "We add.\n\nIt is \\boxed{42}." if "\\boxed" in text else "Once upon a time."


def test_a_chat_only_server_votes_in_its_own_words(tmp_path: Path) -> None:
    engine = ScriptedEngine(boxed, name="my-model", context=4096)
    with FakeServer(FakeOpenAI(engine, takes=("chat",), plays="hosted")) as server:
        file = tmp_path / "models.toml"
        file.write_text(f'[[policy]]\nname = "my model"\nmodel = "my-model"\nbase_url = "{server.url}/v1"\n')
        loaded = planner.load(models=file)
        seen: list[Any] = []
        found = loaded.solve(EGGS, samples=8, on_event=seen.append)
        assert (found.answer, found.domain, found.reason) == ("42", "math", "")
        assert len(found.candidates) < 8  # it was sure before
        assert any(isinstance(event, Decided) for event in seen)
        story = loaded.solve("Tell me a story", samples=8)
        assert (story.choice.plan.is_greedy, len(story.candidates)) == (True, 1)
        assert story.candidates[0].text == "Once upon a time."
        assert story.reason.startswith("not planned: ")
        loaded.close()
        again = loaded.solve(EGGS, tokens=500)  # opens again what was closed
        assert again.answer == "42"
        loaded.close()


def test_a_plan_that_is_given_may_ask_a_prm_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    scored = '[[prm]]\nname = "good"\nembedded = "lab-prm-good"\n'
    file.write_text(f'[[policy]]\nname = "own"\nembedded = "lab-policy-s"\n{scored}')
    loaded = planner.load(models=file, domain="arithmetic")
    try:
        alone = loaded.solve("What is (13+64)+80?", tokens=300)
        assert (alone.choice.prm, alone.spend.prm_tokens) == (None, 0)
        for plan in ("best_of_n(n=2)", "beam_search(n=4, width=2)"):
            found = loaded.solve("What is (13+64)+80?", tokens=400, plan=plan)
            assert (found.choice.policy, found.choice.prm) == ("own", "good")
            assert found.spend.prm_tokens > 0
            assert found.spend.tokens <= 400
        with pytest.raises(PlanError, match="needs a PRM, got none beside 'own'"):
            loaded.solve("What is (13+64)+80?", tokens=400, plan="best_of_n(n=2)", without=["good"])
        assert loaded.solve("What is (13+64)+80?", tokens=300).choice.prm is None
    finally:
        loaded.close()


def test_folders_do_too(tmp_path: Path) -> None:
    loaded = planner.load(models={"lab-policy-s": "lab-policy-s"}, domain="arithmetic")
    found = loaded.solve("What is (13+64)+80?", tokens=300)
    assert 0 < found.spend.tokens <= 300
    loaded.close()
    file = tmp_path / "models.toml"
    file.write_text('[[policy]]\nname = "own"\nembedded = "lab-policy-s"\n')
    loaded = planner.load(models=file, domain="arithmetic")
    assert loaded.solve("What is (13+64)+80?", tokens=300, seed=1).choice.policy == "own"
    loaded.close()


def test_wrong_models_are_one_line_each(two: TwoServers, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="without a fitted planner models= says which policies there are"):
        planner.load()  # type: ignore[call-overload]
    with pytest.raises(CheckpointError, match="models= is a file"):
        planner.load(models="nowhere.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[[prm]]\n")
    with pytest.raises(ModelsError):
        planner.load(models=broken)
    two.stop()
    with pytest.raises(EngineError) as caught:
        planner.load(models=two.file(more=dict.fromkeys(SIZES, "options = { patience = 0.05 }\n")))
    assert "\n" not in str(caught.value)
