from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.budget import Budget
from search.engines.protocol import Event, Request
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import EngineError, PlanError
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome, Result
from search.run import run_plan
from search.strategies.asking.aggregate import named
from search.strategies.observer import Observer
from search.strategies.protocol import Setting
from search.testing.bench import Bench, make_bench

SELECT, MERGE = Plan.parse("aggregate(n=4)"), Plan.parse("aggregate(n=4, how=merge)")


def writing(*answers: str, reply: str = "Response 2") -> Bench:
    """Solutions with these answers in turn; ``reply`` to whatever else is asked."""
    left = list(answers)

    def write(text: str, rng: Random) -> str:
        question = text.partition(TURN)[0]
        return f"think\n# {left.pop(0)}" if question == "2+3?" else reply

    return make_bench(write)


async def run(b: Bench, plan: Plan = SELECT, **more: object) -> Result:
    return await run_plan(b.problem, plan, b.setting, seed=1, **more)  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_a_model_picks_among_the_answers() -> None:
    b = writing("6", "5", "6", "6")
    result = await run(b)
    assert (result.answer, result.chosen, len(result.candidates)) == ("5", 1, 4)
    (call,) = result.calls
    assert (call.kind, call.text, call.tokens) == ("select", "Response 2", len("Response 2") + 1)
    asked = "".join(map(chr, b.engine.requests[-1].prompt))
    assert call.prompt_tokens == len(asked)
    assert asked.startswith("Question:\n2+3?\n\n")
    assert "Response 1:\nthink\n# 6\n\nResponse 2:\nthink\n# 5\n\nResponse 3:" in asked
    assert b.engine.requests[-1].sampling.temperature == 0.0
    assert result.spend.policy_tokens == b.prompt + len(asked) + b.engine.generated


@pytest.mark.asyncio
async def test_it_is_skipped_where_all_that_can_be_read_agree() -> None:
    b = writing("5", "", "5", " 5 ")
    result = await run(b)
    assert (result.answer, result.calls) == ("5", ())
    assert result.spend.policy_tokens == b.prompt + b.engine.generated
    assert len(b.engine.requests) == 1


@pytest.mark.asyncio
async def test_merging_adds_a_solution() -> None:
    b = writing("6", "5", "6", "7", reply="all in all\n# 8")
    result = await run(b, MERGE)
    assert (result.answer, result.chosen, len(result.candidates)) == ("8", 4, 5)
    assert result.candidates[4].text == "all in all\n# 8"
    assert [call.kind for call in result.calls] == ["merge"]


@pytest.mark.asyncio
@pytest.mark.parametrize(("plan", "reply"), [(SELECT, "none of them"), (SELECT, "99"), (MERGE, "# ")])
async def test_a_reply_that_says_nothing_leaves_the_vote(plan: Plan, reply: str) -> None:
    result = await run(writing("6", "5", "6", "7", reply=reply), plan)
    assert (result.answer, result.chosen) == ("6", 0)
    assert len(result.calls) == 1  # it is paid for


@pytest.mark.asyncio
async def test_unreadable_answers_are_not_shown() -> None:
    b = writing("6", "", "5", "6", reply="2")
    result = await run(b)
    assert (result.answer, result.chosen) == ("5", 2)
    assert "Response 4" not in "".join(map(chr, b.engine.requests[-1].prompt))


@pytest.mark.asyncio
async def test_where_not_all_fit_one_of_each_kind_is_shown() -> None:
    first = writing("6", "6", "6", "5")
    full = (await run(first)).spend.policy_tokens
    b = writing("6", "6", "6", "5")
    result = await run(b, budget=Budget(tokens=full - 20))
    assert (result.answer, [call.kind for call in result.calls]) == ("5", ["select"])
    assert "Response 3" not in "".join(map(chr, b.engine.requests[-1].prompt))
    # where that is too much too, the vote stands and nothing more is charged
    small = writing("6", "6", "6", "5")
    voted = await run(small, budget=Budget(tokens=b.prompt + 4 * 60))
    assert (voted.answer, voted.calls, len(voted.candidates)) == ("6", (), 4)


