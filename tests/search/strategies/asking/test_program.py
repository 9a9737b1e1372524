from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.budget import Budget
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import GradingError, PlanError
from search.grading.programs.printing import Printed, printed
from search.grading.programs.sandbox import SandboxLimits
from search.grading.registry import domain
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome, Result
from search.run import run_plan
from search.strategies.protocol import Limits, Setting
from search.testing.bench import CountingEngine, make_bench

PLAN = Plan.parse("program(n=4)")
FAILS = "```python\nprint(1 / 0)\n```"


def prints(expression: str) -> str:
    return f"So:\n```python\nprint({expression})\n```"


async def run(
    *replies: str, repaired: str = FAILS, kind: str = "math", prior: tuple[Candidate, ...] = ()
) -> tuple[Result, CountingEngine]:
    left = list(replies)

    def write(text: str, rng: Random) -> str:
        return repaired if "It failed:" in text.partition(TURN)[0] else left.pop(0)

    engine = CountingEngine(write)
    problem = Problem("p", "f", kind, "What is 2 + 3?", "5")
    setting = Setting(engine, limits=Limits(200, 9))
    return await run_plan(problem, PLAN, setting, seed=1, prior=prior), engine


@pytest.mark.asyncio
async def test_what_programs_print_votes() -> None:
    result, _ = await run(prints("2 + 3"), prints("6"), prints("10 / 2"), prints("'nothing'"))
    assert (result.answer, result.chosen, len(result.candidates)) == ("5", 0, 4)
    assert [(call.kind, call.text) for call in result.calls] == [
        ("run", "5"),
        ("run", "6"),
        ("run", "5"),
        ("run", "nothing"),
    ]
    assert result.jail_seconds > 0.0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "question", "expression", "answer"),
    [
        ("math", "Roots of x^2 = 4?", "[-2, 2]", "[-2,2]"),
        ("text", "Capital of France?", "'Paris'", "paris"),
        ("choice", "Which?\nA) 1\nB) 2\nC) 3", "'B'", "2"),
        ("game24", "3 4 6 8", "'8*3'", "(3*8)"),
        ("arithmetic", "What is 3 + 39?", "42", "42"),
        ("quantity", "How far?", "'3.5 km'", "3.5 km"),
    ],
)
async def test_a_candidates_text_states_its_answer_as_the_domain_reads_it(
    kind: str, question: str, expression: str, answer: str
) -> None:
    problem = Problem("p", "f", kind, question, "5")
    setting = Setting(ScriptedEngine(lambda text, rng: prints(expression)), limits=Limits(200, 9))
    result = await run_plan(problem, Plan.parse("program(n=1)"), setting, seed=1)
    (candidate,) = result.candidates
    assert result.answer == candidate.answer == answer
    assert domain(kind).read(problem, candidate.text) == answer
    assert candidate.text.startswith(prints(expression))


@pytest.mark.asyncio
async def test_one_that_fails_is_repaired_once() -> None:
    result, engine = await run(FAILS, FAILS, prints("6"), prints("6"), repaired=prints("5"))
    assert [one.answer for one in result.candidates] == ["5", "5", "6", "6"]
    assert result.answer == "5"
    repair = ["run", "repair", "run"]
    assert [call.kind for call in result.calls] == [*repair, *repair, "run", "run"]
    assert result.calls[0].text == "ZeroDivisionError: division by zero (line 1)"
    first, again = engine.requests[0], engine.requests[1]
    written = 2 * (len(FAILS) + 1) + 2 * (len(prints("6")) + 1) + 2 * (len(prints("5")) + 1)
    # equal prompts count once
    assert result.spend.policy_tokens == len(first.prompt) + len(again.prompt) + written
    assert {call.prompt_tokens for call in result.calls} == {0, len(again.prompt)}


