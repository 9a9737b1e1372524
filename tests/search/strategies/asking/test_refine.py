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
from search.errors import EngineError, PlanError, RewardError
from search.grading.programs.python import PythonDomain
from search.grading.programs.sandbox import SandboxLimits
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome, Result
from search.rewards.protocol import Handle, Scored
from search.rewards.scripted import ScriptedReward
from search.run import run_plan
from search.strategies.observer import Observer
from search.strategies.protocol import Limits, Setting
from search.testing.bench import Bench, make_bench

BLIND, JUDGED, TESTED = (
    Plan.parse(f"refine(rounds=2, feedback={feedback})") for feedback in ("none", "judge", "tests")
)


def writing(*solutions: str, critique: str = "The sum is wrong.") -> Bench:
    """These solutions in turn, each under a step; ``critique`` of each of them."""
    left = list(solutions)

    def write(text: str, rng: Random) -> str:
        return critique if "Check this solution" in text.partition(TURN)[0] else f"think\n# {left.pop(0)}"

    return make_bench(write, lambda question, steps: 0.9 if "5" in "".join(steps) else 0.2)


async def run(b: Bench, plan: Plan = BLIND, **more: object) -> Result:
    return await run_plan(b.problem, plan, b.setting, seed=1, **more)  # type: ignore[arg-type]


def asked(b: Bench) -> list[str]:
    return ["".join(map(chr, request.prompt)).rstrip(TURN) for request in b.engine.requests]


@pytest.mark.asyncio
async def test_it_drafts_criticises_and_revises() -> None:
    b = writing("6", "7", "5")
    result = await run(b)
    assert (result.answer, result.chosen, len(result.candidates)) == ("5", 2, 3)
    assert [call.kind for call in result.calls] == ["critique", "revise", "critique", "revise"]
    draft, critique, revise, *_ = asked(b)
    assert draft == "2+3?"
    assert "A solution:\nthink\n# 6\n" in critique
    assert "An earlier solution to this:\nthink\n# 6\n\nFeedback on it:\nThe sum is wrong." in revise
    assert result.spend.policy_tokens == b.prompt + sum(
        call.prompt_tokens + call.tokens for call in result.calls
    ) + (result.candidates[0].tokens)


@pytest.mark.asyncio
@pytest.mark.parametrize("word", ["CORRECT", " **Correct.**", "The solution is correct."])
async def test_a_critique_that_finds_nothing_ends_it(word: str) -> None:
    result = await run(writing("6", critique=word))
    assert (result.answer, len(result.candidates)) == ("6", 1)
    assert [call.kind for call in result.calls] == ["critique"]


@pytest.mark.asyncio
async def test_a_revision_that_cannot_be_read_leaves_the_last_that_can() -> None:
    result = await run(writing("6", "7", ""))
    assert (result.answer, result.chosen, len(result.candidates)) == ("7", 1, 3)


@pytest.mark.asyncio
async def test_a_reward_says_what_is_wrong_and_which_is_best() -> None:
    b = writing("6", "5", "7")
    result = await run(b, JUDGED)
    assert (result.answer, result.chosen, len(result.candidates)) == ("5", 1, 3)
    assert [call.kind for call in result.calls] == ["revise", "revise"]
    assert "0.20  think\n0.20  # 6" in asked(b)[1]
    assert "0.20  think\n0.90  # 5" in asked(b)[2]
    assert result.spend.prm_tokens == b.prm_prompt + b.reward.scored


DOUBLE = "def double(x):\n    '''Twice x.\n\n    >>> double(2)\n    4\n    >>> double(5)\n    10\n    '''"


def double(*bodies: str) -> tuple[Problem, Setting, ScriptedEngine]:
    left = [f"```python\ndef double(x):\n    {body}\n```" for body in bodies]
    engine = ScriptedEngine(lambda text, rng: left.pop(0))
    problem = Problem("p", "f", "python", DOUBLE, "assert double(0) == 1", {"entry_point": "double"})
    return problem, Setting(engine, limits=Limits(200, 9)), engine


@pytest.mark.asyncio
async def test_the_tests_of_the_question_are_run_and_say_what_fails() -> None:
    problem, setting, _ = double("return x + 2", "return x * 2", "return 0")
    result = await run_plan(problem, TESTED, setting, seed=1)
    assert (result.chosen, len(result.candidates)) == (1, 2)
    assert result.answer is not None
    assert "return x * 2" in result.answer  # it passes, though the reference would say otherwise
    assert [(call.kind, call.text) for call in result.calls if call.kind == "tests"] == [
        ("tests", "double(5) gives 7, it should give 10."),
        ("tests", "passed"),
    ]
    assert result.jail_seconds > 0.0


@pytest.mark.asyncio
async def test_a_program_that_hangs_is_killed_and_said_to() -> None:
    hung = PythonDomain(SandboxLimits(seconds=0.5, cpu=1))
    problem, *_ = double()
    tried = await asyncio.to_thread(hung.try_tests, problem, "def double(x):\n    while True: pass")
    assert tried.report == "The program did not end in time."


