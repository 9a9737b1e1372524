"""Beam search on trees that are known."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from search.plan import Plan
from search.result import Outcome
from search.run import run_plan

PLAN = Plan.parse("beam_search(n=16, width=4)")
TURN = "\x1e"


def written(text: str) -> str:
    return text.partition(TURN)[2]


def digits(depth: int) -> Any:
    """A random digit per line, ``depth`` lines, then the sum: ten to the depth solutions."""

    def script(text: str, rng: Random) -> str:
        lines = written(text).split("\n")[:-1]
        rest = [str(rng.randrange(10)) for _ in range(depth - len(lines))]
        return "\n".join([*rest, f"# {sum(map(int, lines + rest))}"])

    return script


def likes_nines(question: str, steps: tuple[str, ...]) -> float:
    return sum(int(step) for step in steps if step.isdigit()) / 99


async def test_pruning_finds_what_sampling_does_not(bench: Any) -> None:
    """The best of 10^4 solutions: greedy pruning climbs towards it step by step."""
    for seed in range(5):
        b = bench(digits(4), likes_nines)
        tree = await run_plan(b.problem, PLAN, b.setting, seed=seed)
        flat = await run_plan(b.problem, Plan.parse("best_of_n(n=16, score=last)"), b.setting, seed=seed)
        assert 36 >= int(tree.answer or 0) > int(flat.answer or 0)


async def test_it_keeps_n_over_width_and_expands_each_width_times(bench: Any) -> None:
    b = bench(digits(3), likes_nines)
    result = await run_plan(b.problem, PLAN, b.setting, seed=1)
    assert [r.n for r in b.engine.requests] == [16] + [4] * 4 * 3
    assert {r.stop for r in b.engine.requests} == {("\n",)}
    assert len({r.seed for r in b.engine.requests}) == len(b.engine.requests)
    assert len(result.candidates) == 16
    # of the first steps, the four best distinct ones were expanded
    first = sorted({c.text for c in b.engine.children[:16]}, reverse=True)
    expanded = [written("".join(map(chr, r.prompt))) for r in b.engine.requests[1:5]]
    assert expanded == first[:4]


async def test_a_survivors_request_goes_on_from_its_own_tokens(bench: Any) -> None:
    b = bench(digits(3), likes_nines, max_tokens=50)
    await run_plan(b.problem, PLAN, b.setting, seed=1)
    for request in b.engine.requests:
        done = len(request.prompt) - b.prompt
        assert request.prompt[: b.prompt] == b.engine.prompt(b.problem.question)
        assert request.max_tokens == 50 - done


async def test_equal_beams_are_scored_once_and_survive_once(bench: Any) -> None:
    b = bench(lambda text, rng: "same\n# 1"[len(written(text)) :])
    result = await run_plan(b.problem, PLAN, b.setting, seed=1)
    assert b.reward.calls == [((), ("same",)), (("same",), ("# 1",))]
    # one survivor takes all places, so n beams stay in flight and each keeps its vote
    assert [r.n for r in b.engine.requests] == [16, 16]
    assert len(result.candidates) == 16
    assert result.spend.policy_tokens == b.prompt + b.engine.generated
    assert result.spend.prm_tokens == b.prm_prompt + len("same") + 1 + len("# 1") + 1


async def test_no_prefix_is_ever_scored_twice(bench: Any) -> None:
    b = bench(digits(3), likes_nines)
    await run_plan(b.problem, PLAN, b.setting, seed=5)
    assert max(Counter((*prefix, *new) for prefix, new in b.reward.calls).values()) == 1
    assert {len(new) for _, new in b.reward.calls} == {1}  # only ever the new step


async def test_finished_beams_keep_their_place_and_are_left_alone(bench: Any) -> None:
    """A first line that ends at once is neither expanded nor rescored, and takes one place."""

    def script(text: str, rng: Random) -> str:
        if not written(text):
            return f"# {rng.randrange(100)}" if rng.random() < 0.4 else f"go {rng.random()}\nmore\n# 7"
        return "more\n# 7" if written(text).count("\n") == 1 else "# 7"

    b = bench(script, lambda question, steps: 0.9 if steps[0].startswith("#") else 0.2)
    result = await run_plan(b.problem, PLAN, b.setting, seed=1)
    early = sum(child.finish_reason == "end" for child in b.engine.children[:16])
    assert 0 < early < 16
    free = 16 - early
    survivors = -(-free // 4)
    assert [r.n for r in b.engine.requests[1 : 1 + survivors]] == [
        free // survivors + (rank < free % survivors) for rank in range(survivors)
    ]
    assert len(result.candidates) == 16
    assert all(not prefix or not prefix[0].startswith("#") for prefix, _ in b.reward.calls)
    assert result.answer is not None
    assert result.answer != "7"  # the finished ones competed, and scored higher


@pytest.mark.parametrize(("prune", "winner"), [("last", "b"), ("min", "a")])
async def test_prune_scores_all_steps_so_far(prune: str, winner: str, bench: Any) -> None:
    """``a`` is good throughout; ``b`` starts badly and ends well."""
    rewards = {"a1": 0.6, "a2": 0.5, "b1": 0.2, "b2": 0.9}

    def script(text: str, rng: Random) -> str:
        lines = written(text).split("\n")[:-1]
        if not lines:
            return rng.choice("ab") + "1\n"
        return (lines[0][0] + "2\n") if len(lines) == 1 else f"# {lines[0][0]}"

    def judge(question: str, steps: tuple[str, ...]) -> float:
        return rewards.get(steps[-1], 0.5)

    b = bench(script, judge)
    # both lines survive the first step; of the second, one does
    plan = Plan.parse(f"beam_search(n=8, width=4, prune={prune})")
    await run_plan(b.problem, plan, b.setting, seed=1)
    ranked = [written("".join(map(chr, r.prompt))) for r in b.engine.requests]
    assert next(text[0] for text in ranked if text.count("\n") == 2) == winner


async def test_the_step_limit_is_a_result(bench: Any) -> None:
    b = bench(lambda text, rng: "on\n#\n" * 50, max_tokens=10**4, max_steps=3)
    result = await run_plan(b.problem, PLAN, b.setting, seed=1)
    assert result.outcome in (Outcome.STEP_LIMIT, Outcome.ANSWERED)
    assert {(c.text.count("\n"), c.finish_reason) for c in result.candidates} == {(3, "stop")}
    assert len(b.engine.requests) == 3  # one survivor, as all beams are equal


async def test_blank_lines_are_steps_of_nothing(bench: Any) -> None:
    b = bench(lambda text, rng: "\n\na\n\n# 5"[len(written(text)) :])
    result = await run_plan(b.problem, Plan.parse("beam_search(n=2, width=2)"), b.setting, seed=1)
    assert b.reward.calls == [((), ("a",)), (("a",), ("# 5",))]
    assert (result.answer, result.candidates[0].step_tokens) == ("5", (5, 4))
    assert len(result.candidates[0].step_rewards) == 2


async def test_a_beam_that_outgrows_the_prm_is_finished(bench: Any) -> None:
    b = bench(lambda text, rng: "abcd\n" * 9, prm_context=16, max_steps=9)
    result = await run_plan(b.problem, Plan.parse("beam_search(n=2, width=2)"), b.setting, seed=1)
    assert {(c.text, c.finish_reason, len(c.step_rewards)) for c in result.candidates} == {
        ("abcd\n" * 3, "length", 2)
    }


async def test_width_one_and_width_n(bench: Any) -> None:
    for text in ("beam_search(n=4, width=1)", "beam_search(n=4, width=4)", "beam_search(n=1, width=1)"):
        plan = Plan.parse(text)
        b = bench(digits(2), likes_nines)
        result = await run_plan(b.problem, plan, b.setting, seed=1)
        assert len(result.candidates) == plan.n
        assert max(Counter(len(r.prompt) for r in b.engine.requests).values()) <= plan.n // plan.width