@pytest.mark.asyncio
async def test_one_that_fails_again_has_no_vote() -> None:
    result, _ = await run(FAILS, FAILS, FAILS, prints("6"))
    assert [one.answer for one in result.candidates] == [None, None, None, "6"]
    assert result.answer == "6"
    none, _ = await run(FAILS, FAILS, FAILS, FAILS)
    assert (none.outcome, none.answer) == (Outcome.UNREADABLE, None)


@pytest.mark.asyncio
async def test_a_reply_in_words_is_read_as_it_stands() -> None:
    result, _ = await run("The answer is 5.", prints("5"), "hm", prints("6"))
    assert [one.answer for one in result.candidates] == ["5", "5", None, "6"]


@pytest.mark.asyncio
async def test_prior_solutions_vote_along() -> None:
    prior = tuple(Candidate(f"The answer is {n}.", n, (), (5,), "end") for n in ("6", "6"))
    result, _ = await run(prints("5"), prints("6"), prints("5"), prints("7"), prior=prior)
    assert (result.answer, len(result.candidates)) == ("6", 6)


@settings(deadline=None, max_examples=25)
@given(tokens=st.integers(0, 2500), seed=st.integers(0, 20))
def test_the_answer_is_the_best_that_was_affordable(tokens: int, seed: int) -> None:
    def write(text: str, rng: Random) -> str:
        return f"```python\nprint({rng.choice(['1/0', '5', '6'])})\n```"

    b = make_bench(write)
    result = asyncio.run(run_plan(b.problem, PLAN, b.setting, seed=seed, budget=Budget(tokens=tokens)))
    assert result.spend.tokens <= tokens
    assert result.spend.policy_tokens == b.engine.prompted + b.engine.generated
    answers = [one.answer for one in result.candidates if one.answer is not None]
    assert result.answer == max(answers, key=answers.count, default=None)


@pytest.mark.asyncio
async def test_what_cannot_run_is_refused_before_anything_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match="program answers what a program can print, got the domain 'python'"):
        await run(kind="python")
    monkeypatch.setattr(
        "search.strategies.asking.program.jail_fault", lambda: "it takes Linux, got another system"
    )
    b = make_bench()
    with pytest.raises(PlanError, match="it takes Linux, got another system"):
        await run_plan(b.problem, PLAN, b.setting, seed=1)
    assert b.engine.requests == []


@pytest.mark.asyncio
async def test_a_jail_that_fails_later_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(code: str, limits: SandboxLimits) -> Printed:
        raise GradingError("the jail is gone")

    monkeypatch.setattr("search.strategies.asking.program.printed", gone)
    before = asyncio.all_tasks()
    with pytest.raises(GradingError, match="the jail is gone"):
        await run(*[prints("5")] * 4)
    # the jail's threads cannot be cancelled: what they do ends by itself, and is heard of by nobody
    async with asyncio.timeout(10.0):
        await asyncio.gather(*(asyncio.all_tasks() - before), return_exceptions=True)
    assert asyncio.all_tasks() == before


@pytest.mark.asyncio
async def test_a_program_under_way_at_the_deadline_has_no_vote_and_no_core_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[float] = []

    def watched(code: str, limits: SandboxLimits) -> Printed:
        given.append(limits.seconds)
        return printed(code, limits)

    monkeypatch.setattr("search.strategies.asking.program.printed", watched)
    b = make_bench(lambda text, rng: "```python\nwhile True: pass\n```")
    prior = [Candidate("# 5", "5", (), (3,), "end")]
    result = await run_plan(b.problem, PLAN, b.setting, seed=1, budget=Budget(seconds=0.3), prior=prior)
    assert result.answer == "5"
    assert {one.answer for one in result.candidates[1:]} <= {None}
    assert given
    assert max(given) <= 0.3


@pytest.mark.asyncio
async def test_the_words_can_be_replaced() -> None:
    b = make_bench(lambda text, rng: "# 5")
    words = {"program.write": "Code for {question}"}
    await run_plan(b.problem, PLAN, replace(b.setting, words=words), seed=1)
    assert "".join(map(chr, b.engine.requests[0].prompt)) == f"Code for 2+3?{TURN}"
