"""Plans that say how much to think run as their strategy does, within their budgets."""

from __future__ import annotations

from random import Random

import pytest

from search.budget import Budget
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.protocol import FinishReason
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import PlanError
from search.plan import Plan
from search.problem import Problem
from search.remote.fake_server import FakeServer
from search.result import Outcome
from search.run import run_plan
from search.strategies.protocol import Limits, Setting

PROBLEM = Problem("p", "f", "arithmetic", "3 + 4?", "7")


def think(text: str, rng: Random) -> str:
    """Right after 40 tokens of thought, wrong before."""
    written = text.partition(TURN)[2]
    thought, closed, _ = written.partition("</think>")
    if closed:
        return "#7" if len(thought) > 40 else "#6"
    whole = "<think>" + "and on " * 6
    return whole[len(written) :] + "</think>\n\n#7" if whole.startswith(written) else "</think>\n\n#7"


def setting(script=think, **limits: int) -> Setting:
    return Setting(ScriptedEngine(script, name="small"), limits=Limits(max_tokens=limits.get("most", 200)))


@pytest.mark.parametrize(
    ("plan", "answer"), [("majority(n=3, think=100)", "7"), ("majority(n=3, think=20)", "6")]
)
async def test_a_budget_of_thought_changes_what_is_answered(plan: str, answer: str) -> None:
    result = await run_plan(PROBLEM, Plan.parse(plan), setting(), seed=3)
    assert result.answer == answer
    assert result.plan == Plan.parse(plan)
    assert len(result.candidates) == 3
    assert all(one.thought_cut == (answer == "6") for one in result.candidates)
    assert all(one.thought_tokens > 0 for one in result.candidates)
    # thoughts are generated tokens, and charged
    prompt = len("3 + 4?") + 1
    assert result.spend.policy_tokens == prompt + sum(one.tokens for one in result.candidates)


@pytest.mark.parametrize("tokens", [8, 30, 60, 90, 200])
async def test_no_budget_is_passed(tokens: int) -> None:
    plan = Plan.parse("majority(n=4, think=40, wait=20)")
    result = await run_plan(PROBLEM, plan, setting(), seed=3, budget=Budget(tokens=tokens))
    assert result.spend.tokens <= tokens


async def test_what_was_thrown_away_is_charged() -> None:
    plan = Plan.parse("cot(think=90, wait=80)")
    result = await run_plan(PROBLEM, plan, setting(), seed=3)
    [candidate] = result.candidates
    assert result.spend.policy_tokens > len("3 + 4?") + 1 + candidate.tokens


async def test_a_thought_that_no_answer_follows_is_marked() -> None:
    result = await run_plan(PROBLEM, Plan.parse("majority(n=1, think=100)"), setting(most=9), seed=3)
    [candidate] = result.candidates
    assert candidate.finish_reason == FinishReason.THOUGHT
    assert candidate.thought_cut
    assert result.outcome is Outcome.STEP_LIMIT


async def test_samples_of_a_probe_join_the_vote_and_do_not_count_towards_n() -> None:
    drawn = await run_plan(PROBLEM, Plan.parse("majority(n=2)"), setting(), seed=1)
    plan = Plan.parse("majority(n=3, think=20)")
    result = await run_plan(PROBLEM, plan, setting(), seed=3, prior=drawn.candidates)
    assert [one.answer for one in result.candidates] == ["7", "7", "6", "6", "6"]
    assert result.answer == "6"
    assert (plan.described.most_prior, plan.described.fresh(2)) == (None, 3)
    assert not Plan.parse("cot(think=8)").described.joins_probe


async def test_a_policy_that_cannot_be_told_so_is_refused_before_anything_is_spent() -> None:
    asked = []

    def script(text: str, rng: Random) -> str:
        asked.append(text)
        return "#7"

    with pytest.raises(PlanError, match="effort needs a served policy, got effort=low for 'small'"):
        await run_plan(PROBLEM, Plan.parse("majority(n=4, effort=low)"), setting(script), seed=3)
    assert asked == []


async def test_refine_and_aggregate_think_too() -> None:
    for text in ("refine(rounds=1, think=20)", "aggregate(n=2, think=20)"):
        result = await run_plan(PROBLEM, Plan.parse(text), setting(), seed=3)
        assert result.plan == Plan.parse(text)
        assert result.candidates[0].thought_cut


@pytest.mark.parametrize("dialect", ["tokens", "text"])
async def test_a_policy_behind_completions_thinks_within_its_budget(dialect: str) -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(think, name="small"))) as server:
        engine = OpenAIEngine.connect(server.url, dialect=dialect, parameters=1000, patience=0.0)
        asked = Setting(engine, limits=Limits(max_tokens=200))
        result = await run_plan(PROBLEM, Plan.parse("majority(n=2, think=20)"), asked, seed=3)
        await engine.close()
    assert result.answer == "6"
    assert all(one.thought_cut for one in result.candidates)


async def test_a_chat_that_takes_no_number_is_refused_before_it_is_asked() -> None:
    with FakeServer(
        FakeOpenAI(ScriptedEngine(think, name="small"), plays="hosted", takes=("chat",))
    ) as server:
        engine = OpenAIEngine.connect(server.url, parameters=1000, patience=0.0)
        asked = Setting(engine, limits=Limits(max_tokens=200))
        before = len(server.asked)
        with pytest.raises(
            PlanError, match=r"think needs a server that takes a budget of thought, got think=20"
        ):
            await run_plan(PROBLEM, Plan.parse("majority(n=2, think=20)"), asked, seed=3)
        assert len(server.asked) == before
        await engine.close()