@pytest.mark.asyncio
async def test_tests_that_nobody_shows_are_refused_before_anything_is_spent() -> None:
    b = writing("6")
    with pytest.raises(PlanError, match="feedback=tests needs a question that shows tests"):
        await run(b, TESTED)
    assert b.engine.requests == []


@pytest.mark.asyncio
async def test_prior_solutions_are_drafts() -> None:
    prior = [Candidate(f"so\n# {answer}", answer, (), (5,), "end") for answer in ("7", "6", "6")]
    b = writing("4", "5")
    result = await run(b, prior=prior)
    assert (result.answer, len(result.candidates)) == ("5", 5)
    assert "A solution:\nso\n# 6\n" in asked(b)[0]


@settings(deadline=None, max_examples=60)
@given(tokens=st.integers(0, 1600), seed=st.integers(0, 20), plan=st.sampled_from([BLIND, JUDGED]))
def test_the_answer_is_the_best_that_was_affordable(tokens: int, seed: int, plan: Plan) -> None:
    def write(text: str, rng: Random) -> str:
        is_critique = "Check this" in text.partition(TURN)[0]
        return "no" if is_critique else f"think\n# {rng.choice('567')}{rng.choice(['', 'x'])}"

    def judge(question: str, steps: tuple[str, ...]) -> float:
        said = steps[-1].removeprefix("# ")[:1]  # nothing, where the budget ended the step
        return int(said) / 10 if said.isdigit() else 0.5

    b = make_bench(write, judge)
    result = asyncio.run(run_plan(b.problem, plan, b.setting, seed=seed, budget=Budget(tokens=tokens)))
    assert result.spend.tokens <= tokens
    assert result.spend.policy_tokens == b.engine.prompted + b.engine.generated
    # a critique is asked for only where what follows from it is affordable too
    kinds = [call.kind for call in result.calls]
    assert kinds.count("critique") in (kinds.count("revise"), 0)
    answers = [one.answer for one in result.candidates]
    if plan is BLIND:
        assert result.answer == (answers[-1] if answers else None)
    elif answers:
        scores = [one.step_rewards[-1] if one.step_rewards else 0.0 for one in result.candidates]
        readable = [place for place, answer in enumerate(answers) if answer is not None]
        best = max(readable, key=lambda place: (scores[place], -place), default=None)
        assert result.chosen == best


class _FailsLater(ScriptedEngine):
    """Drafts, and then is gone."""

    def submit(self, request: Request) -> AsyncIterator[Event]:
        if "Check this" in "".join(map(chr, request.prompt)):
            raise EngineError("the policy is gone")
        return super().submit(request)


class _GoesOn(Observer):
    def failed(self, error: EngineError) -> bool:
        return True


@pytest.mark.asyncio
async def test_a_policy_that_fails_later_leaves_the_draft_where_somebody_waits() -> None:
    engine = _FailsLater(lambda text, rng: "# 5")
    problem, setting = Problem("p", "f", "text", "2+3?", "5"), Setting(engine)
    with pytest.raises(EngineError, match="the policy is gone"):
        await run_plan(problem, BLIND, setting, seed=1)
    result = await run_plan(problem, BLIND, replace(setting, observer=_GoesOn()), seed=1)
    assert (result.outcome, result.answer) == (Outcome.ANSWERED, "5")


class _FailsSecond(ScriptedReward):
    async def extend(self, handle: Handle, steps: tuple[str, ...]) -> Scored:  # type: ignore[override]
        if "# 7" in steps:
            raise RewardError("the judge is gone")
        return await super().extend(handle, steps)


@pytest.mark.asyncio
async def test_a_judge_that_fails_is_a_reward_error() -> None:
    left = ["6", "7"]
    engine = ScriptedEngine(lambda text, rng: f"think\n# {left.pop(0)}")
    setting = Setting(engine, _FailsSecond(lambda question, steps: 0.5))
    with pytest.raises(RewardError, match="the judge is gone"):
        await run_plan(Problem("p", "f", "text", "2+3?", "5"), JUDGED, setting, seed=1)


def test_the_grammar() -> None:
    assert str(Plan.parse("refine()")) == "refine(rounds=2, feedback=none)"
    assert (BLIND.n, BLIND.needs_prm, JUDGED.needs_prm, JUDGED.vote) == (3, False, True, "max")
    assert str(Plan.parse("refine(feedback=judge, score=min)")) == (
        "refine(rounds=2, feedback=judge, score=min)"
    )
    for wrong in ("refine(rounds=0)", "refine(rounds=9)", "refine(feedback=luck)"):
        with pytest.raises(PlanError):
            Plan.parse(wrong)
    assert str(Plan.parse("refine()").brief) == "refine()"