@pytest.mark.asyncio
async def test_a_context_that_holds_no_answers_leaves_the_vote() -> None:
    left = ["6", "5", "6", "6"]
    b = make_bench(lambda text, rng: f"think\n# {left.pop(0)}", context=60)
    result = await run(b)
    assert (result.answer, result.calls) == ("6", ())


@settings(deadline=None, max_examples=60)
@given(tokens=st.integers(0, 900), seed=st.integers(0, 20), how=st.sampled_from([SELECT, MERGE]))
def test_the_answer_is_the_best_that_was_affordable(tokens: int, seed: int, how: Plan) -> None:
    def write(text: str, rng: Random) -> str:
        drawn = text.partition(TURN)[0] == "2+3?"
        return f"think\n# {rng.choice('567')}" if drawn else "Response 1\n# 9"

    b = make_bench(write)
    result = asyncio.run(run_plan(b.problem, how, b.setting, seed=seed, budget=Budget(tokens=tokens)))
    assert result.spend.tokens <= tokens
    assert result.spend.policy_tokens == b.engine.prompted + b.engine.generated
    drawn = [one.answer for one in result.candidates[:4]]
    counts = {answer: drawn.count(answer) for answer in drawn if answer is not None}
    voted = max(counts, key=lambda answer: counts[answer], default=None)
    if not result.calls:
        assert result.answer == voted
    else:
        assert len(counts) > 1
        # a merged answer that the budget cut off before it could be read leaves the vote
        expected = (result.candidates[4].answer or voted) if how is MERGE else drawn[result.chosen or 0]
        assert result.answer == expected


@pytest.mark.asyncio
async def test_prior_solutions_count_and_are_shown() -> None:
    b = writing("6", "6", reply="Response 1")
    prior = [Candidate(f"so\n# {answer}", answer, (), (5,), "end") for answer in ("5", "6")]
    result = await run(b, prior=prior)
    assert (result.answer, len(result.candidates)) == ("5", 4)
    assert result.candidates[:2] == tuple(prior)


class _FailsLater(ScriptedEngine):
    """Draws, and then is gone."""

    def submit(self, request: Request) -> AsyncIterator[Event]:
        if request.n == 1:
            raise EngineError("the policy is gone")
        return super().submit(request)


class _GoesOn(Observer):
    def __init__(self) -> None:
        self.told: list[EngineError] = []

    def failed(self, error: EngineError) -> bool:
        self.told.append(error)
        return True


@pytest.mark.asyncio
async def test_a_policy_that_fails_later_is_an_error_unless_somebody_waits_for_the_answer() -> None:
    engine = _FailsLater(lambda text, rng: f"# {rng.choice('56')}")
    problem, setting = Problem("p", "f", "text", "2+3?", "5"), Setting(engine)
    with pytest.raises(EngineError, match="the policy is gone"):
        await run_plan(problem, SELECT, setting, seed=1)
    observer = _GoesOn()
    result = await run_plan(problem, SELECT, replace(setting, observer=observer), seed=1)
    assert result.outcome is Outcome.ANSWERED
    assert [str(error) for error in observer.told] == ["the policy is gone"]


@pytest.mark.asyncio
async def test_the_words_can_be_replaced() -> None:
    b = writing("6", "5", "6", "6")
    words = {"aggregate.select": "{answers}|{question}|{x}"}
    await run_plan(b.problem, SELECT, replace(b.setting, words=words), seed=1)
    asked = "".join(map(chr, b.engine.requests[-1].prompt))
    assert asked.startswith("Response 1:\n")
    assert asked.rstrip(TURN).endswith("|2+3?|{x}")


def test_the_grammar() -> None:
    assert str(Plan.parse("aggregate()")) == "aggregate(n=4, how=select)"
    assert (SELECT.n, MERGE.n, SELECT.must_run) == (4, 5, True)
    for wrong in ("aggregate(n=1)", "aggregate(n=65)", "aggregate(how=vote)"):
        with pytest.raises(PlanError):
            Plan.parse(wrong)


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("3", 3),
        ("**Response 2** is the most consistent.", 2),
        ("The most consistent response is Response #1.", 1),
        ("Response 1 and Response 3 agree; I choose response 3", 3),
        ("It costs 2.5, so 1", 1),
        ("7", None),
        ("", None),
    ],
)
def test_the_number_that_a_reply_names(reply: str, number: int | None) -> None:
    assert named(reply, 4) == number
